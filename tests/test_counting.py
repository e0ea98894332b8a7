"""Counts of verdicts by problem."""

from typing import Any

import pytest

from anatomy.counting import count
from anatomy.errors import AnatomyError

Rows = list[dict[str, Any]]
WORLD: dict[str, list[tuple[str, bool | None, int]]] = {  # verdict, whether the derivation is right, tokens
    "p2": [("right", True, 10), ("right", False, 12), ("wrong", False, 7)],
    "p1": [("malformed", False, 3), ("truncated", False, 64), ("truncated", False, 64)],
    "p3": [("right", True, 5), ("right", True, 6), ("right", True, 7)],
}


def streams(spec: dict[str, list[tuple[str, bool | None, int]]]) -> tuple[Rows, Rows]:
    """Samples and verdicts that match."""
    samples: Rows = []
    verdicts: Rows = []
    for problem, completions in spec.items():
        for sample, (verdict, derivation, tokens) in enumerate(completions):
            samples.append(
                {"problem": problem, "sample": sample, "tokens": tokens, "entropy": 0.5, "temperature": 1.0}
            )
            verdicts.append(
                {"problem": problem, "sample": sample, "verdict": verdict, "derivation_right": derivation}
            )
    return samples, verdicts


def test_counts_by_hand() -> None:
    samples, verdicts = streams(WORLD)
    # Iterators: the rows can be read once only, as from disk.
    assert count(iter(samples), iter(verdicts), 3) == [
        {"problem": "p2", "n": 3, "answer": 2, "derivation": 1, "malformed": 0, "truncated": 0, "tokens": 29},
        {
            "problem": "p1",
            "n": 3,
            "answer": 0,
            "derivation": 0,
            "malformed": 1,
            "truncated": 2,
            "tokens": 131,
        },
        {"problem": "p3", "n": 3, "answer": 3, "derivation": 3, "malformed": 0, "truncated": 0, "tokens": 18},
    ]


def test_problems_may_be_interleaved() -> None:
    samples, verdicts = streams(WORLD)
    order = [0, 3, 6, 1, 4, 7, 2, 5, 8]
    mixed = count([samples[i] for i in order], [verdicts[i] for i in order], 3)
    assert mixed == count(samples, verdicts, 3)


def test_without_a_checker_there_are_no_derivations() -> None:
    samples, verdicts = streams({"p": [("right", None, 4), ("wrong", None, 5)]})
    assert count(samples, verdicts, 2) == [
        {"problem": "p", "n": 2, "answer": 1, "derivation": None, "malformed": 0, "truncated": 0, "tokens": 9}
    ]


def test_nothing_is_counted_as_nothing() -> None:
    assert count([], [], 4) == []


def test_verdicts_in_another_order_are_refused() -> None:
    samples, verdicts = streams(WORLD)
    verdicts[1], verdicts[2] = verdicts[2], verdicts[1]
    with pytest.raises(AnatomyError, match=r"verdict p2/2 stands beside sample p2/1"):
        count(samples, verdicts, 3)


def test_verdicts_of_other_problems_are_refused() -> None:
    samples, verdicts = streams(WORLD)
    verdicts[3]["problem"] = "p9"
    with pytest.raises(AnatomyError, match=r"verdict p9/0 stands beside sample p1/0"):
        count(samples, verdicts, 3)


@pytest.mark.parametrize("short", ["samples", "verdicts"])
def test_streams_of_different_lengths_are_refused(short: str) -> None:
    samples, verdicts = streams(WORLD)
    (samples if short == "samples" else verdicts).pop()
    with pytest.raises(AnatomyError):
        count(samples, verdicts, 3)


@pytest.mark.parametrize("n", [2, 4])
def test_another_number_of_completions_is_refused(n: int) -> None:
    with pytest.raises(AnatomyError, match=rf"problem p2 has 3 completions instead of {n}"):
        count(*streams(WORLD), n)


def test_one_missing_completion_is_refused_by_its_problem() -> None:
    samples, verdicts = streams(WORLD)
    del samples[4], verdicts[4]
    with pytest.raises(AnatomyError, match=r"problem p1 has 2 completions instead of 3"):
        count(samples, verdicts, 3)
