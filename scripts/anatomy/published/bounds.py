"""What published percentages allow: intervals and p-values under any pairing of their problems."""

import numpy as np

from anatomy.arrays import Floats, Ints
from anatomy.statistics import crossover, proportions

# Intervals without the pairing. A published mean over problems says nothing of how they differ, and two of
# them nothing of which problems are the same: these intervals hold whatever it was.


def most_uneven(shares: Floats, problems: int) -> Floats:
    """Return (N, ...) values from 0 to 1 with given means that vary most: ones, one fraction, zeros.

    No values with that mean have a larger variance (Bhatia and Davis 2000, American
    Mathematical Monthly 107).
    """
    places = np.arange(problems).reshape(-1, *([1] * np.ndim(shares)))
    uneven: Floats = np.clip(problems * np.asarray(shares, dtype=np.float64) - places, 0.0, 1.0)
    return uneven


def share_interval(shares: Floats, problems: int, level: float) -> tuple[Floats, Floats]:
    """Return the ends of the interval of means of values from 0 to 1, as uneven as they can be."""
    hits = most_uneven(shares, problems)
    estimate = proportions.share(hits, np.ones_like(hits), level)
    return estimate.low, estimate.high


def change_interval(arm: Floats, base: Floats, problems: int, level: float) -> tuple[Floats, Floats]:
    """Return the ends of the interval of ``arm - base``, means over the same problems, whatever the pairing.

    The pairing taken is the one in which the two disagree on as many problems as the means allow; with any
    other, and with values between 0 and 1, the difference varies less.
    """
    gains = most_uneven(np.minimum(arm, 1 - base), problems)
    losses = most_uneven(np.minimum(base, 1 - arm), problems)[::-1]
    estimate = proportions.change(gains, losses, np.ones_like(gains), level)
    return estimate.low, estimate.high


def p_range(arm: int, base: int, problems: int) -> tuple[float, float]:
    """Return the smallest and largest exact McNemar p over all pairings of two counts of solved problems.

    p grows with the number of problems on which the two disagree, so those are the least and most discordant
    pairings.
    """
    least = proportions.mcnemar(max(base - arm, 0), max(arm - base, 0))
    most = proportions.mcnemar(min(base, problems - arm), min(arm, problems - base))
    return least, most


def crossover_interval(ks: Ints, arm: Floats, base: Floats, problems: int, level: float) -> tuple[float, ...]:
    """Return the k from which the base is ahead for good, and between which k it lies whatever the pairing.

    The ends are the crossovers of the ends of the difference's interval: until the first the arm is surely
    ahead, from the second on the base is. inf: not within the plotted k.
    """
    ends = change_interval(arm, base, problems, level)
    estimate, low, high = (_last_change(ks, gap) for gap in (arm - base, *ends))
    return estimate, low, high


def _last_change(ks: Ints, gap: Floats) -> float:
    """As ``statistics.crossover``, but curves that only meet at their end have not crossed."""
    ahead = np.flatnonzero(gap > 0)
    if len(ahead) and not np.any(gap[ahead[-1] :] < 0):
        return float("inf")
    return crossover.crossover(ks, gap)
