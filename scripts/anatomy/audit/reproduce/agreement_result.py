"""How far two results agree, and what counts as agreement."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IDENTICAL, WITHIN, DIFFERENT = "identical", "within tolerance", "different"

RELATIVE = 1e-9
"""Values of csv tables and JSON files differ by no more than this share of the larger one."""
WEIGHTS = 1e-4
"""Weights of models, and values in logs of training, differ by no more than this."""
ERRORS = 4.0
"""Means over problems of completions, verdicts, scores and counts differ by no more than so many standard
errors of the paired difference.
"""
NEGLIGIBLE = 1e-4
"""Such means that differ by no more than this share are alike, whatever their standard error."""
PIXELS = 2.0
"""Pictures of the same size differ by a root mean square of no more than this, of 255."""

TOLERANCES = (
    f"csv and JSON: {RELATIVE:g} of a value, or each estimate inside the other's interval",
    f"models and training logs: {WEIGHTS:g}",
    f"completions, verdicts, scores, counts: means over problems within {ERRORS:g} standard errors of their"
    " paired difference",
    f"pictures: root mean square {PIXELS:g} of 255",
)
"""The tolerances in words."""


@dataclass(frozen=True)
class Agreement:
    """How a file, or a number, that was made again agrees with the first one."""

    outcome: str
    """``identical``, ``within tolerance`` or ``different``."""
    detail: str = ""
    """What was found, in words; empty where there is no more to say."""

    @property
    def ok(self) -> bool:
        """Whether the two are the same, or differ within what is tolerated."""
        return self.outcome != DIFFERENT


def worst(agreements: Sequence[Agreement]) -> str:
    """Return the outcome of several agreements together."""
    order = [IDENTICAL, WITHIN, DIFFERENT]
    return max((agreement.outcome for agreement in agreements), key=order.index, default=IDENTICAL)


# Numbers and values ----------------------------------------------------------------------------------


def number(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> Agreement:
    """Compare two entries of numbers.json: value, text and interval."""
    parts = ("value", "text", "interval", "interval_text")
    if all(recorded.get(part) == again.get(part) for part in parts):
        return Agreement(IDENTICAL)
    shown = f"{_shown(recorded)} and {_shown(again)}"
    first, second = _value(recorded.get("value")), _value(again.get("value"))
    ends, other_ends = recorded.get("interval"), again.get("interval")
    both = [*(ends or []), recorded.get("value")], [*(other_ends or []), again.get("value")]
    if len(both[0]) == len(both[1]) and all(map(same_value, map(_value, both[0]), map(_value, both[1]))):
        return Agreement(WITHIN, shown)
    if ends and other_ends and lies_within(first, other_ends) and lies_within(second, ends):
        return Agreement(WITHIN, f"{shown}, each inside the other's interval")
    return Agreement(DIFFERENT, shown)


def _shown(number: Mapping[str, Any]) -> str:
    interval = f" [{', '.join(number['interval_text'])}]" if number.get("interval_text") else ""
    return f"{number['text']}{interval}"


def _value(value: Any) -> Any:
    """Return a number as JSON has it, as a float where it is one: ``inf`` is written as text, nan as null."""
    if value in ("inf", "-inf"):
        return float(value)
    return math.nan if value is None else value


def same_value(first: Any, second: Any) -> bool:
    """Tell whether two values are the same: numbers up to RELATIVE, nan like nan."""
    if (
        isinstance(first, str)
        or isinstance(second, str)
        or isinstance(first, bool)
        or isinstance(second, bool)
    ):
        return bool(type(first) is type(second) and first == second)
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return math.isclose(first, second, rel_tol=RELATIVE)


def lies_within(value: Any, ends: Sequence[Any]) -> bool:
    """Tell whether a value lies in a closed interval; not where one of the three is no number."""
    low, high = map(_value, ends)
    return all(isinstance(x, int | float) for x in (value, low, high)) and low <= value <= high


# JSON ------------------------------------------------------------------------------------------------


def compare_json(recorded: Path, again: Path) -> Agreement:
    """Compare two JSON files; the one of all numbers, number by number."""
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in (recorded, again))
    if recorded.name == "numbers.json":
        return _numbers(first, second)
    difference = first_difference(first, second)
    return (
        Agreement(DIFFERENT, difference)
        if difference
        else Agreement(WITHIN, "the same values, written otherwise")
    )


def _numbers(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> Agreement:
    if recorded.keys() != again.keys():
        only = sorted(recorded.keys() ^ again.keys())
        return Agreement(DIFFERENT, f"{len(only)} numbers stand in one of the two only: {only[0]} ...")
    agreements = {name: number(recorded[name], again[name]) for name in recorded}
    unlike = [name for name, agreement in agreements.items() if agreement.outcome != IDENTICAL]
    different = [name for name in unlike if not agreements[name].ok]
    if different:
        name = different[0]
        return Agreement(
            DIFFERENT, f"{len(different)} of {len(agreements)} numbers: {name}, {agreements[name].detail} ..."
        )
    return Agreement(WITHIN, f"{len(unlike)} of {len(agreements)} numbers differ within tolerance")


def first_difference(first: Any, second: Any, where: str = "") -> str:
    """Return the first difference of two values of JSON, in words; empty if they are the same."""
    if isinstance(first, dict) and isinstance(second, dict):
        if first.keys() != second.keys():
            return f"{where or 'entries'}: {', '.join(sorted(first.keys() ^ second.keys()))} only in one"
        pairs = [(first[name], second[name], f"{where}/{name}".lstrip("/")) for name in first]
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return f"{where}: {len(first)} and {len(second)} entries"
        pairs = [(a, b, f"{where}[{place}]") for place, (a, b) in enumerate(zip(first, second, strict=True))]
    else:
        plain = not isinstance(first, dict | list) and not isinstance(second, dict | list)
        alike = plain and (first is None) == (second is None) and same_value(_value(first), _value(second))
        return "" if alike else f"{where}: {first} and {second}"
    return next(filter(None, (first_difference(*pair) for pair in pairs)), "")
