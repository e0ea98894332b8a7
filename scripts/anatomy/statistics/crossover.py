"""The k from which one pass@k curve is above another, with its interval."""

import numpy as np
from numpy.typing import ArrayLike

from anatomy.statistics.bootstrap import Curves, tails


def crossover(ks: ArrayLike, difference: ArrayLike) -> float:
    """Return the k from which ``arm - base`` is negative for good.

    The last sign change on the grid, interpolated linearly in log2 k. inf where the arm is ahead up to the
    largest k (a crossover, if any, lies beyond it); 0 where the arm is ahead nowhere; nan where the two
    are level at every k, as where neither solves anything.
    Source: Yue et al. 2025, sections 3.1 and 4 (curves that cross).
    """
    grid = np.log2(np.asarray(ks, dtype=np.float64))
    gap = np.asarray(difference, dtype=np.float64)
    if not np.any(gap):
        return float("nan")
    ahead = np.flatnonzero(gap > 0)
    if not len(ahead):
        return 0.0
    last = int(ahead[-1])
    if last == len(gap) - 1:
        return float("inf")
    part = gap[last] / (gap[last] - gap[last + 1])
    return float(2 ** (grid[last] + part * (grid[last + 1] - grid[last])))


def crossover_interval(
    curves: Curves, arm: str, base: str, level: float = 0.95
) -> tuple[float, float, float]:
    """Return the crossover k of ``arm`` against ``base`` and the ends of its percentile interval.

    An end of inf says that the crossover may lie beyond the largest k, 0 that there may be none above k = 1.
    """
    found = np.sort([crossover(curves.ks, gap) for gap in curves.draws(arm, base)])
    if np.isnan(crossover(curves.ks, curves.estimate(arm, base))) or np.isnan(found[0]):
        return float("nan"), float("nan"), float("nan")
    below, above = tails(curves.weights.shape[1], level)
    low = found[int(np.floor(below * (len(found) - 1)))]
    high = found[int(np.ceil(above * (len(found) - 1)))]
    return crossover(curves.ks, curves.estimate(arm, base)), float(low), float(high)
