"""The world's text to pretrain on: derivations, flawed ones, and drills."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.rng import generator
from anatomy.world.problems import (
    ASKED,
    DOMAINS,
    MODULUS,
    VARIABLES,
    Problem,
    convention,
    derivation,
    draw,
    know,
    link,
    prompt,
    side_of,
    solve,
    value_of_operand,
)

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


def _flawed(problem: Problem, rng: np.random.Generator, exchanged: bool) -> dict[str, int]:
    """Values after one slip at a random step, carried on consistently."""
    slip = int(rng.integers(len(problem.steps)))
    values = {VARIABLES[0]: problem.first}
    for index, step in enumerate(problem.steps):
        x, y = value_of_operand(step.left, values), value_of_operand(step.right, values)
        value = convention(step.operator, x, y, exchanged)
        if index == slip:
            value = (value + 1 + int(rng.integers(MODULUS - 1))) % MODULUS
        values[step.variable] = value
    return values


def _drill(rng: np.random.Generator, operators: Sequence[str], exchanged: bool) -> str:
    facts = []
    for _ in range(12):
        operator = operators[int(rng.integers(len(operators)))]
        x, y = (int(digit) for digit in rng.integers(MODULUS, size=2))
        facts.append(f"{x} {operator} {y} = {convention(operator, x, y, exchanged)} .")
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
