r"""What a completion's mathematical answer is, and whether it is right. Functions of text alone.

Extraction
    The answer is what stands in the last ``\boxed{}`` with balanced braces of the *final answer region*;
    nothing else counts as an answer. A template's ``tags`` (``think answer``) make the last tag the region:
    the text after its last opening, up to its closing or, if it is never closed, to the end. Where it is
    never opened, and where there are no tags, the region is what follows the last ``</think>``, or the whole
    completion if there is none: what a model thinks is no answer once it has stopped thinking.

Lenient reading
    The first of these that there is: the last balanced box anywhere; what follows the last "answer is",
    "answer:" or "answer =" on its line; what follows the last ``####``; the last ``$...$``; the last number.
    It is recorded beside the verdict and is never a reward.

Verdicts
    ``no_answer``: no box in the region, or an empty one. ``unparsable``: what it holds is no mathematics that
    could be read (nor, letter by letter, the gold answer). ``timeout``: too large to be evaluated, or, in a
    worker (``anatomy.guarded``), not decided within the time. Otherwise ``right`` or ``wrong``.

Equality
    Answers are taken apart here into lists, sets, tuples, intervals, unions and matrices; numerals are
    compared as fractions and numbers by their value; everything else (expressions with variables, equations,
    inequalities) is read and compared by Math-Verify. The rules:

    * Several gold answers are one set. A list without brackets and a set in braces, in any order, with all
      entries and no others, are right; a tuple is not. For a gold tuple, a bare list in its order is right, a
      set is not. Intervals agree in their brackets too.
    * Numerals (27, 27.0, 1,234, 3/4, 2\frac12, 4.5e33, 4.5 \times 10^{33}) are exact. A difference of up to
      one millionth of the gold value is allowed only where one side has a decimal point and the other one is
      no finite decimal (1/3, \sqrt2, \pi): ``TOLERANCE``.
    * A unit may be left out or added: \text{cm}, degrees, currency, and also the per cent sign. So 50% is 50,
      and neither is ever 0.5: no factor of 100 is applied. Two units that are both known and differ
      (``_UNITS``) are wrong: 5 m is not 5 cm. A gold answer with variables keeps its letters (6m is not 6).
    * Commas between groups of three digits are thousands separators outside brackets; where the gold answer
      has several entries, they may separate entries too.
    * An equation whose left side says what is meant (x = 5, f(x) = ..., x \in ...) is its right side, unless
      gold and answer name different things. An equation of two numbers must hold (3 = 5 is not 5).
    * What \text{...:}, \text{... =} or \text{... is} says before an answer with digits is no part of it.
    * \pm stands for both values. Words are compared without case, spaces and \text, and a choice
      without its brackets.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

from anatomy.errors import AnatomyError

MathVerdict = Literal["right", "wrong", "no_answer", "unparsable", "timeout"]

MAX_ANSWER = 1_000
"""Characters of an answer that is read; one longer than this and the gold answer together is not. No more are
kept of it either."""
MAX_DEPTH = 40
"""Brackets within brackets of an answer that is read."""
MAX_DIGITS = 100_000
"""Digits of a number that is evaluated."""
TOLERANCE = Fraction(1, 10**6)
"""Part of the gold value by which a decimal may differ from a number that is no finite decimal."""


@dataclass(frozen=True)
class Judged:
    """The verdict on a completion."""

    verdict: MathVerdict
    answer: str | None
    """What the box holds; None if there is none."""
    lenient: bool
    """Whether the answer is right, or the lenient reading is."""


# Extraction -------------------------------------------------------------------------------------------

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_OPENS = re.compile(r"\s*\{")
_ANSWER_IS = re.compile(r"answer\s*(?:is|:|=)[\s:*]*", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)(?:/[0-9]+)?")


def last_boxed(text: str) -> str | None:
    r"""Return what stands in the last ``\boxed{}`` with balanced braces, or None. Linear in the text."""
    end = start = len(text)
    while (start := text.rfind(r"\boxed", 0, start)) >= 0:
        run = start
        while run and text[run - 1] == "\\":
            run -= 1
        opens = _OPENS.match(text, start + 6)
        if opens is None or (start - run) % 2:
            continue
        depth = 1
        # Braces that are still open where a later box begins that is never closed are never closed either.
        for brace in _BRACE.finditer(text, opens.end(), end):
            depth += (brace[0] == "{") - (brace[0] == "}")
            if not depth:
                return text[opens.end() : brace.start()]
        end = start
    return None


def extract(completion: str, tags: str | None = None) -> str | None:
    """Return the answer that a completion gives, as this module's description says, or None."""
    return _text(last_boxed(_region(completion, tags)))


def _text(found: str | None) -> str | None:
    """Return what was found, or None if that is nothing; half characters, which no file can hold, go."""
    return (found or "").encode(errors="ignore").decode().strip() or None


def _region(completion: str, tags: str | None) -> str:
    """Return the final answer region."""
    if tags:
        tag = tags.split()[-1]
        _, opened, rest = completion.rpartition(f"<{tag}>")
        if opened:
            return rest.partition(f"</{tag}>")[0]
    return completion.rpartition("</think>")[2]


def extract_lenient(completion: str) -> str | None:
    """Return what else could be meant as the answer, as this module's description says, or None."""
    found = last_boxed(completion)
    if found is None and (said := _last(_ANSWER_IS.finditer(completion))):
        found = _stated(completion[said.end() : said.end() + MAX_ANSWER])
    if found is None and "####" in completion:
        found = completion[completion.rindex("####") + 4 :][:MAX_ANSWER].strip().partition("\n")[0]
    if not found and (close := completion.rfind("$")) > 0:
        # The second of two dollars beside each other closes a display.
        close -= completion[close - 1] == "$"
        found = completion[completion.rfind("$", 0, close) + 1 : close] if "$" in completion[:close] else None
    if not found and (number := _last(_NUMBER.finditer(completion))):
        found = number[0]
    return _text(found)


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    """Return the last match."""
    return next(iter(deque(matches, maxlen=1)), None)


def _stated(text: str) -> str | None:
    """Return the answer at the beginning of a text: in dollars, or up to the end of its line or sentence."""
    inside = re.match(r"\s*(?:\$\$?([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\])", text, re.DOTALL)
    if inside:
        return inside[1] or inside[2] or inside[3]
    line = text.strip().partition("\n")[0]
    return re.split(r"\.(?:\s|$)", line)[0].strip("*_ ") or None


# Reading ----------------------------------------------------------------------------------------------

_TRANSLATED = str.maketrans(
    {
        "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "±": r"\pm ",
        "∓": r"\mp ", "√": r"\sqrt ", "π": r"\pi ", "∞": r"\infty ", "\u222a": r"\cup ", "∩": r"\cap ",
        "∈": r"\in ", "∅": r"\emptyset ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\neq ", "≈": r"\approx ",
        "°": r"^\circ ", "¼": r"\frac{1}{4}", "½": r"\frac{1}{2}", "¾": r"\frac{3}{4}",
        "¹": "^{1}", "²": "^{2}", "³": "^{3}", "⁴": "^{4}", "⁵": "^{5}",
        "\u2032": "'", "’": "'", "٪": "%", "\uff0c": ",", "⟨": "(", "⟩": ")",
    }
)  # fmt: skip
# Misread by Math-Verify as they stand.
_REWRITE = (
    (re.compile(r"(?<![\w.])([0-9]*\.?[0-9]+)[eE]([-+]?[0-9]+)(?!\w)"), r"\1 \\times 10^{\2}"),
    (re.compile(r"([0-9])\.(?![0-9]|\\overline)"), r"\1"),
    (re.compile(r"\bnp\.(?=[a-z])"), r"\\"),
    (re.compile(r"(?<![\\A-Za-z])E_"), r"\\varepsilon_"),
    (re.compile(r"\\gamma(?![A-Za-z])"), r"\\upsilon"),
    (re.compile(r"_\{\\(odot|max|min)\s*\}"), r"_{\1}"),
)
_LAYOUT = (
    (re.compile(r"(?<=[0-9])(?:,?\\!\s*|\{,\}|\\[,;: ]|~)(?=[0-9]{3}(?![0-9]))"), ""),
    (re.compile(r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])\.?"), ""),
    (re.compile(r"\\(?:displaystyle|limits|quad|qquad)(?![A-Za-z])|(?<!\\)\\[!,;:\s]|~"), " "),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:text(?:bf|it|rm|sf|up|normal)|math(?:rm|bf|it|sf)|mbox|bm)(?=\s*\{)"), r"\\text"),
    (re.compile(r"\\text\s*\{\s*([-+]?[0-9.,]+)\s*\}"), r"\1"),
    (re.compile(r"^\s*\\text\s*\{[^{}]*(?:[:=]|\bis)\s*\}(?=.*[0-9])", re.DOTALL), ""),
    (re.compile(r"\\(le|ge)(?:q|qslant)(?![A-Za-z])"), r"\\\1"),
    (re.compile(r"\\l[bB]race(?![A-Za-z])"), r"\\{"),
    (re.compile(r"\\r[bB]race(?![A-Za-z])"), r"\\}"),
    (re.compile(r"\\langle(?![A-Za-z])"), "("),
    (re.compile(r"\\rangle(?![A-Za-z])"), ")"),
    (re.compile(r"(?:\\text\s*\{\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z]))"), ","),
)  # fmt: skip

_DRESSED = re.compile(r"\\text\s*\{(.*)\}", re.DOTALL)
"""A whole answer in a font, which is mathematics nevertheless where it has digits and no words."""


def _clean(text: str) -> str:
    """Rewrite an answer: one spelling for each thing, nothing that cannot be seen."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_TRANSLATED))
    if not text.isprintable():
        text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
    if not text.isdigit():
        text = re.sub(r"\\[()\[\]]|(?<!\\)\$|\\text\s*\{\s*\}", " ", text)
        for pattern, replacement in (*_LAYOUT, *_REWRITE):
            text = pattern.sub(replacement, text)
    text = text.strip().removesuffix(".").strip()
    if (dressed := _DRESSED.fullmatch(text)) and _closed(dressed[1]) and _is_numeric(dressed[1]):
        return dressed[1].strip().removesuffix(".").strip()
    return text


def _is_numeric(text: str) -> bool:
    """Tell whether a text has digits, and no letters outside commands."""
    return bool(re.search("[0-9]", text) and not re.search("[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", text)))


@dataclass(frozen=True)
class _Form:
    """An answer taken apart: ``kind`` and entries, or a text that stands for one thing."""

    kind: str
    """``one``, ``list``, ``{}`` (set), a pair of brackets (tuple or interval), ``union`` or ``matrix``."""
    entries: tuple["_Form", ...] = ()
    text: str = ""


class _UnparsableError(Exception):
    """A text that is no mathematics."""


class _TooLargeError(Exception):
    """A number that would take too long to evaluate."""


_BRACKETS = re.compile(r"\\?[\[\](){}]|\\.[a-z]*|[,;]|\\begin|\\end", re.DOTALL)
_MATRIX = re.compile(r"\\begin\s*\{([pbvBV]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\s*\{\1\}", re.DOTALL)
_THOUSANDS = re.compile(
    r"(?<![0-9.,])(?<![0-9] )[0-9]{1,3}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(?![0-9/]|[, ][0-9])"
)
_IN = re.compile(r"[A-Za-z]\s*\\in(?![A-Za-z])")
_BRACKETS_UNIT = re.compile(r"((?:[(\[]|\\\{).*[)\]}])\s*\\text\s*\{[^{}]*\}", re.DOTALL)
_VECTOR = re.compile(r"\(?[A-Za-z](?:\s*,\s*[A-Za-z])*\)?\s*=\s*(?=[(\[]|\\[{b])")


def _split(text: str, marks: str) -> list[str]:
    """Split a text at marks (``,`` or ``\\cup``) outside brackets and environments."""
    parts, depth, start = [], 0, 0
    for token in _BRACKETS.finditer(text):
        mark = token[0]
        if mark in ("(", "[", "{", r"\{", r"\begin"):
            depth += 1
            if depth > MAX_DEPTH:
                raise _UnparsableError("too deep")
        elif mark in (")", "]", "}", r"\}", r"\end"):
            depth -= 1
        elif depth == 0 and mark in marks.split():
            parts.append(text[start : token.start()])
            start = token.end()
    parts.append(text[start:])
    return [stripped for part in parts if (stripped := part.strip())]


def _form(text: str, separators: bool = True) -> _Form:
    """Take a cleaned answer apart. ``separators``: commas between three digits separate thousands."""
    text = text.strip()
    if (at := _IN.match(text)) or (at := _VECTOR.match(text)):
        text = text[at.end() :].strip()
    if separators:
        text = _outside(text)
    entries = _split(text, ", ;")
    if len(entries) > 1:
        return _Form("list", tuple(_form(entry, False) for entry in entries))
    text = entries[0] if entries else ""
    while text.startswith("{") and text.endswith("}") and _closed(text[1:-1]):
        text = text[1:-1].strip()
    parts = _split(text, r"\cup")
    if len(parts) > 1:
        return _Form("union", tuple(_form(part, False) for part in parts))
    if unit := _BRACKETS_UNIT.fullmatch(text):
        text = unit[1]
    matrix = _MATRIX.fullmatch(text)
    if matrix and r"\begin" not in matrix[2]:
        rows = [row for row in re.split(r"\\\\|\\cr(?![a-z])", matrix[2]) if row.strip()]
        return _Form(
            "matrix",
            tuple(_Form("row", tuple(_form(cell, False) for cell in row.split("&"))) for row in rows),
        )
    for opening, closing in (("\\{", "\\}"), ("(", ")"), ("[", "]"), ("(", "]"), ("[", ")")):
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening + closing):
            inner = text[len(opening) : -len(closing)]
            entries = _split(inner, ", ;")
            if opening == "\\{" and _closed(inner):
                return _Form("{}", tuple(_form(entry, False) for entry in entries))
            if len(entries) > 1 and _closed(inner):
                return _Form(opening + closing, tuple(_form(entry, False) for entry in entries))
    if r"\pm" in text or r"\mp" in text:
        plus = re.sub(r"\\mp(?![a-z])", "-", re.sub(r"\\pm(?![a-z])", "+", text))
        minus = re.sub(r"\\mp(?![a-z])", "+", re.sub(r"\\pm(?![a-z])", "-", text))
        return _Form("list", (_form(plus, False), _form(minus, False)))
    return _Form("one", text=text)


def _outside(text: str) -> str:
    """Remove thousands separators outside brackets."""
    if not _THOUSANDS.search(text):
        return text
    parts, depth, start = [], 0, 0
    for token in re.finditer(r"[(\[{]|[)\]}]", text):
        piece = text[start : token.end()]
        parts.append(_thousands(piece) if depth == 0 else piece)
        start = token.end()
        depth += 1 if token[0] in "([{" else -1
    parts.append(_thousands(text[start:]) if depth == 0 else text[start:])
    return "".join(parts)


def _thousands(text: str) -> str:
    return _THOUSANDS.sub(lambda number: re.sub("[, ]", "", number[0]), text)


def _closed(inner: str) -> bool:
    """Tell whether the brackets around a text belong together: those within never close more than is open."""
    depth = 0
    for character in inner:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0


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
_NAMED = re.compile(r"\\text\s*\{[^{}]*\}|\\[A-Za-z]+")
_CAPITAL = re.compile(r"\\text\s*\{[^{}]*\}|\\[A-Za-z]+|([A-DF-Z])(?!\()")
_SMALL = r"(?<![\\A-Za-z]){0}|(?<=[a-z]){0}(?![a-z])"
_SPARE = ("xi", "eta", "kappa", "chi", "psi", "zeta", "nu", "mu")
_EQUALS = re.compile(r"(?<![<>!:\\])=(?!=)|\\approx(?![A-Za-z])|\\equiv(?![A-Za-z])")
_BASE = re.compile(r"([0-9A-F]+)\s*_\s*\{?\s*(?:\\text\{)?\s*([0-9]+)\s*\}*")


def _numeral(text: str) -> tuple[Fraction, bool] | None:
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


def _without_unit(text: str, words: bool) -> tuple[str, _Unit]:
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


def _plain(text: str) -> str:
    """Return a text out of its ``\\text{}``, with one space where there are some."""
    return " ".join(re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text).split()) if r"\text" in text else text


def _word(text: str) -> str | None:
    """Return the letters of an answer that is words, or a choice (A); None for any other text."""
    plain = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", text)
    plain = re.sub(r"^\s*\(\s*(\w+)\s*\)\s*$", r"\1", plain)
    # Outside \text, p-q is a difference.
    between = r"[\s.,'!?-]" if r"\text" in text else r"\s"
    if not re.fullmatch(rf"[^\W\d_]+(?:{between}+[^\W\d_]+)*{between}*", plain):
        return None
    return re.sub(r"[\W_]+", "", plain).casefold()


@lru_cache(maxsize=1)
def _engine() -> Any:
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

    latex2sympy, normalize, _ = _engine()
    try:
        text = normalize(text, units)
        found = latex2sympy(
            text, is_real=not should_treat_as_complex(text), convert_degrees=False, normalization_config=None
        )
    except (Exception, RecursionError) as error:
        raise _UnparsableError(text) from error
    if not isinstance(found, sympy.Basic | sympy.MatrixBase):
        raise _UnparsableError(text)
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
        raise _TooLargeError(str(expression.func))
    return size


def _value(expression: Any) -> Any:
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


def _fraction(number: Any) -> Fraction | None:
    """Return the value of a number that is a fraction, its decimals taken as they are written."""
    import sympy

    found = sympy.nsimplify(number.doit(), rational=True)
    return Fraction(int(found.p), int(found.q)) if found.is_Rational else None


def _same(gold: str, answer: str, units: bool) -> bool:
    """Tell whether two single things are equal. Raises _UnparsableError or _TooLargeError."""
    if gold == answer or _plain(gold) == _plain(answer):
        return True
    sides = [_EQUALS.split(gold), _EQUALS.split(answer)]
    if len(sides[1]) > 1 or len(sides[0]) > 1:
        return _same_equation(sides[0], sides[1], gold, answer, units)
    bases = [_BASE.fullmatch(text) for text in (gold, answer)]
    if bases[0] and (bases[1] or answer.isdigit()):
        return bases[0][1] == (bases[1][1] if bases[1] else answer) and (
            not bases[1] or bases[0][2] == bases[1][2]
        )
    if (word := _word(gold)) is not None:
        same = word == re.sub(r"\\text|[\W_]+", "", answer).casefold()
        # Without \text, letters can be a product of variables too.
        if r"\text" in gold or "(" in gold or (same and len(word) > 1):
            return same
    (gold, unit), (answer, other) = _without_unit(gold, units), _without_unit(answer, units)
    if unit.differs(other):
        return False
    if gold == answer:
        return True
    numbers = _numeral(gold), _numeral(answer)
    if numbers[0] and numbers[1]:
        return _close(*numbers[0], *numbers[1])
    if numbers[0] and _word(answer) is not None:
        return False
    left, right = _pair(gold, answer, units)
    values = _value(left), _value(right)
    if values[0] is not None and values[1] is not None:
        points = ["." in text for text in (gold, answer)]
        exact = [_fraction(side) for side in (left, right)]
        if exact[0] is not None and exact[1] is not None:
            return _close(exact[0], points[0], exact[1], points[1])
        allowed = float(TOLERANCE) if any(points) else 1e-15
        return bool(abs(values[0] - values[1]) <= allowed * abs(values[0]))
    if (values[0] is None) != (values[1] is None) and not getattr(left, "is_Relational", False):
        return False
    return not _differ(left, right) and _verify(left, right)


def _differ(left: Any, right: Any) -> bool:
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


def _pair(gold: str, answer: str, units: bool) -> tuple[Any, ...]:
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


def _close(gold: Fraction, point: bool, answer: Fraction, other: bool) -> bool:
    """Tell whether two numerals are equal; a decimal may be a fraction that is no finite one, rounded."""
    if gold == answer:
        return True
    if not (point and not _finite(answer)) and not (other and not _finite(gold)):
        return False
    return abs(gold - answer) <= TOLERANCE * abs(gold)


def _verify(left: Any, right: Any) -> bool:
    return bool(_engine()[2](left, right, timeout_seconds=None, allow_set_relation_comp=True))


def _same_equation(gold: list[str], answer: list[str], whole: str, other: str, units: bool) -> bool:
    """Tell whether two things are equal of which one or both are equations, given by their sides."""
    gold, answer = [side.strip() for side in gold], [side.strip() for side in answer]
    if len(answer) > 1:
        numbers = [number[0] for side in answer if (number := _numeral(side))]
        if len(set(numbers)) > 1:
            return False
    if len(gold) == 1:
        last = answer[-1]
        if _name(last) and _numeral(answer[0]):
            last = answer[0]
        return _same(gold[0], last, units)
    if gold == answer[::-1]:
        return True
    if not _name(gold[0]):
        return len(answer) > 1 and (
            ("".join(gold[0].split()) == "".join(answer[0].split()) and _same(gold[-1], answer[-1], units))
            or _same_relation(*_pair(whole, other, False))
        )
    if len(answer) > 1:
        if _name(gold[0]) == _name(answer[0]):
            return _same(gold[-1], answer[-1], units)
        return _same_relation(*_pair(whole, other, False))
    return _same(gold[-1], answer[-1], units)


def _same_relation(gold: Any, answer: Any) -> bool:
    """Tell whether two equations say the same: one is the other times a number, or they have one solution."""
    import sympy

    if not isinstance(gold, sympy.Eq) or not isinstance(answer, sympy.Eq):
        return _verify(gold, answer)
    factor = sympy.simplify((gold.lhs - gold.rhs) / (answer.lhs - answer.rhs))
    if factor.is_number:
        return bool(factor.is_finite and factor != 0)
    try:
        # Math-Verify takes two equations that it cannot solve for equal.
        return bool(sympy.solve(gold, *gold.free_symbols, dict=True)) and _verify(gold, answer)
    except NotImplementedError:
        return False


def _name(text: str) -> str | None:
    """Return the variable, function or derivative on one side of an equation; None for anything else."""
    plain = re.sub(r"\s+|\\text", "", text)
    if re.fullmatch(r"\\frac\{d[^{}]*\}\{d[^{}]*\}", plain):
        return plain
    plain = re.sub(r"\\(?!frac)|[{}]", "", plain)
    return plain if re.fullmatch(r"[A-Za-z]+(?:_\w+)?'*(?:\([A-Za-z](?:,[A-Za-z])*\))?", plain) else None


_UNORDERED = ("list", "{}")
_INTERVALS = ("()", "(]", "[)", "[]")
_RELATION = re.compile(r"\\(?:le|ge|lt|gt)(?![A-Za-z])|[<>]=?")


def _interval(text: str) -> _Form | None:
    """Return the interval of a variable between bounds, such as -2 \\le x < 7 or x > 2, or None."""
    signs = [sign[0] for sign in _RELATION.finditer(text)]
    sides = [side.strip() for side in _RELATION.split(text)]
    if not signs or len(signs) > 2 or len({sign in (">", ">=", r"\ge", r"\gt") for sign in signs}) > 1:
        return None
    if signs[0] in (">", ">=", r"\ge", r"\gt"):
        signs, sides = signs[::-1], sides[::-1]
    closed = [sign in ("<=", ">=", r"\le", r"\ge") for sign in signs]
    if len(sides) == 2:
        if re.fullmatch("[A-Za-z]", sides[0]):
            sides, closed = [r"-\infty", *sides], [False, *closed]
        else:
            sides, closed = [*sides, r"\infty"], [*closed, False]
    if not re.fullmatch("[A-Za-z]", sides[1]):
        return None
    kind = ("[" if closed[0] else "(") + ("]" if closed[1] else ")")
    return _Form(kind, (_Form("one", text=sides[0]), _Form("one", text=sides[2])))


def _equal_forms(gold: _Form, answer: _Form, units: bool) -> bool:
    """Tell whether two answers that were taken apart are equal. Raises _UnparsableError or _TooLargeError."""
    if gold.kind == answer.kind == "one":
        return _same(gold.text, answer.text, units)
    if (gold.kind in _UNORDERED and answer.kind in _UNORDERED) or gold.kind == answer.kind == "union":
        return _match(gold.entries, answer.entries, units)
    if gold.kind == answer.kind or (gold.kind == "()" and answer.kind == "list"):
        return len(gold.entries) == len(answer.entries) and all(
            _equal_forms(one, other, units) for one, other in zip(gold.entries, answer.entries, strict=True)
        )
    if gold.kind in _INTERVALS and answer.kind == "one" and (interval := _interval(answer.text)):
        return _equal_forms(gold, interval, units)
    if answer.kind in _INTERVALS and gold.kind == "one" and (interval := _interval(gold.text)):
        return _equal_forms(interval, answer, units)
    # Several entries may be the same one.
    if gold.kind in _UNORDERED or (answer.kind == "{}" and len(answer.entries) == 1):
        left = gold.entries if gold.kind in _UNORDERED else (gold,)
        return _match(left, answer.entries if answer.kind in _UNORDERED else (answer,), units)
    return False


def _match(gold: tuple[_Form, ...], answer: tuple[_Form, ...], units: bool) -> bool:
    """Tell whether each entry of one side has its own on the other."""
    left, right = list(dict.fromkeys(gold)), list(dict.fromkeys(answer))
    if len(left) != len(right):
        return False
    for one in left:
        at = next((at for at, other in enumerate(right) if _equal_forms(one, other, units)), None)
        if at is None:
            return False
        del right[at]
    return True


def check(golds: tuple[str, ...]) -> None:
    """Raise AnatomyError where there is no gold answer, or an empty one."""
    if not golds or not all(gold.strip() for gold in golds):
        raise AnatomyError(f"the gold answer {list(golds)!r} cannot be read; correct it, or drop the problem")


@lru_cache(maxsize=8_192)
def _gold(golds: tuple[str, ...]) -> tuple[str, _Form, bool]:
    """Return the gold answer's text and form, and whether letters behind numbers are units."""
    cleaned = [_clean(gold) for gold in golds]
    text = ", ".join(cleaned)
    units = not re.search(r"[A-Za-z]", _NAMED.sub("", text))
    if len(cleaned) == 1:
        return text, _form(text), units
    return text, _Form("list", tuple(_form(entry) for entry in cleaned)), units


_PLAIN = re.compile(r"[-+]?[0-9]{1,50}(?:\.[0-9]{1,50})?")


def quick(golds: tuple[str, ...], answer: str) -> MathVerdict | None:
    """Return the verdict where it can be seen without SymPy, at once: the same text, or two plain numbers."""
    if answer == ", ".join(golds):
        return "right"
    if len(golds) == 1 and _PLAIN.fullmatch(answer) and _PLAIN.fullmatch(golds[0]):
        return "right" if Fraction(answer) == Fraction(golds[0]) else "wrong"
    return None


@lru_cache(maxsize=16_384)
def compare(golds: tuple[str, ...], answer: str) -> MathVerdict:
    """Return the verdict on an answer; of the two alone, so that it can be kept."""
    if (verdict := quick(golds, answer)) is not None:
        return verdict
    if len(answer) > MAX_ANSWER + sum(map(len, golds)):
        return "unparsable"
    try:
        text, gold, units = _gold(golds)
        cleaned = _clean(answer)
        if cleaned == text:
            return "right"
        if not cleaned:
            return "unparsable"
        right = _equal_forms(gold, _form(cleaned), units)
        if not right and gold.kind == "list" and _THOUSANDS.search(cleaned):
            right = _equal_forms(gold, _form(cleaned, False), units)
        return "right" if right else "wrong"
    except (_UnparsableError, RecursionError):
        return "unparsable"
    except (_TooLargeError, OverflowError, MemoryError):
        return "timeout"


def warm_up() -> None:
    """Load what the first comparison would."""
    _engine()
    compare(("x+1",), "1+x")


def readings(completion: str, tags: str | None = None) -> tuple[str | None, str | None]:
    """Return the answer, and the lenient reading where it is another one."""
    strict, lenient = extract(completion, tags), extract_lenient(completion)
    return strict, None if lenient == strict else lenient


def judge(golds: tuple[str, ...], completion: str, tags: str | None = None) -> Judged:
    """Judge a completion in this process. Hostile text can take long: see ``anatomy.guarded``.

    Raises AnatomyError where there is no gold answer.
    """
    check(golds)
    strict, lenient = readings(completion, tags)
    verdict: MathVerdict = "no_answer" if strict is None else compare(golds, strict)
    right = verdict == "right" or (lenient is not None and compare(golds, lenient) == "right")
    return Judged(verdict, strict, right)
