"""Counts of verdicts by problem."""

from pathlib import Path
from typing import Any

import pytest

from anatomy import tables
from anatomy.counting import count
from anatomy.errors import AnatomyError

Rows = list[dict[str, Any]]
WORLD: dict[str, list[tuple[str, bool | None, int]]] = {  # verdict, whether the derivation is right, tokens
    "p2": [("right", True, 10), ("right", False, 12), ("wrong", False, 7)],
    "p1": [("malformed", False, 3), ("truncated", False, 64), ("truncated", False, 64)],
    "p3": [("right", True, 5), ("right", True, 6), ("right", True, 7)],
}


def streams(spec: dict[str, list[tuple[str, bool | None, int]]]) -> tuple[Rows, Rows]:
    """Samples and verdicts that match; each token has 1/8 nat of entropy, so that sums are exact."""
    samples: Rows = []
    verdicts: Rows = []
    for problem, completions in spec.items():
        for sample, (verdict, derivation, tokens) in enumerate(completions):
            samples.append(
                {
                    "problem": problem,
                    "sample": sample,
                    "tokens": tokens,
                    "entropy": tokens / 8,
                    "temperature": 0.6,
                }
            )
            verdicts.append(
                {"problem": problem, "sample": sample, "verdict": verdict, "derivation_right": derivation}
            )
    return samples, verdicts


def test_counts_by_hand() -> None:
    samples, verdicts = streams(WORLD)
    # Iterators: the rows can be read once only, as from disk.
    assert count(iter(samples), iter(verdicts), 3) == [
        {
            "problem": "p2",
            "n": 3,
            "answer": 2,
            "derivation": 1,
            "malformed": 0,
            "truncated": 0,
            "tokens": 29,
            "entropy": 3.625,
            "temperature": 0.6,
        },
        {
            "problem": "p1",
            "n": 3,
            "answer": 0,
            "derivation": 0,
            "malformed": 1,
            "truncated": 2,
            "tokens": 131,
            "entropy": 16.375,
            "temperature": 0.6,
        },
        {
            "problem": "p3",
            "n": 3,
            "answer": 3,
            "derivation": 3,
            "malformed": 0,
            "truncated": 0,
            "tokens": 18,
            "entropy": 2.25,
            "temperature": 0.6,
        },
    ]


def test_counts_are_rows_of_their_table(tmp_path: Path) -> None:
    samples, verdicts = streams(WORLD)
    samples[0]["entropy"] = None
    found = count(samples, verdicts, 3)
    tables.write(tmp_path / "counts.parquet", "counts", found)
    assert list(tables.records(tmp_path / "counts.parquet", "counts")) == found


def test_problems_may_be_interleaved() -> None:
    samples, verdicts = streams(WORLD)
    order = [0, 3, 6, 1, 4, 7, 2, 5, 8]
    mixed = count([samples[i] for i in order], [verdicts[i] for i in order], 3)
    assert mixed == count(samples, verdicts, 3)


def test_without_a_checker_there_are_no_derivations() -> None:
    samples, verdicts = streams({"p": [("right", None, 4), ("wrong", None, 5)]})
    assert count(samples, verdicts, 2) == [
        {
            "problem": "p",
            "n": 2,
            "answer": 1,
            "derivation": None,
            "malformed": 0,
            "truncated": 0,
            "tokens": 9,
            "entropy": 1.125,
            "temperature": 0.6,
        }
    ]


@pytest.mark.parametrize("untold", [{0}, {1}, {2}, {0, 1, 2}])
def test_entropy_is_untold_where_one_completions_is(untold: set[int]) -> None:
    samples, verdicts = streams(WORLD)
    for at in untold:
        samples[at]["entropy"] = None
    assert [row["entropy"] for row in count(samples, verdicts, 3)] == [None, 16.375, 2.25]


def test_no_entropy_at_all_is_not_an_untold_one() -> None:
    samples, verdicts = streams({"p": [("right", True, 4)]})
    samples[0]["entropy"] = 0.0
    assert count(samples, verdicts, 1)[0]["entropy"] == 0.0


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
