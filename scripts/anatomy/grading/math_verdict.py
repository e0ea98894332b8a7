"""The verdict on a mathematical answer, from quick comparisons to symbolic ones."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from anatomy.errors import AnatomyError
from anatomy.grading.math_cleaning import clean, statement
from anatomy.grading.math_equality import Equality
from anatomy.grading.math_errors import TooLargeError, UnparsableError
from anatomy.grading.math_extraction import MAX_ANSWER, readings
from anatomy.grading.math_forms import Form
from anatomy.grading.math_parsing import THOUSANDS, form
from anatomy.grading.math_things import squeezed

MathVerdict = Literal["right", "wrong", "no_answer", "unparsable", "timeout"]


@dataclass(frozen=True)
class Judged:
    """The verdict on a completion."""

    verdict: MathVerdict
    answer: str | None
    """What the box holds; None if there is none."""
    lenient: bool
    """Whether the answer is right, or the lenient reading is."""


def check(golds: tuple[str, ...]) -> None:
    """Raise AnatomyError where there is no gold answer, or an empty one."""
    if not golds or not all(gold.strip() for gold in golds):
        raise AnatomyError(f"the gold answer {list(golds)!r} cannot be read; correct it, or drop the problem")


@lru_cache(maxsize=8_192)
def _gold(golds: tuple[str, ...]) -> tuple[str, Form]:
    """Return the gold answer's text and form."""
    cleaned = [clean(statement(gold)) for gold in golds]
    text = ", ".join(cleaned)
    if len(cleaned) == 1:
        return text, form(text)
    return text, Form("list", entries=tuple(form(entry) for entry in cleaned))


_PLAIN = re.compile(r"[-+]?[0-9]{1,50}(?:\.[0-9]{1,50})?")


def quick(golds: tuple[str, ...], answer: str) -> MathVerdict | None:
    """Return the verdict where it can be seen at once: the same text, or two plain numbers."""
    if answer == ", ".join(golds):
        return "right"
    if len(golds) == 1 and _PLAIN.fullmatch(answer) and _PLAIN.fullmatch(golds[0]):
        return "right" if Fraction(answer) == Fraction(golds[0]) else "wrong"
    return None


@lru_cache(maxsize=16_384)
def compare(golds: tuple[str, ...], answer: str, natural: bool = False) -> MathVerdict:
    r"""Return the verdict on an answer; of the arguments alone, so that it can be kept.

    Args:
        golds: The gold answers, which are all of them the answer.
        answer: What the box holds.
        natural: ``\log`` without a base is the natural logarithm, on both sides.
    """
    if (verdict := quick(golds, answer)) is not None:
        return verdict
    if len(answer) > MAX_ANSWER + sum(map(len, golds)):
        return "unparsable"
    try:
        text, gold = _gold(golds)
        cleaned = clean(answer)
        if squeezed(cleaned) == squeezed(text) and text:
            return "right"
        if not cleaned:
            return "unparsable"
        equality = Equality(natural)
        right = equality.equal(gold, form(cleaned))
        if not right and gold.kind in ("list", "set") and THOUSANDS.search(cleaned):
            right = equality.equal(gold, form(cleaned, False))
        return "right" if right else "wrong"
    except (UnparsableError, RecursionError):
        return "unparsable"
    except (TooLargeError, OverflowError, MemoryError):
        return "timeout"


def warm_up() -> None:
    """Load what the first comparison would."""
    compare(("x+1",), "1+x")


def judge(golds: tuple[str, ...], completion: str, tags: str | None = None, natural: bool = False) -> Judged:
    """Judge a completion in this process. Hostile text can take long: see ``anatomy.grading.worker_pool``.

    Raises AnatomyError where there is no gold answer.
    """
    check(golds)
    strict, lenient = readings(completion, tags)
    verdict: MathVerdict = "no_answer" if strict is None else compare(golds, strict, natural)
    right = verdict == "right" or (lenient is not None and compare(golds, lenient, natural) == "right")
    return Judged(verdict, strict, right)
