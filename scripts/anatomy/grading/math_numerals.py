"""Numerals: whole numbers, fractions, mixed numbers, decimals, repeating ones too, and other bases."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

MAX_DIGITS = 100_000
"""Digits of a number that is evaluated."""
TOLERANCE = Fraction(1, 10**6)
"""Part of the larger value by which a decimal may differ from a number that is no finite decimal."""

_NUMERAL = re.compile(
    r"\(?\s*(?P<sign>[-+]?)\s*(?:"
    r"(?P<whole>[0-9]+)?\s*\\frac\s*(?:\{\s*(?P<t>-?[0-9]+)\s*\}|(?P<t1>[0-9]))\s*(?:\{\s*(?P<n>[0-9]+)\s*\}|(?P<n1>[0-9])(?![0-9]))"
    r"|(?:(?P<whole2>[0-9]+)\s+)?(?P<t2>[0-9]+)\s*/\s*(?P<n2>[0-9]+)"
    r"|(?P<decimal>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:\s*(?:\\times|\\cdot|\*)\s*10\s*\^\s*(?:\{\s*(?P<e>[-+]?[0-9]+)\s*\}|(?P<e1>[0-9])(?![0-9])))?"
    r")\s*\)?"
)
_REPEATING = re.compile(
    r"(?P<sign>[-+]?)\s*(?P<start>[0-9]*\.[0-9]*)(?:"
    r"\\(?:overline|bar)\s*(?:\{\s*(?P<again>[0-9]+)\s*\}|(?P<one>[0-9]))"
    r"|\\dot\s*(?:\{\s*(?P<first>[0-9])\s*\}|(?P<first1>[0-9]))"
    r"(?:(?P<between>[0-9]*)\\dot\s*(?:\{\s*(?P<last>[0-9])\s*\}|(?P<last1>[0-9])))?"
    r"|\(\s*(?P<brackets>[0-9]+)\s*\))(?:\s*\\ldots)?"
)
_GOES_ON = re.compile(r"([-+]?)\s*([0-9]*\.([0-9]+))\s*\\ldots\s*")
_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_BASE_NAMES = {word: at + 2 for at, word in enumerate(_WORDS)} | {"sixteen": 16, "hex": 16, "binary": 2}
_BASED = re.compile(
    r"\(?\s*(?:\\text\s*\{\s*)?(?P<digits>[0-9A-Fa-f]+)\s*\}?\s*\)?\s*"
    r"(?:_\s*\{?\s*(?:\\text\s*\{\s*)?\(?\s*(?:base\s*)?\}?\s*(?P<base>-?[0-9]+|[a-z]+)\s*\)?\s*\}*"
    r"|(?:\\text\s*\{)?\s*\(?(?:in\s+)?base[\s-]*(?:\})?\s*(?P<base2>-?[0-9]+|[a-z]+)\s*\)?\s*\}?)\s*\)?"
)


@dataclass(frozen=True)
class Numeral:
    """A number as it is written."""

    value: Fraction
    point: bool = False
    """It is a decimal, which may be rounded."""
    goes_on: bool = False
    """Further digits are only hinted at, by dots."""


@dataclass(frozen=True)
class Based:
    """A numeral in another base."""

    digits: str
    base: int

    def same(self, text: str) -> bool:
        """Tell whether digits without a base are these."""
        return text.strip().upper().lstrip("0") == self.digits


@lru_cache(maxsize=8_192)
def numeral(text: str) -> Numeral | None:
    """Return a numeral's value; None for any other text."""
    if "\\" in text or "(" in text:
        if (repeating := _repeating(text)) is not None:
            return Numeral(repeating)
        if (open_ended := _GOES_ON.fullmatch(text)) is not None:
            return _going_on(open_ended)
    found = _NUMERAL.fullmatch(text)
    if not found or (text.count("(") != text.count(")")):
        return None
    sign = -1 if found["sign"] == "-" else 1
    if decimal := found["decimal"]:
        power = int(found["e"] or found["e1"] or 0)
        if abs(power) > MAX_DIGITS:
            return None
        return Numeral(sign * Fraction(decimal.removesuffix(".")) * Fraction(10) ** power, "." in decimal)
    top, below = found["t"] or found["t1"] or found["t2"], found["n"] or found["n1"] or found["n2"]
    if not int(below):
        return None
    whole = int(found["whole"] or found["whole2"] or 0)
    return Numeral(sign * (whole + Fraction(int(top), int(below))))


def _repeating(text: str) -> Fraction | None:
    found = _REPEATING.fullmatch(text)
    if found is None:
        return None
    again = found["again"] or found["one"] or found["brackets"]
    if again is None:
        again = (found["first"] or found["first1"]) + (found["between"] or "")
        last = found["last"] or found["last1"]
        if last is None and found["between"]:
            return None
        again += last or ""
    return _with_period(found["sign"], found["start"], again)


def _with_period(sign: str, start: str, again: str) -> Fraction:
    digits = start.replace(".", "") or "0"
    places = len(start) - start.index(".") - 1
    part = Fraction(int(digits + again) - int(digits), 10**places)
    value = Fraction(part, 10 ** len(again) - 1)
    return -value if sign == "-" else value


def _going_on(found: re.Match[str]) -> Numeral:
    """Read a decimal that goes on: by its period, where its digits show one twice or one digit thrice."""
    sign, written, decimals = found.groups()
    for length in range(1, len(decimals) // 2 + 1):
        period = decimals[-length:]
        times = 3 if length == 1 else 2
        if decimals.endswith(period * times):
            start = written
            while start.endswith(period) and len(start) - start.index(".") - 1 >= length:
                start = start[: len(start) - length]
            return Numeral(_with_period(sign, start, period))
    value = Fraction(written if written[0] != "." else f"0{written}")
    return Numeral(-value if sign == "-" else value, True, True)


@lru_cache(maxsize=2_048)
def based(text: str) -> Based | None:
    """Return a numeral with its base; None for any other text."""
    found = _BASED.fullmatch(text)
    if found is None:
        return None
    name = found["base"] or found["base2"]
    base = int(name) if re.fullmatch("-?[0-9]{1,3}", name) else _BASE_NAMES.get(name, 0)
    digits = found["digits"]
    if abs(base) < 2 or any(int(digit, 16) >= abs(base) for digit in re.sub("[0-9]", "", digits)):
        return None
    if not re.search("[0-9]", digits) and not (base == 16 and digits.isupper() and len(digits) > 1):
        return None
    return Based(digits.upper().lstrip("0"), base)


def _finite(value: Fraction) -> bool:
    """Tell whether a fraction is a finite decimal."""
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def numerals_equal(gold: Numeral, answer: Numeral) -> bool:
    """Tell whether two numerals are equal; a decimal may be a fraction that is no finite one, rounded."""
    if gold.goes_on or answer.goes_on:
        if gold.goes_on and answer.goes_on:
            return gold.value == answer.value
        finite = _finite(answer.value if gold.goes_on else gold.value)
        return not finite and near(gold.value, answer.value)
    if gold.value == answer.value:
        return True
    if not (gold.point and not _finite(answer.value)) and not (answer.point and not _finite(gold.value)):
        return False
    return near(gold.value, answer.value)


def near(gold: Fraction, answer: Fraction) -> bool:
    """Tell whether two numbers differ by at most ``TOLERANCE`` of the larger one."""
    return abs(gold - answer) <= TOLERANCE * max(abs(gold), abs(answer))
