"""Verdicts on completions: what a grader says, and under which name it is counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Name = Literal[
    # of answers
    "right", "wrong", "unparsable",
    # of programs
    "passed", "failed", "error", "memory", "killed", "syntax",
    # of both
    "no_answer", "timeout", "truncated",
]  # fmt: skip
Grader = Literal["math", "world", "program"]
"""Who gives the verdict: see ``anatomy.grading.graders``."""
Scheme = Literal["outcome", "signed", "hierarchical"]
"""How a verdict becomes a reward: 1 or 0; or 2, 1 or -1, by answer and format."""
NAMES: tuple[str, ...] = get_args(Name)
RIGHT = ("right", "passed")
"""The verdicts that count as a success, on an answer and on a program."""
COUNTED: Mapping[str, tuple[str, ...]] = {
    "no_answer": ("no_answer",),
    "unparsable": ("unparsable", "syntax"),
    "timeout": ("timeout",),
    "crashed": ("error", "memory", "killed"),
    "truncated": ("truncated",),
}
"""Columns of the table ``counts`` that count other verdicts; what none of them counts is wrong."""


@dataclass(frozen=True)
class Verdict:
    """One completion's verdict: the columns of the table ``verdicts``."""

    answer: str | None
    """Extracted answer or program; None if there is none, or if the completion was cut off."""
    verdict: Name
    lenient: bool | None
    """Right where whatever looks like an answer counts; None where the grader has no such reading."""
    derivation_right: bool | None
    """Every line right and complete; None where the grader has no checker."""
    first_bad_line: int | None
    """0-based; -1 if no line is bad; None where the grader has no checker."""

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.verdict in RIGHT
