"""What a curve of the unbiased pass@k estimator must satisfy, and what it tells of the counts behind it.

With c successes of n, pass@k is 1 - C(n - c, k) / C(n, k). A curve over problems is a mixture of these n + 1
curves: it never falls, it is concave, and its differences alternate in sign as those of every such mixture do
(complete monotonicity). Printed values are rounded, so each check gives the amount by which a curve fails, to
be compared with what rounding can do.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from anatomy.arrays import Floats, Ints
from anatomy.statistics import accuracy_bins, pass_at_k


class Amount(NamedTuple):
    """By how much a curve fails a check at most (negative: so much is to spare), and at which k."""

    amount: float
    at: int


@lru_cache(maxsize=64)
def _mixed(n: int, ks: tuple[int, ...]) -> Floats:
    """Return (K, n + 1) the curves of c = 0 ... n successes."""
    return pass_at_k.pass_at_k(n, np.arange(n + 1), np.asarray(ks)[:, None])


def mixed(n: int, ks: ArrayLike) -> Floats:
    """Return (K, n + 1) pass@k of a problem with c = 0 ... n successes of n."""
    return _mixed(n, tuple(np.asarray(ks).tolist()))


def decrease(ks: Ints, values: Floats) -> Amount:
    """Return the largest fall from one plotted k to the next; rounding to r makes up to 2 r."""
    falls = -np.diff(values)
    worst = int(falls.argmax())
    return Amount(float(falls[worst]), int(ks[worst + 1]))


def dent(ks: Ints, values: Floats) -> Amount:
    """Return how far a point lies below the line between its neighbours; rounding to r makes up to 2 r."""
    weight = (ks[1:-1] - ks[:-2]) / (ks[2:] - ks[:-2])
    line = (1 - weight) * values[:-2] + weight * values[2:]
    below = line - values[1:-1]
    worst = int(below.argmax())
    return Amount(float(below[worst]), int(ks[1:-1][worst]))


def deviation(n: int, ks: Ints, values: Floats, bins: Sequence[float] = ()) -> Amount:
    """Return how far the nearest curve of the estimator is from this one, at the k where it is farthest.

    The smallest largest distance over all mixtures of the curves of c = 0 ... n, a linear program. ``bins``:
    12 shares of problems by accuracy that the mixture must have too.
    """
    curves = mixed(n, ks)
    slack = np.ones((len(ks), 1))
    total = _in_bins(n) if len(bins) else np.ones((1, n + 1))
    solution = optimize.linprog(
        np.append(np.zeros(n + 1), 1.0),
        A_ub=np.block([[curves, -slack], [-curves, -slack]]),
        b_ub=np.concatenate([values, -values]),
        A_eq=np.hstack([total, np.zeros((len(total), 1))]),
        b_eq=np.asarray(bins, dtype=np.float64) if len(bins) else [1.0],
        method="highs",
    )
    away = np.abs(curves @ np.asarray(solution.x)[:-1] - values)
    return Amount(float(away.max()), int(ks[away.argmax()]))


def _in_bins(n: int) -> Floats:
    """Return (12, n + 1) which of the 12 accuracy bins c successes of n fall into."""
    counts = pass_at_k.Counts(np.full(n + 1, n), np.arange(n + 1))
    return accuracy_bins.in_bins(counts).T.astype(np.float64)


def reach(n: int, ks: Ints, values: Floats, weights: Floats, rounding: float) -> tuple[float, float]:
    """Return the least and most of ``sum(weights[c] * share[c])`` over mixtures that agree with a curve.

    Args:
        n: Samples a problem.
        ks: (K,) the curve's numbers of samples.
        values: (K,) its pass@k.
        weights: (n + 1,) of the shares.
        rounding: How far a plotted value may be off.

    Returns:
        Least and most; nan where no mixture agrees.
    """
    curves = mixed(n, ks)
    ends = []
    for sign in (1.0, -1.0):
        for method in (
            "highs-ds",
            "highs-ipm",
        ):  # the one may stop for numerical reasons where the other ends
            solution = optimize.linprog(
                sign * weights,
                A_ub=np.vstack([curves, -curves]),
                b_ub=np.concatenate([values + rounding, rounding - values]),
                A_eq=np.ones((1, n + 1)),
                b_eq=[1.0],
                method=method,
            )
            if solution.success:
                break
        ends.append(float(weights @ np.asarray(solution.x)) if solution.success else float("nan"))
    return ends[0], ends[1]


class Fit(NamedTuple):
    """Problems by their number of successes c = 0 ... n, and how far their curve is off: root of squares."""

    problems: Floats
    residual: float


def fit(n: int, ks: Ints, values: Floats, problems: int) -> Fit:
    """Return how many problems had c successes, by non-negative least squares on the plotted points.

    Each point is a moment of the counts. Few successes are told apart by the largest k, so that the numbers
    for c = 0 and 1 come out nearly whole; those of middling c do not, although their curve is right.
    Source: Lawson and Hanson 1974, Solving Least Squares Problems, chapter 23.
    """
    weights, residual = optimize.nnls(mixed(n, ks)[:, 1:], problems * values)
    return Fit(np.append(problems - weights.sum(), weights), float(residual))


def mean_range(bins: Ints, n: int) -> tuple[float, float]:
    """Return between which values the mean accuracy of problems lies, given how many fall into each bin."""
    inside = _in_bins(n) > 0
    accuracy = np.arange(n + 1) / n
    least = [accuracy[row].min() if row.any() else np.nan for row in inside]
    most = [accuracy[row].max() if row.any() else np.nan for row in inside]
    filled = bins > 0
    low, high = (float(bins[filled] @ np.asarray(ends)[filled]) / bins.sum() for ends in (least, most))
    return low, high
