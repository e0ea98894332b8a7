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
    worker (``anatomy.grading.worker_pool``), not decided within the time. Otherwise ``right`` or ``wrong``.

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

from anatomy.grading.math_forms import Form
from anatomy.grading.math_numerals import TOLERANCE, numeral, numerals_equal, without_unit
from anatomy.grading.math_symbolic import differ, fraction, numeric_value, pair, same_relation, verified_equal

_EQUALS = re.compile(r"(?<![<>!:\\])=(?!=)|\\approx(?![A-Za-z])|\\equiv(?![A-Za-z])")
_BASE = re.compile(r"([0-9A-F]+)\s*_\s*\{?\s*(?:\\text\{)?\s*([0-9]+)\s*\}*")


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
    (gold, unit), (answer, other) = without_unit(gold, units), without_unit(answer, units)
    if unit.differs(other):
        return False
    if gold == answer:
        return True
    numbers = numeral(gold), numeral(answer)
    if numbers[0] and numbers[1]:
        return numerals_equal(*numbers[0], *numbers[1])
    if numbers[0] and _word(answer) is not None:
        return False
    left, right = pair(gold, answer, units)
    values = numeric_value(left), numeric_value(right)
    if values[0] is not None and values[1] is not None:
        points = ["." in text for text in (gold, answer)]
        exact = [fraction(side) for side in (left, right)]
        if exact[0] is not None and exact[1] is not None:
            return numerals_equal(exact[0], points[0], exact[1], points[1])
        allowed = float(TOLERANCE) if any(points) else 1e-15
        return bool(abs(values[0] - values[1]) <= allowed * abs(values[0]))
    if (values[0] is None) != (values[1] is None) and not getattr(left, "is_Relational", False):
        return False
    return not differ(left, right) and verified_equal(left, right)


def _same_equation(gold: list[str], answer: list[str], whole: str, other: str, units: bool) -> bool:
    """Tell whether two things are equal of which one or both are equations, given by their sides."""
    gold, answer = [side.strip() for side in gold], [side.strip() for side in answer]
    if len(answer) > 1:
        numbers = [number[0] for side in answer if (number := numeral(side))]
        if len(set(numbers)) > 1:
            return False
    if len(gold) == 1:
        last = answer[-1]
        if _name(last) and numeral(answer[0]):
            last = answer[0]
        return _same(gold[0], last, units)
    if gold == answer[::-1]:
        return True
    if not _name(gold[0]):
        return len(answer) > 1 and (
            ("".join(gold[0].split()) == "".join(answer[0].split()) and _same(gold[-1], answer[-1], units))
            or same_relation(*pair(whole, other, False))
        )
    if len(answer) > 1:
        if _name(gold[0]) == _name(answer[0]):
            return _same(gold[-1], answer[-1], units)
        return same_relation(*pair(whole, other, False))
    return _same(gold[-1], answer[-1], units)


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


def _interval(text: str) -> Form | None:
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
    return Form(kind, (Form("one", text=sides[0]), Form("one", text=sides[2])))


def equal_forms(gold: Form, answer: Form, units: bool) -> bool:
    """Tell whether two answers that were taken apart are equal. Raises _UnparsableError or _TooLargeError."""
    if gold.kind == answer.kind == "one":
        return _same(gold.text, answer.text, units)
    if (gold.kind in _UNORDERED and answer.kind in _UNORDERED) or gold.kind == answer.kind == "union":
        return _match(gold.entries, answer.entries, units)
    if gold.kind == answer.kind or (gold.kind == "()" and answer.kind == "list"):
        return len(gold.entries) == len(answer.entries) and all(
            equal_forms(one, other, units) for one, other in zip(gold.entries, answer.entries, strict=True)
        )
    if gold.kind in _INTERVALS and answer.kind == "one" and (interval := _interval(answer.text)):
        return equal_forms(gold, interval, units)
    if answer.kind in _INTERVALS and gold.kind == "one" and (interval := _interval(gold.text)):
        return equal_forms(interval, answer, units)
    # Several entries may be the same one.
    if gold.kind in _UNORDERED or (answer.kind == "{}" and len(answer.entries) == 1):
        left = gold.entries if gold.kind in _UNORDERED else (gold,)
        return _match(left, answer.entries if answer.kind in _UNORDERED else (answer,), units)
    return False


def _match(gold: tuple[Form, ...], answer: tuple[Form, ...], units: bool) -> bool:
    """Tell whether each entry of one side has its own on the other."""
    left, right = list(dict.fromkeys(gold)), list(dict.fromkeys(answer))
    if len(left) != len(right):
        return False
    for one in left:
        at = next((at for at, other in enumerate(right) if equal_forms(one, other, units)), None)
        if at is None:
            return False
        del right[at]
    return True
