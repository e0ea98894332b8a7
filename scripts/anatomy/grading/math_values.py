"""Whether two expressions have the same value, wherever their letters make both of them numbers.

Both are evaluated with mpmath at the same points, to as many digits as their numbers need: a difference is
one that is larger than what the digits that cancelled can explain. Letters are taken as positive, and k, m,
n and N as whole numbers, as in sizes, rates and counts; x, y and z also take negative values, and so does
every letter where one side has bars or a sign of a letter asked for: there, points count where both sides
are real. Points are drawn by the letters' names alone, so that a verdict is always the same.
"""

import math
import zlib
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from anatomy.grading.math_errors import TooLargeError, UnparsableError
from anatomy.grading.math_evaluator import MAX_DIGITS, MP, Evaluator, NowhereError
from anatomy.grading.math_trees import Tree, letters, parts

WHOLE = {"k": 2, "m": 4, "n": 9, "N": 16}
"""Letters that stand for whole numbers, and the least that they are tried with."""
UNKNOWNS = frozenset("xyz")
"""Letters that may be negative."""
_ROUNDS = 5
_STEPS = 40
"""Whole numbers, from 1, at which floors, remainders and the like are compared."""
_DIGITS = 50
_DIGITS_WITH_LETTERS = 5_000
_GUARD = 10
"""Digits that rounding may cost."""


@lru_cache(maxsize=8_192)
def digits_of(tree: Tree) -> int:
    """Return about how many digits the numbers of a tree have, those of its powers of numbers included."""
    total = 0
    for part in parts(tree):
        if part[0] == "number":
            total += len(part[1])
        elif part[0] == "power" and part[2][0] in ("number", "minus") and not letters(part):
            exponent = part[2][1] if part[2][0] == "number" else part[2][1][1]
            base = part[1][1] if part[1][0] == "number" else "100"
            if isinstance(exponent, str):
                total += min(int(float(exponent) * math.log10(float(base) + 1)), 10 * MAX_DIGITS)
    return total


def rational(tree: Tree) -> Fraction | None:
    """Return the value of sums, products, quotients and small powers of numerals; None for anything else."""
    kind = tree[0]
    if kind == "number":
        return Fraction(tree[1])
    if kind in ("minus", "group"):
        inner = rational(tree[1])
        return None if inner is None else (-inner if kind == "minus" else inner)
    if kind not in ("add", "multiply", "divide", "power"):
        return None
    values = [rational(part) for part in tree[1:]]
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        return None
    if kind == "add":
        return sum(found, Fraction(0))
    if kind == "multiply":
        return Fraction(math.prod(found))
    if kind == "divide":
        return found[0] / found[1] if found[1] else None
    base, exponent = found
    if exponent.denominator != 1 or (exponent < 0 and not base):
        return None
    size = max(abs(base.numerator), base.denominator).bit_length() * abs(exponent)
    return base ** int(exponent) if size < 20_000 else None


def points(
    names: frozenset[str],
    number: int,
    free: bool,
    small: bool = False,
    whole: frozenset[str] = frozenset(),
    stepped: bool = False,
) -> dict[str, Any]:
    """Return a value for each letter: the same ones for the same letters and ``number``.

    free: some are negative; whole: more letters that stand for whole numbers; small: none is large, for the
    sake of towers of powers; stepped: whole numbers come one after another.
    """
    context = MP
    context.dps = 30
    found: dict[str, Any] = {}
    for rank, name in enumerate(sorted(names)):
        if stepped and (name in whole or name in WHOLE):
            found[name] = context.mpf(1 + (number + rank * (1 + number // 7)) % _STEPS)
            continue
        drawn = zlib.crc32(f"{name} {number}".encode())
        if name in whole or name in WHOLE:
            found[name] = context.mpf(2 + drawn % 3 if small else WHOLE.get(name, 5) + drawn % 7)
            continue
        size = context.mpf(drawn) / 2**32
        if small:
            size = 1 + size / 8
        else:
            # Some below one, as probabilities are.
            size = (
                size * (1, 2, 3, 1, 9)[number % 5]
                + context.sqrt(2 + drawn % 89) / (64, 8, 8, 64, 2)[number % 5]
            )
        # Each of three letters is negative in some round, and they are so in turn.
        found[name] = -size if free and (number // 2 + 1) >> rank % 3 & 1 else size
    return found


def value(tree: Tree, digits: int = _DIGITS) -> Any:
    """Return the value of a tree without letters, or None where it has none.

    Raises UnparsableError or TooLargeError.
    """
    return None if letters(tree) else evaluated(tree, {}, digits)


def evaluated(tree: Tree, point: Mapping[str, Any], digits: int) -> Any:
    """Return the value of a tree at a point, or None where it has none. Raises as ``value`` does."""
    try:
        return _finite(Evaluator(point, digits)(tree))
    except NowhereError:
        return None


def _finite(number: Any) -> Any:
    if not MP.isfinite(number):
        raise NowhereError
    return number


def _evaluated(
    trees: tuple[Tree, Tree], point: Mapping[str, Any], digits: int, real: bool
) -> tuple[Any, Any, Any]:
    """Return both values, and the largest size that may have cancelled."""
    evaluators = [Evaluator(point, digits, real) for _ in trees]
    values = [_finite(evaluate(tree)) for evaluate, tree in zip(evaluators, trees, strict=True)]
    return values[0], values[1], max(one.largest for one in evaluators)


def _agree(trees: tuple[Tree, Tree], point: Mapping[str, Any], real: bool) -> bool | None:
    """Tell whether two trees agree at a point; None where one of them is no number.

    They are evaluated to so many digits that a difference would show behind whatever cancels, in the last
    place of a large number, and as far behind the point as their own numbers reach.
    """
    most = _DIGITS_WITH_LETTERS if point else MAX_DIGITS
    reach = digits_of(trees[0]) + digits_of(trees[1])
    precision = _DIGITS
    while True:
        try:
            one, other, largest = _evaluated(trees, point, precision, real)
        except NowhereError:
            # Where the first is a number and the other one is none, they differ; but of a negative number a
            # root or logarithm may be none.
            return None if real or evaluated(trees[0], point, precision) is None else False
        if real and any(abs(MP.im(side)) > MP.mpf(10) ** -20 * abs(side) for side in (one, other)):
            return None
        scale = max(largest, abs(one), abs(other))
        if not scale:
            return True
        if abs(one - other) > scale * MP.mpf(10) ** (_GUARD - precision):
            return False
        wanted = _DIGITS + reach + max(0, int(MP.log10(scale)))
        if wanted > most:
            raise TooLargeError("digits")
        if precision >= wanted:
            return True
        precision = wanted


def same_value(left: Tree, right: Tree) -> bool:
    """Tell whether two expressions are equal.

    Args:
        left: One of them, as ``math_reader.read`` gives it.
        right: The other one.

    Returns:
        Whether they have the same value wherever both have one.

    Raises:
        UnparsableError: they have no value at the points that were tried, so that it cannot be decided.
        TooLargeError: their numbers are too large to be evaluated.
    """
    if left == right:
        return True
    trees = (left, right)
    names = letters(left) | letters(right)
    free = any(part[:2] in (("call", "abs"), ("call", "sgn")) for tree in trees for part in parts(tree))
    if not names:
        agree = _agree(trees, {}, False)
        if agree is None:
            raise UnparsableError("no number")
        return agree
    bounds = [part for tree in trees for part in parts(tree) if part[0] in ("sum", "prod")]
    whole = frozenset[str]().union(*(letters(part[2]) | letters(part[3]) for part in bounds))
    imaginary = any(part == ("constant", "i") for tree in trees for part in parts(tree))
    jumps = ("floor", "ceil", "mod", "gcd", "lcm")
    stepped = any(part[0] == "call" and part[1] in jumps for tree in trees for part in parts(tree))
    rounds = _STEPS if stepped else _ROUNDS
    # With real numbers only, and where that says nothing, with complex ones.
    for real in (False,) if imaginary else (True, False):
        tried, large = 0, None
        for number in range(_STEPS if stepped else 2 * _ROUNDS):
            negative = real and number % 2 == 1
            movable = names if free else names & UNKNOWNS
            agree = None
            for small in (False, True):
                point = points(names - movable, number, False, small, whole, stepped)
                point |= points(movable, number, negative, small, whole, stepped)
                try:
                    agree = _agree(trees, point, real)
                    break
                except TooLargeError as error:
                    large = error
            if agree is False:
                return False
            tried += agree is True
            if tried == rounds:
                return True
        if tried >= 2:
            return True
    if large is not None:
        raise large
    raise UnparsableError("no number at the points that were tried")


def number(exact: Fraction) -> Any:
    """Return a fraction as a number of mpmath."""
    MP.dps = _DIGITS
    return MP.mpf(exact.numerator) / exact.denominator


def infinite(negative: bool) -> Any:
    return -MP.inf if negative else MP.inf


def near(one: Any, other: Any) -> bool:
    """Tell whether two numbers differ by at most a millionth of the larger one."""
    return bool(abs(one - other) <= MP.mpf(10) ** -6 * max(abs(one), abs(other)))
