"""What is found wrong before a study starts, and its remedy."""

from dataclasses import dataclass
from typing import Literal

GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """What is wrong with what, and what to do; only errors stop a study."""

    level: Literal["error", "warning", "note"]
    subject: str
    problem: str
    remedy: str


def error_of(subject: str, problem: str, remedy: str) -> Finding:
    """Return a finding that keeps the study from running."""
    return Finding("error", subject, problem, remedy)
