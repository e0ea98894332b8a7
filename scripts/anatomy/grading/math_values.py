"""Whether two expressions have the same value, wherever their letters make both of them numbers.

Both are evaluated with mpmath at the same points, to as many digits as their numbers need: a difference is
one that is larger than what the digits that cancelled can explain. Letters are taken as positive, and k, m,
n and N as whole numbers, as in sizes, rates and counts; x, y and z also take negative values, and so does
every letter where one side has bars or a sign of a letter asked for: there, points count where both sides
are real. Points are drawn by the letters' names alone, so that a verdict is always the same.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath

from anatomy.grading.math_errors import TooLargeError, UnparsableError
from anatomy.grading.math_reader import Tree, letters, parts

MAX_DIGITS = 40_000
"""Digits to which a number is evaluated."""
MAX_POWER = 100_000
"""Binary digits of an exponent, and decimal ones of a whole number, that are evaluated."""
MAX_TERMS = 2_000
"""Terms of a sum or product that are added up, of all together."""
WHOLE = {"k": 2, "m": 4, "n": 9, "N": 16}
"""Letters that stand for whole numbers, and the least that they are tried with."""
UNKNOWNS = frozenset("xyz")
"""Letters that may be negative."""
_ROUNDS = 5
_DIGITS = 50
_DIGITS_WITH_LETTERS = 5_000
_GUARD = 10
"""Digits that rounding may cost."""
_MP = mpmath.mp.clone()
"""The library's own context of mpmath: its number of digits is set before each evaluation."""


class _NowhereError(Exception):
    """A point at which an expression is no number."""


class _Evaluator:
    """Evaluates trees at one point, to a number of digits."""

    def __init__(self, point: Mapping[str, Any], digits: int, real: bool = False) -> None:
        self.context = _MP
        _MP.dps = digits
        self.point = dict(point)
        self.real = real
        """Roots and logarithms of negative numbers are none."""
        self.largest = self.context.mpf(0)
        """Largest size of what was added or taken away: what may have cancelled."""
        self.terms = 0

    def __call__(self, tree: Tree) -> Any:
        kind = tree[0]
        if kind == "number":
            return self._seen(self.context.mpf(tree[1]))
        if kind == "letter":
            return self.point[tree[1]]
        if kind == "constant":
            return self._constant(tree[1])
        if kind in ("add", "multiply"):
            values = [self(part) for part in tree[1:]]
            total = values[0]
            for value in values[1:]:
                total = total + value if kind == "add" else total * value
            if kind == "add":
                for value in values:
                    self._seen(value)
            return total
        if kind == "minus":
            return -self(tree[1])
        if kind == "group":
            return self(tree[1])
        if kind == "divide":
            below = self(tree[2])
            if not below:
                raise _NowhereError
            return self(tree[1]) / below
        if kind == "power":
            return self._power(self(tree[1]), self(tree[2]))
        if kind == "root":
            return self._root(self(tree[1]), self(tree[2]))
        if kind == "determinant":
            return self._determinant([self(part) for part in tree[1:]])
        if kind == "degrees":
            return self(tree[1]) * self.context.pi / 180
        if kind in ("sum", "prod"):
            return self._series(tree)
        return self._call(tree[1], [self(part) for part in tree[2:]])

    def _seen(self, value: Any) -> Any:
        size = abs(value)
        if size > self.largest:
            self.largest = size
        return value

    def _constant(self, name: str) -> Any:
        if name == "infinity":
            raise _NowhereError
        return {"pi": +self.context.pi, "e": +self.context.e, "i": self.context.mpc(0, 1)}[name]

    def _power(self, base: Any, exponent: Any) -> Any:
        context = self.context
        if not base:
            if context.re(exponent) > 0:
                return base
            if not exponent:
                return context.mpf(1)
            raise _NowhereError
        if self.real and context.re(base) < 0 and exponent != context.nint(context.re(exponent)):
            raise _NowhereError
        size = abs(context.mag(base)) + 1 if abs(base) != 1 else 1
        if context.mag(exponent) + math.log2(size) > 60:
            raise TooLargeError("a power")
        if isinstance(exponent, context.mpf) and exponent == int(exponent) and abs(exponent) < 1 << 60:
            return base ** int(exponent)
        return base**exponent

    def _root(self, number: Any, index: Any) -> Any:
        """Return a root: a real one of a negative number, where the index is odd."""
        if isinstance(number, self.context.mpf) and isinstance(index, self.context.mpf) and number < 0:
            if index == int(index) and int(index) % 2:
                return -self._power(-number, 1 / index)
        if not index:
            raise _NowhereError
        return self._power(number, 1 / index)

    def _determinant(self, entries: list[Any]) -> Any:
        size = math.isqrt(len(entries))
        if size * size != len(entries):
            raise UnparsableError("the determinant of a matrix that is not square")
        if size > 12:
            raise TooLargeError("a determinant")
        rows = [entries[at * size : (at + 1) * size] for at in range(size)]
        return self._expanded(rows)

    def _expanded(self, rows: list[list[Any]]) -> Any:
        """Eliminate one column after another."""
        total = self.context.mpf(1)
        for at in range(len(rows)):
            pivot = next((row for row in range(at, len(rows)) if rows[row][at]), None)
            if pivot is None:
                return self.context.mpf(0)
            if pivot != at:
                rows[at], rows[pivot], total = rows[pivot], rows[at], -total
            total *= rows[at][at]
            for row in rows[at + 1 :]:
                factor = row[at] / rows[at][at]
                row[at:] = [
                    self._seen(one) - factor * other
                    for one, other in zip(row[at:], rows[at][at:], strict=True)
                ]
        return total

    def _whole(self, value: Any, most: int) -> int:
        """Return a value as the whole number that it is."""
        if not isinstance(value, self.context.mpf) or not self.context.isfinite(value):
            raise _NowhereError
        if abs(value) > most:
            raise TooLargeError("a count")
        if value != int(value):
            raise _NowhereError
        return int(value)

    def _series(self, tree: Tree) -> Any:
        name, index, lower, upper, term = tree
        if upper == ("constant", "infinity"):
            raise UnparsableError("an infinite sum")
        first, last = (self._whole(self(bound), 10**9) for bound in (lower, upper))
        self.terms += max(0, last - first + 1)
        if self.terms > MAX_TERMS:
            raise TooLargeError("a sum")
        outer = self.point.get(index)
        total = self.context.mpf(name == "prod")
        for value in range(first, last + 1):
            self.point[index] = self.context.mpf(value)
            one = self(term)
            total = total + self._seen(one) if name == "sum" else total * one
        if outer is not None:
            self.point[index] = outer
        return total

    def _call(self, name: str, values: list[Any]) -> Any:
        if self.real and name == "log" and self.context.re(values[0]) < 0:
            raise _NowhereError
        if (function := _SIMPLE.get(name)) is not None:
            try:
                return function(self.context, *values)
            except (ValueError, ZeroDivisionError, TypeError) as error:
                raise _NowhereError from error
        if name in ("factorial", "factorial2", "binomial", "gcd", "lcm"):
            return self._counted(name, values)
        if name in ("floor", "ceil", "mod", "max", "min"):
            if not all(isinstance(value, self.context.mpf) for value in values):
                raise _NowhereError
            if name == "mod":
                if not values[1]:
                    raise _NowhereError
                return values[0] - values[1] * self.context.floor(values[0] / values[1])
            if name in ("max", "min"):
                return (max if name == "max" else min)(values)
            return self._stepped(name, values[0])
        if name[-1] in "(_":
            # A function that is only a name: some smooth one of its own.
            seed = [1 + zlib.crc32(f"{name}{at}".encode()) % 9_973 for at in range(len(values))]
            inner = sum(
                value * self.context.sqrt(number) / 40 for value, number in zip(values, seed, strict=True)
            )
            return self.context.sin(inner + seed[0] / self.context.mpf(97)) + 2
        raise UnparsableError(f"the function {name}")

    def _stepped(self, name: str, value: Any) -> Any:
        nearest = self.context.nint(value)
        # What is a whole number but for rounding is one.
        if abs(value - nearest) < self.context.mpf(10) ** (10 - self.context.dps) * (1 + abs(value)):
            return nearest
        return self.context.floor(value) if name == "floor" else self.context.ceil(value)

    def _counted(self, name: str, values: list[Any]) -> Any:
        if name in ("gcd", "lcm"):
            whole = [self._whole(value, 10**15) for value in values]
            return self.context.mpf(math.gcd(*whole) if name == "gcd" else math.lcm(*whole))
        if any(abs(value) > 10**9 for value in values):
            raise TooLargeError(name)
        if name == "binomial":
            # Of whole numbers it is one, which mpmath's limits of gamma functions need not give.
            if all(
                isinstance(one, self.context.mpf) and one == int(one) and abs(one) < 2_000 for one in values
            ):
                top, below = map(int, values)
                if top >= 0:
                    return self.context.mpf(math.comb(top, below) if below >= 0 else 0)
            return self.context.binomial(*values)
        try:
            return (self.context.factorial if name == "factorial" else self.context.fac2)(values[0])
        except ValueError as error:
            raise _NowhereError from error


def _logarithm(context: Any, value: Any, base: Any) -> Any:
    below = context.log(base)
    return context.log(value) / below


_SIMPLE: dict[str, Callable[..., Any]] = {
    **{
        name: (lambda context, value, name=name: getattr(context, name)(value))
        for name in (
            "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot", "asec", "acsc", "sinh",
            "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh", "atanh", "erf", "gamma", "arg",
        )
    },
    "log": _logarithm,
    "abs": lambda context, value: abs(value),
    "sgn": lambda context, value: context.sign(value),
    "Re": lambda context, value: context.re(value),
    "Im": lambda context, value: context.im(value),
}  # fmt: skip


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
) -> dict[str, Any]:
    """Return a value for each letter: the same ones for the same letters and ``number``.

    free: Some are negative. whole: More letters that stand for whole numbers. small: None is large, for the sake of towers of powers.
    """
    context = _MP
    context.dps = 30
    found: dict[str, Any] = {}
    for rank, name in enumerate(sorted(names)):
        drawn = zlib.crc32(f"{name} {number}".encode())
        if name in whole or name in WHOLE:
            found[name] = context.mpf(2 + drawn % 3 if small else WHOLE.get(name, 5) + drawn % 7)
            continue
        size = context.mpf(drawn) / 2**32
        if small:
            size = 1 + size / 8
        else:
            # Some below one, as probabilities are.
            size = size * (1, 2, 3, 1, 9)[number % 5] + context.sqrt(2 + drawn % 89) / (64, 8, 8, 64, 2)[number % 5]
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
        return _finite(_Evaluator(point, digits)(tree))
    except _NowhereError:
        return None


def _finite(number: Any) -> Any:
    if not _MP.isfinite(number):
        raise _NowhereError
    return number


def _evaluated(
    trees: tuple[Tree, Tree], point: Mapping[str, Any], digits: int, real: bool
) -> tuple[Any, Any, Any]:
    """Return both values, and the largest size that may have cancelled."""
    evaluators = [_Evaluator(point, digits, real) for _ in trees]
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
        except _NowhereError:
            # Where the first is a number and the other one is none, they differ; but of a negative number a
            # root or logarithm may be none.
            return None if real or evaluated(trees[0], point, precision) is None else False
        if real and any(abs(_MP.im(side)) > _MP.mpf(10) ** -20 * abs(side) for side in (one, other)):
            return None
        scale = max(largest, abs(one), abs(other))
        if not scale:
            return True
        if abs(one - other) > scale * _MP.mpf(10) ** (_GUARD - precision):
            return False
        wanted = _DIGITS + reach + max(0, int(_MP.log10(scale)))
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
    # With real numbers only, and where that says nothing, with complex ones.
    for real in (False,) if imaginary else (True, False):
        tried, large = 0, None
        for number in range(2 * _ROUNDS):
            negative = real and number % 2 == 1
            movable = names if free else names & UNKNOWNS
            agree = None
            for small in (False, True):
                point = points(names - movable, number, False, small, whole)
                point |= points(movable, number, negative, small, whole)
                try:
                    agree = _agree(trees, point, real)
                    break
                except TooLargeError as error:
                    large = error
            if agree is False:
                return False
            tried += agree is True
            if tried == _ROUNDS:
                return True
        if tried >= 2:
            return True
    if large is not None:
        raise large
    raise UnparsableError("no number at the points that were tried")


def number(exact: Fraction) -> Any:
    """Return a fraction as a number of mpmath."""
    _MP.dps = _DIGITS
    return _MP.mpf(exact.numerator) / exact.denominator


def infinite(negative: bool) -> Any:
    return -_MP.inf if negative else _MP.inf


def near(one: Any, other: Any) -> bool:
    """Tell whether two numbers differ by at most a millionth of the larger one."""
    return bool(abs(one - other) <= _MP.mpf(10) ** -6 * max(abs(one), abs(other)))
