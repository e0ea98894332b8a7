"""Equations and inequalities between expressions: whether two of them say the same."""

from collections.abc import Iterator
from typing import Any

import mpmath

from anatomy.grading import math_values
from anatomy.grading.math_errors import TooLargeError, UnparsableError
from anatomy.grading.math_trees import Tree, letters

_STARTS = ("0.7", "1.9", "-1.3", "3.1", "-2.9")
_DIGITS = 40


def difference(left: Tree, right: Tree) -> Tree:
    return ("add", left, ("minus", right))


def same_equation(gold: Tree, answer: Tree) -> bool:
    """Tell whether two equations, each given as its left side less its right one, have the same solutions.

    They do where one is a constant times the other; and where the solutions of each that are found, for each
    letter in turn and from several places, solve the other. Raises UnparsableError where none is found.
    """
    if letters(gold) != letters(answer):
        return False
    ratio = _ratio(gold, answer)
    if ratio is not None:
        return True
    found = 0
    for one, other in ((gold, answer), (answer, gold)):
        for point in _solutions(one):
            residue = _at(other, point)
            if residue is None or abs(residue) > mpmath.mpf(10) ** -12:
                return False
            found += 1
    if not found:
        raise UnparsableError("an equation without solutions that are found")
    return True


def same_inequality(gold: Tree, answer: Tree) -> bool:
    """Tell whether "less than zero" says the same of two: one is a positive constant times the other."""
    ratio = _ratio(gold, answer)
    return ratio is not None and ratio > 0


def _ratio(gold: Tree, answer: Tree) -> Any:
    """Return the real constant that the first is of the second, or None."""
    names = letters(gold) | letters(answer)
    ratios = []
    for number in range(5):
        point = math_values.points(names, number, number % 2 == 1)
        one, other = _at(gold, point), _at(answer, point)
        if one is None or other is None or not one or not other:
            continue
        ratios.append(one / other)
    if len(ratios) < 2 or abs(mpmath.im(ratios[0])) > 1e-15 or not ratios[0]:
        return None
    if any(abs(ratio - ratios[0]) > mpmath.mpf(10) ** -20 * abs(ratios[0]) for ratio in ratios):
        return None
    return mpmath.re(ratios[0])


def _at(tree: Tree, point: dict[str, Any]) -> Any:
    try:
        return math_values.evaluated(tree, point, _DIGITS)
    except TooLargeError:
        return None


def _solutions(tree: Tree) -> Iterator[dict[str, Any]]:
    """Yield points at which an expression is zero, with one letter after another solved for."""
    names = letters(tree)
    for solved in sorted(names):
        for number, start in enumerate(_STARTS):
            point = math_values.points(names, number, number % 2 == 1)
            root = _root(tree, point, solved, mpmath.mpf(start))
            if root is not None:
                yield point | {solved: root}


def _root(tree: Tree, point: dict[str, Any], solved: str, start: Any) -> Any:
    """Return a root by the secant method, or None."""
    one, other = start, start + mpmath.mpf("0.37")
    values = [_at(tree, point | {solved: place}) for place in (one, other)]
    for _ in range(60):
        if values[0] is None or values[1] is None or values[0] == values[1]:
            return other if values[1] is not None and abs(values[1]) < mpmath.mpf(10) ** -25 else None
        with mpmath.workdps(_DIGITS):
            one, other = other, other - values[1] * (other - one) / (values[1] - values[0])
        values = [values[1], _at(tree, point | {solved: other})]
        if values[1] is not None and abs(values[1]) < mpmath.mpf(10) ** -30:
            return other
    return None
