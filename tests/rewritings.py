"""Gold answers written in other words, and changed ones: what is right, and what is wrong."""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

_NUMBER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?[0-9]*\.?[0-9]+")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")


def _is_number(text: str) -> bool:
    return bool(_DECIMAL.fullmatch(text) or re.fullmatch(r"-?" + _FRACTION.pattern, text))


def _spread(text: str) -> str:
    """Write each bracket that is closed by its like as one that grows."""
    if not re.fullmatch(r"[^()\[\]]*(?:\([^()\[\]]*\)[^()\[\]]*)+", text) or r"\left" in text:
        return ""
    return text.replace("(", r"\left(").replace(")", r"\right)")


def _if(wanted: bool, text: str) -> str:
    return text if wanted else ""


REWRITINGS: dict[str, Callable[[str], str]] = {
    "decimal point": lambda gold: _if(bool(_NUMBER.fullmatch(gold)), f"{gold}.0"),
    "thousands": lambda gold: _if(bool(re.fullmatch("[1-9][0-9]{3,8}", gold)), f"{int(_int(gold)):,}"),
    "a unit": lambda gold: _if(_is_number(gold), rf"{gold}\text{{ units}}"),
    "a name": lambda gold: _if(_is_number(gold), f"x = {gold}"),
    "a fraction on one line": lambda gold: _if(
        bool(re.fullmatch(r"-?\\frac\{[0-9]+\}\{[0-9]+\}", gold)), _FRACTION.sub(r"\1/\2", gold)
    ),
    "large fractions": lambda gold: _if(r"\frac" in gold, gold.replace(r"\frac", r"\dfrac")),
    "small fractions": lambda gold: _if(r"\frac" in gold, gold.replace(r"\frac", r"\tfrac")),
    "growing brackets": _spread,
    "commas apart": lambda gold: _if(
        "," in gold and r"\!" not in gold and not re.search("[0-9],[0-9]{3}", gold), gold.replace(",", " , ")
    ),
    "signs apart": lambda gold: _if(
        bool(re.search(r"(?<=[0-9a-z)}])[+=]", gold)), re.sub(r"(?<=[0-9a-z)}])([+=])", r" \1 ", gold)
    ),
    "display": lambda gold: rf"\displaystyle {gold}",
    "colour": lambda gold: rf"\color{{blue}}{{{gold}}}",
    "spaces": lambda gold: rf"\,{gold}\;",
    "a full stop": lambda gold: f"{gold}.",
    "dollars": lambda gold: f"${gold}$",
    "a line below": lambda gold: rf"\underline{{{gold}}}",
    "a box": lambda gold: rf"\fbox{{{gold}}}",
    "a larger size": lambda gold: rf"{{\large {gold}}}",
    "a text colour": lambda gold: rf"\textcolor{{red}}{{{gold}}}",
    "stars": lambda gold: f"**{gold}**",
    "brackets of TeX": lambda gold: rf"\({gold}\)",
    "words before": lambda gold: _if(bool(re.search("[0-9]", gold)), rf"\text{{The answer is: }}{gold}"),
}  # fmt: skip
"""Harmless ones; an empty text where a rewriting does not apply."""


def _int(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else 0


def _sign(text: str) -> str:
    at = re.search(r"(?<![\^_{0-9.,\\a-zA-Z])(-\s*)?(?=[0-9.]|\\d?frac|\\sqrt)", text)
    return f"{text[: at.start()]}{'' if at[1] else '-'}{text[at.end() :]}" if at else ""


def _digit(last: bool) -> Callable[[str], str]:
    def change(text: str) -> str:
        places = [at for at, character in enumerate(text) if character in "0123456789"]
        if not places:
            return ""
        at = places[-1 if last else 0]
        return f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}"

    return change


def entries(text: str) -> list[str]:
    """Split at commas outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _in_tuple(text: str, change: Callable[[list[str]], list[str]]) -> str:
    at = re.search(r"\(([^()]*,[^()]*)\)", text)
    return f"{text[: at.start(1)]}{', '.join(change(entries(at[1])))}{text[at.end(1) :]}" if at else ""


def _dropped(text: str) -> str:
    parts = entries(text)
    return ", ".join(parts[1:]) if len(parts) > 1 else _in_tuple(text, lambda inner: inner[1:])


def _swapped(text: str) -> str:
    if at := _FRACTION.search(text):
        return rf"{text[: at.start()]}\frac{{{at[2]}}}{{{at[1]}}}{text[at.end() :]}"
    return _in_tuple(text, lambda parts: [parts[1], parts[0], *parts[2:]])


def _replaced(pattern: str, other: str | Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    def change(text: str) -> str:
        changed = re.sub(pattern, other, text, count=1)
        return changed if changed != text else ""

    return change


MUTATIONS: dict[str, Callable[[str], str]] = {
    "sign": _sign,
    "last digit": _digit(True),
    "first digit": _digit(False),
    "swapped": _swapped,
    "dropped": _dropped,
    "letter": _replaced(r"(?<![\\A-Za-z{])[a-z](?![A-Za-z])", lambda found: "w" if found[0] != "w" else "v"),
    "unit": _replaced(r"\\text\s*\{\s*(?:cm|m|km|inches|feet|hours)\b", r"\\text{ kg"),
    "function": _replaced(
        r"\\(sin|cos|tan|ln|log|sqrt)(?![A-Za-z])",
        lambda found: r"\cos" if found[1] == "sin" else r"\sin",
    ),
    "plus for minus": _replaced(r"(?<=[0-9A-Za-z)}])\s*-\s*(?=[0-9A-Za-z(\\])", "+"),
    "minus for plus": _replaced(r"(?<=[0-9A-Za-z)}])\s*\+\s*(?=[0-9A-Za-z(\\])", "-"),
    "an exponent more": _replaced(r"\^\{?([0-9])\}?", lambda found: f"^{{{int(found[1]) + 1}}}"),
    "one more": lambda text: f"{text} + 1" if "," not in text and "=" not in text else "",
    "twice": lambda text: f"2({text})" if "," not in text and "=" not in text else "",
    "squared": lambda text: f"({text})^2" if "," not in text and "=" not in text else "",
    "a digit more": lambda text: f"{text}7" if text[-1:].isdigit() else "",
    "a factor": lambda text: rf"\pi \cdot ({text})" if "," not in text and "=" not in text else "",
    "a letter behind": lambda text: f"{text} x" if text[-1:].isdigit() else "",
    "ten times": lambda text: f"{text}0" if re.fullmatch("-?[0-9]+", text) else "",
    "half": lambda text: rf"\frac{{{text}}}{{2}}" if "," not in text and "=" not in text else "",
}  # fmt: skip
"""Changes, most of which give another value; an empty text where one does not apply."""


def chosen(gold: str, changes: dict[str, Callable[[str], str]], count: int = 10) -> Iterator[tuple[str, str]]:
    """Yield the first changes that apply, by name, each with what it makes of a gold answer."""
    seen = {gold}
    for name, change in changes.items():
        changed = change(gold)
        if changed and changed not in seen:
            seen.add(changed)
            yield name, changed
            if len(seen) > count:
                return


@cache
def _parsed(text: str) -> Any:
    from math_verify import parse

    found = parse(rf"\boxed{{{text}}}", parsing_timeout=None)
    return found[0] if found else None


def _values(text: str) -> list[complex] | None:
    """Return what Math-Verify reads, as numbers at one point; in order of size where it is a set."""
    import sympy

    read = _parsed(text)
    if isinstance(read, sympy.MatrixBase):
        parts, ordered = list(read), False
    elif isinstance(read, sympy.FiniteSet | sympy.Tuple):
        parts, ordered = list(read.args), isinstance(read, sympy.FiniteSet)
    elif isinstance(read, sympy.Expr):
        parts, ordered = [read], False
    else:
        return None
    found = []
    for part in parts:
        if not isinstance(part, sympy.Expr):
            return None
        names = sorted(part.free_symbols, key=str)
        place = {name: sympy.Float(1.3 + 0.7 * (sum(map(ord, str(name))) % 13), 30) for name in names}
        try:
            found.append(complex(part.xreplace(place).evalf(20)))
        except (TypeError, ValueError, ArithmeticError):
            return None
    return sorted(found, key=lambda value: (value.real, value.imag)) if ordered else found


def differs(gold: str, changed: str) -> bool:
    """Tell whether an independent reader finds another value; False where it finds none."""
    if _DECIMAL.fullmatch(gold) and _DECIMAL.fullmatch(changed):
        return Fraction(gold) != Fraction(changed)
    try:
        values = _values(gold), _values(changed)
    except Exception:  # whatever it raises on what it cannot read
        return False
    if values[0] is None or values[1] is None:
        return False
    if len(values[0]) != len(values[1]):
        return True
    pairs = zip(values[0], values[1], strict=True)
    return any(abs(one - other) > 1e-6 * max(abs(one), abs(other)) for one, other in pairs)
