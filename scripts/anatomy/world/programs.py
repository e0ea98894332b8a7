"""The embedded world's programming tasks: a function on lists, told by examples, written in a small Python.

A task shows four lists with what the function makes of each, digits from 0 to 6::

    task 3 1 2 4 to 1 2 3 4 ; 5 0 0 1 to 0 0 1 5 ; 2 2 1 6 to 1 2 2 6 ; 6 4 5 0 to 0 4 5 6 ?

The answer is the body of ``def f(x):`` on one line, of statements that make a new list of the old one::

    x = sorted ( x ) ; return x

Whether it is right is decided by running it on hidden lists, among them the empty one, whose results the
model is not shown; any Python that gives them is right. A task's difficulty is the least number of
statements, of those in ``EXPRESSIONS``, that any program needs for it. Every text is words separated by
single spaces, one token each.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from anatomy.rng import generator, key
from anatomy.world import problems as world_problems

List = tuple[int, ...]

_WHOLE: Mapping[str, Callable[[List], List]] = {
    "sorted ( x )": lambda x: tuple(sorted(x)),
    "x [ : : - 1 ]": lambda x: x[::-1],
    "x [ 1 : ]": lambda x: x[1:],
    "x [ : - 1 ]": lambda x: x[:-1],
    "x [ 1 : ] + x [ : 1 ]": lambda x: x[1:] + x[:1],
    "[ v for v in x if v % 2 ]": lambda x: tuple(v for v in x if v % 2),
}
_SHIFTED: Mapping[str, Callable[[List], List]] = {
    f"[ ( v + {c} ) % 7 for v in x ]": partial(lambda c, x: tuple((v + c) % 7 for v in x), c)
    for c in range(1, 7)
}
_FILTERED: Mapping[str, Callable[[List], List]] = {
    f"[ v for v in x if v > {c} ]": partial(lambda c, x: tuple(v for v in x if v > c), c) for c in range(1, 5)
}
FAMILIES = (*((text,) for text in _WHOLE), tuple(_SHIFTED), tuple(_FILTERED))
"""Expressions of one kind; a kind is drawn first, so that those with a constant are not the most frequent."""
EXPRESSIONS: Mapping[str, Callable[[List], List]] = {**_WHOLE, **_SHIFTED, **_FILTERED}
"""What a statement may assign to ``x``, and what it does."""

WORDS = (
    *("task", "to", "x", "v", "7", ">", "%", "[", "]", "(", ")", ":"),
    *("for", "in", "if", "return", "sorted"),
)
VOCABULARY: tuple[str, ...] = (*world_problems.VOCABULARY, *WORDS)
"""The words of the world's problems and of its tasks."""

MAX_STATEMENTS = 2
EXAMPLES = 4
SHOWN = 4
"""Digits of a list that is shown; hidden ones have any number up to six."""
HIDDEN = 8
HEADER = "def f ( x ) : "
"""What stands before a completion, and makes it a program."""

# Lists by which programs are told apart: every digit alone, and several orders.
_PROBES: Sequence[List] = (
    (),
    *((digit,) for digit in range(7)),
    (6, 5, 4, 3, 2, 1, 0),
    (0, 1, 2, 3, 4, 5, 6),
    (3, 3, 0, 6, 1),
    (2, 6, 2, 5, 4, 1),
    (1, 0, 5),
    (4, 2),
)


def evaluate(program: Sequence[str], x: List) -> List:
    """Return what a program of ``EXPRESSIONS`` makes of a list."""
    for expression in program:
        x = EXPRESSIONS[expression](x)
    return x


def body(program: Sequence[str]) -> str:
    """Return a program as a completion."""
    return " ".join([*(f"x = {expression} ;" for expression in program), "return x"])


def source(completion: str) -> str | None:
    """Return the program that a completion makes; None if there is none."""
    return f"{HEADER}{completion.strip()}" if completion.strip() else None


def _behaviour(program: Sequence[str]) -> tuple[List, ...]:
    return tuple(evaluate(program, x) for x in _PROBES)


@lru_cache(maxsize=1)
def _needed() -> dict[tuple[List, ...], int]:
    """Return the least number of statements for each behaviour that fewer than ``MAX_STATEMENTS`` give."""
    needed: dict[tuple[List, ...], int] = {}
    for count in range(MAX_STATEMENTS):
        for program in itertools.product(EXPRESSIONS, repeat=count):
            needed.setdefault(_behaviour(program), count)
    return needed


def difficulty(program: Sequence[str]) -> int:
    """Return the least number of statements that do what a program of up to ``MAX_STATEMENTS`` does."""
    return _needed().get(_behaviour(program), len(program))


@dataclass(frozen=True)
class Task:
    """A task with its reference program and the lists that it is judged by."""

    program: tuple[str, ...]
    examples: tuple[List, ...]
    hidden: tuple[List, ...]

    @property
    def difficulty(self) -> int:
        """The number of statements."""
        return len(self.program)

    @property
    def text(self) -> str:
        """The task as a model reads it: examples of lists and results."""
        shown = (
            " ".join(map(str, (*x, "to", *evaluate(self.program, x)))) for x in self.examples
        )  # an empty result leaves nothing after "to"
        return f"task {' ; '.join(shown)} ?"

    @property
    def name(self) -> str:
        """Stable identifier: a digest of the task's text."""
        return f"t{key(self.text):032x}"[:13]

    @property
    def solution(self) -> str:
        """The program's text."""
        return body(self.program)

    @property
    def expected(self) -> tuple[List, ...]:
        """The results of the hidden lists."""
        return tuple(evaluate(self.program, x) for x in self.hidden)


def _lists(rng: np.random.Generator, count: int, shortest: int, longest: int) -> tuple[List, ...]:
    lengths = rng.integers(shortest, longest + 1, size=count)
    return tuple(
        tuple(int(v) for v in rng.integers(world_problems.MODULUS, size=length)) for length in lengths
    )


def _program(rng: np.random.Generator, statements: int) -> tuple[str, ...]:
    """Draw a program that does what no shorter one does."""
    while True:
        drawn = [FAMILIES[at] for at in rng.integers(len(FAMILIES), size=statements)]
        program = tuple(family[rng.integers(len(family))] for family in drawn)
        if difficulty(program) == statements:
            return program


def draw(rng: np.random.Generator, statements: int) -> Task:
    """Draw a task whose examples do not all come out unchanged or empty, and none of them long."""
    while True:  # the program too: some make every list empty
        program = _program(rng, statements)
        examples = _lists(rng, EXAMPLES, SHOWN, SHOWN)
        results = [evaluate(program, x) for x in examples]
        changed = any(result and result != x for x, result in zip(examples, results, strict=True))
        if changed:
            return Task(program, examples, ((), *_lists(rng, HIDDEN - 1, 1, 6)))


def tasks(
    seed: int, name: str, count: int, statements: Sequence[int], side: world_problems.Split
) -> list[Task]:
    """Return ``count`` distinct tasks of one side, spread evenly over numbers of statements.

    A pure function of its arguments. Sides are divided by the tasks' texts, as those of problems are.
    """
    rng = generator(seed, "tasks", name)
    drawn: dict[str, Task] = {}
    while len(drawn) < count:
        task = draw(rng, statements[len(drawn) % len(statements)])
        if world_problems.side_of(task.text) == side:
            drawn.setdefault(task.text, task)
    return list(drawn.values())


def documents(seed: int, errors: float) -> Iterator[tuple[str, str]]:
    """Yield (prompt, completion) pairs of tasks without end; a pure function of the arguments.

    Tasks are of the pretraining side only, of n statements with a share in proportion to 1 / n. ``errors`` is
    the share of answers in which one statement is another than it should be.
    """
    rng = generator(seed, "pretraining tasks")
    counts = np.arange(1, MAX_STATEMENTS + 1)
    share = 1 / counts / (1 / counts).sum()
    while True:
        task = draw(rng, int(rng.choice(counts, p=share)))
        if world_problems.side_of(task.text) != "pretraining":
            continue
        program = list(task.program)
        if rng.random() < errors:
            program[rng.integers(len(program))] = _program(rng, 1)[0]
        yield task.text, body(program)


def mixed(
    problems: Iterator[tuple[str, str]], programs: Iterator[tuple[str, str]], share: float, seed: int
) -> Iterator[tuple[str, str]]:
    """Mix documents on tasks into those on problems; ``share`` of all are on tasks."""
    rng = generator(seed, "pretraining mixture")
    while True:
        yield next(programs if rng.random() < share else problems)
