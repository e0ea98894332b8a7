"""Which problems are solved: intervals for shares and changes, support, predictions, and their tables."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from anatomy.analyses import (
    accuracy,
    accuracy_change,
    cover,
    difference,
    disagreements,
    luck,
    resampled,
    support,
    unseen,
)
from anatomy.analyses import coverage as coverage_table
from anatomy.analyses.inputs import Inputs, Rows
from anatomy.errors import AnatomyError
from anatomy.statistics import accuracy_bins, pass_at_k, proportions, solved_sets
from anatomy.statistics.pass_at_k import Counts
from anatomy.storage import parquet, schemas

Floats = NDArray[np.float64]


def counts(n: int, c: Sequence[int] | NDArray[np.int64]) -> Counts:
    return Counts(np.full(len(c), n), np.asarray(c, dtype=np.int64))


def marked(problems: int, of: int) -> Floats:
    return (np.arange(of) < problems) * 1.0


def one(of: int) -> Floats:
    return np.ones(of)


def numbers(found: proportions.Estimate) -> list[float]:
    return [float(value) for value in found]


# Shares -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "of"), [(1, 30), (4, 30), (15, 30), (29, 30), (7, 500)])
def test_ends_of_a_share_leave_half_of_the_level_in_each_mid_p_tail(hits: int, of: int) -> None:
    found = proportions.share(marked(hits, of), one(of))
    assert found.estimate == pytest.approx(hits / of)
    more = stats.binom.sf(hits, of, found.low) + stats.binom.pmf(hits, of, found.low) / 2
    fewer = stats.binom.cdf(hits - 1, of, found.high) + stats.binom.pmf(hits, of, found.high) / 2
    assert (more, fewer) == pytest.approx((0.025, 0.025))


@pytest.mark.parametrize("of", [1, 5, 50])
def test_none_and_all_have_one_sided_intervals(of: int) -> None:
    # (1 - p)^N / 2 = 0.025
    none, every = (proportions.share(marked(hits, of), one(of)) for hits in (0, of))
    assert none.low == 0 and none.high == pytest.approx(1 - 0.05 ** (1 / of))
    assert every.high == 1 and every.low == pytest.approx(0.05 ** (1 / of))


def test_shares_that_vary_less_than_whole_problems_are_known_better() -> None:
    whole = proportions.share(marked(20, 40), one(40))
    halves = proportions.share(np.full(40, 0.5) + np.tile([0.1, -0.1], 20), one(40))
    assert halves.estimate == whole.estimate
    assert halves.high - halves.low < 0.4 * (whole.high - whole.low)


def test_training_seeds_that_agree_count_once() -> None:
    solved = marked(6, 40)
    three = proportions.share(3 * solved, 3 * one(40))
    assert numbers(three) == pytest.approx(numbers(proportions.share(solved, one(40))))


def test_problems_without_tries_do_not_count() -> None:
    found = proportions.share(np.append(marked(6, 40), [0.0] * 9), np.append(one(40), [0.0] * 9))
    assert numbers(found) == pytest.approx(numbers(proportions.share(marked(6, 40), one(40))))


def test_columns_are_independent() -> None:
    rng = np.random.default_rng(0)
    hits = rng.integers(0, 4, (40, 5)) / 3 * (np.arange(5) > 0)
    together = proportions.share(hits, np.ones_like(hits))
    for at in range(5):
        alone = proportions.share(hits[:, at], one(40))
        assert [float(value[at]) for value in together] == pytest.approx(numbers(alone))


def test_a_share_of_nothing_is_not_known() -> None:
    assert np.isnan(proportions.share(np.zeros(5), np.zeros(5))).all()
    assert np.isnan(proportions.change(np.zeros(5), np.zeros(5), np.zeros(5))).all()


@pytest.mark.parametrize("hits", [[-1, 0], [2, 1]])
def test_impossible_shares_are_refused(hits: list[float]) -> None:
    with pytest.raises(ValueError, match="0 <= hits <= tries"):
        proportions.share(np.array(hits), np.ones(2))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_a_share_lies_in_its_interval_and_its_complement_in_the_complement(
    found: list[tuple[int, int]],
) -> None:
    hits, misses = np.array(found, dtype=np.float64).T
    estimate, low, high = proportions.share(hits, hits + misses)
    if not (hits + misses).any():
        assert math.isnan(estimate)
        return
    assert 0 <= low <= estimate + 1e-9 and estimate - 1e-9 <= high <= 1
    other = proportions.share(misses, hits + misses)
    assert (float(other.low), float(other.high)) == pytest.approx((1 - high, 1 - low), abs=1e-7)


REPLICATIONS = 1000
"""Monte-Carlo error of a coverage near 0.95: 0.007 (one standard deviation).

An interval that holds the truth in 0.90 of the cases fails a test of at least 0.92 - 0.007 with probability
0.91, for each truth that is tried.
"""


def seeds_of(
    rng: np.random.Generator, common: Floats, share: float, alike: float, seeds: int, whole: bool = True
) -> Floats:
    """Return (N, replications) in how many of the seeds a thing happens to a problem, as a share."""
    noise = rng.standard_normal((seeds, *common.shape))
    happens = math.sqrt(alike) * common + math.sqrt(1 - alike) * noise < stats.norm.ppf(share)
    mean: Floats = happens.mean(axis=0)
    return mean


def covered(found: proportions.Estimate, truth: float) -> float:
    return float(np.mean((found.low <= truth) & (truth <= found.high)))


@pytest.mark.slow
@pytest.mark.parametrize("problems", [30, 50, 100])
@pytest.mark.parametrize(("seeds", "alike"), [(1, 0.0), (3, 0.5), (3, 0.95), (5, 0.0)])
def test_intervals_of_shares_cover_the_truth(problems: int, seeds: int, alike: float) -> None:
    rng = np.random.default_rng([problems, seeds, int(100 * alike)])
    for truth in (0.1, 0.2, 0.5, 0.9):
        common = rng.standard_normal((problems, REPLICATIONS))
        hits = seeds_of(rng, common, truth, alike, seeds)
        assert 0.92 - 0.007 <= covered(proportions.share(hits, np.ones_like(hits)), truth) <= 0.98 + 0.007, (
            truth
        )
    # With less than two hits expected an interval of a count can but cover more often than it says.
    hits = seeds_of(rng, common, 0.02, alike, seeds)
    assert covered(proportions.share(hits, np.ones_like(hits)), 0.02) >= 0.92 - 0.007


@pytest.mark.parametrize("problems", [30, 50, 100])
def test_intervals_of_whole_problems_cover_every_truth(problems: int) -> None:
    """Exactly, by enumeration, not by simulation."""
    truths = np.linspace(0.001, 0.5, 300)
    hits = np.array([marked(at, problems) for at in range(problems + 1)]).T
    found = proportions.share(hits, np.ones_like(hits))
    inside = (found.low[:, None] <= truths) & (truths <= found.high[:, None])
    chance = (stats.binom.pmf(np.arange(problems + 1)[:, None], problems, truths) * inside).sum(axis=0)
    assert chance.min() >= 0.92
    assert chance[truths * problems >= 5].max() <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("problems", [50, 100])
@pytest.mark.parametrize(
    ("p", "valid"), [((0.4, 1.2), (0.5, 0.5)), ((1, 30), (0.5, 0.5)), ((0.4, 1.2), (3, 1))]
)
def test_intervals_of_ratios_of_pass_at_k_cover_the_truth(
    problems: int, p: tuple[float, float], valid: tuple[float, float]
) -> None:
    """p: Beta distribution of the chance of a right answer; valid: of that of its derivation to be right."""
    rng = np.random.default_rng(problems)

    c = rng.binomial(128, rng.beta(*p, (problems, REPLICATIONS)))
    right = rng.binomial(c, rng.beta(*valid, c.shape))
    many, shares = rng.beta(*p, 500_000), rng.beta(*valid, 500_000)
    for k in (1, 8, 64):
        values = pass_at_k.pass_at_k(128, np.arange(129), k)
        truth = (1 - (1 - many * shares) ** k).mean() / (1 - (1 - many) ** k).mean()
        assert 0.92 - 0.007 <= covered(proportions.share(values[right], values[c]), truth) <= 0.98 + 0.007, k


# Changes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gains", "losses", "of", "level", "low", "high"),
    [
        # Bentur et al. 2009 in Fagerland, Lydersen and Laake 2014
        (1, 7, 21, 0.95, -0.517, -0.026),
        # Cavo et al. 2012 in Fagerland, Lydersen and Laake 2017, chapter 8 (R package contingencytables)
        (6, 16, 161, 0.95, -0.1240, -0.0054),
        # scoreci.mp(25, 28, 618, 0.9) of the R package PropCIs
        (28, 25, 618, 0.90, -0.0148, 0.0247),
    ],
)
def test_published_intervals_of_tango(
    gains: int, losses: int, of: int, level: float, low: float, high: float
) -> None:
    found = proportions.change(marked(gains, of), marked(losses, of)[::-1].copy(), one(of), level)
    digits = 3 if of == 21 else 4
    assert (round(float(found.low), digits), round(float(found.high), digits)) == (low, high)


@pytest.mark.parametrize(("gains", "losses", "of"), [(4, 0, 30), (5, 18, 500), (12, 2, 50), (9, 9, 30)])
def test_at_the_ends_of_a_change_the_score_statistic_is_its_quantile(
    gains: int, losses: int, of: int
) -> None:
    found = proportions.change(marked(gains, of), marked(losses, of)[::-1].copy(), one(of))
    for end in (float(found.low), float(found.high)):

        def unlikely(lost: float, change: float = end) -> float:
            """Minus the log-likelihood of a share of losses, given the change."""
            cells = (lost + change, lost, 1 - 2 * lost - change)
            return -float(stats.multinomial.logpmf([gains, losses, of - gains - losses], of, cells))

        least = max(0.0, -end)
        lost = optimize.minimize_scalar(
            unlikely, bounds=(least, (1 - end) / 2), method="bounded", options={"xatol": 1e-12}
        ).x
        error = math.sqrt(of * (2 * lost + end - end**2))
        assert abs(gains - losses - of * end) / error == pytest.approx(1.959964, rel=1e-4)


def test_a_change_without_any_gain_or_loss_is_as_unsure_as_a_wilson_interval_of_none() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    found = proportions.change(np.zeros(50), np.zeros(50), one(50))
    assert numbers(found) == pytest.approx([0, -z2 / (50 + z2), z2 / (50 + z2)])


def test_gains_of_all_problems() -> None:
    found = proportions.change(one(20), np.zeros(20), one(20))
    assert found.estimate == found.high == 1 and 0.6 < found.low < 0.9
    lost = proportions.change(np.zeros(20), one(20), one(20))
    assert (lost.low, lost.high) == pytest.approx((-1, -found.low))


@pytest.mark.parametrize(("gains", "losses"), [(-1, 0), (0, -1), (0.6, 0.6)])
def test_impossible_changes_are_refused(gains: float, losses: float) -> None:
    with pytest.raises(ValueError, match="together at most tries"):
        proportions.change(np.array([gains]), np.array([losses]), np.ones(1))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_a_change_lies_in_its_interval_and_turns_with_its_sign(found: list[int]) -> None:
    gains, losses = np.maximum(found, 0) / 3, np.maximum(np.negative(found), 0) / 3
    estimate, low, high = proportions.change(gains, losses, one(len(found)))
    assert -1 <= low <= estimate + 1e-7 and estimate - 1e-7 <= high <= 1 and low < high
    turned = proportions.change(losses, gains, one(len(found)))
    assert (float(turned.low), float(turned.high)) == pytest.approx((-high, -low), abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("problems", [30, 100])
@pytest.mark.parametrize(("seeds", "bases"), [(1, 1), (3, 1), (3, 3), (5, 1)])
@pytest.mark.parametrize("alike", [0.0, 0.7])
def test_intervals_of_changes_cover_the_truth(problems: int, seeds: int, bases: int, alike: float) -> None:
    rng = np.random.default_rng([problems, seeds, bases, int(10 * alike)])
    common = rng.standard_normal((problems, REPLICATIONS))
    for arm, base in (
        (0.02, 0.02),
        (0.05, 0.05),
        (0.1, 0.02),
        (0.0, 0.05),
        (0.2, 0.1),
        (0.3, 0.3),
        (0.5, 0.3),
    ):
        ours = seeds_of(rng, common, arm, alike, seeds)
        theirs = seeds_of(rng, common, base, alike, bases)
        gains, losses = np.maximum(ours - theirs, 0), np.maximum(theirs - ours, 0)
        found = covered(proportions.change(gains, losses, np.ones_like(ours)), arm - base)
        many = (gains + losses).mean() * problems >= 6
        assert 0.92 - 0.007 <= found <= (0.98 + 0.007 if many else 1.0), (arm, base, found)


# The table of solved problems ---------------------------------------------------------------------------


def test_cells() -> None:
    found = solved_sets.cells(counts(8, [0, 0, 3, 8]), counts(8, [0, 1, 0, 8]))
    assert [solved_sets.CELLS[at] for at in found] == ["neither", "base_only", "arm_only", "both"]
    with pytest.raises(ValueError, match="same problems"):
        solved_sets.cells(counts(8, [1]), counts(9, [1]))


@pytest.mark.parametrize(
    ("base_only", "arm_only", "p"), [(4, 0, 0.125), (18, 5, 0.011), (4, 1, 0.375), (19, 3, 0.0009), (0, 0, 1)]
)
def test_mcnemar_of_published_tables(base_only: int, arm_only: int, p: float) -> None:
    found = proportions.mcnemar(base_only, arm_only)
    assert found == proportions.mcnemar(arm_only, base_only)
    assert round(found, 4 if p < 0.01 else 3) == p


@pytest.mark.slow
def test_mcnemar_is_wrong_no_more_often_than_its_level() -> None:
    """Exactly: the number of disagreements is binomial, and either model is as likely in each."""
    shares = np.array([0.05, 0.2, 0.6])
    wrong = np.zeros(3)
    for differ in range(51):
        p = np.array([proportions.mcnemar(b, differ - b) for b in range(differ + 1)])
        chance = stats.binom.pmf(np.arange(differ + 1), differ, 0.5)
        wrong += stats.binom.pmf(differ, 50, shares) * chance[p <= 0.05].sum()
    assert (wrong <= 0.05).all() and wrong.max() > 0.02


def test_training_seeds_are_paired() -> None:
    assert solved_sets.paired({1: "a", 2: "b"}, {0: "c"}) == [(1, "a", "c"), (2, "b", "c")]
    assert solved_sets.paired({2: "b", 1: "a"}, {1: "c", 2: "d"}) == [(2, "b", "d"), (1, "a", "c")]
    with pytest.raises(AnatomyError, match=r"not \[3\]"):
        solved_sets.paired({3: "a"}, {1: "c", 2: "d"})


# Support ------------------------------------------------------------------------------------------------


def solved_by(both: int, base_only: int, arm_only: int, neither: int) -> tuple[Counts, Counts]:
    """Return an arm's and a base's counts with as many problems in each cell."""
    sizes = (both, base_only, arm_only, neither)
    return counts(8, np.repeat([1, 0, 2, 0], sizes)), counts(8, np.repeat([3, 1, 0, 0], sizes))


def rates(*pairs: tuple[Counts, Counts]) -> dict[str, list[float]]:
    both, base_only, arm_only = (solved_sets.seeds_in(cell, pairs) for cell in solved_sets.SOLVED)
    found = solved_sets.support(both, base_only, arm_only, np.random.default_rng(0))
    return {rate: numbers(value) for rate, value in found.items()}


def test_support_rates_by_hand() -> None:
    found = rates(solved_by(12, 4, 2, 6))
    srr, ndr = 12 / 16, 2 / 14
    estimates = {rate: value[0] for rate, value in found.items()}
    expected = {"srr": srr, "ndr": ndr, "sds": 2 * srr * ndr / (srr + ndr), "nscr": -2 / 18}
    assert list(found) == list(expected) and estimates == pytest.approx(expected)
    assert all(low < estimate < high for estimate, low, high in found.values())


def test_support_of_published_aime24() -> None:
    found = rates(solved_by(19, 4, 0, 7))
    assert [value[0] for value in found.values()] == pytest.approx([19 / 23, 0, 0, -4 / 23])
    # Nothing new among 19 solved problems is not a proof that nothing new is ever solved.
    assert found["ndr"][1] == found["sds"][1] == 0
    assert found["ndr"][2] == pytest.approx(1 - 0.05 ** (1 / 19)) and 0.1 < found["sds"][2] < 0.4


def test_support_sums_over_training_seeds() -> None:
    found = rates(solved_by(10, 4, 0, 6), solved_by(12, 2, 3, 3))
    assert found["srr"][0] == pytest.approx(22 / 28) and found["ndr"][0] == pytest.approx(3 / 25)
    same = rates(*[solved_by(12, 4, 2, 6)] * 3)
    assert same["nscr"] == pytest.approx(rates(solved_by(12, 4, 2, 6))["nscr"])


def test_support_of_models_that_solve_nothing() -> None:
    assert np.isnan(list(rates(solved_by(0, 0, 0, 9)).values())).all()
    nothing_kept = rates(solved_by(0, 5, 3, 2))
    assert [value[0] for value in nothing_kept.values()] == pytest.approx([0, 1, 0, -2 / 8])
    nothing_solved = rates(solved_by(0, 5, 0, 2))
    assert nothing_solved["srr"][0] == 0 and nothing_solved["nscr"][:2] == [-1, -1]
    assert np.isnan([*nothing_solved["ndr"], *nothing_solved["sds"]]).all()


@pytest.mark.slow
@pytest.mark.parametrize("problems", [50, 100])
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("arm", "base", "linked"), [(0.7, 0.8, 0.8), (0.6, 0.5, 0.8), (0.3, 0.35, 0.9)])
def test_intervals_of_support_cover_the_truth(
    problems: int, seeds: int, arm: float, base: float, linked: float
) -> None:
    replications = 600  # Monte-Carlo error 0.009; a coverage of 0.89 fails with probability 0.95
    rng = np.random.default_rng([problems, seeds, int(100 * arm)])
    theirs = rng.standard_normal((problems, replications))
    of_problem = rng.standard_normal((problems, replications))
    of_seed = rng.standard_normal((seeds, problems, replications))
    ours = linked * theirs + math.sqrt(1 - linked**2) * (
        math.sqrt(0.6) * of_problem + math.sqrt(0.4) * of_seed
    )
    base_solves, arm_solves = theirs < stats.norm.ppf(base), ours < stats.norm.ppf(arm)
    covariance = np.array([[1, linked], [linked, 1]])
    both = float(stats.multivariate_normal.cdf(stats.norm.ppf([arm, base]), cov=covariance))
    kept, new = both / base, (arm - both) / arm
    truth = {"srr": kept, "ndr": new, "sds": 2 * kept * new / (kept + new)}
    truth["nscr"] = (arm - base) / (arm + base - both)
    cells = (arm_solves & base_solves, ~arm_solves & base_solves, arm_solves & ~base_solves)
    both_solve, base_only, arm_only = ((1.0 * inside).sum(axis=0) for inside in cells)
    for rate, found in solved_sets.support(both_solve, base_only, arm_only, rng, draws=400).items():
        assert 0.92 - 0.009 <= covered(found, truth[rate]) <= 0.98 + 0.009, rate


# Problems yet to be solved ------------------------------------------------------------------------------


def test_unseen_by_hand() -> None:
    found = solved_sets.unseen(counts(4, [0, 0, 0, 1, 1, 2, 4]))
    assert (found.solved, found.singletons, found.doubletons) == (4, 2, 1)
    assert found.estimate == pytest.approx((3 * 2 - 1) / 4)
    # A problem solved once of 4 is solved once in half of the halves. One solved twice is solved twice in one
    # of the 6 halves, once in 4, never in one; one solved always is solved twice in each.
    once, twice = 2 / 2 + 4 / 6, 1 / 6 + 1
    assert found.held_out_predicted == pytest.approx((3 * once - twice) / 4)
    assert found.held_out_observed == pytest.approx(2 / 2 + 1 / 6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_held_out_values_are_means_over_all_halves(c: list[int]) -> None:
    predicted, observed = [], []
    for half in itertools.combinations(range(6), 3):
        first = np.array([sum(at < one for at in half) for one in c])
        predicted.append((3 * (first == 1).sum() - (first == 2).sum()) / 4)
        observed.append(((first == 0) & (np.array(c) > 0)).sum())
    found = solved_sets.unseen(counts(6, c))
    assert found.held_out_predicted == pytest.approx(max(np.mean(predicted), 0), abs=1e-12)
    assert found.held_out_observed == pytest.approx(np.mean(observed), abs=1e-12)


def test_unseen_stays_within_the_unsolved_problems() -> None:
    assert solved_sets.unseen(counts(8, [8, 4, 1]))[3:6] == (0, 0, 0)
    none = solved_sets.unseen(counts(8, [0] * 40))
    assert none.estimate == none.low == 0 and none.high == pytest.approx(stats.norm.ppf(0.975) ** 2)
    assert solved_sets.unseen(counts(8, [1, 1, 1, 1, 0])).estimate == 1
    with pytest.raises(ValueError, match="below 2"):
        solved_sets.unseen(counts(1, [0, 1]))


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Floats]] = {
    "beta": lambda rng, size: rng.beta(0.3, 3, size),
    "hard": lambda rng, size: rng.beta(1, 40, size),
    "alike": lambda rng, size: rng.beta(2, 150, size),
    "log-uniform": lambda rng, size: 10 ** rng.uniform(-5, 0, size),
    "log-normal": lambda rng, size: np.minimum(np.exp(rng.normal(-4.5, 1.5, size)), 1),
    "impossible": lambda rng, size: np.where(rng.random(size) < 0.4, 0, rng.beta(1, 40, size)),
}


@pytest.mark.slow
@pytest.mark.parametrize("problems", [50, 100])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_predictions_of_new_solves_hold(name: str, problems: int) -> None:
    replications = 400  # Monte-Carlo error 0.011; a coverage of 0.88 fails with probability 0.97
    rng = np.random.default_rng([problems, *name.encode()])
    p = DISTRIBUTIONS[name](rng, (replications, problems))
    c, again = rng.binomial(128, p), rng.binomial(128, p)
    new = ((c == 0) & (again > 0)).sum(axis=1)
    found = [solved_sets.unseen(counts(128, row)) for row in c]
    estimate, low, high, predicted, observed, bound = (
        np.array([getattr(one, column) for one in found])
        for column in ("estimate", "low", "high", "held_out_predicted", "held_out_observed", "singletons")
    )
    assert 0.92 - 0.011 <= np.mean((low <= new) & (new <= high)) <= 0.98 + 0.011
    for guess, result in ((estimate, new), (predicted, observed)):
        error = (guess - result).std() / math.sqrt(replications)
        assert abs(guess.mean() - result.mean()) < 0.1 * result.mean() + 3 * error
    assert new.mean() < bound.mean()
    assert ((estimate - new) ** 2).mean() < 0.75 * ((bound - new) ** 2).mean()


# The tables ---------------------------------------------------------------------------------------------

N, PROBLEMS = 16, 12


def frame(answer: Sequence[int], derivation: Sequence[int] | None = None, n: int = N) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "problem": [f"p{at:02}" for at in range(len(answer))],
            "n": n,
            "answer": answer,
            "derivation": derivation if derivation is not None else np.nan,
        }
    )


BASE = [0, 0, 0, 1, 1, 2, 4, 8, 16, 16, 3, 1]
FIRST = [0, 0, 1, 0, 2, 5, 9, 16, 16, 16, 0, 0]
SECOND = [0, 3, 1, 1, 1, 4, 9, 15, 16, 16, 0, 0]


def inputs(**more: Any) -> Inputs:
    """Two benchmarks, the second without a checker; an arm of two training seeds and its base of one."""
    valid = {"base": [c // 2 for c in BASE], 1: [c // 2 for c in FIRST], 2: [c // 3 for c in SECOND]}
    cells = {
        "world": {
            "base": {0: frame(BASE, valid["base"])},
            "rl": {1: frame(FIRST, valid[1]), 2: frame(SECOND, valid[2])},
        },
        "real": {"base": {0: frame(BASE)}, "rl": {1: frame(FIRST), 2: frame(SECOND)}},
    }
    return Inputs(cells=cells, pairs=[("rl", "base")], **{"draws": 200, **more})


TABLES: Mapping[str, tuple[Callable[[Inputs], Rows], list[str], int]] = {
    "difference": (
        difference.rows,
        ["arm", "base", "benchmark", "target", "k", "estimate", "low", "high", "band_low", "band_high", "p"],
        3 * 4,
    ),
    "cover": (cover.rows, ["arm", "benchmark", "target", "tau", "estimate", "low", "high"], 3 * 2 * 8),
    "accuracy": (accuracy.rows, ["arm", "benchmark", "bin", "problems", "low", "high"], 2 * 2 * 12),
    "accuracy_change": (
        accuracy_change.rows,
        ["arm", "base", "benchmark", "bin", "estimate", "low", "high"],
        2 * 12,
    ),
    "coverage": (
        coverage_table.rows,
        ["arm", "base", "seed", "benchmark", "target", *solved_sets.CELLS, "p", "estimate", "low", "high"],
        3 * 2,
    ),
    "support": (
        support.rows,
        ["arm", "base", "benchmark", "target", "rate", "estimate", "low", "high"],
        3 * 4,
    ),
    "unseen": (
        unseen.rows,
        [
            *[
                "arm",
                "seed",
                "benchmark",
                "target",
                "problems",
                "solved",
                "singletons",
                "doubletons",
                "bound",
            ],
            *["estimate", "low", "high", "held_out_predicted", "held_out_observed"],
        ],
        3 * 3,
    ),
    "luck": (luck.rows, ["arm", "benchmark", "k", "estimate", "low", "high", "answer", "derivation"], 2 * 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_tables_have_their_columns_and_rows_and_the_same_numbers_again(name: str) -> None:
    rows, columns, length = TABLES[name]
    found = rows(inputs())
    assert len(found) == length
    assert all(list(row) == columns for row in found)
    assert found == rows(inputs())
    ends = {"accuracy": "problems"}.get(name, "estimate")
    assert all(row["low"] - 1e-7 <= row[ends] <= row["high"] + 1e-7 for row in found)
    values = [row[column] for row in found for column in columns]
    assert all(np.ndim(value) == 0 and not isinstance(value, np.ndarray) for value in values)


def chosen(rows: Rows, **keys: object) -> Rows:
    return [row for row in rows if all(row[name] == value for name, value in keys.items())]


def test_difference_has_a_band_wider_than_its_intervals_and_a_test() -> None:
    rows = chosen(difference.rows(inputs(draws=2000)), benchmark="world", target="answer")
    assert [row["k"] for row in rows] == [1, 2, 4, 8]
    assert sum(row["band_high"] - row["band_low"] for row in rows) > sum(
        row["high"] - row["low"] for row in rows
    )
    first = (np.array(FIRST) + SECOND) / 2 / N - np.array(BASE) / N
    assert rows[0]["estimate"] == pytest.approx(first.mean())
    moved = first[first != 0]
    signs = np.array(list(itertools.product([1, -1], repeat=len(moved))))
    assert rows[0]["p"] == pytest.approx(np.mean(np.abs(signs @ moved) >= abs(moved.sum()) - 1e-12))


def test_cover_counts_problems_at_each_tau() -> None:
    rows = chosen(cover.rows(inputs()), arm="rl", benchmark="real")
    assert [row["tau"] for row in rows] == [0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]
    expected = [np.mean([c >= tau * N for c in FIRST + SECOND]) for tau in [row["tau"] for row in rows]]
    assert [row["estimate"] for row in rows] == pytest.approx(expected)
    other = cover.rows(inputs(options={"taus": [0.25]}))
    assert [row["tau"] for row in other] == [0.25] * 6


def test_accuracy_bins_and_their_change() -> None:
    rows = chosen(accuracy.rows(inputs()), arm="rl", benchmark="world")
    assert [row["bin"] for row in rows] == list(accuracy_bins.BINS)
    assert [row["problems"] for row in rows] == [4, 2, 1, 0.5, 0.5, 0, 1, 0, 0, 0, 0.5, 2.5]
    base = chosen(accuracy.rows(inputs()), arm="base", benchmark="world")
    changes = chosen(accuracy_change.rows(inputs()), benchmark="world")
    expected = [mine["problems"] - theirs["problems"] for mine, theirs in zip(rows, base, strict=True)]
    assert [row["estimate"] for row in changes] == pytest.approx(expected)
    empty = rows[9]
    assert empty["low"] == 0 and 1 < empty["high"] < PROBLEMS


def test_coverage_rows_by_hand() -> None:
    one, two = chosen(coverage_table.rows(inputs()), benchmark="real")
    assert (one["seed"], two["seed"]) == (1, 2)
    assert [one[cell] for cell in ("both", "base_only", "arm_only", "neither")] == [6, 3, 1, 2]
    assert one["p"] == 0.625 and one["estimate"] == pytest.approx(-2 / 12)
    assert one["low"] < -2 / 12 < 0 < one["high"]
    assert [two[cell] for cell in ("both", "base_only", "arm_only", "neither")] == [7, 2, 2, 1]
    assert two["p"] == 1 and two["estimate"] == 0


def test_support_rows_are_of_the_summed_seeds() -> None:
    rows = chosen(support.rows(inputs()), benchmark="real")
    assert [row["rate"] for row in rows] == ["srr", "ndr", "sds", "nscr"]
    kept, new = 13 / 18, 3 / 16
    expected = [kept, new, 2 * kept * new / (kept + new), -2 / 21]
    assert [row["estimate"] for row in rows] == pytest.approx(expected)


def test_luck_is_the_ratio_of_the_two_targets() -> None:
    rows = chosen(luck.rows(inputs()), arm="base")
    assert {row["benchmark"] for row in rows} == {"world"}
    valid = [c // 2 for c in BASE]
    assert rows[0]["answer"] == pytest.approx(np.mean(BASE) / N)
    assert rows[0]["estimate"] == pytest.approx(sum(valid) / sum(BASE))
    for row in rows:
        assert row["estimate"] == pytest.approx(row["derivation"] / row["answer"])
        assert row["derivation"] == pytest.approx(pass_at_k.pass_at_k(N, valid, row["k"]).mean())


def test_luck_without_any_solved_problem_is_not_known() -> None:
    nothing = {"world": {"base": {0: frame([0] * 9, [0] * 9)}}}
    found = luck.rows(Inputs(cells=nothing))
    assert all(math.isnan(row[column]) for row in found for column in ("estimate", "low", "high"))
    assert all(row["answer"] == row["derivation"] == 0 for row in found)


def extra_file(
    folder: Path, of: str, found: Mapping[str, tuple[int, int | None]], n: int = 64
) -> dict[str, Any]:
    """Write extra completions: problem -> right answers, right derivations."""
    schema = schemas.SCHEMAS["counts"]
    values = [
        {
            **{field.name: None if field.nullable else 0 for field in schema},
            "problem": problem,
            "condition": "plain",
            "n": n,
            "answer": answer,
            "derivation": derivation,
        }
        for problem, (answer, derivation) in found.items()
    ]
    path = folder / f"{of}.parquet"
    parquet.write(path, "counts", values)
    return {"path": str(path), "arm": "rl", "base": "base", "seed": 1, "benchmark": "world", "of": of}


def test_disagreements_without_extra_completions() -> None:
    rows = chosen(disagreements.rows(inputs()), benchmark="real")
    listed = [(row["seed"], row["problem"], row["cell"], row["singleton"]) for row in rows]
    assert listed == [
        (1, "p02", "arm_only", 1),
        (1, "p03", "base_only", 1),
        (1, "p10", "base_only", 0),
        (1, "p11", "base_only", 1),
        (2, "p01", "arm_only", 0),
        (2, "p02", "arm_only", 1),
        (2, "p10", "base_only", 0),
        (2, "p11", "base_only", 1),
    ]
    assert (rows[2]["n"], rows[2]["base_successes"], rows[2]["arm_successes"]) == (N, 3, 0)
    assert all(row[name] is None for row in rows for name in ("extra", "base_extra", "arm_extra"))
    assert resampled.rows(inputs()) == []


def test_disagreements_with_extra_completions(tmp_path: Path) -> None:
    files = [
        extra_file(tmp_path, "base", {"p02": (2, None), "p03": (3, 0), "p10": (9, 1)}),
        extra_file(tmp_path, "arm", {"p02": (5, None), "p03": (0, 0), "p10": (1, 0), "p11": (0, 0)}),
    ]
    given = inputs(files={"extra": files})
    rows = chosen(disagreements.rows(given), benchmark="world", target="answer", seed=1)
    listed = {row["problem"]: (row["extra"], row["base_extra"], row["arm_extra"]) for row in rows}
    assert listed == {"p02": (64, 2, 5), "p03": (64, 3, 0), "p10": (64, 9, 1), "p11": (64, None, 0)}
    other = chosen(disagreements.rows(given), benchmark="world", seed=2)
    assert other and all(row["extra"] is None for row in other)

    found = resampled.rows(given)
    assert [(row["target"], row["cell"]) for row in found] == [
        ("answer", "base_only"),
        ("answer", "arm_only"),
        ("derivation", "base_only"),
        ("derivation", "arm_only"),
    ]
    columns = ["problems", "resampled", "extra", "base_solved", "arm_solved", "moved"]
    assert list(found[0]) == ["arm", "base", "seed", "benchmark", "target", "cell", *columns]
    assert [found[0][column] for column in columns] == [3, 2, 64, 2, 1, 1]
    assert [found[1][column] for column in columns] == [1, 1, 64, 1, 1, 1]
    # p10 was derived right by the base once of 16; then once of 64, and never by the arm.
    assert [found[2][column] for column in columns] == [1, 1, 64, 1, 0, 0]
    assert [found[3][column] for column in columns] == [1, 0, None, 0, 0, 0]


def test_models_must_have_as_many_extra_completions(tmp_path: Path) -> None:
    files = [
        extra_file(tmp_path, "base", {"p02": (2, 0)}),
        extra_file(tmp_path, "arm", {"p02": (2, 0)}, n=32),
    ]
    with pytest.raises(AnatomyError, match="not as many"):
        disagreements.rows(inputs(files={"extra": files}))
