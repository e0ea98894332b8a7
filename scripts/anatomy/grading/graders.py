r"""Graders: whether a completion is right, for evaluation and as the reward of RL, behind one interface.

``math``: the answer is what stands in the last ``\boxed{}`` of the final answer region, and nothing else
counts; answers are compared by the kind of their forms (``anatomy.grading.math_equality``), in worker
processes that can be replaced.

``world``: the embedded world's checker, of every line (``anatomy.world.checker.check``).

``program``: the program that stands in the completion, run on hidden inputs in the sandbox; its outputs are
compared outside (``anatomy.grading.code``).

A completion that was cut off at the token limit is ``truncated``, whatever it says. Beside the verdict stands
a lenient one, right wherever anything that looks like an answer is; it is never a reward.
"""

import atexit
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from anatomy.errors import AnatomyError
from anatomy.grading import code, code_tests, math_extraction, worker_pool
from anatomy.prompts import templates
from anatomy.sandbox import bubblewrap
from anatomy.storage.verdicts import Grader, Name, Verdict
from anatomy.world import checker, problems, programs

_BATCH = 2_048
"""Completions that are graded together: enough to keep workers busy, few enough to hold."""


@dataclass(frozen=True)
class Item:
    """A completion to grade."""

    problem: Mapping[str, Any]
    """A row of the table ``problems``."""
    completion: str
    truncated: bool
    """Cut off at the token limit."""
    prefix: str = ""
    """Steps that the prompt gave (condition ``partial-i``). The world's checker reads them as part of the
    derivation; an answer or a program must stand in the completion itself."""
    condition: str = "plain"
    """What the prompt asked for: a link of the problem's chain (``subproblem-i``, ``own-i``), whose gold
    answer then counts, or else the whole problem."""


@dataclass(frozen=True)
class Marks:
    """How a template has answers marked."""

    answer: str = "boxed"
    """One of ``templates.ANSWERS``."""
    tags: str | None = None
    """Tags, separated by a space, that a response consists of; the answer stands in the last one."""


def grade(kind: str, items: Iterable[Item], marks: Marks = Marks(), workers: int = 1) -> Iterator[Verdict]:
    """Yield the verdict on each completion, in order.

    workers: processes that grade mathematics, or sandboxes that run programs, at a time.

    Raises:
        AnatomyError: unknown ``kind``; a gold answer that cannot be read; programs, and no sandbox for them.
    """
    if kind not in get_args(Grader):
        raise AnatomyError(f"unknown grader {kind!r}; allowed are {list(get_args(Grader))}")
    source = iter(items)
    while batch := list(itertools.islice(source, _BATCH)):
        if kind == "math":
            yield from _math(batch, marks, workers)
        elif kind == "world":
            yield from map(_world, batch)
        else:
            yield from _programs(batch, marks, workers)


# Mathematics ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _judge(workers: int) -> worker_pool.Judge:
    """Return the processes that grade mathematics, which live as long as this one."""
    judge = worker_pool.Judge(workers)
    judge.__enter__()
    atexit.register(judge.__exit__, None, None, None)
    return judge


def _golds(item: Item) -> tuple[str, ...]:
    link = templates.link_number(item.condition)
    if link is None:
        return tuple(item.problem["answers"])
    return (item.problem["subproblems"][link - 1]["answer"],)


def _math(batch: Sequence[Item], marks: Marks, workers: int) -> Iterator[Verdict]:
    asked = [(_golds(item), item.completion, marks.tags) for item in batch]
    for item, judged in zip(batch, _judge(workers).map(asked), strict=True):
        if item.truncated:
            yield Verdict(None, "truncated", judged.lenient, None, None)
        else:
            answer = None if judged.answer is None else judged.answer[: math_extraction.MAX_ANSWER]
            yield Verdict(answer, judged.verdict, judged.lenient, None, None)


# The world's problems ---------------------------------------------------------------------------------


@lru_cache(maxsize=8_192)
def world_problem(text: str) -> problems.Problem:
    try:
        return problems.parse(text)
    except ValueError as error:
        raise AnatomyError(f"grader 'world': {error}") from error


def _world(item: Item) -> Verdict:
    problem, link = world_problem(item.problem["text"]), templates.link_number(item.condition)
    checked = checker.check(problem, f"{item.prefix} {item.completion}", link)
    lenient = checker.answers_leniently(problem, item.completion, link)
    if item.truncated:
        return Verdict(None, "truncated", lenient, False, checked.first_bad_line)
    verdict: Name = "right" if checked.answer_right else "wrong"
    if checked.answer is None:
        verdict = "unparsable" if "ans" in item.completion.split() else "no_answer"
    return Verdict(checked.answer, verdict, lenient, checked.derivation_right, checked.first_bad_line)


# Programs ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _tests(text: str) -> code_tests.Tests:
    return code_tests.Tests.from_json(text)


def program_text(item: Item, marks: Marks) -> str | None:
    """Return the program that stands in a completion; None if none does."""
    if marks.answer == "body":
        return programs.source(item.completion)
    return code.extract(item.completion, item.problem["text"], marks.answer)


def _programs(batch: Sequence[Item], marks: Marks, workers: int) -> Iterator[Verdict]:
    sources = [None if item.truncated else program_text(item, marks) for item in batch]
    tests = [_tests(item.problem["tests"]) for item in batch]
    run = (code.program(one, source) for one, source in zip(tests, sources, strict=True) if source)
    limits = code.LIMITS[tests[0].compare]
    outcomes = bubblewrap.run(run, limits, workers)
    for item, one, source in zip(batch, tests, sources, strict=True):
        if item.truncated:
            yield Verdict(None, "truncated", None, None, None)
        elif not source:
            yield Verdict(None, "no_answer", None, None, None)
        else:
            yield Verdict(source, code.compare(one, next(outcomes)), None, None, None)
