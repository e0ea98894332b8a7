"""Mathematical answers of public bug reports of graders, by kind, and more of each: tests/cases/."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from anatomy.grading.math_verdict import judge

CASES = Path(__file__).parent / "cases"
Case = dict[str, str]


def cases(name: str) -> Iterator[Case]:
    for line in (CASES / name).read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def by_kind(name: str) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = defaultdict(list)
    for case in cases(name):
        found[case["kind"].partition(":")[0]].append(case)
    return found


REPORTED = by_kind("grading.jsonl")
MORE = by_kind("grading_more.jsonl")
"""Of the same kinds, right and wrong ones."""


def verdict(case: Case) -> str:
    natural = case["kind"].partition(":")[0] == "log"
    return judge((case["answer"],), case["completion"], natural=natural).verdict


@pytest.mark.parametrize("kind", REPORTED)
def test_reported_cases(kind: str) -> None:
    for case in REPORTED[kind]:
        assert verdict(case) == case["expected"], case


@pytest.mark.parametrize("kind", MORE)
def test_more_cases(kind: str) -> None:
    for case in MORE[kind]:
        assert verdict(case) == case["expected"], case


def test_each_kind_has_five_more_cases() -> None:
    assert set(MORE) == set(REPORTED)
    assert all(len(found) >= 5 for found in MORE.values())
