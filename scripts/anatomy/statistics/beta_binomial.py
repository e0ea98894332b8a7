"""pass@k beyond the number of samples: a beta-binomial fitted to counts, by maximum likelihood.

Each problem has its own probability of success p ~ Beta(a, b), so c ~ BetaBinomial(n, a, b) and
pass@k = 1 - E[(1 - p)^k]. Source: Kazdan and Schaeffer 2025 (arXiv 2510.05197).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from anatomy.arrays import Floats
from anatomy.statistics.pass_at_k import Counts

BOUNDS = ((-15.0, 15.0), (-7.0, 10.0))
"""Where fits are looked for: the logit of the mean a / (a + b), and the logarithm of a + b."""

POINTS = 24
"""Values of either parameter on the grid of one round."""

ROUNDS = 40
"""Enough for any grid to find its place and to shrink."""


def fit(n: ArrayLike, c: ArrayLike, weights: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Return a and b of the most likely beta-binomial, (B,) each, for every row of weights.

    n, c: (M,) samples and successes; weights: (B, M), how often each of them counts (by default once: B = 1).
    All rows are searched together on a grid of the two parameters, which shrinks to where the rows' best
    points lie until these lie about as far apart as the grid reaches; then a parabola through each best point
    and its neighbours. A single row is exact to 1e-4 or better; of many rows, pass@k is within a tenth of its
    spread between rows, and mostly far closer. Where the likelihood has no maximum (equal shares; nothing or
    everything solved), the fit is at the edge of ``BOUNDS``.
    Raises ValueError unless 0 <= c <= n and n >= 2: single samples do not tell a from b.
    """
    sizes, successes = np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64)
    if np.any(successes < 0) or np.any(successes > sizes) or np.any(sizes < 2):
        raise ValueError("a beta-binomial needs 0 <= c <= n and n >= 2 for every problem")
    rows = np.ones((1, len(sizes))) if weights is None else np.asarray(weights, dtype=np.float64)
    # Counts that occur several times are looked at once.
    pairs, which = np.unique(np.stack([sizes, successes]), axis=1, return_inverse=True)
    tally = np.zeros((len(sizes), pairs.shape[1]))
    tally[np.arange(len(sizes)), which] = 1
    rows = rows @ tally
    limits = np.array(BOUNDS)
    # The fitted mean is close to the observed one.
    observed = special.logit(rows @ pairs[1] / (rows @ pairs[0]))
    box = np.array([[observed.min() - 1, observed.max() + 1], BOUNDS[1]])
    for _ in range(ROUNDS):
        box = np.clip(box, limits[:, :1], limits[:, 1:])
        axes = np.linspace(box[:, 0], box[:, 1], POINTS, axis=1)
        likelihood = (rows @ _likelihood(pairs, axes)).reshape(-1, POINTS, POINTS)
        best = np.stack(np.unravel_index(likelihood.reshape(len(rows), -1).argmax(axis=1), (POINTS, POINTS)))
        step = axes[:, 1] - axes[:, 0]
        first, last = best.min(axis=1), best.max(axis=1)
        # A best point at the edge may have a better one outside, which a grid too coarse for it has missed.
        low = box[:, 0] + step * np.where(first == 0, -4, np.maximum(first - 2, 0))
        high = box[:, 1] + step * np.where(last == POINTS - 1, 4, np.minimum(last + 3 - POINTS, 0))
        new = np.clip(np.stack([low, high], axis=1), limits[:, :1], limits[:, 1:])
        outside = (new[:, 0] < box[:, 0]) | (new[:, 1] > box[:, 1])
        if not outside.any() and np.all((np.ptp(new, axis=1) > 0.6 * np.ptp(box, axis=1)) | (step < 1e-3)):
            break
        box = new
    logit, log_size = axes[:, :1] + step[:, None] * (best + _top(likelihood, best))
    mean, size = special.expit(logit), np.exp(log_size)
    return mean * size, special.expit(-logit) * size


def predict(a: ArrayLike, b: ArrayLike, k: ArrayLike) -> Floats:
    """Return pass@k, ``1 - B(a, b + k) / B(a, b)``, with broadcasting; k may exceed the samples taken."""
    a_, b_, k_ = (np.asarray(value, dtype=np.float64) for value in (a, b, k))
    result: Floats = -np.expm1(special.betaln(a_, b_ + k_) - special.betaln(a_, b_))
    return result


def forecast(counts: Sequence[Counts], ks: Sequence[int], weights: ArrayLike) -> tuple[Floats, Floats]:
    """Return (K,) predicted pass@k, and (B, K) draws of it, from the counts of one or more training seeds.

    weights: (B, N), how often each draw has each problem. All seeds are fitted together, and a problem is
    drawn with all of its seeds. Percentile intervals of the draws are for the expected pass@k on problems
    like these. Simulated with n = 128 and 50 or 100 problems that follow the model, they cover 92 to 96%,
    both for fits to a quarter of the samples (k = 1 ... 64) and to all (k = 256 ... 1024). Where 20 to 40%
    of the problems have no chance at all, against the model, predictions are too high: by 0.02 to 0.03 at
    k = 64 (coverage 91 to 94%) and by 0.07 to 0.09 at k = 1024 (coverage 79 to 84%). An all-or-nothing
    arm, c = 0 or c = n throughout, has an interval without width.
    """
    grid = np.asarray(ks)
    n, c = (np.concatenate([getattr(one, name) for one in counts]) for name in ("n", "c"))
    a, b = fit(n, c)
    estimate = predict(a, b, grid)
    a, b = fit(n, c, np.tile(np.asarray(weights), len(counts)))
    return estimate, predict(a[:, None], b[:, None], grid)


def split(counts: Counts, parts: int, rng: np.random.Generator) -> tuple[Counts, Counts]:
    """Draw n // parts of each problem's samples at random; return their counts and those of the rest.

    Samples are exchangeable, so how many of the drawn ones succeeded is hypergeometric.
    """
    n = counts.n // parts
    c = rng.hypergeometric(counts.c, counts.n - counts.c, n)
    return Counts(n, c), Counts(counts.n - n, counts.c - c)


def _likelihood(pairs: NDArray[np.int64], axes: Floats) -> Floats:
    """Return the log-likelihood of counts (2, M) at every point of the grid, (M, POINTS^2)."""
    logit, log_size = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    size = np.exp(log_size)
    a, b = special.expit(logit) * size, special.expit(-logit) * size
    parts = []
    for value, start in ((pairs[1], a), (pairs[0] - pairs[1], b), (pairs[0], size)):
        distinct, which = np.unique(value, return_inverse=True)
        parts.append((special.gammaln(start + distinct[:, None]) - special.gammaln(start))[which])
    result: Floats = parts[0] + parts[1] - parts[2]
    return result


def _top(likelihood: Floats, best: NDArray[np.intp]) -> Floats:
    """Return how far (2, B) the top of a parabola lies from the best point, in steps of the grid."""
    row = np.arange(likelihood.shape[0])
    at = np.clip(best, 1, POINTS - 2)

    def value(i: int, j: int) -> Floats:
        found: Floats = likelihood[row, at[0] + i, at[1] + j]
        return found

    slope = np.stack([value(1, 0) - value(-1, 0), value(0, 1) - value(0, -1)]) / 2
    bend = np.stack([value(1, 0) + value(-1, 0), value(0, 1) + value(0, -1)]) - 2 * value(0, 0)
    cross = (value(1, 1) + value(-1, -1) - value(1, -1) - value(-1, 1)) / 4
    determinant = bend[0] * bend[1] - cross**2
    inner = (best == at).all(axis=0) & (bend < 0).all(axis=0) & (determinant > 0)
    determinant = np.where(inner, determinant, 1.0)
    move = np.stack([cross * slope[1] - bend[1] * slope[0], cross * slope[0] - bend[0] * slope[1]])
    return np.where(inner, np.clip(move / determinant, -1, 1), 0.0)
