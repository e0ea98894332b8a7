"""The form of an answer: a number, tuple, set, interval, matrix or relation."""

import re
import unicodedata
from dataclasses import dataclass

MAX_DEPTH = 40
"""Brackets within brackets of an answer that is read."""


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


def clean(text: str) -> str:
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
class Form:
    """An answer taken apart: ``kind`` and entries, or a text that stands for one thing."""

    kind: str
    """``one``, ``list``, ``{}`` (set), a pair of brackets (tuple or interval), ``union`` or ``matrix``."""
    entries: tuple["Form", ...] = ()
    text: str = ""


class UnparsableError(Exception):
    """A text that is no mathematics."""


class TooLargeError(Exception):
    """A number that would take too long to evaluate."""


_BRACKETS = re.compile(r"\\?[\[\](){}]|\\.[a-z]*|[,;]|\\begin|\\end", re.DOTALL)
_MATRIX = re.compile(r"\\begin\s*\{([pbvBV]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\s*\{\1\}", re.DOTALL)
THOUSANDS = re.compile(
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
                raise UnparsableError("too deep")
        elif mark in (")", "]", "}", r"\}", r"\end"):
            depth -= 1
        elif depth == 0 and mark in marks.split():
            parts.append(text[start : token.start()])
            start = token.end()
    parts.append(text[start:])
    return [stripped for part in parts if (stripped := part.strip())]


def form(text: str, separators: bool = True) -> Form:
    """Take a cleaned answer apart. ``separators``: commas between three digits separate thousands."""
    text = text.strip()
    if (at := _IN.match(text)) or (at := _VECTOR.match(text)):
        text = text[at.end() :].strip()
    if separators:
        text = _outside(text)
    entries = _split(text, ", ;")
    if len(entries) > 1:
        return Form("list", tuple(form(entry, False) for entry in entries))
    text = entries[0] if entries else ""
    while text.startswith("{") and text.endswith("}") and _closed(text[1:-1]):
        text = text[1:-1].strip()
    parts = _split(text, r"\cup")
    if len(parts) > 1:
        return Form("union", tuple(form(part, False) for part in parts))
    if unit := _BRACKETS_UNIT.fullmatch(text):
        text = unit[1]
    matrix = _MATRIX.fullmatch(text)
    if matrix and r"\begin" not in matrix[2]:
        rows = [row for row in re.split(r"\\\\|\\cr(?![a-z])", matrix[2]) if row.strip()]
        return Form(
            "matrix",
            tuple(Form("row", tuple(form(cell, False) for cell in row.split("&"))) for row in rows),
        )
    for opening, closing in (("\\{", "\\}"), ("(", ")"), ("[", "]"), ("(", "]"), ("[", ")")):
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening + closing):
            inner = text[len(opening) : -len(closing)]
            entries = _split(inner, ", ;")
            if opening == "\\{" and _closed(inner):
                return Form("{}", tuple(form(entry, False) for entry in entries))
            if len(entries) > 1 and _closed(inner):
                return Form(opening + closing, tuple(form(entry, False) for entry in entries))
    if r"\pm" in text or r"\mp" in text:
        plus = re.sub(r"\\mp(?![a-z])", "-", re.sub(r"\\pm(?![a-z])", "+", text))
        minus = re.sub(r"\\mp(?![a-z])", "+", re.sub(r"\\pm(?![a-z])", "-", text))
        return Form("list", (form(plus, False), form(minus, False)))
    return Form("one", text=text)


def _outside(text: str) -> str:
    """Remove thousands separators outside brackets."""
    if not THOUSANDS.search(text):
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
    return THOUSANDS.sub(lambda number: re.sub("[, ]", "", number[0]), text)


def _closed(inner: str) -> bool:
    """Tell whether the brackets around a text belong together: those within never close more than is open."""
    depth = 0
    for character in inner:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0
