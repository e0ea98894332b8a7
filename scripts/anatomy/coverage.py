"""Which problems are solved: shares of problems, a model against its base, and what more samples would add.

A problem is solved if at least one of its n completions succeeds. Intervals are for the population that the
problems are drawn from, given the training seeds. They hold for small counts, where a percentile bootstrap
fails: it can leave neither 0 of 50 nor the side of 0 on which 4 against 0 is.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from scipy.optimize import elementwise

from anatomy import passk
from anatomy.arrays import Floats
from anatomy.errors import AnatomyError
from anatomy.passk import Counts

T = TypeVar("T")

CELLS = ("both", "base_only", "arm_only", "neither")
"""The cells of the 2x2 table of solved problems."""
SOLVED = CELLS[:3]
DISAGREEMENTS = CELLS[1:3]

_SHARE_PRIOR, _CHANGE_PRIOR = 0.1, 1.0


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
    estimate, _, size = _effective(hits, np.zeros_like(hits), tries, _SHARE_PRIOR)
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
    gain, loss, size = _effective(gains, losses, tries, _CHANGE_PRIOR)
    low, high = _tango(gain * size, loss * size, size, level)
    return Estimate(gain - loss, low, high)


def _effective(gains: Floats, losses: Floats, tries: Floats, prior: float) -> tuple[Floats, Floats, Floats]:
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


def mcnemar(base_only: int, arm_only: int) -> float:
    """Return the p of the exact McNemar test that either model is as likely to be the only one to solve.

    Yue et al. 2025 (v5), Table 2, give the counts without a test: 4 to 0 on AIME24 has p = 0.125.
    """
    return float(stats.binomtest(base_only, base_only + arm_only).pvalue) if base_only + arm_only else 1.0


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
    estimate, _, size = _effective(hits, np.zeros_like(hits), tries, _SHARE_PRIOR)
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
    added = passk.pass_at_k(counts.n, counts.c, 2 * half) - passk.pass_at_k(counts.n, counts.c, half)
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
