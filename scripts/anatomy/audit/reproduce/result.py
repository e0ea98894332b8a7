"""What running a chain again came to, job by job and number by number."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from anatomy.audit.reproduce import agreement_result
from anatomy.audit.reproduce.agreement_result import IDENTICAL, WITHIN
from anatomy.audit.words import counted

GIVEN, FAILED, NOT_RUN = "taken as given", "failed", "not run"
"""Outcomes of a job besides those of ``agreement``."""
_TAIL = 15
"""Lines of a failed job's log that are shown."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Output:
    """One file or folder of a job, and how it agrees with the first one."""

    path: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True)
class Step:
    """One job: what came of it, or why nothing did."""

    job: str
    """Rule and wildcards."""
    outputs: list[Output]
    outcome: str
    detail: str = ""
    seconds: float = 0.0
    """Wall-clock seconds of the job, its process's start included; 0 where it was not run."""


@dataclass(frozen=True)
class Number:
    """A reported number, read again from the table that was made again."""

    name: str
    outcome: str
    detail: str
    recorded: str
    """Its text in the study."""
    again: str | None
    """Its text now; None where it could not be read."""


@dataclass
class Outcome:
    """What running a chain again has come to."""

    name: str
    work: Path
    start: str
    code: list[str] = field(default_factory=list)
    """Where the code that was run comes from, and on what machines it was run first, in words."""
    steps: list[Step] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    """The number asked for; several where a page of the paper was."""

    @property
    def ok(self) -> bool:
        """Whether everything was run, or taken as given, and nothing is different."""
        outcomes = [step.outcome for step in self.steps] + [number.outcome for number in self.numbers]
        return all(outcome in (IDENTICAL, WITHIN, GIVEN) for outcome in outcomes)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the tolerances."""
        tolerances = list(agreement_result.TOLERANCES)
        return asdict(self) | {"work": str(self.work), "ok": self.ok, "tolerances": tolerances}


def lines(outcome: Outcome) -> Iterator[str]:
    """Yield what a reproduction has come to, for a terminal."""
    yield f"{outcome.name}, run again in {outcome.work}, from {outcome.start}"
    yield from outcome.code
    given = Counter(step.job.partition(" ")[0] for step in outcome.steps if step.outcome == GIVEN)
    for rule, count in given.items():
        yield f"{GIVEN:16}  {counted(count, 'job')} of {rule}"
    yield from (step_line(step) for step in outcome.steps if step.outcome != GIVEN)
    for number in outcome.numbers:
        again = "" if number.again is None else f", {number.again} now"
        detail = f" ({number.detail})" if number.detail else ""
        yield f"{number.outcome:16}  {number.name}: {number.recorded} in the study{again}{detail}"
    yield "Tolerances: " + "; ".join(agreement_result.TOLERANCES) + "."
    kinds = Counter(step.outcome for step in outcome.steps)
    steps = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    verdict = "Reproduced." if outcome.ok else "Not reproduced."
    yield f"{counted(len(outcome.steps), 'job')}: {steps}. {verdict}"


def step_line(step: Step) -> str:
    """Return a step as a line for people."""
    seconds = f" ({step.seconds:.1f} s)" if step.seconds else ""
    return f"{step.outcome:16}  {step.job}{seconds}" + (f": {step.detail}" if step.detail else "")


def last_lines(log: Path) -> str:
    """Return how a log ends."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL:]) or "(nothing was written)"
