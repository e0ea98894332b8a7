"""pass@k and Cover@tau from counts, with two-level bootstrap intervals paired by problem.

The unit is the problem. ``n`` is the number of completions of a problem and ``c`` how many of them succeed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from anatomy.arrays import Floats, Ints


def pass_at_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> Floats:
    """Return the unbiased estimate of pass@k, ``1 - C(n - c, k) / C(n, k)``, elementwise with broadcasting.

    Computed as a sum of logarithms of one sign, so that it is exact to about 1e-12 up to n = 10^5.
    Raises ValueError unless 0 <= c <= n and 1 <= k <= n.
    Source: Chen et al. 2021 (arXiv 2107.03374), equation 1; used by Yue et al. 2025, appendix A.2.
    """
    n_, c_, k_ = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (n, c, k)))
    if np.any(c_ < 0) or np.any(c_ > n_):
        raise ValueError("pass@k needs 0 <= c <= n for every problem")
    if np.any(k_ < 1) or np.any(k_ > n_):
        raise ValueError(f"pass@k needs 1 <= k <= n; k up to {k_.max():g}, n down to {n_.min():g}")
    enough = n_ - c_ >= k_
    log_fail = _log_fail(n_, c_, k_)
    # -expm1 keeps the digits of small probabilities; c = 0 and k = 1 are exact by definition.
    estimate = np.where(enough, -np.expm1(np.minimum(log_fail, 0.0)), 1.0)
    estimate = np.where(k_ == 1, c_ / np.maximum(n_, 1), estimate)
    return np.where(c_ == 0, 0.0, estimate)


def _log_fail(n: Floats, c: Floats, k: Floats) -> Floats:
    """Return log(C(n - c, k) / C(n, k)), a sum of c logarithms of one sign: differences of gamma functions
    as large as log(n!) would lose the digits of a small pass@k."""
    shape = n.shape
    n, c, k = (value.ravel() for value in (n, c, k))
    result = np.zeros(n.shape)
    # One cumulative sum for each pair of n and k gives every c.
    pairs, which = np.unique(np.stack([n, k]), axis=1, return_inverse=True)
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which, minlength=pairs.shape[1]))
    for (size, tries), rows in zip(pairs.T, np.split(order, ends[:-1]), strict=True):
        count = np.minimum(c[rows], size - tries).astype(np.int64)
        terms = np.log1p(-tries / (size - np.arange(count.max())))
        result[rows] = np.concatenate([[0.0], np.cumsum(terms)])[count]
    return result.reshape(shape)


def ks(n: int, half: bool = True) -> list[int]:
    """Return the powers of two up to n / 2 (or n): beyond that pass@k is close to an indicator."""
    top = n // 2 if half else n
    return [1 << power for power in range(max(top, 1).bit_length())]


@dataclass(frozen=True)
class Counts:
    """One arm's counts, problem by problem; several arms are paired when their problems are the same."""

    n: Ints
    c: Ints

    def __post_init__(self) -> None:
        if self.n.shape != self.c.shape or self.n.ndim != 1 or not len(self.n):
            raise ValueError("counts need one n and one c for each of one or more problems")
