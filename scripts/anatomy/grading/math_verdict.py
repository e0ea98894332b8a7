"""The verdict on a mathematical answer, from quick comparisons to symbolic ones."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from anatomy.errors import AnatomyError
from anatomy.grading.math_equality import equal_forms
from anatomy.grading.math_extraction import MAX_ANSWER, readings
from anatomy.grading.math_forms import THOUSANDS, Form, TooLargeError, UnparsableError, clean, form
from anatomy.grading.math_symbolic import engine

MathVerdict = Literal["right", "wrong", "no_answer", "unparsable", "timeout"]


@dataclass(frozen=True)
class Judged:
    """The verdict on a completion."""

    verdict: MathVerdict
    answer: str | None
    """What the box holds; None if there is none."""
    lenient: bool
    """Whether the answer is right, or the lenient reading is."""


_NAMED = re.compile(r"\\text\s*\{[^{}]*\}|\\[A-Za-z]+")


def check(golds: tuple[str, ...]) -> None:
    """Raise AnatomyError where there is no gold answer, or an empty one."""
    if not golds or not all(gold.strip() for gold in golds):
        raise AnatomyError(f"the gold answer {list(golds)!r} cannot be read; correct it, or drop the problem")


@lru_cache(maxsize=8_192)
def _gold(golds: tuple[str, ...]) -> tuple[str, Form, bool]:
    """Return the gold answer's text and form, and whether letters behind numbers are units."""
    cleaned = [clean(gold) for gold in golds]
    text = ", ".join(cleaned)
    units = not re.search(r"[A-Za-z]", _NAMED.sub("", text))
    if len(cleaned) == 1:
        return text, form(text), units
    return text, Form("list", tuple(form(entry) for entry in cleaned)), units


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
        cleaned = clean(answer)
        if cleaned == text:
            return "right"
        if not cleaned:
            return "unparsable"
        right = equal_forms(gold, form(cleaned), units)
        if not right and gold.kind == "list" and THOUSANDS.search(cleaned):
            right = equal_forms(gold, form(cleaned, False), units)
        return "right" if right else "wrong"
    except (UnparsableError, RecursionError):
        return "unparsable"
    except (TooLargeError, OverflowError, MemoryError):
        return "timeout"


def warm_up() -> None:
    """Load what the first comparison would."""
    engine()
    compare(("x+1",), "1+x")


def judge(golds: tuple[str, ...], completion: str, tags: str | None = None) -> Judged:
    """Judge a completion in this process. Hostile text can take long: see ``anatomy.guarded``.

    Raises AnatomyError where there is no gold answer.
    """
    check(golds)
    strict, lenient = readings(completion, tags)
    verdict: MathVerdict = "no_answer" if strict is None else compare(golds, strict)
    right = verdict == "right" or (lenient is not None and compare(golds, lenient) == "right")
    return Judged(verdict, strict, right)
