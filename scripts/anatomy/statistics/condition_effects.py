"""What arms do under conditions: Avg@n, changes, chains of subproblems, each as (S, N) values.

S training seeds by N problems; what an arm achieves on a problem is the share of its n completions that
succeed. A problem that lacks a condition (one step has no order to get wrong) has nan, and is left out of
every comparison with it. Intervals and tests are those of
``anatomy.statistics.tests_and_intervals``, over seeds and problems.

Their 95% intervals were simulated 4,000 times with chances from beta distributions, on 20 (or 24) and 60
problems (tests/test_conditions.py; error 0.4 points). With one seed, or three that do not differ, they cover

- a change, Avg@8 less Avg@64, at accuracies of 0.05 to 0.8: 94.1 to 97.4%;
- a contrast of the changes of three seeds and one: 95.7 to 97.0%;
- SSR less accuracy: 94.9 to 98.1%; but where links are right in 0.4 of cases, 87.5% (24 problems) and 91.8%
  (60) with one seed, 93.1 and 95.8% with three: few chains are ever solved, and carry the difference;
- the slope of a change in difficulty: 93.4 to 96.5%; of a contrast: 92.8 (24 problems) to 95.5%.

Three seeds whose effects differ are too few to tell by how much. Where a seed's gain varies by up to 30% of
its mean, a change covers 91.5 to 97.2% and a contrast 93.4 to 96.3%; by up to 100%, 89.2 to 93.1% and 90.6 to
94.4%, slopes 92.0% or more.

Source: Wang et al. 2025, sections 3 and 4 (Avg@8, plan, knowledge, chains of subproblems, SSR).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from anatomy.arrays import Floats

Seeds = Mapping[int, pd.DataFrame]
"""training seed -> table 'counts'"""
Mask = NDArray[np.bool_]

CONTROLS = {"plan": ("plan-disordered", "plan-incomplete"), "knowledge": ("knowledge-irrelevant",)}
"""What a condition is compared with besides the plain prompt: as much text, without its content."""


def average(seeds: Seeds, problems: Sequence[str], condition: str, column: str = "answer") -> Floats:
    """Return (S, N) shares of completions that succeed; nan where a problem lacks the condition."""
    rows = []
    for counts in seeds.values():
        of_condition = counts[counts["condition"] == condition].set_index("problem")
        shares = of_condition[column].astype(float) / of_condition["n"]
        rows.append(shares.reindex(list(problems)).to_numpy(np.float64))
    return np.stack(rows)


def chain(seeds: Seeds, problems: Sequence[str], lengths: Sequence[int], own: bool) -> Floats:
    """Return (S, N, L) estimates of the chance that a chain's links 1 to i are all right.

    With gold earlier answers links are sampled independently, and the product of their shares is the unbiased
    estimate. With the model's ``own`` answers it is the share of chains that are unbroken. It is nan beyond
    a chain's end, and where no chain was begun.
    """
    kind, column = ("own", "chain") if own else ("subproblem", "answer")
    links = range(max(lengths, default=0))
    found = [average(seeds, problems, f"{kind}-{link + 1}", column) for link in links]
    if not found:
        return np.empty((len(seeds), 0, 0))
    begun = ~np.isnan(found[0])[:, :, None]
    shares = np.nan_to_num(np.stack(found, axis=2))  # a link that no chain reached has no row
    within = np.asarray(links) < np.asarray(lengths)[:, None]
    return np.where(begun & within, shares if own else np.cumprod(shares, axis=2), np.nan)


def solved(chains: Floats, lengths: Sequence[int]) -> Floats:
    """Return (S, N) subproblem success: the chance that the whole chain is right. Source: SSR, section 3."""
    at = np.asarray(lengths, dtype=np.int64) - 1
    whole: Floats = chains[:, np.arange(len(at)), at]
    return whole


def strata(
    problems: pd.DataFrame, bands: Mapping[str, Sequence[float]] | None = None
) -> Iterator[tuple[str, Mask]]:
    """Yield the names and members of groups of problems: all, bands of difficulty, levels, domains.

    problems: rows of the table 'problems'; bands: name -> its levels of difficulty. Names are ``all``,
    ``band NAME``, ``level 3``, ``domain sums``; there are none for what a benchmark does not tell.
    """
    yield "all", np.ones(len(problems), dtype=bool)
    if problems["difficulty"].notna().all():
        level = problems["difficulty"].to_numpy(np.float64)
        for name, levels in (bands or {}).items():
            yield f"band {name}", np.isin(level, levels)
        for one in np.unique(level):
            yield f"level {one:g}", level == one
    for domain in problems["domain"].dropna().unique():
        yield f"domain {domain}", (problems["domain"] == domain).to_numpy()


def trend(values: ArrayLike, difficulty: ArrayLike) -> Floats:
    """Return (S, N) values whose mean is the slope of ``values`` in difficulty, by least squares.

    Each is a problem's influence on the slope, from its residual, so that their spread over problems gives
    the slope's standard error for unequal variances (White 1980).
    """
    table, level = np.asarray(values, dtype=np.float64), np.asarray(difficulty, dtype=np.float64)
    away = level - level.mean()
    weights = away / np.mean(away**2)
    slopes: Floats = (table * weights).mean(axis=1, keepdims=True)
    residuals = table - table.mean(axis=1, keepdims=True) - slopes * away
    influences: Floats = slopes + weights * residuals  # the latter have mean 0
    return influences
