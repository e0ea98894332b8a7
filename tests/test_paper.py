"""The paper quotes numbers by id and types none; ids, texts and intervals come from the tables."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy import reporting
from anatomy.errors import AnatomyError

ROOT = Path(__file__).resolve().parents[1]
SPEC = {"keys": ["arm", "k"], "numbers": {"estimate": "percent"}}


def typed_numbers(source: str) -> list[str]:
    """Return the digits of a Typst source that stand in its prose: not in comments, strings or references."""
    prose = re.sub(r'//[^\n]*|"(?:\\.|[^"\\])*"|@[\w:-]+|<[\w:-]+>', " ", source)
    return re.findall(r"\d[\d.,]*", prose)


def test_no_number_is_typed_by_hand() -> None:
    assert typed_numbers((ROOT / "paper/main.typ").read_text(encoding="utf-8")) == []


def test_a_typed_number_is_found() -> None:
    source = (ROOT / "paper/main.typ").read_text(encoding="utf-8")
    assert typed_numbers(source.replace("The base model is", "The base model of 12 layers is", 1)) == ["12"]
    assert typed_numbers("accuracy rose to 34.2 % // 5\n @yue2025limits") == ["34.2"]


@pytest.mark.parametrize(
    ("value", "rule", "text"),
    [
        (0.3416, "percent", "34.2"),
        (-0.0416, "points", "\N{MINUS SIGN}4.2"),
        (0.05, "points", "+5.0"),
        (0.123456, "decimal", "0.12"),
        (128.0, "plain", "128"),
        (float("inf"), "k", ">64"),
        (0.0, "k", "<1"),
        (11.26, "k", "11.3"),
        (float("nan"), "percent", "\N{EN DASH}"),
    ],
)
def test_rounding(value: float, rule: str, text: str) -> None:
    assert reporting.shown(value, rule, 64) == text


@given(st.floats(0, 1))
def test_percent_is_within_half_a_digit(value: float) -> None:
    assert abs(float(reporting.shown(value, "percent")) - 100 * value) <= 0.05 + 1e-9


def test_numbers_know_their_cell(tmp_path: Path) -> None:
    path = tmp_path / "passk.csv"
    rows = [
        {"arm": "base", "k": 1, "estimate": 0.25, "low": 0.2, "high": 0.3},
        {"arm": "base", "k": 2, "estimate": 0.4, "low": 0.3, "high": float("inf")},
    ]
    reporting.write_csv(path, rows)
    numbers = reporting.numbers("passk", path, SPEC)
    assert numbers["passk/base/1/estimate"]["text"] == "25.0"
    assert numbers["passk/base/2/estimate"]["row"] == 1
    assert numbers["passk/base/1/estimate"]["interval_text"] == ["20.0", "30.0"]
    assert numbers["passk/base/2/estimate"]["interval"] == [0.3, "inf"]
    json.dumps(numbers, allow_nan=False)


def test_keys_that_do_not_tell_rows_apart_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "passk.csv"
    reporting.write_csv(path, [{"arm": "base", "k": 1, "estimate": 0.25}] * 2)
    with pytest.raises(AnatomyError, match="do not tell it from another row"):
        reporting.numbers("passk", path, SPEC)


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "passk.csv"
    reporting.write_csv(path, [{"arm": "base", "k": 1}])
    with pytest.raises(AnatomyError, match=r"passk\.csv: column estimate is missing"):
        reporting.numbers("passk", path, SPEC)
