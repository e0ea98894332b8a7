r"""Graders: whether a completion is right, for evaluation and as the reward of RL, behind one interface.

``math``: the answer is what stands in the last ``\boxed{}`` of the final answer region, and nothing else
counts; equality is Math-Verify's (``anatomy.mathematics``), in worker processes that can be replaced.

``world``: the embedded world's checker, of every line (``anatomy.world.check``).

``program``: the program that stands in the completion, run on hidden inputs in the sandbox; its outputs are
compared outside (``anatomy.programs``).

A completion that was cut off at the token limit is ``truncated``, whatever it says. Beside the verdict stands
a lenient one, right wherever anything that looks like an answer is; it is never a reward.
"""

import atexit
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from anatomy import guarded, mathematics, programs, sandbox, scaffold, tasks, world
from anatomy.errors import AnatomyError
from anatomy.verdicts import Grader, Name, Scheme, Verdict

_BATCH = 2_048
"""Completions that are graded together: enough to keep workers busy, few enough to hold."""


@dataclass(frozen=True)
class Item:
    """A completion to grade."""

    problem: Mapping[str, Any]
    """A row of the table ``problems``."""
    completion: str
    truncated: bool
    """Cut off at the token limit."""
    prefix: str = ""
    """Steps that the prompt gave (condition ``partial-i``). The world's checker reads them as part of the
    derivation; an answer or a program must stand in the completion itself."""
    condition: str = "plain"
    """What the prompt asked for: a link of the problem's chain (``subproblem-i``, ``own-i``), whose gold
    answer then counts, or else the whole problem."""


@dataclass(frozen=True)
class Marks:
    """How a template has answers marked."""

    answer: str = "boxed"
    """One of ``scaffold.ANSWERS``."""
    tags: str | None = None
    """Tags, separated by a space, that a response consists of; the answer stands in the last one."""


def grade(kind: str, items: Iterable[Item], marks: Marks = Marks(), workers: int = 1) -> Iterator[Verdict]:
    """Yield the verdict on each completion, in order.

    workers: processes that grade mathematics, or sandboxes that run programs, at a time.

    Raises:
        AnatomyError: unknown ``kind``; a gold answer that cannot be read; programs, and no sandbox for them.
    """
    if kind not in get_args(Grader):
        raise AnatomyError(f"unknown grader {kind!r}; allowed are {list(get_args(Grader))}")
    source = iter(items)
    while batch := list(itertools.islice(source, _BATCH)):
        if kind == "math":
            yield from _math(batch, marks, workers)
        elif kind == "world":
            yield from map(_world, batch)
        else:
            yield from _programs(batch, marks, workers)


# Mathematics ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _judge(workers: int) -> guarded.Judge:
    """Return the processes that grade mathematics, which live as long as this one."""
    judge = guarded.Judge(workers)
    judge.__enter__()
    atexit.register(judge.__exit__, None, None, None)
    return judge


def _golds(item: Item) -> tuple[str, ...]:
    link = scaffold.link_number(item.condition)
    if link is None:
        return tuple(item.problem["answers"])
    return (item.problem["subproblems"][link - 1]["answer"],)


def _math(batch: Sequence[Item], marks: Marks, workers: int) -> Iterator[Verdict]:
    asked = [(_golds(item), item.completion, marks.tags) for item in batch]
    for item, judged in zip(batch, _judge(workers).map(asked), strict=True):
        if item.truncated:
            yield Verdict(None, "truncated", judged.lenient, None, None)
        else:
            answer = None if judged.answer is None else judged.answer[: mathematics.MAX_ANSWER]
            yield Verdict(answer, judged.verdict, judged.lenient, None, None)


# The world's problems ---------------------------------------------------------------------------------


@lru_cache(maxsize=8_192)
def _world_problem(text: str) -> world.Problem:
    try:
        return world.parse(text)
    except ValueError as error:
        raise AnatomyError(f"grader 'world': {error}") from error


def _world(item: Item) -> Verdict:
    problem, link = _world_problem(item.problem["text"]), scaffold.link_number(item.condition)
    checked = world.check(problem, f"{item.prefix} {item.completion}", link)
    lenient = world.answers_leniently(problem, item.completion, link)
    if item.truncated:
        return Verdict(None, "truncated", lenient, False, checked.first_bad_line)
    verdict: Name = "right" if checked.answer_right else "wrong"
    if checked.answer is None:
        verdict = "unparsable" if "ans" in item.completion.split() else "no_answer"
    return Verdict(checked.answer, verdict, lenient, checked.derivation_right, checked.first_bad_line)


# Programs ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _tests(text: str) -> programs.Tests:
    return programs.Tests.from_json(text)


def _source(item: Item, marks: Marks) -> str | None:
    """Return the program that stands in a completion; None if none does."""
    if marks.answer == "body":
        return tasks.source(item.completion)
    return programs.extract(item.completion, item.problem["text"], marks.answer)


def _programs(batch: Sequence[Item], marks: Marks, workers: int) -> Iterator[Verdict]:
    sources = [None if item.truncated else _source(item, marks) for item in batch]
    tests = [_tests(item.problem["tests"]) for item in batch]
    run = (programs.program(one, source) for one, source in zip(tests, sources, strict=True) if source)
    limits = programs.LIMITS[tests[0].compare]
    outcomes = sandbox.run(run, limits, workers)
    for item, one, source in zip(batch, tests, sources, strict=True):
        if item.truncated:
            yield Verdict(None, "truncated", None, None, None)
        elif not source:
            yield Verdict(None, "no_answer", None, None, None)
        else:
            yield Verdict(source, programs.compare(one, next(outcomes)), None, None, None)


# Rewards ----------------------------------------------------------------------------------------------


def well_formed(kind: str, problem: Mapping[str, Any], response: str, truncated: bool, marks: Marks) -> bool:
    """Tell whether a response has the right format, its answer right or wrong.

    ``world``: one line a step, each of the right form whatever its values, then the answer. ``math``: a boxed
    answer, in a response that consists of the template's ``tags``, once each and in order, the answer in the
    last one. ``program``: there is a program. ``response`` is what the prompt gave of it (its opening, given
    steps) and the completion. Source: Wang et al. 2025, stage 2, where prompt and response are checked
    together.
    """
    if truncated:
        return False
    if kind == "world":
        return world.check(_world_problem(problem["text"]), response).format_right
    if kind == "program":
        return bool(_source(Item(problem, response, truncated), marks))
    if not marks.tags:
        return bool((mathematics.last_boxed(response) or "").strip())
    content, rest = "", response
    for tag in marks.tags.split():
        opening, closing = f"<{tag}>", f"</{tag}>"
        if response.count(opening) != 1 or response.count(closing) != 1:
            return False
        before, _, rest = rest.partition(opening)
        content, closed, rest = rest.partition(closing)
        if before.strip() or not closed:
            return False
    return not rest.strip() and bool((mathematics.last_boxed(content) or "").strip())


def rewards(
    kind: str,
    items: Sequence[Item],
    marks: Marks = Marks(),
    scheme: str = "outcome",
    openings: Sequence[str] | None = None,
    workers: int = 1,
) -> list[float]:
    """Return the reward of each completion for RL training. Raises as ``grade`` does.

    ``outcome``: 1 for a right answer and 0 for any other. ``hierarchical``: 2 for a right answer in the right
    format, 1 for a right answer in a wrong one, -1 for any other (Wang et al. 2025, section 5).
    ``openings``: what the template opens each response with, before its prefix.
    """
    if scheme not in get_args(Scheme):
        raise AnatomyError(f"unknown reward {scheme!r}; allowed are {list(get_args(Scheme))}")
    found = []
    graded = grade(kind, items, marks, workers)
    for item, verdict, opening in zip(items, graded, openings or itertools.repeat(""), strict=False):
        if scheme == "outcome":
            found.append(float(verdict.right))
        elif not verdict.right:
            found.append(-1.0)
        else:
            response = f"{opening}{item.prefix} {item.completion}"
            formed = well_formed(kind, item.problem, response, item.truncated, marks)
            found.append(2.0 if formed else 1.0)
    return found
