"""Wrong versions of plans: as much text about the same problem, without what makes it a plan."""

import re
from collections.abc import Sequence
from typing import TypeVar

from anatomy.rng import generator

Step = TypeVar("Step")
_NUMBER = re.compile(r"^\d+\. ", re.MULTILINE)


def disordered(steps: Sequence[Step], name: str) -> list[Step] | None:
    """Return the steps in another order, drawn for a problem's name; None for a single step."""
    if len(steps) < 2:
        return None
    rng, order = generator("disordered", name), list(range(len(steps)))
    while order == sorted(order):
        rng.shuffle(order)
    return [steps[at] for at in order]


def incomplete(steps: Sequence[Step], name: str) -> list[Step] | None:
    """Return the steps without one, drawn for a problem's name; None for a single step."""
    if len(steps) < 2:
        return None
    missing = int(generator("incomplete", name).integers(len(steps)))
    return [step for at, step in enumerate(steps) if at != missing]


def numbered(steps: Sequence[str]) -> str:
    """Write steps as a numbered list, one a line."""
    return "\n".join(f"{place}. {step}" for place, step in enumerate(steps, 1))


def of_plan(plan: str | None, name: str) -> dict[str, str | None]:
    """Return the columns ``plan_disordered`` and ``plan_incomplete`` for a plan that is a numbered list."""
    steps = [] if plan is None else [step.strip() for step in _NUMBER.split(plan) if step.strip()]
    versions = {"plan_disordered": disordered(steps, name), "plan_incomplete": incomplete(steps, name)}
    return {column: None if version is None else numbered(version) for column, version in versions.items()}
