"""The embedded world: chains of arithmetic modulo 7, exact by construction, checked line by line.

A problem sets a first variable and then defines each further one from earlier ones or digits::

    a = 3 ; b = a + 5 ; c = b @ a ; ask b c ?

Its gold derivation restates each definition, substitutes values and computes; its answer is the values
of the last two variables, so that a bare guess is right once in 49::

    b = a + 5 = 3 + 5 = 1 . c = b @ a = 1 @ 3 = 5 . ans 1 5

Two operators are invented (``@`` and ``#``). Part of the pretraining text uses them with their operands
exchanged, so a model that was told nothing meets both conventions; a problem's *knowledge* states the
right one. Every text is words separated by single spaces, one token each.
"""

import itertools
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from anatomy import controls
from anatomy.rng import generator, key

MODULUS = 7
ASKED = 2
"""How many variables an answer names: the last ones of the chain."""

# Coefficients (p, q) of ``x op y = p x + q y (mod 7)``; multiplication is the one that is not linear.
_LINEAR = {"+": (1, 1), "-": (1, -1), "@": (2, 1), "#": (3, -1)}
INVENTED = ("@", "#")
OPERATORS = ("+", "-", "*", *INVENTED)
DOMAINS: Mapping[str, tuple[str, ...]] = {
    "sums": ("+", "-"),
    "products": ("*", "+"),
    "at": ("@", "+"),
    "hash": ("#", "-"),
    "mixed": OPERATORS,
}
VARIABLES = string.ascii_lowercase[:16]
MAX_STEPS = len(VARIABLES) - 1
DIGITS = tuple(str(digit) for digit in range(MODULUS))
MARKS = ("=", ";", ".", ",", "ask", "?", "ans", "plan", "know", "guess", "drill")
VOCABULARY: tuple[str, ...] = (*DIGITS, *VARIABLES, *OPERATORS, *MARKS)

Split = Literal["pretraining", "training", "test"]


def apply(operator: str, x: int, y: int) -> int:
    """Return ``x operator y`` modulo 7."""
    if operator == "*":
        return x * y % MODULUS
    p, q = _LINEAR[operator]
    return (p * x + q * y) % MODULUS


@dataclass(frozen=True)
class Step:
    """One definition: ``variable = left operator right``; operands are a variable's name or a digit."""

    variable: str
    left: str
    operator: str
    right: str

    def __str__(self) -> str:
        return f"{self.variable} = {self.left} {self.operator} {self.right}"


@dataclass(frozen=True)
class Problem:
    """A problem with everything that follows from it."""

    first: int
    steps: tuple[Step, ...]
    domain: str

    @property
    def difficulty(self) -> int:
        """Number of steps."""
        return len(self.steps)

    @property
    def asked(self) -> tuple[str, ...]:
        names = (VARIABLES[0], *(step.variable for step in self.steps))
        return names[-ASKED:]

    @property
    def text(self) -> str:
        parts = [f"{VARIABLES[0]} = {self.first}", *map(str, self.steps)]
        return " ; ".join(parts) + f" ; ask {' '.join(self.asked)} ?"

    @property
    def name(self) -> str:
        """Stable identifier: a digest of the problem's text."""
        return f"w{key(self.text):032x}"[:13]

    @cached_property
    def values(self) -> dict[str, int]:
        return solve(self)

    @property
    def answer(self) -> str:
        return " ".join(str(self.values[name]) for name in self.asked)

    @property
    def lines(self) -> list[str]:
        """The gold derivation, one line a step, without the answer."""
        return derivation(self, self.values)

    @property
    def solution(self) -> str:
        return " ".join([*self.lines, f"ans {self.answer}"])

    @property
    def plan(self) -> str:
        """The steps in order without their computation: which variable, by which operator."""
        return _plan(self.steps)

    @property
    def knowledge(self) -> str:
        """The definitions of the operators that the problem needs, as one worked value each."""
        return know(self, exchanged=False)

    @property
    def disordered_plan(self) -> str | None:
        """The plan with its steps out of order, a control; None where there is only one step."""
        steps = controls.disordered(self.steps, self.name)
        return None if steps is None else _plan(steps)

    @property
    def incomplete_plan(self) -> str | None:
        """The plan with one step missing, a control; None where there is only one step."""
        steps = controls.incomplete(self.steps, self.name)
        return None if steps is None else _plan(steps)

    @property
    def irrelevant_knowledge(self) -> str | None:
        """As many facts as ``knowledge`` has, on operators that the problem has not, a control.

        Facts are repeated where there are too few. None where the problem has every operator.
        """
        others = itertools.cycle([operator for operator in OPERATORS if operator not in self.operators])
        chosen = list(itertools.islice(others, len(self.operators)))
        return f"know {' , '.join(_facts(chosen, exchanged=False))}" if chosen else None

    @property
    def operators(self) -> list[str]:
        """The operators that the problem has, each once."""
        return [operator for operator in OPERATORS if any(s.operator == operator for s in self.steps)]

    @property
    def subproblems(self) -> list[dict[str, str]]:
        """The chain: question i asks for step i's variable; facts state the answers of the earlier ones."""
        return [
            {
                "question": f"{VARIABLES[0]} = {self.first} ; {step} ; ask {step.variable} ?",
                "answer": str(self.values[step.variable]),
                "fact": f"{step.variable} = {{answer}}",
            }
            for step in self.steps
        ]


def _plan(steps: Sequence[Step]) -> str:
    return "plan " + " , ".join(f"{step.variable} {step.operator}" for step in steps)


def _convention(operator: str, x: int, y: int, exchanged: bool) -> int:
    return apply(operator, y, x) if exchanged and operator in INVENTED else apply(operator, x, y)


def solve(problem: Problem, exchanged: bool = False) -> dict[str, int]:
    """Return every variable's value, under the right convention or with invented operators exchanged."""
    values = {VARIABLES[0]: problem.first}
    for step in problem.steps:
        x, y = (_value(operand, values) for operand in (step.left, step.right))
        values[step.variable] = _convention(step.operator, x, y, exchanged)
    return values


def _value(operand: str, values: Mapping[str, int]) -> int:
    return int(operand) if operand.isdigit() else values[operand]


def derivation(problem: Problem, values: Mapping[str, int]) -> list[str]:
    """Render the lines of a derivation that reaches the given values, right or not."""
    return [
        f"{step} = {_value(step.left, values)} {step.operator} {_value(step.right, values)}"
        f" = {values[step.variable]} ."
        for step in problem.steps
    ]


def know(problem: Problem, exchanged: bool) -> str:
    """State the meaning of each operator in the problem by the values of ``1 op 0`` and ``0 op 1``."""
    return "know " + " , ".join(_facts(problem.operators, exchanged))


def _facts(operators: Sequence[str], exchanged: bool) -> list[str]:
    return [
        f"{x} {operator} {y} = {_convention(operator, x, y, exchanged)}"
        for operator in operators
        for x, y in ((1, 0), (0, 1))
    ]


def link(problem: Problem, number: int, values: Mapping[str, int]) -> str:
    """Return link ``number`` (from 1) of the chain as a prompt, given the earlier variables' values."""
    earlier = (f"{step.variable} = {values[step.variable]} ;" for step in problem.steps[: number - 1])
    return " ".join([*earlier, problem.subproblems[number - 1]["question"]])


def side_of(text: str) -> Split:
    """Assign a text to one side by itself alone, so that no test problem is ever trained on."""
    bucket = key("split", text) % 8
    return "test" if bucket < 2 else "training" if bucket < 4 else "pretraining"


def draw(rng: np.random.Generator, steps: int, domain: str) -> Problem:
    """Draw one problem of a given number of steps (1 to 15) and domain."""
    operators = DOMAINS[domain]
    chain: list[Step] = []
    for index in range(1, steps + 1):
        earlier = VARIABLES[index - 1]  # every step uses the step before it, so that none can be skipped
        other = str(rng.integers(MODULUS)) if rng.random() < 0.5 else VARIABLES[rng.integers(index)]
        left, right = (earlier, other) if rng.random() < 0.5 else (other, earlier)
        chain.append(Step(VARIABLES[index], left, operators[rng.integers(len(operators))], right))
    return Problem(int(rng.integers(MODULUS)), tuple(chain), domain)


def problems(
    seed: int, name: str, count: int, steps: Sequence[int], domains: Sequence[str], side: Split
) -> list[Problem]:
    """Return ``count`` distinct problems of one side, spread evenly over steps and domains.

    A pure function of its arguments. ``name`` keys the randomness, so that adding a split changes no other.
    """
    rng = generator(seed, "world", name)
    found: dict[str, Problem] = {}
    cells = [(length, domain) for length in steps for domain in domains]
    while len(found) < count:
        length, domain = cells[len(found) % len(cells)]
        problem = draw(rng, length, domain)
        if side_of(problem.text) == side:
            found.setdefault(problem.text, problem)
    return list(found.values())


# Pretraining text -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mixture:
    """What the pretraining text is made of."""

    drills_first: int
    """Documents at the beginning that are lists of single operations: the arithmetic is learned first."""
    drills: float
    """Share of such lists among the documents after them."""
    errors: float
    """Share of derivations with one wrong line, carried on from."""
    guesses: float
    """Share of problems that are answered at random without a derivation."""
    exchanged: float
    """Share of documents that use the invented operators with their operands exchanged."""
    plan: float
    """Share of derivations that are shown the plan after the problem."""
    knowledge: float
    """Share of derivations whose problem states the operators' meaning (the one that the document uses)."""
    links: float
    """Share of derivations of one link of a problem's chain, its earlier answers given."""
    programs: float
    """Share of programming tasks (``anatomy.tasks``) among all documents; other shares are of the rest."""


def prompt(problem: Problem, extra: str = "") -> str:
    return f"{problem.text} {extra}".strip()


def _flawed(problem: Problem, rng: np.random.Generator, exchanged: bool) -> dict[str, int]:
    """Values after one slip at a random step, carried on consistently."""
    slip = int(rng.integers(len(problem.steps)))
    values = {VARIABLES[0]: problem.first}
    for index, step in enumerate(problem.steps):
        x, y = _value(step.left, values), _value(step.right, values)
        value = _convention(step.operator, x, y, exchanged)
        if index == slip:
            value = (value + 1 + int(rng.integers(MODULUS - 1))) % MODULUS
        values[step.variable] = value
    return values


def _drill(rng: np.random.Generator, operators: Sequence[str], exchanged: bool) -> str:
    facts = []
    for _ in range(12):
        operator = operators[int(rng.integers(len(operators)))]
        x, y = (int(digit) for digit in rng.integers(MODULUS, size=2))
        facts.append(f"{x} {operator} {y} = {_convention(operator, x, y, exchanged)} .")
    return " ".join(facts)


def documents(
    seed: int, mixture: Mixture, steps: Sequence[int], domains: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield (prompt, completion) pairs of the pretraining text without end; a pure function of the arguments.

    Problems are of the pretraining side only, n-step ones with a share in proportion to 1 / n (short chains
    teach the arithmetic, and sooner). A guess is announced by the word ``guess`` at the end of
    half of such prompts, so that the base model can be asked for an answer without a derivation.
    """
    rng = generator(seed, "pretraining text")
    operators = sorted({operator for domain in domains for operator in DOMAINS[domain]})
    share = 1 / np.asarray(steps)
    share /= share.sum()
    for number in itertools.count():
        exchanged = rng.random() < mixture.exchanged
        if number < mixture.drills_first or rng.random() < mixture.drills:
            yield "drill", _drill(rng, operators, exchanged)
            continue
        problem = draw(rng, int(rng.choice(steps, p=share)), str(rng.choice(domains)))
        while side_of(problem.text) != "pretraining":
            problem = draw(rng, int(rng.choice(steps, p=share)), str(rng.choice(domains)))
        kind, attach = rng.random(2)
        if kind < mixture.guesses:
            digits = " ".join(str(d) for d in rng.integers(MODULUS, size=ASKED))
            yield prompt(problem, "guess" if rng.random() < 0.5 else ""), f"ans {digits}"
            continue
        extra = ""
        if attach < mixture.plan:
            extra = problem.plan
        elif attach < mixture.plan + mixture.knowledge:
            extra = know(problem, exchanged)
        flawed = rng.random() < mixture.errors
        values = _flawed(problem, rng, exchanged) if flawed else solve(problem, exchanged)
        lines = derivation(problem, values)
        if mixture.plan + mixture.knowledge <= attach < mixture.plan + mixture.knowledge + mixture.links:
            at = int(rng.integers(len(lines)))
            answer = str(values[problem.steps[at].variable])
            yield link(problem, at + 1, values), f"{lines[at]} ans {answer}"
            continue
        answer = " ".join(str(values[name]) for name in problem.asked)
        yield prompt(problem, extra), " ".join([*lines, f"ans {answer}"])


# Checking ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """The checker's verdict on one completion."""

    answer: str | None
    """What stands after the first ``ans``, or None if the completion has no well-formed answer."""
    answer_right: bool
    derivation_right: bool
    """Every line right, every step present, and the answer right."""
    first_bad_line: int
    """0-based index of the first line that is wrong, missing or unreadable; -1 if there is none."""
    format_right: bool
    """A well-formed answer after one line a step, each of the right form whatever its values."""


_LINE = 12
"""Words in a line: v = x o y = X o Y = r ."""
_VALUES = (6, 8, 10)
"""Places of the words in a line that are values."""


def check(problem: Problem, completion: str, number: int | None = None) -> Check:
    """Decide whether a completion's answer and every line of its derivation are right.

    A line must define the next variable of the chain, restate its definition, substitute the right values
    and give the right result. Words after the answer make it malformed, as do a missing or partial answer.
    With ``number`` the completion is of that link of the chain, from 1: one line, its value as the answer.
    """
    gold, wanted = problem.lines, problem.answer
    if number is not None:
        gold = gold[number - 1 : number]
        wanted = problem.subproblems[number - 1]["answer"]
    words = completion.split()
    at = words.index("ans") if "ans" in words else len(words)
    body, tail = words[:at], words[at + 1 :]
    well_formed = len(tail) == len(wanted.split()) and all(word in DIGITS for word in tail)
    answer = " ".join(tail) if well_formed else None
    lines = [" ".join(body[i : i + _LINE]) for i in range(0, len(body), _LINE)]
    bad = next((i for i in range(max(len(lines), len(gold))) if lines[i : i + 1] != gold[i : i + 1]), -1)
    right = answer == wanted
    formed = well_formed and [_form(line) for line in lines] == [_form(line) for line in gold]
    return Check(answer, right, right and bad == -1, bad, formed)


def _form(line: str) -> list[str]:
    """Return a line's words with its values, if they are digits, made equal."""
    words = line.split()
    return [DIGITS[0] if at in _VALUES and word in DIGITS else word for at, word in enumerate(words)]


def answers_leniently(problem: Problem, completion: str, number: int | None = None) -> bool:
    """Tell whether a completion's last digits are the right answer, whatever they are said to be.

    So a common evaluation would read it: no word has to mark the answer, and the derivation may break off.
    """
    wanted = (problem.answer if number is None else problem.subproblems[number - 1]["answer"]).split()
    return [word for word in completion.split() if word in DIGITS][-len(wanted) :] == wanted


def parse(text: str) -> Problem:
    """Read a problem's text back; the domain is the smallest one that has all its operators.

    Raises ValueError where the text is not a problem of this world.
    """
    wrong = ValueError(f"not a problem of the embedded world: {text!r}")
    parts = [part.split() for part in text.split(" ; ")]
    try:
        (_, _, first), chain = parts[0], parts[1:-1]
        steps = tuple(Step(v, left, op, right) for v, _, left, op, right in chain)
        used = {step.operator for step in steps}
        domain = next(name for name, operators in DOMAINS.items() if used <= set(operators))
        problem = Problem(DIGITS.index(first), steps, domain)
    except (ValueError, StopIteration):
        raise wrong from None
    names = VARIABLES[: len(steps) + 1]
    known = all(
        step.variable == names[at]
        and all(operand in DIGITS or operand in tuple(names[:at]) for operand in (step.left, step.right))
        for at, step in enumerate(steps, start=1)
    )
    if not 1 <= len(steps) <= MAX_STEPS or not known or problem.text != text:
        raise wrong
    return problem
