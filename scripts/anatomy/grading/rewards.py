"""What a completion earns in training."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from anatomy.errors import AnatomyError
from anatomy.grading import math_extraction
from anatomy.grading.graders import Item, Marks, grade, program_text, world_problem
from anatomy.storage.verdicts import Scheme
from anatomy.world import checker

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
        return checker.check(world_problem(problem["text"]), response).format_right
    if kind == "program":
        return bool(program_text(Item(problem, response, truncated), marks))
    if not marks.tags:
        return bool((math_extraction.last_boxed(response) or "").strip())
    content, rest = "", response
    for tag in marks.tags.split():
        opening, closing = f"<{tag}>", f"</{tag}>"
        if response.count(opening) != 1 or response.count(closing) != 1:
            return False
        before, _, rest = rest.partition(opening)
        content, closed, rest = rest.partition(closing)
        if before.strip() or not closed:
            return False
    return not rest.strip() and bool((math_extraction.last_boxed(content) or "").strip())


def rewards(
    kind: str,
    items: Sequence[Item],
    marks: Marks = Marks(),
    scheme: str = "outcome",
    openings: Sequence[str] | None = None,
    workers: int = 1,
) -> list[float]:
    """Return the reward of each completion for RL training. Raises as ``grade`` does.

    ``outcome``: 1 for a right answer and 0 for any other. ``signed``: 1 and -1 (DAPO, eq. 7).
    ``hierarchical``: 2 for a right answer in the right format, 1 for a right answer in a wrong one, -1 for
    any other (Wang et al. 2025, section 5).
    ``openings``: what the template opens each response with, before its prefix.
    """
    if scheme not in get_args(Scheme):
        raise AnatomyError(f"unknown reward {scheme!r}; allowed are {list(get_args(Scheme))}")
    found = []
    graded = grade(kind, items, marks, workers)
    for item, verdict, opening in zip(items, graded, openings or itertools.repeat(""), strict=False):
        if scheme == "outcome":
            found.append(float(verdict.right))
        elif scheme == "signed":
            found.append(1.0 if verdict.right else -1.0)
        elif not verdict.right:
            found.append(-1.0)
        else:
            response = f"{opening}{item.prefix} {item.completion}"
            formed = well_formed(kind, item.problem, response, item.truncated, marks)
            found.append(2.0 if formed else 1.0)
    return found
