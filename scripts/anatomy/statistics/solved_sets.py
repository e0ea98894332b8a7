"""Which problems are solved: shares of problems, a model against its base, and what more samples would add.

A problem is solved if at least one of its n completions succeeds. Intervals are for the population that the
problems are drawn from, given the training seeds. They hold for small counts, where a percentile bootstrap
fails: it can leave neither 0 of 50 nor the side of 0 on which 4 against 0 is.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from anatomy.arrays import Floats
from anatomy.errors import AnatomyError
from anatomy.statistics import pass_at_k
from anatomy.statistics.pass_at_k import Counts
from anatomy.statistics.proportions import SHARE_PRIOR, Estimate, change, effective, share

T = TypeVar("T")

CELLS = ("both", "base_only", "arm_only", "neither")
"""The cells of the 2x2 table of solved problems."""
SOLVED = CELLS[:3]
DISAGREEMENTS = CELLS[1:3]


def paired(arm: Mapping[int, T], base: Mapping[int, T]) -> list[tuple[int, T, T]]:
    """Return (training seed, arm's, base's) for each seed of the arm: the base's same seed, or its only one.

    Raises AnatomyError where the base has several training seeds, but not one of the arm's.
    """
    if len(base) == 1:
        (only,) = base.values()
        return [(seed, found, only) for seed, found in arm.items()]
    missing = [seed for seed in arm if seed not in base]
    if missing:
        raise AnatomyError(f"the base model has training seeds {sorted(base)}, but not {missing} of the arm")
    return [(seed, found, base[seed]) for seed, found in arm.items()]


def cells(arm: Counts, base: Counts) -> NDArray[np.int64]:
    """Return (N,) which of ``CELLS`` each problem is in. Raises ValueError where problems or n differ."""
    if not np.array_equal(arm.n, base.n):
        raise ValueError("coverage compares the same problems with the same n")
    return 3 - 2 * (base.c > 0) - (arm.c > 0)


def support(
    both: Floats,
    base_only: Floats,
    arm_only: Floats,
    rng: np.random.Generator,
    draws: int = 2000,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Return the rates srr, ndr, sds and nscr with their intervals; nan where no problem is to be divided by.

    both, base_only and arm_only: (N, ...), in how many training seeds each problem is in that cell. With P, S
    and E their sums: srr = P / (P + S), ndr = E / (P + E), sds their harmonic mean (0 if both are 0) and
    nscr = (E - S) / (P + E + S). The intervals are those of ``share``, for nscr of ``change``, and for sds
    the quantiles of draws from the confidence distributions of srr and ndr.

    Coverage of the 95% intervals, N = 30 to 100, 1 and 3 training seeds: 0.93 to 0.98 for srr, sds and ndr
    where S and E are 2 or more on average and for nscr where they are 5 or more together, else up to 1.
    Source: Wu et al. 2025 (arXiv 2507.14843), empirical support.
    """
    old, ours = both + base_only, both + arm_only
    srr, ndr = share(both, old, level), share(arm_only, ours, level)
    kept, new = _confidence_draws(both, old, rng, draws), _confidence_draws(arm_only, ours, rng, draws)
    tail = (1 - level) / 2
    ends = np.quantile(_harmonic(kept, new), [tail, 1 - tail], axis=0)
    return {
        "srr": srr,
        "ndr": ndr,
        "sds": Estimate(_harmonic(srr.estimate, ndr.estimate), *ends),
        "nscr": change(arm_only, base_only, old + arm_only, level),
    }


def seeds_in(cell: str, pairs: Iterable[tuple[Counts, Counts]]) -> Floats:
    """Return (N,) in how many (arm, base) pairs of counts each problem is in a cell."""
    inside = [cells(arm, base) == CELLS.index(cell) for arm, base in pairs]
    seeds: Floats = np.sum(inside, axis=0, dtype=np.float64)
    return seeds


def _harmonic(a: Floats, b: Floats) -> Floats:
    both: Floats = np.where(a + b == 0, 0.0, 2 * a * b / np.where(a + b == 0, 1.0, a + b))
    return both


def _confidence_draws(hits: Floats, tries: Floats, rng: np.random.Generator, draws: int) -> Floats:
    """Return (draws, ...) shares whose quantiles are the ends of their mid-P intervals."""
    estimate, _, size = effective(hits, np.zeros_like(hits), tries, SHARE_PRIOR)
    known = np.isfinite(size)
    more = rng.integers(2, size=(draws, *size.shape))
    x, n = np.where(known, np.clip(estimate * size, 0, size), 0.0), np.where(known, size, 1.0)
    drawn = rng.beta(np.maximum(x + more, 1e-300), np.maximum(n - x + 1 - more, 1e-300))
    return np.where(known, drawn, np.nan)


class Unseen(NamedTuple):
    """What n more completions of each problem would solve; see ``unseen``."""

    solved: int
    singletons: int
    doubletons: int
    estimate: float
    low: float
    high: float
    held_out_predicted: float
    held_out_observed: float


def unseen(counts: Counts, level: float = 0.95) -> Unseen:
    """Predict how many of the unsolved problems n more completions of each would solve.

    With f1 problems solved once and f2 twice the prediction is (3 f1 - f2) / 4, within 0 and the number of
    unsolved ones: the Good-Toulmin series f1 - f2 + f3 - ..., its j-th term times P(Binomial(2, 1/2) >= j).
    Of the smoothings tried on binomial counts (N = 50, n = 128, nine distributions of p), this one had the
    smallest error throughout: root mean squares of 1.5 to 4.7 problems where 1 to 10 were solved, and a bias
    of a tenth at most; the bare f1, an upper bound of the expectation, had 1.9 to 9.4. The interval is for
    the realised number: with the variance of Poisson counts, and solved for the number as a score interval
    is. It held it in 0.945 to 0.99 of the cases for N = 30 to 100 where 2 or more were solved, more often
    where fewer.

    The held-out values are the same prediction from half of the completions, and what the other half adds to
    it; both are expectations over all ways to halve them. Raises ValueError where some n is below 2.
    Sources: Efron and Thisted 1976 (Biometrika 63(3)); Orlitsky, Suresh and Wu 2016 (PNAS 113(47)).
    """
    if counts.n.min() < 2:
        raise ValueError("completions cannot be halved where n is below 2")
    f1, f2, unsolved = (int((counts.c == c).sum()) for c in (1, 2, 0))
    estimate = float(np.clip((3 * f1 - f2) / 4, 0, unsolved))
    z = float(stats.norm.ppf((1 + level) / 2))
    middle = estimate + z**2 / 2
    width = z * np.sqrt(z**2 / 4 + estimate + (9 * f1 + f2) / 16)
    half = counts.n // 2
    once, twice = (np.sum(stats.hypergeom.pmf(c, counts.n, counts.c, half)) for c in (1, 2))
    added = pass_at_k.pass_at_k(counts.n, counts.c, 2 * half) - pass_at_k.pass_at_k(counts.n, counts.c, half)
    return Unseen(
        solved=len(counts.c) - unsolved,
        singletons=f1,
        doubletons=f2,
        estimate=estimate,
        low=float(np.clip(middle - width, 0, unsolved)),
        high=float(np.clip(middle + width, 0, unsolved)),
        held_out_predicted=float(max((3 * once - twice) / 4, 0.0)),
        held_out_observed=float(added.sum()),
    )
