"""Columns of every table that stages hand to one another."""

from collections.abc import Mapping

import pyarrow as pa

text_field, int_field, float_field, bool_field = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def _schema(**columns: tuple[pa.DataType, bool, str]) -> pa.Schema:
    return pa.schema(
        pa.field(name, dtype, nullable, metadata={"unit": unit})
        for name, (dtype, nullable, unit) in columns.items()
    )


SCHEMAS: Mapping[str, pa.Schema] = {
    "problems": _schema(
        problem=(text_field, False, "identifier, unique within the benchmark"),
        benchmark=(text_field, False, "name in the benchmark sheet"),
        text=(text_field, False, "question as published"),
        answers=(
            pa.list_(text_field),
            False,
            "gold answers; all of them together are the answer; programs: none",
        ),
        solution=(text_field, True, "reference solution"),
        difficulty=(float_field, True, "steps (world) or the benchmark's own level"),
        domain=(text_field, True, "operators (world) or the benchmark's own subject"),
        plan=(text_field, True, "ordered steps without computation"),
        plan_disordered=(text_field, True, "control: the plan's steps out of order"),
        plan_incomplete=(text_field, True, "control: the plan without one of its steps"),
        knowledge=(text_field, True, "facts that the problem needs"),
        knowledge_irrelevant=(text_field, True, "control: as many facts that it does not need"),
        subproblems=(
            pa.list_(pa.struct([("question", text_field), ("answer", text_field), ("fact", text_field)])),
            True,
            "chain in order; fact: the answer as a statement, {answer} in its place",
        ),
        chunks=(pa.list_(text_field), True, "the solution in 4 chunks; joined they give it back"),
        tests=(text_field, True, "JSON: what a program is judged by (anatomy.programs); null: not a program"),
    ),
    "annotations": _schema(
        problem=(text_field, False, "identifier"),
        status=(text_field, False, "annotated, partly, failed, unsolved or given"),
        plan=(text_field, True, "ordered steps without computation, numbered; null: none that was verified"),
        knowledge=(text_field, True, "facts that the problem needs, one a line"),
        subproblems=(
            pa.list_(pa.struct([("question", text_field), ("answer", text_field), ("fact", text_field)])),
            True,
            "chain in order; fact: the answer as a statement, {answer} in its place",
        ),
        reason=(text_field, False, "what was said against it; empty if all is well"),
        requests=(int_field, False, "requests, made or taken from the cache"),
    ),
    "prompts": _schema(
        problem=(text_field, False, "identifier"),
        benchmark=(text_field, False, "name in the benchmark sheet"),
        condition=(text_field, False, "plain, guess, plan..., knowledge..., subproblem-i, partial-i"),
        template=(text_field, False, "name of the template file"),
        prompt=(text_field, False, "what the model is given"),
        prefix=(text_field, False, "the part of the prompt that opens the response"),
    ),
    "samples": _schema(
        problem=(text_field, False, "identifier"),
        condition=(text_field, False, "as in prompts; own-i: link i after the model's own earlier answers"),
        sample=(int_field, False, "index of the completion, from 0"),
        completion=(text_field, False, "text, without the end token"),
        tokens=(int_field, False, "tokens, the end token included"),
        finish_reason=(text_field, False, "stop or length"),
        logprob=(float_field, False, "summed natural-log probability at temperature 1, nothing cut off"),
        entropy=(
            float_field,
            True,
            "summed token entropy at the temperature, nats, full vocabulary; null: untold",
        ),
        temperature=(float_field, False, "sampling temperature"),
    ),
    "verdicts": _schema(
        problem=(text_field, False, "identifier"),
        condition=(text_field, False, "as in samples"),
        sample=(int_field, False, "index of the completion, from 0"),
        answer=(text_field, True, "extracted answer or program, null if there is none"),
        verdict=(text_field, False, "one of those of the benchmark's grader (anatomy.grading)"),
        lenient=(
            bool_field,
            True,
            "right if what looks like an answer counts; null where there is no such reading",
        ),
        derivation_right=(bool_field, True, "every line right and complete; null where there is no checker"),
        first_bad_line=(int_field, True, "0-based; -1 if no line is bad; null where there is no checker"),
    ),
    "scores": _schema(
        problem=(text_field, False, "identifier"),
        sample=(int_field, False, "index of the completion, from 0; 0 for a reference solution"),
        tokens=(int_field, False, "tokens scored, the end token included unless the completion was cut off"),
        logprob=(float_field, False, "summed natural-log probability at temperature 1, nothing cut off"),
        surprisal=(float_field, False, "largest -log p of one token, nats"),
        entropy=(float_field, False, "summed entropy of the full-vocabulary distributions, nats"),
    ),
    "counts": _schema(
        problem=(text_field, False, "identifier"),
        condition=(text_field, False, "as in samples"),
        n=(
            int_field,
            False,
            "completions; for own-i chains begun, those that broke before link i among them",
        ),
        answer=(int_field, False, "completions with the right answer"),
        derivation=(int_field, True, "completions with a right derivation; null where there is no checker"),
        chain=(int_field, True, "own-i: chains whose links 1 to i are all right; null for other conditions"),
        lenient=(
            int_field,
            True,
            "completions right in a lenient reading; null where there is no such reading",
        ),
        no_answer=(int_field, False, "completions without an answer"),
        unparsable=(
            int_field,
            False,
            "completions whose answer cannot be read, or whose program is no Python",
        ),
        timeout=(int_field, False, "completions whose grading, or whose program, took too long"),
        crashed=(int_field, False, "programs that ended in an error, for want of memory or by being killed"),
        truncated=(int_field, False, "completions cut off at the token limit"),
        tokens=(int_field, False, "tokens of all completions"),
        entropy=(float_field, True, "summed token entropy of all completions, nats; null: untold"),
        temperature=(float_field, False, "sampling temperature"),
    ),
    "training": _schema(
        run=(text_field, False, "name in the run sheet"),
        seed=(int_field, False, "training seed"),
        step=(int_field, False, "optimiser steps taken"),
        loss=(float_field, True, "training loss"),
        reward=(
            float_field,
            True,
            "mean reward of the step's rollouts, penalties included, on the scale of the run's preset; signed"
            " rewards are told as of 1 and 0",
        ),
        length=(float_field, True, "mean completion length, tokens"),
        entropy=(float_field, True, "mean token entropy over the full vocabulary, nats"),
        kl=(
            float_field,
            True,
            "mean estimated KL (k3) to the start model of the policy that drew the rollouts, nats per token",
        ),
        zero_signal=(
            float_field,
            True,
            "share of groups whose rewards are all equal, before any is drawn anew",
        ),
        clipped=(float_field, True, "share of tokens whose ratio was clipped"),
        value_loss=(float_field, True, "loss of PPO's value model: half the squared error, clipped"),
        generated=(int_field, False, "tokens generated so far, dropped groups and greedy responses included"),
        tokens=(int_field, False, "prompt and completion tokens processed so far"),
    ),
}
"""Columns, types and units of every table between stages (field metadata ``unit``)."""
WITHOUT_TESTS = [name for name in SCHEMAS["problems"].names if name != "tests"]
"""Columns of the table ``problems`` for whoever does not grade: a program's tests may be large."""
