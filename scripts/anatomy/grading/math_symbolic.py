"""Answers compared by value, with SymPy and Math-Verify."""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from anatomy.grading.math_forms import TooLargeError, UnparsableError
from anatomy.grading.math_numerals import MAX_DIGITS

_CAPITAL = re.compile(r"\\text\s*\{[^{}]*\}|\\[A-Za-z]+|([A-DF-Z])(?!\()")
_SMALL = r"(?<![\\A-Za-z]){0}|(?<=[a-z]){0}(?![a-z])"
_SPARE = ("xi", "eta", "kappa", "chi", "psi", "zeta", "nu", "mu")


@lru_cache(maxsize=1)
def engine() -> Any:
    """Return Math-Verify's reader, normaliser and comparison; it brings SymPy along, so only when needed."""
    import logging
    import sys

    from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex
    from math_verify import verify

    for name in ("math_verify", "latex2sympy2_extended"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 3_000))
    configs = {
        units: NormalizationConfig(
            basic_latex=True, units=units, malformed_operators=True, nits=True, boxed="none", equations=False
        )
        for units in (True, False)
    }
    return latex2sympy, lambda text, units: normalize_latex(text, configs[units]), verify


@lru_cache(maxsize=8_192)
def _read(text: str, units: bool) -> Any:
    """Return a text as SymPy's expression. Raises _UnparsableError or _TooLargeError."""
    import sympy
    from math_verify.grader import should_treat_as_complex

    latex2sympy, normalize, _ = engine()
    try:
        text = normalize(text, units)
        found = latex2sympy(
            text, is_real=not should_treat_as_complex(text), convert_degrees=False, normalization_config=None
        )
    except (Exception, RecursionError) as error:
        raise UnparsableError(text) from error
    if not isinstance(found, sympy.Basic | sympy.MatrixBase):
        raise UnparsableError(text)
    _measure(found)
    return found


def _measure(expression: Any) -> float:
    """Return about log10 of the largest size that an expression's numbers can have.

    Raises _TooLargeError where evaluating them would take very long: towers of powers, factorials of
    factorials.
    """
    import math

    import sympy

    if isinstance(expression, sympy.Number):
        size = abs(int(expression)) if expression.is_Integer else abs(float(expression))
        return math.log10(size) if 1 < size < math.inf else 0.0
    if not isinstance(expression, sympy.Basic):
        return max((_measure(entry) for entry in expression), default=0.0)
    sizes = [_measure(argument) for argument in expression.args]
    size = max(sizes, default=0.0)
    if isinstance(expression, sympy.Pow) or expression.func.__name__ == "exp":
        size = max(sizes[0], 0.5) * 10 ** min(sizes[-1], 9.0)
    elif expression.func.__name__ in ("factorial", "factorial2", "gamma", "subfactorial", "binomial"):
        size = max(sizes[0], 1.0) * 10 ** min(max(sizes), 9.0)
    elif isinstance(expression, sympy.Mul):
        size = sum(sizes)
    if size > MAX_DIGITS and not expression.free_symbols:
        raise TooLargeError(str(expression.func))
    return size


def numeric_value(expression: Any) -> Any:
    """Return the value of a number to 40 digits, or None where there is no number."""
    import sympy

    if (
        not isinstance(expression, sympy.Expr)
        or expression.free_symbols
        or expression.has(sympy.nan, sympy.zoo, sympy.oo)
    ):
        return None
    value = expression.doit().evalf(40)
    return value if value.is_number and value.is_finite and not value.free_symbols else None


def fraction(number: Any) -> Fraction | None:
    """Return the value of a number that is a fraction, its decimals taken as they are written."""
    import sympy

    found = sympy.nsimplify(number.doit(), rational=True)
    return Fraction(int(found.p), int(found.q)) if found.is_Rational else None


def differ(left: Any, right: Any) -> bool:
    """Tell whether two expressions differ at two points, which is sooner seen than that they are equal."""
    import sympy
    from sympy.core.function import AppliedUndef

    if not all(isinstance(side, sympy.Expr) and not side.has(AppliedUndef) for side in (left, right)):
        return False
    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    # Whole numbers, since some equalities hold for those alone, and parts of one, for the sake of roots.
    for points in (
        [sympy.prime(at + 4) for at in range(len(symbols))],
        [1 / (at + 1.7) for at in range(len(symbols))],
    ):
        values = {symbol: sympy.Float(point, 20) for symbol, point in zip(symbols, points, strict=True)}
        try:
            one, two = (complex(side.xreplace(values).evalf(20)) for side in (left, right))
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            return False
        # Not so where one is no number: a comparison with it is false.
        if not abs(one - two) > 1e-9 * max(abs(one), abs(two)):
            return False
    return True


def pair(gold: str, answer: str, units: bool) -> tuple[Any, ...]:
    """Return two texts as SymPy's expressions that can be compared.

    Where both have the same letter as a capital and as a small one, which Math-Verify takes for one, the
    capital becomes a letter of its own; i is the imaginary unit, which in 2i it takes for a variable; and a
    derivative is a variable, since of one letter by another it would be zero.
    """
    import sympy

    both = gold + answer
    letters = set(_CAPITAL.findall(both))
    clash = [
        letter for letter in sorted(letters) if letter and re.search(_SMALL.format(letter.lower()), both)
    ]
    spare = [name for name in _SPARE if f"\\{name}" not in both]
    names = dict(zip(clash, spare, strict=False))
    texts = [
        _CAPITAL.sub(lambda found: rf"\{names[found[1]]} " if found[1] in names else found[0], text)
        for text in (gold, answer)
    ]
    sides = [_read(text, units) for text in texts]
    if all(isinstance(side, sympy.MatrixBase) for side in sides):
        return tuple(sides)
    named: dict[Any, Any] = {
        one: sympy.Symbol(str(one)) for side in sides for one in side.atoms(sympy.Derivative)
    }
    named |= {one: sympy.I for side in sides for one in side.free_symbols if one.name == "i"}
    return tuple(side.xreplace(named) for side in sides)


def verified_equal(left: Any, right: Any) -> bool:
    return bool(engine()[2](left, right, timeout_seconds=None, allow_set_relation_comp=True))


def same_relation(gold: Any, answer: Any) -> bool:
    """Tell whether two equations say the same: one is the other times a number, or they have one solution."""
    import sympy

    if not isinstance(gold, sympy.Eq) or not isinstance(answer, sympy.Eq):
        return verified_equal(gold, answer)
    factor = sympy.simplify((gold.lhs - gold.rhs) / (answer.lhs - answer.rhs))
    if factor.is_number:
        return bool(factor.is_finite and factor != 0)
    try:
        # Math-Verify takes two equations that it cannot solve for equal.
        return bool(sympy.solve(gold, *gold.free_symbols, dict=True)) and verified_equal(gold, answer)
    except NotImplementedError:
        return False
