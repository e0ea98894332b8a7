"""Tests and intervals for means over problems and training seeds.

Values are shares: pass@k, or differences of it, one for each training seed and problem.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special
from statsmodels.stats import multitest  # type: ignore[import-untyped]

from anatomy.arrays import Floats

ROUNDING = 1e-12
"""Differences of shares smaller than this are rounding errors."""

SMALLEST = 1e-15
"""A p below this is 0."""


def sign_flip(differences: ArrayLike, rng: np.random.Generator, draws: int = 9999) -> Floats:
    """Return the two-sided p of a sign-flip permutation test of mean 0, for each column.

    differences: (N, ...), one for each problem along axis 0; p: (...). Under the null hypothesis a problem's
    difference is as likely to have the other sign. A column with m differences other than 0 is tested by all
    2^m signs where these are no more than ``draws``, otherwise by ``draws`` random ones, the same for all
    columns, and p = (1 + how many are as extreme) / (draws + 1). A column without any difference has p = 1.
    Raises ValueError where a difference is not a number.
    Source: Phipson and Smyth 2010 (arXiv 1603.05766), section 4.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim == 0 or not np.isfinite(values).all():
        raise ValueError("sign flips need a finite difference for each problem")
    flat = values.reshape(len(values), -1)
    flat = np.where(np.abs(flat) < ROUNDING, 0.0, flat)
    p = np.ones(flat.shape[1])
    different = (flat != 0).sum(axis=0)
    exact = different < np.log2(draws + 1)  # 2^different <= draws
    for column in np.flatnonzero(exact & (different > 0)):
        found = flat[flat[:, column] != 0, column]
        bits = (np.arange(1 << len(found))[:, None] >> np.arange(len(found))) & 1
        p[column] = _extreme(bits, found[:, None])[0].mean()
    if not exact.all():
        bits = rng.integers(2, size=(draws, len(flat)))
        p[~exact] = (1 + _extreme(bits, flat[:, ~exact]).sum(axis=1)) / (draws + 1)
    return p.reshape(values.shape[1:])


def _extreme(bits: NDArray[np.int64], values: Floats) -> NDArray[np.bool_]:
    """Tell (columns, draws) which signs (1 is minus) bring a column's sum at least as far from 0 as it is."""
    limit = np.abs(values.sum(axis=0)) - 1e-9 * np.abs(values).sum(axis=0)  # equal sums, rounded differently
    found: NDArray[np.bool_] = np.abs((1.0 - 2.0 * bits) @ values) >= limit
    return found.T


def holm(ps: ArrayLike) -> Floats:
    """Return Holm's adjusted p of one family of tests; nan (no test) stays nan and is not counted.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    values = np.asarray(ps, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    tested = ~np.isnan(values)
    if tested.any():
        adjusted[tested] = multitest.multipletests(values[tested], method="holm")[1]
    return adjusted


@dataclass(frozen=True)
class Spread:
    """The variance of a mean, in the part that training seeds bring and the rest, with degrees of freedom."""

    seed: float
    seed_df: float
    problem: float
    problem_df: float

    def half(self, tail: float) -> float:
        """Return how far the mean errs to one side with probability ``tail``.

        The two t quantiles are weighted by the parts of the variance. One t with Satterthwaite's degrees of
        freedom errs too often: with three seeds the part of the seeds is often underestimated by far, and
        counts little then where it should count most.
        Source: Cochran and Cox 1957, Experimental Designs, chapter 4.
        """
        variance = self.seed + self.problem
        if variance == 0:
            return 0.0
        parts = self.seed * special.stdtrit(self.seed_df, tail)
        parts += self.problem * special.stdtrit(self.problem_df, tail)
        return float(-parts / np.sqrt(variance))

    def tail(self, distance: float) -> float:
        """Return the probability that the mean errs further than a distance to one side."""
        if distance < 0:
            return 1 - self.tail(-distance)
        if self.half(SMALLEST) <= distance:
            return 0.0 if distance else 0.5
        return float(
            np.exp(optimize.brentq(lambda x: self.half(np.exp(x)) - distance, *np.log([SMALLEST, 0.5])))
        )


class Contrast(NamedTuple):
    """An effect with its interval, and the two-sided p that it is 0."""

    estimate: float
    low: float
    high: float
    p: float


def crossed(values: ArrayLike, level: float = 0.95) -> Contrast:
    """Return the mean of (S, N) values of S training seeds on the same N problems, its interval and p.

    Values that are all the same tell nothing of their spread: then the interval and p are nan. Else as
    ``crossed_interval``, also in what is raised.
    """
    table = _table(values)
    return _effect(float(table.mean()), _crossed_error(table), level)


def contrast(one: ArrayLike, two: ArrayLike, level: float = 0.95) -> Contrast:
    """Return ``one - two`` of (S, N) and (T, N) values on the same N problems, its interval and p.

    Problems are shared, seeds are each side's own; see ``pairwise`` for the variance and its simulations.
    As ``crossed`` where no value differs from another. Raises ValueError where the problems do not fit.
    """
    first, second = _table(one), _table(two)
    if first.shape[1] != second.shape[1]:
        raise ValueError("the two sides are paired by problem, but differ in their number")
    return _effect(*_gap(first, second), level)


def _effect(estimate: float, error: Spread, level: float) -> Contrast:
    if error.seed + error.problem < ROUNDING**2:
        return Contrast(estimate, math.nan, math.nan, math.nan)
    half = error.half((1 - level) / 2)
    return Contrast(estimate, estimate - half, estimate + half, min(1.0, 2 * error.tail(abs(estimate))))


def crossed_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of (S, N) values of S training seeds on the same N problems, and its interval.

    Seeds and problems both stand for many others: two crossed random effects, one observation a cell. The
    variance of the mean is (MS_seed + MS_problem - MS_residual) / (S N), and no less than either effect's
    alone; the seeds' part has S - 1 degrees of freedom. One seed has the t interval over problems.
    In simulations (N = 30, 50, 100; normal effects) the 95% interval of 3 seeds covers 94.2 to 97.0%; that
    of 2 seeds only 90% where seeds bring more than ten times the variance that problems bring, and that of 3
    only 89 to 93% where they differ much while problems vary less than the residual (``condition_effects``).
    Raises ValueError with fewer than two problems or values that are not numbers.
    Source: Owen 2007 (The pigeonhole bootstrap, arXiv 0712.1111), section 2.
    """
    table = _table(values)
    mean, half = float(table.mean()), _crossed_error(table).half((1 - level) / 2)
    return mean, mean - half, mean + half


def _crossed_error(table: Floats) -> Spread:
    of_seed, of_problem, residual = _mean_squares(table)
    part = max(of_seed - min(residual, of_problem), 0.0) / table.size
    return Spread(part, max(len(table) - 1, 1), of_problem / table.size, table.shape[1] - 1)


def ratio(
    numerator: ArrayLike, denominator: ArrayLike, rng: np.random.Generator, draws: int, level: float = 0.95
) -> tuple[float, float, float]:
    """Return sum / sum over problems, (N,) each, and its bootstrap-t interval from resampled problems.

    Simulated with 50 problems whose ratios are skewed and larger where the denominator is, the 95% interval
    covers 93%; the expanded percentile interval covers 91%, the t interval 92%.
    Raises ValueError where a denominator is not positive.
    Source: Davison and Hinkley 1997, section 5.2, with the linear approximation of a ratio's variance.
    """
    above, below = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    if np.any(below <= 0):
        raise ValueError("a ratio needs positive denominators")
    problems = len(above)
    estimate = above.sum() / below.sum()
    weights = np.vstack(
        [np.ones(problems), rng.multinomial(problems, np.full(problems, 1 / problems), size=draws)]
    )
    ratios = weights @ above / (weights @ below)
    squares = weights @ above**2 - 2 * ratios * (weights @ (above * below)) + ratios**2 * (weights @ below**2)
    errors = np.sqrt(np.maximum(squares, 0.0)) / (weights @ below)
    # The first row is the sample itself. Without spread there is nothing to be off by.
    spread = errors[1:] > ROUNDING * abs(estimate)
    off = np.divide(ratios[1:] - estimate, errors[1:], out=np.zeros(draws), where=spread)
    least, most = np.quantile(off, [(1 - level) / 2, (1 + level) / 2]) * errors[0]
    return float(estimate), float(estimate - most), float(estimate - least)


class Pair(NamedTuple):
    """The difference of two algorithms, ``first - second``, with its interval and two tests.

    p_equivalent is small where the difference is surely below the margin, p_different where it is not 0.
    """

    first: int
    second: int
    estimate: float
    low: float
    high: float
    p_equivalent: float
    p_different: float


def pairwise(values: Sequence[ArrayLike], margin: float, level: float = 0.95) -> list[Pair]:
    """Compare algorithms two by two, each given as (S, N) values of its training seeds on the N problems.

    Problems are shared, seeds are each algorithm's own: the variance of a difference is that of the problems'
    mean differences, and what the seeds of either bring; S may differ. Equivalence is tested by two one-sided
    tests. Simulated as ``crossed_interval`` with 3 seeds each, intervals cover 94.2 to 97.4% and a true
    difference equal to the margin is called smaller in 2.8 to 5.1%, for seeds of like and of unlike variance.
    Raises ValueError where the problems do not fit or the margin is not positive.
    Source: Schuirmann 1987 (two one-sided tests).
    """
    if margin <= 0:
        raise ValueError(f"the margin of equivalence must be positive, not {margin:g}")
    tables = [_table(one) for one in values]
    if len({table.shape[1] for table in tables}) > 1:
        raise ValueError("algorithms are paired by problem, but differ in their number")
    return [
        _compare(first, second, tables[first], tables[second], margin, level)
        for first, second in itertools.combinations(range(len(tables)), 2)
    ]


def equivalence(values: Sequence[ArrayLike], margin: float) -> tuple[float, float]:
    """Return the largest difference of any two algorithms, and the p of "all are alike".

    The intersection-union test: all pairs must be equivalent, so p is the largest of theirs, and needs no
    correction. Takes and raises what ``pairwise`` does, and ValueError for a single algorithm.
    Source: Berger and Hsu 1996, Bioequivalence trials, intersection-union tests and equivalence confidence
    sets, section 3.
    """
    pairs = pairwise(values, margin)
    if not pairs:
        raise ValueError("equivalence needs two algorithms or more")
    return max(abs(pair.estimate) for pair in pairs), max(pair.p_equivalent for pair in pairs)


def _compare(first: int, second: int, one: Floats, two: Floats, margin: float, level: float) -> Pair:
    gap, error = _gap(one, two)
    half = error.half((1 - level) / 2)
    p_equivalent = error.tail(margin - abs(gap))
    p_different = min(1.0, 2 * error.tail(abs(gap)))
    return Pair(first, second, gap, gap - half, gap + half, p_equivalent, p_different)


def _gap(one: Floats, two: Floats) -> tuple[float, Spread]:
    problems = one.shape[1]
    gaps = one.mean(axis=0) - two.mean(axis=0)
    parts, spread = 0.0, 0.0
    for table in (one, two):
        of_seed, _, residual = _mean_squares(table)
        part = max(of_seed - residual, 0.0) / table.size
        parts += part
        spread += part**2 / max(len(table) - 1, 1)
    error = Spread(
        parts, parts**2 / spread if spread else 1.0, float(gaps.var(ddof=1)) / problems, problems - 1
    )
    return float(gaps.mean()), error


def _table(values: ArrayLike) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2 or not np.isfinite(table).all():
        raise ValueError("expected finite values of one or more seeds on two or more problems")
    return table


def _mean_squares(table: Floats) -> tuple[float, float, float]:
    """Return the mean squares of seed, problem and residual; with one seed, only problems vary."""
    seeds, problems = table.shape
    of_problem = seeds * float(table.mean(axis=0).var(ddof=1))
    if seeds == 1:
        return 0.0, of_problem, 0.0
    of_seed = problems * float(table.mean(axis=1).var(ddof=1))
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    return of_seed, of_problem, float((left**2).sum()) / ((seeds - 1) * (problems - 1))
