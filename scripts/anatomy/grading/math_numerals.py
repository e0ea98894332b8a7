"""Numerals, units and scales of answers."""

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 100_000
"""Digits of a number that is evaluated."""
TOLERANCE = Fraction(1, 10**6)
"""Part of the gold value by which a decimal may differ from a number that is no finite decimal."""


# Equality ---------------------------------------------------------------------------------------------

_NUMERAL = re.compile(
    r"\(?\s*(?P<sign>[-+]?)\s*(?:"
    r"(?P<whole>[0-9]+)?\s*\\frac\s*(?:\{\s*(?P<t>-?[0-9]+)\s*\}|(?P<t1>[0-9]))\s*(?:\{\s*(?P<n>[0-9]+)\s*\}|(?P<n1>[0-9])(?![0-9]))"
    r"|(?:(?P<whole2>[0-9]+)\s+)?(?P<t2>[0-9]+)\s*/\s*(?P<n2>[0-9]+)"
    r"|(?P<decimal>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:\s*(?:\\times|\\cdot|\*)\s*10\s*\^\s*(?:\{\s*(?P<e>[-+]?[0-9]+)\s*\}|(?P<e1>[0-9])(?![0-9])))?"
    r")\s*\)?"
)
_REPEATING = re.compile(r"([-+]?)([0-9]+\.[0-9]*)\\overline\s*\{([0-9]+)\}(?:\\ldots)?")
_UNIT = re.compile(
    r"(?P<value>.*[0-9A-Za-z)}\]!])\s*(?:\\text\s*\{(?P<text>[^{}]*)\}\s*(?:\^\s*\{?\s*[0-9]\s*\}?)?"
    r"|\^\s*\{?\s*\\circ\s*\}?\s*[CF]?|\\?%|\\text\s*\{\s*\\%\s*\}|\\\$)",
    re.DOTALL,
)
_WORDS = re.compile(
    r"(?P<value>[-+]?\s*(?:[0-9.]|\\frac|\\sqrt|\()(?:.*[0-9)}])?)\s*"
    r"(?P<text>(?:[A-Za-z]{2,}|[msghL](?![A-Za-z]))(?:[ /]+[A-Za-z]+){0,3})(?:\^\{?[0-9]\}?)?",
    re.DOTALL,
)
_CURRENCY = re.compile(r"\s*([-+]?)\s*(\\\$|[$€£¥₹])\s*(?=[0-9.\\])")
_TRIGONOMETRIC = re.compile(r"\\?(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"([0-9.]+)\s*\^\s*\{?\s*\\circ\s*\}?")
_SCALE = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_POWERS = {"square": "2", "sq": "2", "sq.": "2", "cubic": "3", "cu": "3", "cu.": "3"}
_UNITS = {
    name: names.split()[0]
    for names in (
        "mm millimeter millimetre", "cm centimeter centimetre", "m meter metre", "km kilometer kilometre",
        "in inch inche", "ft foot feet", "yd yard", "mi mile", "mg milligram", "g gram", "kg kilogram",
        "lb pound", "oz ounce", "ms millisecond", "sec second s", "min minute", "hr hour h", "day",
        "week", "month", "year", "ml milliliter millilitre", "l liter litre", "$ dollar", "cent",
        "% percent", "degree", "radian rad",
    )
    for name in names.split()
}  # fmt: skip
"""Units by the names that mean the same."""


def numeral(text: str) -> tuple[Fraction, bool] | None:
    """Return a numeral's value, and whether it has a decimal point; None for any other text."""
    if repeating := _REPEATING.fullmatch(text):
        sign, start, again = repeating.groups()
        digits = start.replace(".", "")
        part = Fraction(int(digits + again) - int(digits), 10 ** (len(start) - start.index(".") - 1))
        return (-1 if sign == "-" else 1) * part / (10 ** len(again) - 1), False
    found = _NUMERAL.fullmatch(text)
    if not found:
        return None
    sign = -1 if found["sign"] == "-" else 1
    if found["decimal"]:
        power = int(found["e"] or found["e1"] or 0)
        if abs(power) > MAX_DIGITS:
            return None
        return sign * Fraction(found["decimal"].removesuffix(".")) * Fraction(10) ** power, "." in found[
            "decimal"
        ]
    top, below = found["t"] or found["t1"] or found["t2"], found["n"] or found["n1"] or found["n2"]
    if not int(below):
        return None
    whole = int(found["whole"] or found["whole2"] or 0)
    return sign * (whole + Fraction(int(top), int(below))), False


def _finite(value: Fraction) -> bool:
    """Tell whether a fraction is a finite decimal."""
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


@dataclass(frozen=True)
class _Unit:
    """A unit as far as it is known."""

    name: str | None = None
    power: str | None = None
    """2 of an area, 3 of a volume, if it is said."""

    def differs(self, other: "_Unit") -> bool:
        return any(
            one is not None and two is not None and one != two
            for one, two in ((self.name, other.name), (self.power, other.power))
        )


def without_unit(text: str, words: bool) -> tuple[str, _Unit]:
    """Return a text without the unit at its end or the currency before it, and that unit.

    ``words``: plain words behind a number are a unit too.
    """
    if "circ" in text and _TRIGONOMETRIC.search(text):
        return _DEGREES.sub(r"(\1 \\pi / 180)", text), _Unit()
    unit, power = None, None
    if currency := _CURRENCY.match(text):
        text, unit = currency[1] + text[currency.end() :], currency[2][-1]
    for pattern in (_UNIT, _UNIT, _WORDS) if words else (_UNIT, _UNIT):
        if not (found := pattern.fullmatch(text)):
            continue
        names, tail = (found["text"] or "").lower().split(), text[found.end("value") :]
        text = found["value"].strip()
        if names and names[0] in _SCALE:
            return rf"{text} \times 10^{{{_SCALE[names[0]]}}}", _Unit(unit)
        if names and names[0] in _POWERS:
            power = _POWERS[names.pop(0)]
        elif raised := re.search(r"\^\s*\{?\s*([0-9])", tail):
            power = raised[1]
        name = "%" if "%" in tail else "degree" if "circ" in tail else (names or [""])[0]
        unit = unit or _UNITS.get(name, _UNITS.get(name.rstrip("s.")))
    return text, _Unit(unit, power)


def numerals_equal(gold: Fraction, point: bool, answer: Fraction, other: bool) -> bool:
    """Tell whether two numerals are equal; a decimal may be a fraction that is no finite one, rounded."""
    if gold == answer:
        return True
    if not (point and not _finite(answer)) and not (other and not _finite(gold)):
        return False
    return abs(gold - answer) <= TOLERANCE * abs(gold)
