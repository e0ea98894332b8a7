"""Shares of problems and their changes: estimates, intervals and tests of paired proportions."""

from typing import NamedTuple

import numpy as np
from scipy import special, stats
from scipy.optimize import elementwise

from anatomy.arrays import Floats

SHARE_PRIOR, _CHANGE_PRIOR = 0.1, 1.0


class Estimate(NamedTuple):
    """An estimate and the ends of its interval; numbers, or arrays of one shape."""

    estimate: Floats
    low: Floats
    high: Floats


def share(hits: Floats, tries: Floats, level: float = 0.95) -> Estimate:
    """Return ``sum(hits) / sum(tries)`` over problems with an interval; nan without any tries.

    hits and tries: (N, ...), 0 <= hits <= tries for each problem, whole or not: 0 and 1, means over training
    seeds, pass@k. The interval is the mid-P interval of a binomial share (Berry and Armitage 1995, The
    Statistician 44(4)) for the effective number of problems (Korn and Graubard 1998, Survey Methodology 24).

    Coverage of the 95% interval: whole problems, N = 30 to 100, 0.92 to 0.98 where hits and misses are at
    least 2 on average (0.918 at worst for N = 500), above it where they are fewer, as any interval of a
    count; means over 3 or 5 training seeds likewise. Ratios of pass@k: 0.92 to 0.98, but up to 1 where the
    problems' ratios are nearly all 0 or 1. Raises ValueError where hits are not within 0 and tries.
    """
    if np.any(hits < 0) or np.any(hits > tries + 1e-9):
        raise ValueError("a share needs 0 <= hits <= tries for every problem")
    estimate, _, size = effective(hits, np.zeros_like(hits), tries, SHARE_PRIOR)
    low, high = _mid_p(estimate * size, size, level)
    return Estimate(estimate, low, high)


def change(gains: Floats, losses: Floats, tries: Floats, level: float = 0.95) -> Estimate:
    """Return ``sum(gains - losses) / sum(tries)`` over problems with an interval; nan without any tries.

    gains, losses and tries: (N, ...), gains and losses at least 0 and together at most tries. With tries of 1
    and gains and losses of 0 and 1 it is the difference of two paired proportions, and the interval Tango's
    score interval (Tango 1998, Statistics in Medicine 17(8)), valid for small counts; otherwise it is that of
    the effective number of problems.

    Coverage of the 95% interval, N = 30 to 100, 1 to 5 training seeds of either model: 0.92 to 0.98 where
    gains and losses are 6 problems or more on average, up to 1 where they are fewer.
    Raises ValueError where gains and losses are not as said.
    """
    if np.any(gains < 0) or np.any(losses < 0) or np.any(gains + losses > tries + 1e-9):
        raise ValueError("a change needs gains and losses of at least 0, together at most tries")
    gain, loss, size = effective(gains, losses, tries, _CHANGE_PRIOR)
    low, high = _tango(gain * size, loss * size, size, level)
    return Estimate(gain - loss, low, high)


def effective(gains: Floats, losses: Floats, tries: Floats, prior: float) -> tuple[Floats, Floats, Floats]:
    """Return the shares of gains and of losses, and of how many all-or-nothing problems they are worth.

    Problems that gain or lose only a part vary less than problems that gain or lose all; the number of
    problems is divided by the ratio of the two variances (linearised for the ratio of sums). The variance of
    a few is poorly known, so ``prior`` problems of the larger variance are added to both.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        total = tries.sum(axis=0)
        gain, loss = gains.sum(axis=0) / total, losses.sum(axis=0) / total
        problems = total**2 / (tries**2).sum(axis=0)  # Kish: problems of unequal weight count as fewer
        whole = gain + loss - (gain - loss) ** 2
        residual = gains - losses - (gain - loss) * tries
        units = (tries > 0).sum(axis=0)
        found = problems * (residual**2).sum(axis=0) / total**2 * units / (units - 1)
        ratio = (found + prior / problems) / (whole + prior / problems)
    size: Floats = problems / np.where(units > 1, np.minimum(ratio, 1.0), 1.0)
    return gain, loss, size


def _mid_p(hits: Floats, size: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the ends of the mid-P interval of ``hits`` successes in ``size`` trials, fractions allowed."""

    def below(p: Floats, x: Floats, n: Floats, tail: float) -> Floats:
        """P(more than x) + P(x) / 2, less a tail: the mean of Clopper-Pearson's two beta distributions."""
        more = np.where(x < n, special.betainc(x + 1, np.where(x < n, n - x, 1.0), p), 0.0)
        least = np.where(x > 0, special.betainc(np.where(x > 0, x, 1.0), n - x + 1, p), 1.0)
        result: Floats = (more + least) / 2 - tail
        return result

    x, n = np.clip(hits, 0.0, size), size
    tail = (1 - level) / 2
    limits = np.zeros_like(n), np.ones_like(n)
    low = elementwise.find_root(below, limits, args=(x, n, np.full_like(n, tail))).x
    high = elementwise.find_root(below, limits, args=(x, n, np.full_like(n, 1 - tail))).x
    unknown = np.isnan(n)
    return (
        np.where(unknown, np.nan, np.where(x > 0, low, 0.0)),
        np.where(unknown, np.nan, np.where(x < n, high, 1.0)),
    )


def _tango(gains: Floats, losses: Floats, size: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the ends of Tango's score interval of ``(gains - losses) / size``, fractions allowed."""

    def beyond(change: Floats, b: Floats, c: Floats, n: Floats, sign: Floats) -> Floats:
        """How far the observed change lies from ``change`` towards ``sign``, less z standard errors.

        The standard error is that of the likeliest share of losses (Tango 1998, section 3).
        """
        linear = -b - c + (2 * n - b + c) * change
        root = np.sqrt(np.clip(linear**2 + 8 * n * c * change * (1 - change), 0, None))
        lost = (root - linear) / (4 * n)
        variance = n * np.clip(2 * lost + change * (1 - change), 0, None)
        result: Floats = sign * (b - c - n * change) - z * np.sqrt(variance)
        return result

    z = float(stats.norm.ppf((1 + level) / 2))
    observed = (gains - losses) / size
    counts = (gains, losses, size)
    one = np.ones_like(size)
    # Not from the observed change itself, where without gains and losses the standard error is 0.
    above, below = observed + 1e-9 * (1 - observed), observed - 1e-9 * (1 + observed)
    low = elementwise.find_root(beyond, (-one, below), args=(*counts, one)).x
    high = elementwise.find_root(beyond, (above, one), args=(*counts, -one)).x
    return np.where(losses >= size, -1.0, low), np.where(gains >= size, 1.0, high)


def mcnemar(base_only: int, arm_only: int) -> float:
    """Return the p of the exact McNemar test that either model is as likely to be the only one to solve.

    Yue et al. 2025 (v5), Table 2, give the counts without a test: 4 to 0 on AIME24 has p = 0.125.
    """
    return float(stats.binomtest(base_only, base_only + arm_only).pvalue) if base_only + arm_only else 1.0
