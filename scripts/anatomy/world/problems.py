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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from anatomy.prompts import plan_controls
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
        """The variables whose values are asked for, the last ones."""
        names = (VARIABLES[0], *(step.variable for step in self.steps))
        return names[-ASKED:]

    @property
    def text(self) -> str:
        """The problem as a model reads it."""
        parts = [f"{VARIABLES[0]} = {self.first}", *map(str, self.steps)]
        return " ; ".join(parts) + f" ; ask {' '.join(self.asked)} ?"

    @property
    def name(self) -> str:
        """Stable identifier: a digest of the problem's text."""
        return f"w{key(self.text):032x}"[:13]

    @cached_property
    def values(self) -> dict[str, int]:
        """Every variable's value."""
        return solve(self)

    @property
    def answer(self) -> str:
        """The values that are asked for."""
        return " ".join(str(self.values[name]) for name in self.asked)

    @property
    def lines(self) -> list[str]:
        """The gold derivation, one line a step, without the answer."""
        return derivation(self, self.values)

    @property
    def solution(self) -> str:
        """The gold derivation and the answer."""
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
        steps = plan_controls.disordered(self.steps, self.name)
        return None if steps is None else _plan(steps)

    @property
    def incomplete_plan(self) -> str | None:
        """The plan with one step missing, a control; None where there is only one step."""
        steps = plan_controls.incomplete(self.steps, self.name)
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


def convention(operator: str, x: int, y: int, exchanged: bool) -> int:
    """Return an operator's value; exchanged: an invented operator takes its operands in the other order."""
    return apply(operator, y, x) if exchanged and operator in INVENTED else apply(operator, x, y)


def solve(problem: Problem, exchanged: bool = False) -> dict[str, int]:
    """Return every variable's value, under the right convention or with invented operators exchanged."""
    values = {VARIABLES[0]: problem.first}
    for step in problem.steps:
        x, y = (value_of_operand(operand, values) for operand in (step.left, step.right))
        values[step.variable] = convention(step.operator, x, y, exchanged)
    return values


def value_of_operand(operand: str, values: Mapping[str, int]) -> int:
    """Return the value of an operand: a numeral's, or a variable's."""
    return int(operand) if operand.isdigit() else values[operand]


def derivation(problem: Problem, values: Mapping[str, int]) -> list[str]:
    """Render the lines of a derivation that reaches the given values, right or not."""
    return [
        f"{step} = {value_of_operand(step.left, values)} {step.operator}"
        f" {value_of_operand(step.right, values)} = {values[step.variable]} ."
        for step in problem.steps
    ]


def know(problem: Problem, exchanged: bool) -> str:
    """State the meaning of each operator in the problem by the values of ``1 op 0`` and ``0 op 1``."""
    return "know " + " , ".join(_facts(problem.operators, exchanged))


def _facts(operators: Sequence[str], exchanged: bool) -> list[str]:
    return [
        f"{x} {operator} {y} = {convention(operator, x, y, exchanged)}"
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
    drawn: dict[str, Problem] = {}
    cells = [(length, domain) for length in steps for domain in domains]
    while len(drawn) < count:
        length, domain = cells[len(drawn) % len(cells)]
        problem = draw(rng, length, domain)
        if side_of(problem.text) == side:
            drawn.setdefault(problem.text, problem)
    return list(drawn.values())


def prompt(problem: Problem, extra: str = "") -> str:
    """Return a problem's text, with what a condition adds to it."""
    return f"{problem.text} {extra}".strip()


def parse(text: str) -> Problem:
    """Read a problem's text back; the domain is the smallest one that has all its operators.

    Raises:
        ValueError: The text is not a problem of this world.
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
