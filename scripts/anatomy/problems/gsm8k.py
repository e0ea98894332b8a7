"""Plan and chain of subproblems from solutions that carry their calculations, without a model.

GSM8K (Cobbe et al. 2021, arXiv 2110.14168) writes each calculation as ``<<expression=result>>`` before the
number that a reader sees: ``Ann picks 3*4=<<3*4=12>>12 pears.`` Without the expression, and with ``...`` or a
blank for the number, the sentence is a step of a plan or a link of a chain. Only what the solution says is
used, so a line that says little gives a link that says little.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from anatomy.errors import AnatomyError
from anatomy.prompts import plan_controls

SLOT = "{answer}"
"""Stands in a fact where its link's answer goes."""
BLANK = "___"
HIDDEN = "..."
ASKED = "What number stands in the blank?"
LONGEST_SOLUTION = 10_000
"""Characters; more raises an error."""
LONGEST_EXPRESSION = 150
"""Characters; it bounds nesting too."""


@dataclass(frozen=True)
class Calculation:
    """One ``<<expression=result>>``."""

    expression: str
    result: str
    """The number without thousands separators and superfluous zeros."""
    value: Fraction | None
    """What the expression is; None if it cannot be read, or divides by zero."""
    right: bool
    """Whether the value, rounded as the result is written, is the result (ties either way)."""


@dataclass(frozen=True)
class Annotation:
    """What a solution's calculations tell; plan and subproblems are None where it has none."""

    plan: str | None
    """Numbered steps, one a line of the solution that calculates and says in words what."""
    subproblems: list[dict[str, str]] | None
    """One link a calculation: ``question``, ``answer``, and ``fact`` with ``{answer}`` in it once."""
    calculations: list[Calculation]
    ends: bool
    """Whether the last calculation's result is the problem's answer."""


# Numbers and expressions ------------------------------------------------------------------------------

_DIGITS = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3}){1,12}(?![0-9])|[0-9]{1,40})(?:\.[0-9]{1,40})?|\.[0-9]{1,40})"
_NUMBER = re.compile(_DIGITS)
_SYMBOL = re.compile(rf"\s*(?:(?P<number>{_DIGITS}\.?)|(?P<sign>[-+*/()%xX×÷−–]))")
_SAME = str.maketrans("xX×÷−–", "***/--")


def number(text: str) -> Fraction:
    """Return a number without sign, such as ``1,200.50`` or ``.5``."""
    return Fraction(text.replace(",", "").rstrip("."))


def evaluate(expression: str) -> Fraction:
    """Return the exact value of numbers under ``+ - * / %`` and parentheses; ``x`` multiplies.

    Raises:
        AnatomyError: The expression is anything else, longer than ``LONGEST_EXPRESSION``, or divides by zero.
    """

    def fail(why: str) -> AnatomyError:
        return AnatomyError(f"expression {expression[:60]!r} {why}")

    if len(expression) > LONGEST_EXPRESSION:
        raise fail(f"has more than {LONGEST_EXPRESSION} characters")
    symbols: list[Fraction | str] = []
    at, text = 0, expression.rstrip()
    while at < len(text):
        symbol = _SYMBOL.match(text, at)
        if symbol is None:
            raise fail(
                f"cannot be read at character {at + 1}; only numbers, + - * / % and parentheses may occur"
            )
        symbols.append(number(symbol["number"]) if symbol["number"] else symbol["sign"].translate(_SAME))
        at = symbol.end()
    symbols.reverse()  # the next one is the last, so that it can be popped

    def accept(signs: str) -> str:
        next_symbol = symbols[-1] if symbols else ""
        return (
            str(symbols.pop())
            if isinstance(next_symbol, str) and next_symbol and next_symbol in signs
            else ""
        )

    def total() -> Fraction:
        value = product()
        while sign := accept("+-"):
            value = value + product() if sign == "+" else value - product()
        return value

    def product() -> Fraction:
        value = factor()
        while sign := accept("*/"):
            other = factor()
            if sign == "/" and not other:
                raise fail("divides by zero")
            value = value * other if sign == "*" else value / other
        return value

    def factor() -> Fraction:
        if sign := accept("+-"):
            return factor() if sign == "+" else -factor()
        if accept("("):
            value = total()
            if not accept(")"):
                raise fail("lacks a closing parenthesis")
        elif symbols and isinstance(symbols[-1], Fraction):
            value = symbols[-1]
            symbols.pop()
        else:
            raise fail("lacks a number")
        return value / 100 if accept("%") else value

    value = total()
    if symbols:
        raise fail("goes on after its end")
    return value


def _value(expression: str) -> Fraction | None:
    try:
        return evaluate(expression)
    except AnatomyError:
        return None


def plain(value: Fraction) -> str:
    """Write a number as a decimal, or as ``p/q`` where that takes more than 28 digits."""
    text = f"{Decimal(value.numerator) / value.denominator:f}"
    return text if Fraction(text) == value else str(value)


# Lines without their expressions ----------------------------------------------------------------------

_CALCULATION = re.compile(r"<<([^<>]*)=([^<>=]*)>>")
_SHOWN = tuple(re.compile(rf"-?{_DIGITS}{more}") for more in (f"/{_DIGITS}", ""))
_MARK = "\ue000"
"""Stands in a line for the number that a calculation gives; a character of no script."""
_TOLD = "\ue001"
"""Stands where an expression was taken out."""
_SIGNS = r"times|plus|minus|divided\s+by|multiplied\s+by"
_TOKEN = re.compile(
    rf"""(?P<mark>{_MARK})|(?P<number>{_DIGITS})|(?P<equal>[<>]?=|\b(?:equals|(?:is|are)\s+equal\s+to)\b)
    |(?P<operator>[-+*/×÷−–]|(?:\b(?:{_SIGNS})|(?<=[\s0-9)%])[xX])(?=\s*[$(.0-9]))
    |(?P<word>[A-Za-z]+(?:['’-][A-Za-z]+)*|%)|(?P<currency>[$€£])|(?P<open>[(\[])|(?P<close>[)\]])|(?P<other>\S)""",
    re.VERBOSE,
)
_BOUNDS = {">=": " at least ", "<=": " at most "}
_LONGEST_UNIT = 8
_REASON = re.compile(rf",?\s+(?:because|since|as)\s+{_TOLD}?\s*[$€£]?{_MARK}(?:\s\w+)?\s*\.?\s*$")


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def _operand(tokens: Sequence[_Token], end: int) -> int:
    """Return where the operand before ``end`` ("$1.50 / pack", "(2 + 3) boxes") begins; ``end`` if none."""
    at = end
    while (
        at
        and end - at < _LONGEST_UNIT
        and (tokens[at - 1].kind == "word" or (at < end and tokens[at - 1].text == "/"))
    ):
        at -= 1
    begin = at
    while begin:  # several are a mixed number, or a product without a sign
        if tokens[begin - 1].kind == "number":
            begin -= 1
        elif tokens[begin - 1].kind == "close":
            depth, inner = 1, begin - 1
            while depth and inner and tokens[inner - 1].kind not in ("mark", "equal"):
                inner -= 1
                depth += (tokens[inner].kind == "close") - (tokens[inner].kind == "open")
            if depth or tokens[inner + 1].kind == "word":  # unbalanced, or an aside
                break
            begin = inner
        else:
            break
    if begin == at:
        return end
    return begin - (begin > 0 and tokens[begin - 1].kind == "currency")


def _expression(tokens: Sequence[_Token], end: int) -> int:
    """Return where the expression before the equals sign at ``end`` begins, or ``end`` if there is none.

    A number alone is one only between two equals signs; else it is a quantity that the sentence speaks of.
    """
    begin, operands = end, 0
    before = _operand(tokens, end)
    while before < begin:
        begin, operands = before, operands + 1
        at = begin
        while at and tokens[at - 1].kind == "operator":
            at -= 1
        before = _operand(tokens, at) if at < begin else begin
        if before == at < begin:  # nothing before the sign: it is the number's own
            begin -= tokens[begin - 1].end == tokens[begin].start
            break
    alone = operands == 1 and not (begin and tokens[begin - 1].kind == "equal")
    return end if alone else begin


def _bare(line: str) -> str:
    """Take out every expression with its equals sign; an equals sign after anything else becomes a word."""
    tokens = [
        _Token(str(match.lastgroup), match[0], match.start(), match.end()) for match in _TOKEN.finditer(line)
    ]
    parts, done = [], 0
    for index, token in enumerate(tokens):
        if token.kind != "equal":
            continue
        begin = _expression(tokens, index)
        parts.append(line[done : tokens[begin].start])
        if begin < index:
            parts.append(_TOLD)
        elif token.text in _BOUNDS:
            parts.append(_BOUNDS[token.text])
        elif not index or tokens[index - 1].text not in ("is", "are", "was", "were"):
            parts.append(" is ")
        done = token.end
    return "".join([*parts, line[done:]])


# Plan and chain ---------------------------------------------------------------------------------------

_COUNTED = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_WORDS = {word: Fraction(value) for value, word in enumerate(_COUNTED, 2)}
_SAID = re.compile(rf"{_DIGITS}|(?<![\w-])(?:{'|'.join(_WORDS)})(?![\w-])", re.IGNORECASE)
_RESULT = re.compile(rf"=\s*-?[$€£]?\s*({_DIGITS})")
_COMPUTED = re.compile(rf"{_TOLD}(\s*[$€£]?\s*)-?{_DIGITS}")
_DEFINED = re.compile(r"\blet\s+([b-hj-z])\b[^.]*", re.IGNORECASE)
_RESERVED = str.maketrans("{}_", "() ", _MARK + _TOLD)
_WORD = re.compile(r"[A-Za-z]{2,}")
_SAYING = 2
"""A line with fewer words than this says nothing without its expression."""


def _said(text: str) -> Fraction:
    return _WORDS.get(text.lower()) or number(text)


def _hide(text: str, hidden: Iterable[Fraction]) -> str:
    """Put ``...`` for the hidden numbers, whether written in digits or as words, and tidy spaces."""
    hidden = set(hidden)
    text = _SAID.sub(lambda match: HIDDEN if _said(match[0]) in hidden else match[0], text)
    return " ".join(text.split())


def _calculation(expression: str, result: str) -> Calculation:
    written = evaluate(result)
    digits = len(result.strip().partition(".")[2])
    value = _value(expression)
    exact = not _NUMBER.fullmatch(result.strip().lstrip("-"))
    slack = Fraction(0) if exact else Fraction(1, 2 * 10**digits)
    right = value is not None and abs(value - written) <= slack
    return Calculation(expression, plain(written), value, right)


def _read(line: str, calculations: list[Calculation]) -> str:
    """Put a mark for each calculation and the number shown after it; append the calculations to ``found``."""
    parts, done = [], 0
    for match in _CALCULATION.finditer(line):
        calculations.append(_calculation(match[1], match[2]))
        parts.append(line[done : match.start()])
        shown = [form.match(line, match.end()) for form in _SHOWN]
        result = Fraction(calculations[-1].result)
        done = next((form.end() for form in shown if form and _value(form[0]) == result), match.end())
    line = _MARK.join([*parts, line[done:]])
    if "<<" in line or ">>" in line:
        raise AnatomyError(f"a calculation is not written <<expression=result>>: {line[:80]!r}")
    return line


def _moved(bare: str, results: Sequence[Fraction]) -> str:
    """Move a mark after "because" to where the result was told before it: "She has 5 because <mark>."."""
    reason = _REASON.search(bare)
    if reason and len(results) == 1:
        mentions = [
            match for match in _SAID.finditer(bare[: reason.start()]) if _said(match[0]) == abs(results[0])
        ]
        if mentions:
            return bare[: mentions[-1].start()] + _MARK + bare[mentions[-1].end() : reason.start()] + "."
    return bare


def _fill(text: str, parts: Sequence[str]) -> str:
    pieces = text.split(_MARK)
    return "".join(piece + part for piece, part in zip(pieces, [*parts, ""], strict=True))


def _names(fact: str, letter: str) -> bool:
    return re.search(rf"(?<![A-Za-z'’]){letter}(?![A-Za-z'’])", fact.replace(SLOT, "")) is not None


def annotate(text: str, solution: str, answer: str) -> Annotation:
    """Derive plan and chain of a problem (``text``) from its solution; ``answer`` is the gold answer.

    In the plan, ``...`` stands for every number that the solution computes and the problem does not give. In
    a link, it stands for the link's own and later results, so that fact and question tell earlier ones alone.
    A question opens with what its letters mean, where the solution says so ("Let x be ..."). A line that says
    nothing in words is no step, and its link keeps the expression.

    Raises:
        AnatomyError: The solution is longer than ``LONGEST_SOLUTION``, or a calculation is not written
            ``<<expression=result>>`` with a number as its result.
    """
    if len(solution) > LONGEST_SOLUTION:
        raise AnatomyError(
            f"the solution has {len(solution)} characters; at most {LONGEST_SOLUTION} are allowed"
        )
    calculations: list[Calculation] = []
    lines = []
    for line in solution.translate(_RESERVED).splitlines():
        first = len(calculations)
        lines.append((_read(" ".join(line.split()), calculations), first, len(calculations)))
    gold = _value(answer)
    signed = [Fraction(calculation.result) for calculation in calculations]
    results = [abs(value) for value in signed]
    last = set() if gold is None else {abs(gold)}
    given = {_said(match[0]) for match in _SAID.finditer(text)}
    stated = {number(match[1]) for line, *_ in lines for match in _RESULT.finditer(line)}
    computed = ({*results, *stated} | last) - given

    steps, links = [], []
    letters: dict[str, str] = {}
    for line, first, end in lines:
        step = _moved(_bare(line), results[first:end])
        bare = step.replace(_TOLD, "")
        says = len(_WORD.findall(bare)) >= _SAYING
        if says and (_TOLD in step or first < end):
            step = _COMPUTED.sub(rf"\1{HIDDEN}", step).replace(_TOLD, "")
            steps.append(_hide(_fill(step, [HIDDEN] * (end - first)), computed))
        for index in range(first, end):
            before = [calculations[earlier].result for earlier in range(first, index)]
            shown = _fill(bare if says else line, [*before, _MARK, *[HIDDEN] * (end - index - 1)])
            hidden = ({*results[index:]} | last) - {*results[:index]} - given
            fact = _hide(shown, hidden).replace(_MARK, SLOT)
            meant = [f"{_hide(means, hidden)}." for letter, means in letters.items() if _names(fact, letter)]
            question = " ".join([*meant, fact.replace(SLOT, BLANK), ASKED])
            links.append({"question": question, "answer": calculations[index].result, "fact": fact})
        if first == end:
            letters |= {match[1]: match[0] for match in _DEFINED.finditer(line)}
    return Annotation(
        plan=plan_controls.numbered(steps) or None,
        subproblems=links or None,
        calculations=calculations,
        ends=bool(calculations) and signed[-1] == gold,
    )
