"""Chains of subproblems that go on from the model's own answers."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy.grading import counts as grading_counts
from anatomy.grading import graders
from anatomy.models.decoding import Sampling
from anatomy.prompts import templates
from anatomy.rng import generator
from anatomy.sampling.engine import Completion, Prompt
from anatomy.sampling.own_chains import own_chains
from anatomy.storage import parquet
from anatomy.world import problems as world_problems

TEMPLATE = templates.load_template(Path(__file__).resolve().parents[1] / "config/templates/world.yaml")
SAMPLING = Sampling(0.7, 1.0, 40)
SEED = (5, "arm")
Row = dict[str, Any]


def row(problem: world_problems.Problem) -> Row:
    return {"problem": problem.name, "text": problem.text, "subproblems": problem.subproblems}


def drawn(count: int, steps: Sequence[int], seed: int = 1) -> list[Row]:
    return [row(one) for one in world_problems.problems(seed, "probed", count, steps, ["mixed"], "test")]


def solved(text: str) -> tuple[str, int]:
    """The line that a link's prompt asks for, computed from what stands in it, and its value."""
    *told, (name, _, left, operator, right), _ = (part.split() for part in text.split(" ; "))
    values = {known: value for known, _, value in told}
    x, y = (int(values.get(operand, operand)) for operand in (left, right))
    value = world_problems.apply(operator, x, y)
    return f"{name} = {left} {operator} {right} = {x} {operator} {y}", value


class Scripted:
    """An engine that follows a script by sample and link: R(ight), W(rong), M(ute), T(runcated)."""

    def __init__(self, script: Sequence[str] = ()):
        self.script = script
        self.calls: list[tuple[list[Prompt], int, Sampling, tuple[object, ...]]] = []

    @property
    def prompts(self) -> dict[tuple[str, str], str]:
        return {(p.condition, p.problem): p.text for prompts, *_ in self.calls for p in prompts}

    def act(self, prompt: Prompt) -> str:
        sample = int(prompt.problem.rpartition("/")[2])
        link = prompt.text.count(" ; ") - 2  # facts before "a = .. ; step ; ask"
        acts = self.script[sample % len(self.script)] if self.script else ""
        return acts[link] if link < len(acts) else "R"

    def sample(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, seed: Sequence[object]
    ) -> Iterator[list[Completion]]:
        self.calls.append((list(prompts), n, sampling, tuple(seed)))
        for prompt in prompts:
            line, value = solved(prompt.text)
            act = self.act(prompt)
            said = (value + (act == "W")) % world_problems.MODULUS
            text = f"{line} = {said} ." + ("" if act == "M" else f" ans {said}")
            yield [
                Completion(
                    prompt.problem,
                    prompt.condition,
                    index,
                    text,
                    len(text.split()) + 1,
                    "length" if act == "T" else "stop",
                    -1.0,
                    0.5,
                    sampling.temperature,
                )
                for index in range(n)
            ]


class Careless(Scripted):
    """The same with acts drawn, as a model's completions are, by seed, condition and problem."""

    def act(self, prompt: Prompt) -> str:
        rng = generator(*SEED, prompt.condition, prompt.problem)
        return str(rng.choice(list("RRRWMT")))


def answer(problem: Any, condition: str, one: Completion) -> str | None:
    item = graders.Item(problem, one.completion, one.finish_reason == "length", condition=condition)
    return next(graders.grade("world", [item])).answer


def chains(engine: Scripted, problems: list[Row], n: int = 4, rows: int = 5) -> list[list[Completion]]:
    return list(own_chains(engine, problems, TEMPLATE, answer, n, rows, SAMPLING, SEED))


def test_right_chains_have_the_prompts_of_the_gold_ones() -> None:
    engine, problems = Scripted(), drawn(6, [1, 2, 4])
    found = chains(engine, problems, n=2)
    gold = {
        (f"own-{number}", f"{problem['problem']}/{sample}"): prompt["prompt"]
        for problem in problems
        for number, prompt in enumerate(
            templates.prompts({**problem, "benchmark": "made"}, TEMPLATE, ["subproblems"]), 1
        )
        for sample in range(2)
    }
    assert engine.prompts == gold
    by_name = {problem["problem"]: problem for problem in problems}
    assert len(found) == 4  # the longest chain
    for number, completions in enumerate(found, 1):
        for one in completions:
            problem = by_name[one.problem]
            assert answer(problem, one.condition, one) == problem["subproblems"][number - 1]["answer"]


def test_completions_come_link_by_link_one_a_chain() -> None:
    problems = drawn(6, [1, 2, 4])
    found = chains(Scripted(), problems, n=3)
    for number, completions in enumerate(found, 1):
        expected = [
            (problem["problem"], f"own-{number}", sample)
            for problem in problems
            if len(problem["subproblems"]) >= number
            for sample in range(3)
        ]
        assert [(one.problem, one.condition, one.sample) for one in completions] == expected
    assert [len(completions) for completions in found] == [18, 12, 6, 6]


KNOWN = world_problems.parse("a = 3 ; b = a @ 5 ; c = a # b ; d = b * c ; ask c d ?")  # b = 4, c = 5, d = 6


def test_a_chain_goes_on_from_its_own_answers_or_ends() -> None:
    """All right; wrong first; no answer at link 2; cut off at link 2, with an answer; wrong last."""
    engine = Scripted(["RRR", "WRR", "RMR", "RTR", "RRW"])
    found = chains(engine, [row(KNOWN)], n=5)
    assert [[one.sample for one in completions] for completions in found] == [[*range(5)]] * 2 + [[0, 1, 4]]
    told = {name: text for name, text in engine.prompts.items() if name[0] == "own-3"}
    last = "a = 3 ; d = b * c ; ask d ?"
    assert told == {
        ("own-3", f"{KNOWN.name}/0"): f"b = 4 ; c = 5 ; {last}",
        ("own-3", f"{KNOWN.name}/1"): f"b = 5 ; c = 4 ; {last}",  # c = 3 * 3 - 5 follows from a wrong b
        ("own-3", f"{KNOWN.name}/4"): f"b = 4 ; c = 5 ; {last}",
    }
    assert [one.completion.split()[-1] for one in found[2]] == ["6", "6", "0"]


def test_what_is_sampled_can_be_graded_and_counted(tmp_path: Path) -> None:
    samples = [
        asdict(one) for part in chains(Scripted(["RRR", "WRR", "RMR"]), [row(KNOWN)], 3) for one in part
    ]
    parquet.write(tmp_path / "samples.parquet", "samples", samples)
    items = [
        graders.Item(row(KNOWN), one["completion"], one["finish_reason"] == "length", "", one["condition"])
        for one in samples
    ]
    verdicts = [
        {**{name: one[name] for name in ("problem", "condition", "sample")}, **asdict(verdict)}
        for one, verdict in zip(samples, graders.grade("world", items), strict=True)
    ]
    counts = grading_counts.count(samples, verdicts, 3)
    # The slip at link 1 gives d = 5 * 4 = 6 in the end: a right answer, but of a broken chain.
    assert [(r["condition"], r["n"], r["answer"], r["derivation"], r["chain"]) for r in counts] == [
        ("own-1", 3, 2, 2, 2),
        ("own-2", 3, 1, 1, 1),
        ("own-3", 3, 2, 1, 1),
    ]


@pytest.mark.parametrize("rows", [1, 5, 100])
def test_the_engine_is_asked_for_one_completion_a_prompt(rows: int) -> None:
    engine = Scripted()
    chains(engine, drawn(5, [2]), n=3, rows=rows)
    assert {(n, sampling, seed) for _, n, sampling, seed in engine.calls} == {(1, SAMPLING, SEED)}
    assert all(1 <= len(prompts) <= rows for prompts, *_ in engine.calls)
    assert all(len({prompt.condition for prompt in prompts}) == 1 for prompts, *_ in engine.calls)
    asked = [(p.condition, p.problem) for prompts, *_ in engine.calls for p in prompts]
    assert len(asked) == len(set(asked)) == 30


@settings(max_examples=30)
@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 9))
def test_chains_end_where_answers_do(seed: int, n: int, rows: int) -> None:
    problems = drawn(4, [1, 3, 5], seed)
    found = chains(Careless(), problems, n, rows)
    assert found == chains(Careless(), problems, n, 100)  # whatever is decoded together
    more = chains(Careless(), problems, n + 1, rows)
    assert [
        [one for one in part if one.sample < n] for part in more if any(one.sample < n for one in part)
    ] == found
    by_name = {problem["problem"]: problem for problem in problems}
    alive = [(name, sample) for name in by_name for sample in range(n)]
    for number, completions in enumerate(found, 1):
        alive = [key for key in alive if len(by_name[key[0]]["subproblems"]) >= number]
        assert [(one.problem, one.sample) for one in completions] == alive
        alive = [
            (one.problem, one.sample)
            for one in completions
            if one.finish_reason == "stop" and " ans " in one.completion
        ]
    assert not [key for key in alive if len(by_name[key[0]]["subproblems"]) > len(found)]


def test_without_chains_there_is_nothing() -> None:
    assert chains(Scripted(), []) == []
    assert chains(Scripted(), [{**row(KNOWN), "subproblems": []}]) == []
    assert chains(Scripted(), [row(KNOWN)], n=0) == []
