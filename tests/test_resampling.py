"""Which problems are sampled again."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.problems.selection import disagreeing
from anatomy.storage import parquet
from anatomy.storage.verdicts import COUNTED

N = 4


def counts(
    path: Path, problems: str, answer: Sequence[int], derivation: Sequence[int] | None = None
) -> pd.DataFrame:
    """A table 'counts' as it is read from disk; without derivations, that of a set without a checker."""
    rows = [
        {
            "problem": problem,
            "condition": "plain",
            "n": N,
            "answer": answer[at],
            "derivation": derivation[at] if derivation else None,
            "chain": None,
            "lenient": None,
            **dict.fromkeys(COUNTED, 0),
            "tokens": 40,
            "entropy": None,
            "temperature": 1.0,
        }
        for at, problem in enumerate(problems)
    ]
    parquet.write(path, "counts", rows)
    return parquet.read(path, "counts")


def test_disagreements_by_hand(tmp_path: Path) -> None:
    """a and h are solved by neither and by both; b, c by one in answers; d, e, f by one in derivations."""
    first = counts(tmp_path / "1.parquet", "abcdefgh", [0, 1, 0, 4, 2, 3, 0, 4], [0, 1, 0, 3, 0, 2, 0, 1])
    second = counts(tmp_path / "2.parquet", "abcdefgh", [0, 0, 4, 4, 2, 1, 0, 1], [0, 0, 0, 0, 1, 0, 0, 1])
    assert disagreeing(first, second) == set("bcdef")
    assert disagreeing(second, first) == set("bcdef")
    assert disagreeing(first, first) == disagreeing(second, second) == set()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0), (0, 0), False),
        ((1, 1), (4, 4), False),
        ((2, 0), (3, 0), False),
        ((1, 0), (0, 0), True),
        ((1, 1), (0, 0), True),
        ((1, 1), (1, 0), True),
        ((4, 0), (4, 1), True),
    ],
)
def test_one_problem(tmp_path: Path, first: tuple[int, int], second: tuple[int, int], expected: bool) -> None:
    """(right answers, right derivations) of each arm."""
    one, two = (
        counts(tmp_path / f"{name}.parquet", "p", [answer], [derivation])
        for name, (answer, derivation) in (("1", first), ("2", second))
    )
    assert disagreeing(one, two) == disagreeing(two, one) == ({"p"} if expected else set())


def test_without_a_checker_answers_alone_count(tmp_path: Path) -> None:
    first = counts(tmp_path / "1.parquet", "abcd", [0, 1, 0, 4])
    second = counts(tmp_path / "2.parquet", "abcd", [0, 0, 4, 1])
    assert disagreeing(first, second) == {"b", "c"}


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(*[st.tuples(st.integers(0, N), st.integers(0, N)).map(sorted)] * 2), min_size=1, max_size=8
    ),
)
def test_the_order_of_rows_does_not_matter(pairs: list[tuple[list[int], list[int]]]) -> None:
    frames = [
        pd.DataFrame(
            [
                {"problem": f"p{at}", "derivation": pair[arm][0], "answer": pair[arm][1]}
                for at, pair in enumerate(pairs)
            ]
        )
        for arm in (0, 1)
    ]
    expected = {
        f"p{at}"
        for at, (one, two) in enumerate(pairs)
        if (one[0] > 0, one[1] > 0) != (two[0] > 0, two[1] > 0)
    }
    assert disagreeing(*frames) == expected
    assert disagreeing(frames[0][::-1], frames[1]) == expected


def test_no_problems_disagree_about_nothing(tmp_path: Path) -> None:
    empty = counts(tmp_path / "1.parquet", "", [])
    assert disagreeing(empty, empty) == set()


def test_a_problem_that_stands_twice_is_refused(tmp_path: Path) -> None:
    once = counts(tmp_path / "1.parquet", "ab", [0, 1])
    twice = counts(tmp_path / "2.parquet", "abb", [0, 1, 0])
    for frames in ((once, twice), (twice, once)):
        with pytest.raises(ValueError, match="not a one-to-one merge"):
            disagreeing(*frames)


def test_different_problems_are_refused(tmp_path: Path) -> None:
    few = counts(tmp_path / "1.parquet", "ab", [0, 1])
    more = counts(tmp_path / "2.parquet", "abc", [0, 1, 2])
    for frames in ((few, more), (more, few)):
        with pytest.raises(AnatomyError, match="problems"):
            disagreeing(*frames)
