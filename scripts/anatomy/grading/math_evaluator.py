"""The value of an expression at a point, to any number of digits, within bounds of time."""

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import mpmath

from anatomy.grading.math_errors import TooLargeError, UnparsableError
from anatomy.grading.math_trees import Tree

MAX_DIGITS = 40_000
"""Digits to which a number is evaluated."""
MAX_POWER = 100_000
"""Binary digits of an exponent, and decimal ones of a whole number, that are evaluated."""
MAX_TERMS = 2_000
"""Terms of a sum or product that are added up, of all together."""
MP = mpmath.mp.clone()
"""The library's own context of mpmath: its number of digits is set before each evaluation."""


class NowhereError(Exception):
    """A point at which an expression is no number."""


class Evaluator:
    """Evaluates trees at one point, to a number of digits."""

    def __init__(self, point: Mapping[str, Any], digits: int, real: bool = False) -> None:
        self.context = MP
        MP.dps = digits
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
                raise NowhereError
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
            raise NowhereError
        return {"pi": +self.context.pi, "e": +self.context.e, "i": self.context.mpc(0, 1)}[name]

    def _power(self, base: Any, exponent: Any) -> Any:
        context = self.context
        if not base:
            if context.re(exponent) > 0:
                return base
            if not exponent:
                return context.mpf(1)
            raise NowhereError
        if self.real and context.re(base) < 0 and exponent != context.nint(context.re(exponent)):
            raise NowhereError
        size = abs(context.mag(base)) + 1 if abs(base) != 1 else 1
        if context.mag(exponent) + math.log2(size) > 60:
            raise TooLargeError("a power")
        if isinstance(exponent, context.mpf) and exponent == int(exponent) and abs(exponent) < 1 << 60:
            return base ** int(exponent)
        return base**exponent

    def _root(self, number: Any, index: Any) -> Any:
        """Return a root: a real one of a negative number, where the index is odd."""
        real = isinstance(number, self.context.mpf) and isinstance(index, self.context.mpf)
        if real and number < 0 and index == int(index) and int(index) % 2:
            return -self._power(-number, 1 / index)
        if not index:
            raise NowhereError
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
            raise NowhereError
        if abs(value) > most:
            raise TooLargeError("a count")
        if value != int(value):
            raise NowhereError
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
            raise NowhereError
        if (function := _SIMPLE.get(name)) is not None:
            try:
                return function(self.context, *values)
            except (ValueError, ZeroDivisionError, TypeError) as error:
                raise NowhereError from error
        if name in ("factorial", "factorial2", "binomial", "gcd", "lcm"):
            return self._counted(name, values)
        if name in ("floor", "ceil", "mod", "max", "min"):
            if not all(isinstance(value, self.context.mpf) for value in values):
                raise NowhereError
            if name == "mod":
                if not values[1]:
                    raise NowhereError
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
            raise NowhereError from error


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
