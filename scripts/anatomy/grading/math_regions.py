"""Sets of real numbers: intervals, unions, inequalities in one letter, and all but some points."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from anatomy.grading import math_values
from anatomy.grading.math_errors import UnparsableError
from anatomy.grading.math_forms import Form
from anatomy.grading.math_numerals import numeral
from anatomy.grading.math_trees import Tree

_BARS = re.compile(r"\s*(?:\||\\[lr]?vert)\s*([A-Za-z])\s*(?:\||\\[lr]?vert)\s*")
_VARIABLE = re.compile(r"\\?[A-Za-z]+(?:_\w)?")


def _one(text: str) -> Form:
    return Form("expression", text)


_LOWEST, _HIGHEST = _one(r"-\infty"), _one(r"\infty")


@dataclass(frozen=True)
class Region:
    """A set of real numbers."""

    intervals: tuple[Form, ...]
    """Tuples of two ends and their brackets; a point is closed on both sides."""
    name: str = ""
    """The variable, where one is named."""


def region(form: Form, tree: Callable[[Form], Tree]) -> Region | None:
    """Return the set of real numbers that a form is; None where it is none.

    Args:
        form: An interval, a set of points, a union, or an inequality in one letter.
        tree: How an end is read.
    """
    found = _region(form, tree)
    return None if found is None else replace(found, intervals=_merged(found.intervals, tree))


def _region(form: Form, tree: Callable[[Form], Tree]) -> Region | None:
    if form.kind == "tuple":
        if len(form.entries) != 2 or form.marks[0] not in ("(", "["):
            return None
        ends = tuple(map(_end, form.entries))
        # A bracket at infinity is a slip of the pen that changes nothing.
        marks = ("(" if _infinite(ends[0]) else form.marks[0], ")" if _infinite(ends[1]) else form.marks[1])
        return Region((Form("tuple", entries=ends, marks=marks),), form.name)
    if form.kind == "set":
        return Region(tuple(map(_point, form.entries)), form.name)
    if form.kind == "inequality":
        return _inequality(form)
    if form.kind == "equation" and len(form.entries) == 2 and _VARIABLE.fullmatch(form.entries[0].text):
        return Region((_point(form.entries[1]),), _name(form.entries[0].text))
    if form.kind != "union":
        return None
    inner = [_region(entry, tree) for entry in form.entries]
    names = {one.name for one in inner if one is not None and one.name}
    if None in inner or len(names) > 1:
        return None
    name = next(iter(names), form.name)
    regions = [one.intervals for one in inner if one is not None]
    if form.marks == ("or",):
        return Region(tuple(one for intervals in regions for one in intervals), name)
    if form.marks == ("without",):
        regions[1] = _complement(regions[1], tree)
    found = regions[0]
    for other in regions[1:]:
        found = tuple(both for one in found for two in other if (both := _both(one, two, tree)))
    if form.marks == (",",) and not found:
        found = tuple(one for intervals in regions for one in intervals)
    return Region(found, name)


def _name(text: str) -> str:
    return re.sub(r"[\\\s{}]", "", text)


def _end(form: Form) -> Form:
    """Return an end of an interval in one spelling of infinity."""
    plain = re.sub(r"\s", "", form.text)
    if plain in (r"\infty", r"+\infty"):
        return _HIGHEST
    return _LOWEST if plain == r"-\infty" else form


def _infinite(form: Form) -> bool:
    return form in (_LOWEST, _HIGHEST)


def _point(form: Form) -> Form:
    return Form("tuple", entries=(form, form), marks=("[", "]"))


def _interval(low: Form, high: Form, closed: tuple[bool, bool]) -> Form:
    low, high = _end(low), _end(high)
    opening = "[" if closed[0] and not _infinite(low) else "("
    return Form(
        "tuple", entries=(low, high), marks=(opening, "]" if closed[1] and not _infinite(high) else ")")
    )


def _inequality(form: Form) -> Region | None:
    """Return what an inequality says of the one letter that it bounds."""
    sides, signs = form.entries, form.marks
    if len(sides) == 2 and (bars := _BARS.fullmatch(sides[0].text) or _BARS.fullmatch(sides[1].text)):
        return _of_size(bars[1], sides, signs[0])
    at = next((at for at, side in enumerate(sides) if side.kind == "expression" and _is_variable(side)), None)
    if at is None or len(sides) > 3 or (len(sides) == 3 and at != 1):
        return None
    if any(side.kind not in ("number", "quantity", "expression") for side in sides):
        return None
    name = _name(sides[at].text)
    if signs == ("!=",):
        other = sides[1 - at]
        low, high = _interval(_LOWEST, other, (False, False)), _interval(other, _HIGHEST, (False, False))
        return Region((low, high), name)
    if not set(signs) <= {"<", "<="}:
        return None
    if len(sides) == 3:
        return Region((_interval(sides[0], sides[2], (signs[0] == "<=", signs[1] == "<=")),), name)
    if at == 0:
        return Region((_interval(_LOWEST, sides[1], (False, signs[0] == "<=")),), name)
    return Region((_interval(sides[0], _HIGHEST, (signs[0] == "<=", False)),), name)


def _of_size(variable: str, sides: tuple[Form, ...], sign: str) -> Region | None:
    """Return what bounds the size of a letter: |x| < 2, or 2 < |x|."""
    small = _BARS.fullmatch(sides[0].text) is not None
    bound = sides[1] if small else sides[0]
    if sign not in ("<", "<=") or bound.kind not in ("number", "expression"):
        return None
    other, equal = _negative(bound), sign == "<="
    if small:
        return Region((_interval(other, bound, (equal, equal)),), _name(variable))
    outside = (_interval(_LOWEST, other, (False, equal)), _interval(bound, _HIGHEST, (equal, False)))
    return Region(outside, _name(variable))


def _negative(form: Form) -> Form:
    text = f"-({form.text})"
    if form.number is None:
        return Form("expression", text)
    return Form("number", text, number=replace(form.number, value=-form.number.value))


def _is_variable(form: Form) -> bool:
    plain = re.sub(r"[\s{}]", "", form.text)
    return bool(re.fullmatch(r"[A-Za-z](?:_\w)?|\\[a-z]+", plain)) and plain not in (
        r"\infty",
        r"\pi",
        "e",
        "i",
    )


def _place(form: Form, tree: Callable[[Form], Tree]) -> Any:
    """Return where an end lies. Raises UnparsableError where it is no real number."""
    if _infinite(form):
        return math_values.infinite(form == _LOWEST)
    if form.number is not None:
        return math_values.number(form.number.value)
    if (found := numeral(form.text)) is not None:
        return math_values.number(found.value)
    value = math_values.value(tree(form))
    if value is None or value.imag:
        raise UnparsableError(form.text)
    return value.real


def _both(one: Form, two: Form, tree: Callable[[Form], Tree]) -> Form | None:
    """Return what two intervals have in common; None where that is nothing."""
    low, high = one.entries[0], one.entries[1]
    opening, closing = one.marks
    places = [[_place(end, tree) for end in form.entries] for form in (one, two)]
    if places[1][0] > places[0][0] or (places[1][0] == places[0][0] and two.marks[0] == "("):
        low, opening = two.entries[0], two.marks[0]
    if places[1][1] < places[0][1] or (places[1][1] == places[0][1] and two.marks[1] == ")"):
        high, closing = two.entries[1], two.marks[1]
    first, last = max(places[0][0], places[1][0]), min(places[0][1], places[1][1])
    if first > last or (first == last and (opening, closing) != ("[", "]")):
        return None
    return Form("tuple", entries=(low, high), marks=(opening, closing))


def _complement(intervals: tuple[Form, ...], tree: Callable[[Form], Tree]) -> tuple[Form, ...]:
    """Return all real numbers but those of some intervals."""
    found, low, opening = [], _LOWEST, "("
    for one in sorted(intervals, key=lambda form: _place(form.entries[0], tree)):
        closing = ")" if one.marks[0] == "[" else "]"
        if not _infinite(one.entries[0]):
            found.append(Form("tuple", entries=(low, one.entries[0]), marks=(opening, closing)))
        low, opening = one.entries[1], "(" if one.marks[1] == "]" else "["
    if low != _HIGHEST:
        found.append(Form("tuple", entries=(low, _HIGHEST), marks=(opening, ")")))
    return tuple(found)


def _merged(intervals: tuple[Form, ...], tree: Callable[[Form], Tree]) -> tuple[Form, ...]:
    """Return intervals in order, those that touch as one; as they are where an end is no number."""
    try:
        ordered = sorted(intervals, key=lambda form: (_place(form.entries[0], tree), form.marks[0] == "("))
        found: list[Form] = []
        for one in ordered:
            if found:
                last = found[-1]
                end, start = _place(last.entries[1], tree), _place(one.entries[0], tree)
                touch = end == start and (last.marks[1] == "]" or one.marks[0] == "[")
                if start < end or touch:
                    further = _place(one.entries[1], tree)
                    wider = further > end or (further == end and one.marks[1] == "]")
                    ends = (last.entries[0], one.entries[1] if wider else last.entries[1])
                    marks = (last.marks[0], one.marks[1] if wider else last.marks[1])
                    found[-1] = Form("tuple", entries=ends, marks=marks)
                    continue
            found.append(one)
        return tuple(found)
    except UnparsableError:
        return intervals
