"""Hard problems, and what a run trains on."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.problems.selection import failed, select, training_set
from anatomy.storage import parquet
from anatomy.storage.verdicts import COUNTED

Row = dict[str, Any]
PROBLEMS: list[Row] = [{"problem": f"p{at}", "text": f"question {at}"} for at in range(20)]
HARD = {"p3", "p7", "p11"}


def counts(path: Path, answers: dict[str, int]) -> pd.DataFrame:
    """A table 'counts' as it is read from disk."""
    rest = {"condition": "plain", "n": 8, "derivation": 0, "chain": None, "lenient": 0}
    rest |= {**dict.fromkeys(COUNTED, 0), "tokens": 80, "entropy": None, "temperature": 1.0}
    parquet.write(
        path, "counts", [{"problem": name, "answer": right, **rest} for name, right in answers.items()]
    )
    return parquet.read(path, "counts")


def names(problems: list[Any]) -> list[str]:
    return [problem["problem"] for problem in problems]


def test_failed_in_every_attempt_of_every_seed(tmp_path: Path) -> None:
    seeds = [
        {"a": 0, "b": 0, "c": 8, "d": 0},
        {"a": 0, "b": 1, "c": 0, "d": 0},
        {"d": 0, "c": 0, "b": 0, "a": 0},
    ]
    frames = [counts(tmp_path / f"{at}.parquet", answers) for at, answers in enumerate(seeds)]
    assert failed(frames[:1]) == {"a", "b", "d"}
    assert failed(frames[:2]) == failed(iter(frames)) == {"a", "d"}
    assert failed([counts(tmp_path / "none.parquet", {"a": 1, "b": 8})]) == set()


def test_a_problem_that_one_seed_lacks_is_not_failed_by_it(tmp_path: Path) -> None:
    frames = [counts(tmp_path / "0.parquet", {"a": 0, "b": 0}), counts(tmp_path / "1.parquet", {"a": 0})]
    assert failed(frames) == {"a"}


@given(st.sets(st.integers(0, 19), min_size=1), st.integers(0, 8), st.integers(0, 99))
def test_hard_problems_and_easier_others(places: set[int], easier: int, seed: int) -> None:
    hard = {f"p{at}" for at in places}
    chosen = select(PROBLEMS, hard, easier, [seed, "run"])
    assert [problem for problem in PROBLEMS if problem in chosen] == chosen  # in the given order, each once
    assert hard <= set(names(chosen))
    assert len(chosen) - len(hard) == min(easier * len(hard), len(PROBLEMS) - len(hard))
    assert select(PROBLEMS, hard, easier, [seed, "run"]) == chosen


def test_others_are_drawn_by_the_seed_from_all_of_them() -> None:
    drawn = [set(names(select(PROBLEMS, HARD, 2, [seed, "run"]))) - HARD for seed in range(40)]
    assert set.union(*drawn) == set(names(PROBLEMS)) - HARD
    assert len({frozenset(others) for others in drawn}) > 30
    assert select(PROBLEMS, HARD, 2, [0, "other"]) != select(PROBLEMS, HARD, 2, [0, "run"])


def test_hard_problems_of_elsewhere_bring_no_others() -> None:
    assert len(select(PROBLEMS, HARD | {"elsewhere"}, 2, [0])) == 9


@pytest.mark.parametrize("hard", [set(), {"elsewhere"}])
def test_where_nothing_is_hard_it_is_said_what_to_do(hard: set[str]) -> None:
    with pytest.raises(
        AnatomyError, match=r"none of the 20 problems .* make the benchmark harder .*splits_steps"
    ):
        select(PROBLEMS, hard, 2, [0])


# What a run trains on -----------------------------------------------------------------------------------

PROMPTS: list[Row] = [
    {"problem": row["problem"], "condition": condition, "prompt": f"{condition} {at}", "prefix": prefix}
    for at, row in enumerate(PROBLEMS)
    for condition, prefix in (("plain", ""), ("partial-1", "Half."), ("partial-2", "Half. Whole."))
]


def chosen(conditions: list[str], frame: pd.DataFrame | None, told: list[str], easier: int = 1) -> list[Row]:
    return training_set(iter(PROBLEMS), iter(PROMPTS), conditions, frame, easier, ["run", 0], told.append)


def test_without_counts_all_problems_are_trained_on() -> None:
    told: list[str] = []
    found = chosen(["plain"], None, told)
    assert found == [{**row, **prompt} for row, prompt in zip(PROBLEMS, PROMPTS[::3], strict=True)]
    assert told == []


def test_conditions_are_rows_of_their_own() -> None:
    found = chosen(["partial-2", "plain"], None, [])
    assert [(row["problem"], row["condition"]) for row in found[:4]] == [
        ("p0", "plain"),
        ("p0", "partial-2"),
        ("p1", "plain"),
        ("p1", "partial-2"),
    ]
    assert len(found) == 40
    assert {(row["condition"], row["prefix"]) for row in found} == {
        ("plain", ""),
        ("partial-2", "Half. Whole."),
    }
    assert chosen(["partial-4"], None, []) == []


def test_with_counts_hard_problems_and_easier_ones_are_trained_on(tmp_path: Path) -> None:
    frame = counts(
        tmp_path / "counts.parquet", {row["problem"]: int(row["problem"] not in HARD) for row in PROBLEMS}
    )
    told: list[str] = []
    found = chosen(["plain", "partial-1"], frame, told)
    problems = names(select(PROBLEMS, HARD, 1, ["run", 0]))
    assert len(problems) == 6 and names(found) == [name for name in problems for _ in range(2)]
    assert told == ["3 of 20 problems failed in all attempts; 6 problems to train on"]
    assert set(names(chosen(["plain"], frame, [], easier=0))) == HARD
    with pytest.raises(AnatomyError, match="no hard set"):
        chosen(["plain"], counts(tmp_path / "easy.parquet", dict.fromkeys(names(PROBLEMS), 1)), [])
