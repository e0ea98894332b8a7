"""Programming benchmarks as problems: HumanEval+, MBPP+ and LiveCodeBench."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Literal, get_args

from anatomy.errors import AnatomyError
from anatomy.grading.code import program
from anatomy.grading.code_tests import Tests
from anatomy.problems.code_record import Problem, Record
from anatomy.problems.evalplus import of_humaneval, of_mbpp
from anatomy.problems.livecodebench import of_livecodebench
from anatomy.sandbox import bubblewrap
from anatomy.sandbox.program import Limits
from anatomy.world import programs

Format = Literal["evalplus-humaneval", "evalplus-mbpp", "livecodebench"]
FORMATS: tuple[str, ...] = get_args(Format)


def of_task(task: programs.Task) -> Tests:
    """Return the hidden tests of one of the embedded world's tasks."""
    expected = tuple(list(result) for result in task.expected)
    return Tests("f", tuple((list(x),) for x in task.hidden), expected)


def rows(
    records: Iterable[Mapping[str, Any]],
    benchmark: str,
    format: str,
    origin: str = "",
    window: tuple[str, str] | None = None,
    workers: int = 1,
) -> Iterator[dict[str, Any]]:
    """Yield one row of the table ``problems`` a record; ``answers`` is empty, ``tests`` holds ``Tests``.

    ``text`` is what a template takes as the question: EvalPlus's prompt without the white space around it, or
    LiveCodeBench's question with how the program is to be given. ``solution`` is the canonical one, a whole
    program; LiveCodeBench has none. Its difficulty is 1 (easy), 2 or 3 (hard), its domain the platform.

    Where EvalPlus publishes inputs without results, the results are those of the canonical solution, as with
    EvalPlus itself; it runs in the sandbox as any program does.

    Args:
        records: The set as published.
        benchmark: The name that rows give it.
        format: One of FORMATS.
        origin: Named in errors (a file, say), with the record's number from 1, which is its line in a file.
        window: First and last day of LiveCodeBench's contests to take, both included (``2024-08-01``).
        workers: Sandboxes in which canonical solutions run at a time.

    Raises:
        AnatomyError: unknown format; a window that is none, or without a problem in it; a field missing or
            not as the format has it; an id that is not unique; a canonical solution that does not come to its
            end; no sandbox, where one is needed.
    """
    if format not in FORMATS:
        raise AnatomyError(f"unknown format of programs {format!r}; allowed are {list(FORMATS)}")
    if window and format != "livecodebench":
        raise AnatomyError(f"benchmark '{benchmark}': a window is for the format livecodebench, not {format}")
    dates = _window(window, benchmark)
    published = (
        Record(record, f"{origin or benchmark}, record {number}") for number, record in enumerate(records, 1)
    )
    if format == "livecodebench":
        problems: Iterable[Problem] = (
            of_livecodebench(r) for r in published if dates is None or _within(r, dates)
        )
    else:
        read = of_humaneval if format == "evalplus-humaneval" else of_mbpp
        problems = _completed([read(record) for record in published], workers)
    seen: set[str] = set()
    for problem in problems:
        if problem.name in seen:
            raise AnatomyError(f"{problem.record.where}: '{problem.name}' is the id of an earlier problem")
        seen.add(problem.name)
        yield _row(problem, benchmark)
    if not seen:
        which = "" if window is None else f" from {window[0]} to {window[1]}"
        raise AnatomyError(
            f"{origin or benchmark}: there is no problem{which}; correct the file or the window"
        )


def _row(problem: Problem, benchmark: str) -> dict[str, Any]:
    """Return a problem as a row of the table ``problems``."""
    return {
        "problem": problem.name,
        "benchmark": benchmark,
        "text": problem.text,
        "answers": [],
        "solution": problem.solution,
        "difficulty": problem.difficulty,
        "domain": problem.domain,
        "plan": None,
        "plan_disordered": None,
        "plan_incomplete": None,
        "knowledge": None,
        "knowledge_irrelevant": None,
        "subproblems": None,
        "chunks": None,
        "tests": problem.tests.to_json(),
    }


def _completed(problems: Sequence[Problem], workers: int) -> Iterator[Problem]:
    """Yield problems with what their canonical solutions return, where that is not published."""
    unknown = [problem for problem in problems if problem.canonical is not None]
    run = (program(problem.tests, problem.canonical or "") for problem in unknown)
    outcomes = zip(unknown, bubblewrap.run(run, _CANONICAL, workers), strict=True) if unknown else ()
    outcome_of = {id(problem): outcome for problem, outcome in outcomes}
    for problem in problems:
        outcome = outcome_of.get(id(problem))
        if outcome is None:
            yield problem
            continue
        if outcome.ended != "done" or len(outcome.outputs) != len(problem.tests.inputs):
            reached = f"{len(outcome.outputs)} of {len(problem.tests.inputs)} inputs"
            raise problem.record.error(
                "canonical_solution" if "canonical_solution" in problem.record.fields else "code",
                f"ends in {outcome.ended} after {reached}: {outcome.message:.200}",
            )
        yield replace(problem, tests=replace(problem.tests, expected=outcome.outputs))


_CANONICAL = Limits(seconds=60, wall=120, memory_mb=4096, output_kb=65_536)
"""EvalPlus sets no limit to canonical solutions but memory; a minute is far beyond what any needs."""


def _window(window: tuple[str, str] | None, benchmark: str) -> tuple[date, date] | None:
    if window is None:
        return None
    try:
        first, last = (date.fromisoformat(day) for day in window)
    except ValueError as error:
        raise AnatomyError(f"benchmark '{benchmark}': window {window}: {error}; write 2024-08-01") from error
    if first > last:
        raise AnatomyError(
            f"benchmark '{benchmark}': the window's first day {first} is after its last, {last}"
        )
    return first, last


def _within(record: Record, dates: tuple[date, date]) -> bool:
    try:
        return dates[0] <= datetime.fromisoformat(record.filled("contest_date")).date() <= dates[1]
    except ValueError as error:
        raise record.error("contest_date", f"is no date: {error}") from error
