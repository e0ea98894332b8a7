"""Which problems are sampled again: those that one of two arms solved and the other did not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anatomy.errors import AnatomyError
from anatomy.rng import generator

if TYPE_CHECKING:
    import pandas as pd


def disagreeing(first: "pd.DataFrame", second: "pd.DataFrame") -> set[str]:
    """Return the problems that one of two arms solved and the other did not, by answer or by derivation.

    Args:
        first: Table 'counts' of an arm; solved means at least one success among n.
        second: That of the other arm, of the same problems.

    Raises:
        AnatomyError: The problems are not the same.
    """
    if set(first["problem"]) != set(second["problem"]):
        raise AnatomyError("the two arms' counts are not of the same problems: count both again")
    both = first.merge(second, on="problem", validate="one_to_one")
    problems: set[str] = set()
    for target in ("answer", "derivation"):
        solved = [both[f"{target}_{side}"].fillna(0) > 0 for side in ("x", "y")]
        problems |= set(both["problem"][solved[0] != solved[1]])
    return problems


if TYPE_CHECKING:
    import pandas as pd


def failed(counts: "Iterable[pd.DataFrame]") -> set[str]:
    """Return the problems without a right answer in any of one or more tables 'counts' of them."""
    sets = [set(frame.loc[frame["answer"] == 0, "problem"]) for frame in counts]
    return set.intersection(*sets)


def select(
    problems: Sequence[Mapping[str, Any]], hard: set[str], easier: int, seed: Sequence[object]
) -> list[Mapping[str, Any]]:
    """Return the hard problems, and for each of them ``easier`` others drawn at random, in the given order.

    As many others as there are, where there are too few. AnatomyError if no problem is hard.
    """
    others = [problem["problem"] for problem in problems if problem["problem"] not in hard]
    if len(others) == len(problems):
        raise AnatomyError(
            f"none of the {len(problems)} problems is failed in all attempts, so that there is no hard set:"
            " make the benchmark harder (column splits_steps of the benchmark sheet) or larger"
        )
    count = min(len(others), easier * (len(problems) - len(others)))
    drawn = {others[at] for at in generator(*seed, "easier").permutation(len(others))[:count]}
    return [problem for problem in problems if problem["problem"] in hard or problem["problem"] in drawn]


def training_set(
    problems: Iterable[Mapping[str, Any]],
    prompts: Iterable[Mapping[str, Any]],
    conditions: Sequence[str],
    counts: "pd.DataFrame | None",
    easier: int,
    seed: Sequence[object],
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return what a run trains on: a row for each prompt of the conditions, with its problem's columns.

    With ``counts``, of attempts on the problems, only the hard ones and ``easier`` others for each of them.
    """
    chosen = list(problems)
    if counts is not None:
        hard, total = failed([counts]), len(chosen)
        chosen = list(select(chosen, hard, easier, seed))
        report(f"{len(hard)} of {total} problems failed in all attempts; {len(chosen)} problems to train on")
    by_name = {problem["problem"]: problem for problem in chosen}
    return [
        {**by_name[row["problem"]], **row}
        for row in prompts
        if row["problem"] in by_name and row["condition"] in conditions
    ]
