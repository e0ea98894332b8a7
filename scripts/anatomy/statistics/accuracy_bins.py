"""Problems by their accuracy: histograms as in Yue et al. 2025, Figures 5 and 13, and what is reached."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anatomy.arrays import Ints
from anatomy.statistics.pass_at_k import Counts

BINS = ("0", *(f"({a / 10:.1f}, {a / 10 + 0.1:.1f}]" for a in range(9)), "(0.9, 1)", "1")
"""The 12 published accuracy bins (Yue et al. 2025, figures 5 and 13)."""


def in_bins(counts: Counts) -> NDArray[np.bool_]:
    """Return (N, 12): which of the 12 accuracy bins each problem falls into."""
    # In whole numbers, since 0.3 = 3/10 must fall into (0.2, 0.3] whatever its floating-point value.
    inner = np.clip(-(-10 * counts.c // counts.n), 1, 10)
    index = np.where(counts.c == 0, 0, np.where(counts.c == counts.n, 11, inner))
    inside: NDArray[np.bool_] = index[:, None] == np.arange(12)
    return inside


def accuracy_histogram(counts: Counts) -> Ints:
    """Return how many problems fall into each of the 12 accuracy bins."""
    problems: Ints = in_bins(counts).sum(axis=0)
    return problems


def reached(counts: Counts, taus: Sequence[float]) -> NDArray[np.bool_]:
    """Return (N, T): whether the share of a problem's completions that succeed is at least tau.

    The share of problems for which it is, is Cover@tau (arXiv 2510.08325).

    Raises ValueError unless 0 < tau <= 1: every problem would reach 0, and none more than 1.
    """
    shares = np.asarray(taus, dtype=np.float64)
    if np.any(shares <= 0) or np.any(shares > 1):
        raise ValueError(f"Cover@tau needs 0 < tau <= 1, not {shares.tolist()}")
    # In whole numbers of successes, since 0.07 * 100 is 7.000000000000001.
    needed = np.ceil(np.round(shares * counts.n[:, None], 9))
    enough: NDArray[np.bool_] = counts.c[:, None] >= needed
    return enough
