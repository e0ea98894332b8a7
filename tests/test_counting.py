"""Counts of verdicts by problem and condition."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.grading.counts import count
from anatomy.storage import parquet
from anatomy.storage.verdicts import COUNTED, NAMES, RIGHT

Rows = list[dict[str, Any]]
NONE = dict.fromkeys(COUNTED, 0)
WORLD: dict[str, list[tuple[str, bool | None, int]]] = {  # verdict, whether the derivation is right, tokens
    "p2": [("right", True, 10), ("right", False, 12), ("wrong", False, 7)],
    "p1": [("no_answer", False, 3), ("truncated", False, 64), ("truncated", False, 64)],
    "p3": [("right", True, 5), ("right", True, 6), ("right", True, 7)],
}


def streams(
    spec: dict[str, list[tuple[str, bool | None, int]]], condition: str = "plain"
) -> tuple[Rows, Rows]:
    """Samples and verdicts that match; each token has 1/8 nat of entropy, so that sums are exact."""
    samples: Rows = []
    verdicts: Rows = []
    for problem, completions in spec.items():
        for sample, (verdict, derivation, tokens) in enumerate(completions):
            samples.append(
                {
                    "problem": problem,
                    "condition": condition,
                    "sample": sample,
                    "tokens": tokens,
                    "entropy": tokens / 8,
                    "temperature": 0.6,
                }
            )
            verdicts.append(
                {
                    "problem": problem,
                    "condition": condition,
                    "sample": sample,
                    "verdict": verdict,
                    "lenient": derivation,
                    "derivation_right": derivation,
                }
            )
    return samples, verdicts


def test_counts_by_hand() -> None:
    samples, verdicts = streams(WORLD)
    # Iterators: the rows can be read once only, as from disk.
    assert count(iter(samples), iter(verdicts), 3) == [
        {
            "problem": "p2",
            "condition": "plain",
            "n": 3,
            "answer": 2,
            "derivation": 1,
            "chain": None,
            "lenient": 1,
            **NONE,
            "tokens": 29,
            "entropy": 3.625,
            "temperature": 0.6,
        },
        {
            "problem": "p1",
            "condition": "plain",
            "n": 3,
            "answer": 0,
            "derivation": 0,
            "chain": None,
            "lenient": 0,
            **NONE,
            "no_answer": 1,
            "truncated": 2,
            "tokens": 131,
            "entropy": 16.375,
            "temperature": 0.6,
        },
        {
            "problem": "p3",
            "condition": "plain",
            "n": 3,
            "answer": 3,
            "derivation": 3,
            "chain": None,
            "lenient": 3,
            **NONE,
            "tokens": 18,
            "entropy": 2.25,
            "temperature": 0.6,
        },
    ]


def test_counts_are_rows_of_their_table(tmp_path: Path) -> None:
    samples, verdicts = streams(WORLD)
    samples[0]["entropy"] = None
    found = count(samples, verdicts, 3)
    parquet.write(tmp_path / "counts.parquet", "counts", found)
    assert list(parquet.records(tmp_path / "counts.parquet", "counts")) == found


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
            "condition": "plain",
            "n": 2,
            "answer": 1,
            "derivation": None,
            "chain": None,
            "lenient": None,
            **NONE,
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
    with pytest.raises(
        AnatomyError, match=r"verdict \('p2', 'plain', 2\) stands beside sample \('p2', 'plain', 1\)"
    ):
        count(samples, verdicts, 3)


def test_verdicts_of_other_problems_are_refused() -> None:
    samples, verdicts = streams(WORLD)
    verdicts[3]["problem"] = "p9"
    with pytest.raises(
        AnatomyError, match=r"verdict \('p9', 'plain', 0\) stands beside sample \('p1', 'plain', 0\)"
    ):
        count(samples, verdicts, 3)


@pytest.mark.parametrize("short", ["samples", "verdicts"])
def test_streams_of_different_lengths_are_refused(short: str) -> None:
    samples, verdicts = streams(WORLD)
    (samples if short == "samples" else verdicts).pop()
    with pytest.raises(AnatomyError):
        count(samples, verdicts, 3)


@pytest.mark.parametrize("n", [2, 4])
def test_another_number_of_completions_is_refused(n: int) -> None:
    with pytest.raises(
        AnatomyError, match=rf"problem p2 has 3 completions of condition plain instead of {n}"
    ):
        count(*streams(WORLD), n)


def test_one_missing_completion_is_refused_by_its_problem() -> None:
    samples, verdicts = streams(WORLD)
    del samples[4], verdicts[4]
    with pytest.raises(AnatomyError, match=r"problem p1 has 2 completions of condition plain instead of 3"):
        count(samples, verdicts, 3)


# Conditions and chains ----------------------------------------------------------------------------------


def test_conditions_are_counted_apart() -> None:
    plain, plan = streams(WORLD), streams(dict.fromkeys(WORLD, [("right", True, 2)] * 3), "plan")
    order = [at for pair in zip(range(9), range(9, 18), strict=True) for at in pair]  # one of each in turn
    samples, verdicts = ([(one + two)[at] for at in order] for one, two in zip(plain, plan, strict=True))
    found = count(samples, verdicts, 3)
    assert [(row["problem"], row["condition"]) for row in found] == [
        (problem, condition) for problem in WORLD for condition in ("plain", "plan")
    ]
    assert [row for row in found if row["condition"] == "plain"] == count(*plain, 3)
    assert [row for row in found if row["condition"] == "plan"] == count(*plan, 3)
    assert [row["answer"] for row in found] == [2, 3, 0, 3, 3, 3]


def test_a_verdict_of_another_condition_is_refused() -> None:
    samples, verdicts = streams(WORLD)
    verdicts[4]["condition"] = "guess"
    with pytest.raises(AnatomyError, match=r"verdict \('p1', 'guess', 1\) stands beside sample"):
        count(samples, verdicts, 3)


def test_a_condition_that_lacks_a_completion_is_named() -> None:
    plain, plan = streams(WORLD), streams(WORLD, "plan")
    samples, verdicts = plain[0] + plan[0][:-1], plain[1] + plan[1][:-1]
    with pytest.raises(AnatomyError, match="problem p3 has 2 completions of condition plan instead of 3"):
        count(samples, verdicts, 3)


VERDICTS = {"R": "right", "W": "wrong", "M": "no_answer", "T": "truncated"}


def chains(letters: str, problem: str = "p") -> tuple[Rows, Rows]:
    """Samples and verdicts of chains, link by link; a word has the verdicts of one chain's links."""
    words = letters.split()
    samples: Rows = []
    verdicts: Rows = []
    for link in range(max(map(len, words))):
        for sample, word in enumerate(words):
            if link < len(word):
                key = {"problem": problem, "condition": f"own-{link + 1}", "sample": sample}
                samples.append({**key, "tokens": 2, "entropy": 0.5, "temperature": 1.0})
                verdicts.append(
                    {**key, "verdict": VERDICTS[word[link]], "lenient": False}
                    | {"derivation_right": word[link] == "R"}
                )
    return samples, verdicts


def test_chains_by_hand(tmp_path: Path) -> None:
    found = count(*chains("RRR RWR WRR RM T"), 5)
    columns = ["condition", "n", "answer", "derivation", "chain", "no_answer", "truncated", "tokens"]
    assert [[row[column] for column in columns] for row in found] == [
        ["own-1", 5, 3, 3, 3, 0, 1, 10],
        ["own-2", 5, 2, 2, 1, 1, 0, 8],  # a right link after a wrong one is an answer, but no chain
        ["own-3", 5, 3, 3, 1, 0, 0, 6],
    ]
    parquet.write(tmp_path / "counts.parquet", "counts", found)
    assert list(parquet.records(tmp_path / "counts.parquet", "counts")) == found


def test_chains_of_problems_are_counted_apart() -> None:
    one, two = chains("RR WR", "p"), chains("WR RR", "q")
    samples, verdicts = one[0] + two[0], one[1] + two[1]
    order = sorted(range(8), key=lambda at: samples[at]["condition"])  # link by link, as they are sampled
    found = count([samples[at] for at in order], [verdicts[at] for at in order], 2)
    assert {(row["problem"], row["condition"]): row["chain"] for row in found} == {
        (problem, condition): 1 for problem in "pq" for condition in ("own-1", "own-2")
    }


@given(st.lists(st.text("RW", min_size=3, max_size=3), min_size=1, max_size=6))
def test_chain_counts_leading_right_links(words: list[str]) -> None:
    found = count(*chains(" ".join(words)), len(words))
    for link, row in enumerate(found, 1):
        assert row["chain"] == sum(word.startswith("R" * link) for word in words) <= row["answer"]


@pytest.mark.parametrize(
    ("letters", "n", "named"),
    [
        ("RR RR", 3, "2 completions of condition own-1 instead of 3"),  # every chain has a first link
        ("RR RR", 1, "2 completions of condition own-1 instead of 1"),
    ],
)
def test_another_number_of_chains_is_refused(letters: str, n: int, named: str) -> None:
    with pytest.raises(AnatomyError, match=f"problem p has {named}"):
        count(*chains(letters), n)


def test_more_links_than_chains_are_refused() -> None:
    samples, verdicts = chains("RR R")
    for rows in (samples, verdicts):
        rows += [{**rows[-1], "sample": sample} for sample in (1, 2)]
    with pytest.raises(AnatomyError, match="problem p has 3 completions of condition own-2 instead of 2"):
        count(samples, verdicts, 2)


def test_every_verdict_is_counted_once_or_is_wrong() -> None:
    samples, verdicts = streams({"p": [(name, None, 1) for name in NAMES]})  # type: ignore[misc]
    (row,) = count(samples, verdicts, len(NAMES))
    assert row["answer"] == len(RIGHT)
    assert sum(row[column] for column in COUNTED) == len(NAMES) - len(RIGHT) - len(("wrong", "failed"))
    assert {column: row[column] for column in COUNTED} == {
        "no_answer": 1,
        "unparsable": 2,
        "timeout": 1,
        "crashed": 3,
        "truncated": 1,
    }
