"""Tests and intervals over problems and seeds, the efficiency gap, the envelope, and their tables."""

import csv
import itertools
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from anatomy.analyses import dynamics, equivalence, temperature
from anatomy.analyses import efficiency as efficiency_table
from anatomy.analyses import envelope as envelope_table
from anatomy.analyses import tests as tests_table
from anatomy.analyses.inputs import Inputs
from anatomy.reporting import numbers
from anatomy.statistics import (
    best_temperature,
    bootstrap,
    pass_at_k,
    sampling_efficiency,
    tests_and_intervals,
)
from anatomy.statistics.pass_at_k import Counts
from anatomy.storage.csv import write_csv
from anatomy.storage.verdicts import COUNTED

Floats = NDArray[np.float64]
CURVES = Path(__file__).resolve().parents[1] / "config" / "published" / "yue2025_curves.csv"


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Sign flips ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.25] * 4, 2 / 16),
        ([0.25] * 4 + [0.0] * 40, 2 / 16),
        ([0.1, 0.2, 0.3], 2 / 8),
        ([0.1, 0.1, -0.1], 1.0),  # |sum| = 0.1 is the smallest there is
        ([0.1, 0.2, -0.3], 1.0),
        ([0.4, 0.4, 0.4, -0.1], 4 / 16),
        ([-0.5], 1.0),
        ([0.0] * 7, 1.0),
        ([1e-17, -3e-16, 0.0], 1.0),  # rounding errors are no differences
    ],
)
def test_few_differences_are_tested_exactly(differences: list[float], p: float) -> None:
    assert float(tests_and_intervals.sign_flip(differences, rng())) == pytest.approx(p, abs=1e-12)
    assert float(tests_and_intervals.sign_flip([-one for one in differences], rng())) == pytest.approx(
        p, abs=1e-12
    )


def test_exact_and_random_signs_agree_with_scipy() -> None:
    values = rng(1).normal(0.3, 1.0, (12, 3))
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, axis=0, vectorized=True
    ).pvalue
    assert tests_and_intervals.sign_flip(values, rng()) == pytest.approx(expected, abs=1e-12)
    drawn = tests_and_intervals.sign_flip(values, rng(2), draws=4000)  # 2^12 > 4000
    assert not np.array_equal(drawn, expected)
    assert (np.abs(drawn - expected) < 4 * np.sqrt(expected / 4000)).all()


def test_each_column_is_tested_by_itself_with_the_same_signs() -> None:
    values = rng(3).integers(-3, 5, (30, 2, 4)) / 64
    values[8:, 1, 2] = 0  # one column is exact
    p = tests_and_intervals.sign_flip(values, rng(7))
    assert p.shape == (2, 4) and ((p > 0) & (p <= 1)).all()
    for i, j in np.ndindex(2, 4):
        assert p[i, j] == tests_and_intervals.sign_flip(values[:, i, j], rng(7))
    assert np.array_equal(p, tests_and_intervals.sign_flip(values, rng(7)))


def test_the_smallest_p_of_random_signs() -> None:
    assert tests_and_intervals.sign_flip(np.full(100, 0.5), rng(), draws=999) == pytest.approx(1 / 1000)


@pytest.mark.parametrize("bad", [0.5, [0.1, math.nan], [[0.1, math.inf]]])
def test_sign_flips_need_differences(bad: Any) -> None:
    with pytest.raises(ValueError, match="finite difference"):
        tests_and_intervals.sign_flip(bad, rng())


def test_sign_flips_hold_their_level() -> None:
    # 4,000 samples of 20 paired counts of the same probability: heavy ties and zeros. Error of 0.05: 0.0034.
    chance = rng(4).beta(0.3, 1.0, (20, 4000))
    one, two = (rng(seed).binomial(8, chance) for seed in (5, 6))
    p = tests_and_intervals.sign_flip((one - two) / 8, rng(7), draws=999)
    assert np.mean(p <= 0.05) <= 0.05 + 3 * 0.0034
    assert np.mean(p <= 0.05) >= 0.02  # few differ at all
    assert np.mean(tests_and_intervals.sign_flip((one - two + 1) / 8, rng(7), draws=999) <= 0.05) > 0.5


# Holm ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_holm() -> None:
    assert tests_and_intervals.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    found = tests_and_intervals.holm([0.01, math.nan, 0.04])
    assert found[[0, 2]] == pytest.approx([0.02, 0.04]) and math.isnan(found[1])
    assert np.isnan(tests_and_intervals.holm([math.nan])).all() and not len(tests_and_intervals.holm([]))


# Crossed effects ----------------------------------------------------------------------------------------


def test_one_seed_has_a_t_interval() -> None:
    values = rng(1).normal(size=20)
    expected = stats.t.interval(0.9, 19, values.mean(), stats.sem(values))
    assert tests_and_intervals.crossed_interval(values[None], 0.9) == pytest.approx(
        (values.mean(), *expected)
    )


def test_crossed_interval_by_hand() -> None:
    # Rows 1 and 3 on average, columns 1, 2 and 3; nothing is left over. MS_seed = 3 * 2, MS_problem = 2 * 1.
    values = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]])
    seed, problem = 6 / 6, 2 / 6
    half = seed * stats.t.ppf(0.975, 1) + problem * stats.t.ppf(0.975, 2)
    half /= math.sqrt(seed + problem)
    assert tests_and_intervals.crossed_interval(values) == pytest.approx((2, 2 - half, 2 + half))


def test_equal_seeds_count_as_one() -> None:
    values = rng(1).normal(size=(1, 20))
    once, thrice = (
        tests_and_intervals.crossed_interval(np.repeat(values, times, axis=0)) for times in (1, 3)
    )
    assert once == pytest.approx(thrice)
    assert tests_and_intervals.crossed_interval(np.full((3, 5), 0.25)) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize("bad", [[0.5, 0.5], [[0.5]], [[0.5, math.nan]], np.zeros((0, 4))])
def test_impossible_tables_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="expected finite values"):
        tests_and_intervals.crossed_interval(bad)


def crossed(draw: np.random.Generator, shape: tuple[int, int, int], seed: float, problem: Floats | float,
            rest: float) -> Floats:  # fmt: skip
    """Normal values (replications, S, N) with effects of given variance; or problem effects as given."""
    replications, seeds, problems = shape
    if isinstance(problem, float):
        problem = math.sqrt(problem) * draw.standard_normal((replications, 1, problems))
    noise = math.sqrt(rest) * draw.standard_normal(shape)
    return problem + noise + math.sqrt(seed) * draw.standard_normal((replications, seeds, 1))


# Variances of seed, problem and residual: seeds bring from none to 25 times what problems bring.
RATIOS = [
    (0.0, 1.0, 0.2),
    (0.0, 1.0, 1.0),
    (0.0, 0.05, 1.0),
    (0.02, 1.0, 0.3),
    (0.2, 1.0, 0.3),
    (1.0, 1.0, 0.3),
]


@pytest.mark.slow
@pytest.mark.parametrize("ratio", RATIOS)
def test_crossed_intervals_cover(ratio: tuple[float, float, float]) -> None:
    # Error of the coverage: 0.005.
    found = np.array(
        [tests_and_intervals.crossed_interval(one) for one in crossed(rng(8), (2000, 3, 50), *ratio)]
    )
    assert 0.93 <= np.mean((found[:, 1] <= 0) & (found[:, 2] >= 0)) <= 0.98


# Equivalence --------------------------------------------------------------------------------------------


def test_pairs_of_single_seeds_are_paired_t_tests() -> None:
    one, two = rng(1).normal(0.3, 1, 30), rng(2).normal(0.0, 1, 30)
    (pair,) = tests_and_intervals.pairwise([one[None], two[None]], 0.8)
    expected = stats.ttest_rel(one, two)
    assert pair[:3] == (0, 1, pytest.approx((one - two).mean()))
    assert pair.p_different == pytest.approx(expected.pvalue, rel=1e-6)
    assert (pair.low, pair.high) == pytest.approx(tuple(expected.confidence_interval()))
    lower, upper = (stats.ttest_1samp(one - two, bound) for bound in (-0.8, 0.8))
    tost = max(stats.t.sf(lower.statistic, 29), stats.t.cdf(upper.statistic, 29))
    assert pair.p_equivalent == pytest.approx(tost, rel=1e-6)


def test_all_alike_is_as_doubtful_as_the_worst_pair() -> None:
    values = [rng(seed).normal(0.02 * seed, 0.1, (3, 40)) for seed in range(4)]
    pairs = tests_and_intervals.pairwise(values, 0.2)
    assert [(pair.first, pair.second) for pair in pairs] == list(itertools.combinations(range(4), 2))
    largest, p = tests_and_intervals.equivalence(values, 0.2)
    assert largest == max(abs(pair.estimate) for pair in pairs)
    assert p == max(pair.p_equivalent for pair in pairs)
    assert all((pair.low > 0 or pair.high < 0) == (pair.p_different < 0.05) for pair in pairs)
    assert tests_and_intervals.equivalence([values[0], values[0]], 0.2)[0] == 0
    swapped = tests_and_intervals.pairwise(values[:2][::-1], 0.2)[0]
    assert swapped.estimate == -pairs[0].estimate
    assert swapped[3:] == pytest.approx((-pairs[0].high, -pairs[0].low, *pairs[0][5:]))


def test_differences_without_spread() -> None:
    values = [np.full((2, 10), share) for share in (0.5, 0.5, 0.6)]
    first, second, _ = tests_and_intervals.pairwise(values, 0.05)
    assert first == (0, 1, 0, 0, 0, 0, 1)
    assert second == (0, 2, pytest.approx(-0.1), pytest.approx(-0.1), pytest.approx(-0.1), 1, 0)


def test_equivalence_refuses() -> None:
    ten, twelve = np.zeros((1, 10)), np.zeros((1, 12))
    with pytest.raises(ValueError, match="margin"):
        tests_and_intervals.equivalence([ten, ten], 0.0)
    with pytest.raises(ValueError, match="paired"):
        tests_and_intervals.equivalence([ten, twelve], 0.1)
    with pytest.raises(ValueError, match="two algorithms"):
        tests_and_intervals.equivalence([ten], 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0.0, 0.0), (0.02, 0.02), (0.5, 0.5), (0.5, 0.0)])
def test_equivalence_holds_its_level(seeds: tuple[float, float]) -> None:
    # The true difference is the margin. Errors: 0.006 of the level, 0.006 of the coverage.
    problem = rng(9).standard_normal((1500, 1, 50))
    one, two = (
        crossed(rng(at), (1500, 3, 50), seed, problem, 0.3) for at, seed in enumerate(seeds, start=10)
    )
    margin = 4 * math.sqrt(sum(seeds) / 3 + 2 * 0.3 / 150)
    pairs = [tests_and_intervals.pairwise([a + margin, b], margin)[0] for a, b in zip(one, two, strict=True)]
    assert np.mean([pair.p_equivalent <= 0.05 for pair in pairs]) <= 0.05 + 3 * 0.006
    assert 0.93 <= np.mean([pair.low <= margin <= pair.high for pair in pairs]) <= 0.985
    # Three alike, and one at the margin: no easier to be called alike.
    joint = [
        tests_and_intervals.equivalence([a + margin, b, b + 0.1 * (a - b)], margin)[1] <= 0.05
        for a, b in zip(one[:300], two[:300], strict=True)
    ]
    assert np.mean(joint) <= 0.05 + 3 * 0.0126


def test_equivalence_is_found() -> None:
    values = [rng(seed).normal(0.5, 0.05, (3, 50)) for seed in range(4)]
    assert tests_and_intervals.equivalence(values, 0.05)[1] < 0.01


# Ratios -------------------------------------------------------------------------------------------------


def test_ratio() -> None:
    assert tests_and_intervals.ratio([2, 4], [1, 5], rng(), 10)[0] == 1
    assert tests_and_intervals.ratio([2, 4, 6], [1, 2, 3], rng(), 50) == pytest.approx((2, 2, 2))
    _, low, high = tests_and_intervals.ratio(np.arange(1, 41), np.full(40, 100), rng(), 4000)
    expected = 0.205 + np.array([-1, 1]) * 1.96 * np.arange(1, 41).std() / 100 / math.sqrt(40)
    assert (low, high) == pytest.approx(tuple(expected), abs=0.003)
    with pytest.raises(ValueError, match="positive"):
        tests_and_intervals.ratio([1, 2], [1, 0], rng(), 10)


@pytest.mark.slow
def test_ratios_cover() -> None:
    draw, covered = rng(11), 0
    for _ in range(1000):  # error 0.007
        below = draw.gamma(3.0, 100.0, 50)
        above = below * draw.gamma(4.0, 0.1, 50) * np.sqrt(below / 300)  # longer texts differ from shorter
        _, low, high = tests_and_intervals.ratio(above, below, draw, 300)
        covered += low <= 0.4 * math.gamma(4.5) / math.gamma(3) / 3 / math.sqrt(3) <= high
    assert 0.92 <= covered / 1000 <= 0.98


# The efficiency gap -------------------------------------------------------------------------------------

PUBLISHED = {
    "GRPO": (41.1, 44.0, 21.8),
    "PPO": (40.0, 42.3, 21.0),
    "ReMax": (42.8, 45.3, 22.7),
    "RLOO": (38.6, 41.0, 21.2),
    "Reinforce++": (39.0, 41.1, 20.8),
    "DAPO": (35.8, 42.6, 20.6),
    "GRPO-300": (33.6, 42.0, 20.8),
    "GRPO-450": (24.7, 40.8, 19.9),
}
"""Yue et al. 2025, delta-SE by their tables 2 and 3 in points: Omni-MATH train, Omni-MATH test, MATH500."""


@pytest.mark.parametrize("algorithm", PUBLISHED)
def test_published_gaps(algorithm: str) -> None:
    curves: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    figure = "Fig14bot" if "-" in algorithm else "Fig14top"
    with CURVES.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["figure"] == figure:
                curves[row["panel"], row["series"]][int(row["k"])] = float(row["pass_at_k"])
    panels = ("Omni-MATH-Train", "Omni-MATH-Test", "MATH500")
    for panel, expected in zip(panels, PUBLISHED[algorithm], strict=True):
        base, arm = curves[panel, "base"], curves[panel, algorithm]
        found = sampling_efficiency.delta_se(base[max(base)], arm[1])
        # The published gaps are differences of rounded numbers.
        assert 100 * found == pytest.approx(expected, abs=0.1)


def test_gaps_by_problem() -> None:
    base = Counts(np.array([4, 4]), np.array([1, 0]))
    arms = [Counts(np.array([4, 4]), np.array(c)) for c in ([2, 0], [4, 1])]
    found = sampling_efficiency.by_problem(base, arms, 2)  # pass@2 of 1 in 4 is 1/2
    assert found == pytest.approx(np.array([[0.0, 0.0], [-0.5, -0.25]]))
    assert sampling_efficiency.delta_se(0.75, 0.5) == 0.25


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_gaps_cover(spread: float) -> None:
    draw = rng(12)
    hard = 2 * draw.standard_normal((1000, 1, 50))
    shift = spread * draw.standard_normal((1000, 3, 1))
    base, arm = draw.binomial(64, expit(hard - 2)), draw.binomial(64, expit(hard + shift))
    values = pass_at_k.pass_at_k(64, base, 16) - arm / 64
    found = np.array([tests_and_intervals.crossed_interval(one) for one in values])
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / weight.sum()
    first = expit(2 * z[:, None] + spread * z) @ weight
    truth = weight @ (1 - (1 - expit(2 * z - 2)) ** 16 - first)
    assert 0.92 <= np.mean((found[:, 1] <= truth) & (truth <= found[:, 2])) <= 0.98  # error 0.007


# The envelope -------------------------------------------------------------------------------------------

KS = [1, 8, 32]


def arms_on(draw: np.random.Generator, shifts: list[float], names: str) -> bootstrap.Curves:
    """Arms on the same 50 problems, sampled without end, each easier or harder by a shift and by chance."""
    hard = 2 * draw.standard_normal(50) - 1
    values = {}
    for name, shift in zip(names, shifts, strict=True):
        chance = expit(hard + shift + 0.5 * draw.standard_normal(50))
        values[name] = 1 - (1 - chance[:, None]) ** np.array(KS)
    noise = {name: np.zeros((250, len(KS))) for name in names}
    return bootstrap.Curves(
        np.array(KS), values, noise, draw.multinomial(50, np.full(50, 0.02), size=250) / 50
    )


def envelope_truth() -> Floats:
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    chance = expit(math.sqrt(4.25) * z - 1)
    return np.array([weight @ (1 - (1 - chance) ** k) / weight.sum() for k in KS])


def test_the_best_arm_differs_by_k() -> None:
    sure, broad = Counts(np.full(4, 16), np.array([16, 16, 0, 0])), Counts(np.full(4, 16), np.full(4, 3))
    curves = bootstrap.bootstrap({"broad": [broad], "sure": [sure]}, [1, 8], rng(), 200)
    which, estimate = best_temperature.best(curves, ["sure", "broad"])
    assert which.tolist() == [0, 1]
    assert estimate == pytest.approx([0.5, float(pass_at_k.pass_at_k(16, 3, 8))])
    assert best_temperature.best(curves, ["sure", "sure"])[0].tolist() == [0, 0]


def test_one_arm_has_its_own_upper_end() -> None:
    curves = arms_on(rng(1), [0.0, 0.5], "ab")
    assert best_temperature.interval(curves, ["a"])[1] == pytest.approx(curves.interval("a")[1])
    low, high = best_temperature.interval(curves, ["a", "b"])
    _, estimate = best_temperature.best(curves, ["a", "b"])
    assert (low < estimate).all() and (estimate < high).all()
    assert (best_temperature.difference(curves, ["a"], ["a"]) == 0).all()
    ab, ba = (
        best_temperature.difference(curves, ["a"], ["b"]),
        best_temperature.difference(curves, ["b"], ["a"]),
    )
    assert ab == pytest.approx(-ba[::-1])


def test_all_or_nothing_arms_have_no_width() -> None:
    none, every = (Counts(np.full(5, 64), np.full(5, c)) for c in (0, 64))
    curves = bootstrap.bootstrap({"none": [none], "every": [every]}, KS, rng(), 100)
    assert (best_temperature.interval(curves, ["none", "every"]) == 1).all()
    assert (best_temperature.interval(curves, ["none"]) == 0).all()
    assert (best_temperature.difference(curves, ["none"], ["every"]) == -1).all()


@pytest.mark.slow
@pytest.mark.parametrize("shifts", [[0.0, 0.0, 0.0], [0.0, -1.0, -2.0]])
def test_envelopes_cover(shifts: list[float]) -> None:
    # Error 0.01; the difference is covered too often, by the method.
    draw, truth, covered, apart, naive = rng(13), envelope_truth(), *np.zeros((3, len(KS)))
    for _ in range(500):
        curves = arms_on(draw, [*shifts, 0.0, 0.0], "abcde")
        low, high = best_temperature.interval(curves, list("abc"))
        covered += (low <= truth) & (truth <= high)
        low, high = best_temperature.difference(curves, list("abc"), list("de"))
        apart += (low <= 0) & (high >= 0)
        low, high = bootstrap.interval(np.max([curves.draws(arm) for arm in "abc"], axis=0), 50)
        naive += (low <= truth) & (truth <= high)
    assert (covered / 500 >= 0.92).all() and (covered / 500 <= 0.99).all(), covered / 500
    assert (apart / 500 >= 0.92).all(), apart / 500
    if not any(shifts):
        assert (naive / 500 < covered / 500).all(), naive / 500


# Tables -------------------------------------------------------------------------------------------------


def frame(c: list[int], n: int = 8, derivation: list[int] | None = None, entropy: float | None = 0.5) -> Any:
    tokens = np.arange(1, len(c) + 1) * n
    return pd.DataFrame(
        {
            "problem": [f"p{at}" for at in range(len(c))],
            "n": n,
            "answer": c,
            "derivation": pd.array(derivation or [None] * len(c), dtype="Int64"),
            "lenient": 0,
            **dict.fromkeys(COUNTED, 0),
            "tokens": tokens,
            "entropy": math.nan if entropy is None else tokens * entropy,
        }
    )


def inputs(**options: Any) -> Inputs:
    cells = {
        "toy": {
            "base": {0: frame([1, 0, 2, 4], entropy=None)},
            "rl-1": {0: frame([2, 0, 8, 4]), 1: frame([4, 0, 6, 4], entropy=1.0)},
            "rl-2": {0: frame([4, 0, 8, 8]), 1: frame([6, 1, 8, 8])},
        },
        "other": {"rl-1": {0: frame([1, 2])}},
    }
    temperatures = {"base": 1.0, "rl-1": 0.6, "rl-2": 0.8}
    for of_benchmark in cells.values():
        for arm, seeds in of_benchmark.items():
            for one in seeds.values():
                one["temperature"] = temperatures[arm]
    arms = {
        "base": {"model": "base", "step": 90},
        "rl-1": {"model": "run", "step": 10},
        "rl-2": {"model": "run", "step": 20},
    }
    pairs = [("rl-1", "base"), ("rl-2", "base")]
    return Inputs(cells=cells, pairs=pairs, arms=arms, options=options, draws=200)


def same_twice(rows: Any, **options: Any) -> list[dict[str, Any]]:
    found = rows(inputs(**options))
    assert repr(found) == repr(rows(inputs(**options)))
    assert len({tuple(row) for row in found}) == 1
    return list(found)


def test_efficiency_table() -> None:
    first, second = same_twice(efficiency_table.rows)
    assert (first["arm"], first["base"], first["benchmark"], first["target"]) == (
        "rl-1",
        "base",
        "toy",
        "answer",
    )
    assert first["top_k"] == 4
    top = np.mean([1 - 35 / 70, 0, 1 - 15 / 70, 1 - 1 / 70])
    assert first["base_top"] == pytest.approx(top)
    assert first["arm_first"] == pytest.approx(28 / 64)
    assert first["estimate"] == pytest.approx(top - 28 / 64)
    assert first["low"] < first["estimate"] < first["high"]
    assert second["arm_first"] == pytest.approx(43 / 64)


def test_equivalence_table() -> None:
    joint, pair = same_twice(equivalence.rows, margin=0.05)
    assert (joint["first"], joint["second"], joint["low"]) == ("all", "all", None)
    assert (pair["first"], pair["second"], pair["margin"]) == ("rl-1", "rl-2", 0.05)
    assert pair["estimate"] == pytest.approx(-15 / 64)
    assert joint["estimate"] == pytest.approx(15 / 64)
    assert joint["p_equivalent"] == pair["p_equivalent"] > 0.5


def test_temperature_table() -> None:
    found = {(row["arm"], row["benchmark"]): row for row in same_twice(temperature.rows)}
    none = found["base", "toy"]
    assert none["entropy"] is none["low"] is none["high"] is None
    assert none["tokens_per_completion"] == 2.5 and none["temperature"] == 1.0
    assert found["rl-1", "toy"]["entropy"] == pytest.approx(0.75)  # as many tokens at 0.5 as at 1
    assert found["rl-1", "other"]["tokens_per_completion"] == 1.5


def test_dynamics_table() -> None:
    found = same_twice(dynamics.rows)
    key = [(row["run"], row["step"], row["arm"], row["k"]) for row in found]
    steps = [(0, "base"), (10, "rl-1"), (20, "rl-2")]
    assert key == [("run", step, arm, k) for step, arm in steps for k in (1, 4)]
    assert [row["estimate"] for row in found][::2] == pytest.approx([7 / 32, 28 / 64, 43 / 64])


def test_envelope_table() -> None:
    options = {"groups": {"rl": ["rl-1", "rl-2"], "start": ["base"]}, "contrast": ["rl", "start"]}
    found = same_twice(envelope_table.rows, **options)
    where = [(row["benchmark"], row["group"], row["k"]) for row in found]
    toy = [("toy", group, k) for group in ("rl", "start", "rl - start") for k in (1, 2, 4)]
    assert where == [*toy, ("other", "rl", 1), ("other", "rl", 2), ("other", "rl", 4)]
    assert [row["best_temperature"] for row in found[:9]] == [0.8] * 3 + [1.0] * 3 + [None] * 3
    assert found[6]["estimate"] == pytest.approx(found[0]["estimate"] - found[3]["estimate"])
    assert all(row["low"] <= row["estimate"] <= row["high"] for row in found)


def test_the_family_of_tests(tmp_path: Path) -> None:
    where = {"base": "base", "benchmark": "toy", "target": "answer", "estimate": 0.1}
    tables: dict[str, list[dict[str, Any]]] = {
        "difference": [where | {"arm": "rl", "k": k, "p": p} for k, p in ((1, 0.001), (8, 0.9), (64, 0.02))],
        "coverage": [where | {"arm": "rl", "seed": seed, "p": p} for seed, p in ((0, 0.125), (1, None))],
        "equivalence": [
            {
                "benchmark": "toy",
                "target": "answer",
                "first": a,
                "second": b,
                "estimate": 0.02,
                "p_equivalent": p,
            }
            for a, b, p in (("all", "all", 0.012), ("rl", "other", 0.001))
        ],
    }
    files = []
    for name, rows in tables.items():
        write_csv(tmp_path / f"{name}.csv", rows)
        files.append({"table": name, "path": tmp_path / f"{name}.csv"})
    found = tests_table.rows(Inputs(files={"tables": files}))
    names = ["pass@1 differs", "pass@K differs", "coverage differs", "coverage differs", "algorithms alike"]
    assert [row["test"] for row in found] == names
    assert [row["k"] for row in found] == [1, 64, None, None, 1]
    assert [row["seed"] for row in found] == ["all", "all", 0, 1, "all"]
    # Four tests: 0.001 * 4, 0.012 * 3, 0.02 * 2, 0.125 * 1.
    assert [row["p_holm"] for row in found] == pytest.approx(
        [0.004, 0.04, 0.125, math.nan, 0.036], nan_ok=True
    )
    assert [row["significant"] for row in found] == [1, 1, 0, 0, 1]
    assert {row["tests"] for row in found} == {4}
    write_csv(tmp_path / "tests.csv", found)
    keys = ["test", "arm", "base", "seed", "benchmark", "target"]
    spec = {"keys": keys, "numbers": {"p_holm": "plain", "tests": "plain"}}
    assert len(numbers.numbers("tests", tmp_path / "tests.csv", spec)) == 10


# Effects with an interval and a p -----------------------------------------------------------------------


def shares(seeds: int, problems: int) -> st.SearchStrategy[Floats]:
    """Differences of shares of 8, (seeds, problems)."""
    whole = arrays(np.int64, (seeds, problems), elements=st.integers(-8, 8))
    return whole.map(lambda found: found / 8)


@settings(max_examples=100)
@given(st.integers(1, 3).flatmap(lambda seeds: shares(seeds, 6)), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_effects_are_crossed_intervals(values: Floats, level: float) -> None:
    found = tests_and_intervals.crossed(values, level)
    if np.ptp(values) == 0:
        assert math.isnan(found.low) and math.isnan(found.high) and math.isnan(found.p)
    elif not math.isnan(found.low):
        assert found[:3] == tests_and_intervals.crossed_interval(values, level)
        assert 0 <= found.p <= 1
        # Up to what the root of the tail is found with.
        if min(abs(found.low), abs(found.high)) > 1e-9:
            assert (found.p < 1 - level) == (found.low > 0 or found.high < 0)
        assert tests_and_intervals.crossed(-values, level) == pytest.approx(
            (-found.estimate, -found.high, -found.low, found.p)
        )
    else:  # what one problem gains another loses, or every seed is the mirror of another
        assert tests_and_intervals.crossed_interval(values, level)[1:] == pytest.approx((found.estimate,) * 2)


@settings(max_examples=60)
@given(shares(3, 5), st.integers(1, 3).flatmap(lambda seeds: shares(seeds, 5)))
def test_contrasts_are_pairs(one: Floats, two: Floats) -> None:
    found, back = tests_and_intervals.contrast(one, two), tests_and_intervals.contrast(two, one)
    (pair,) = tests_and_intervals.pairwise([one, two], 0.1)
    assert found.estimate == pair.estimate
    if not math.isnan(found.low):
        assert found == (pair.estimate, pair.low, pair.high, pair.p_different)
        if min(abs(found.low), abs(found.high)) > 1e-9:
            assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    assert (back.estimate, back.low, back.high, back.p) == pytest.approx(
        (-found.estimate, -found.high, -found.low, found.p), nan_ok=True
    )


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 1 / 3, -0.7])
@pytest.mark.parametrize("shape", [(1, 7), (1, 60), (3, 20), (3, 60)])
def test_where_nothing_varies_nothing_is_known(share: float, shape: tuple[int, int]) -> None:
    # Means of 0.1 differ from 0.1 by a rounding, which is no spread.
    same = np.full(shape, share)
    for found in (tests_and_intervals.crossed(same), tests_and_intervals.contrast(same, same[:1] + 0.2)):
        assert np.isnan(found[1:]).all()
    assert tests_and_intervals.crossed(same).estimate == pytest.approx(share)
    assert tests_and_intervals.contrast(same, same[:1] + 0.2).estimate == pytest.approx(-0.2)


def test_one_seed_is_a_t_test() -> None:
    values = rng(1).normal(0.2, 0.5, 25)
    expected = stats.ttest_1samp(values, 0)
    found = tests_and_intervals.crossed(values[None])
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert found[1:3] == pytest.approx(tuple(expected.confidence_interval()))
    other = rng(2).normal(0.0, 0.5, 25)
    assert tests_and_intervals.contrast(values[None], other[None]).p == pytest.approx(
        stats.ttest_rel(values, other).pvalue, rel=1e-6
    )


def test_contrasts_are_of_the_same_problems() -> None:
    with pytest.raises(ValueError, match="paired by problem"):
        tests_and_intervals.contrast(np.zeros((1, 4)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match="expected finite"):
        tests_and_intervals.crossed([[0.1, math.nan]])
