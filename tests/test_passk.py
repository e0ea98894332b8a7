"""pass@k, its bootstrap intervals, the crossover and the accuracy histogram."""

import csv
import itertools
import math
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.special import beta as beta_function

from anatomy.statistics import accuracy_bins, bootstrap, crossover, pass_at_k
from anatomy.statistics.bootstrap import Curves
from anatomy.statistics.pass_at_k import Counts

CURVES = Path(__file__).resolve().parents[1] / ".." / "shared" / "reference" / "yue2025_curves.csv"


def counts(n: int, c: list[int] | NDArray[np.int64]) -> Counts:
    return Counts(np.full(len(c), n), np.asarray(c))


# The estimator ------------------------------------------------------------------------------------------


def enumerated(n: int, c: int, k: int) -> Fraction:
    """Share of all k-subsets of n completions, the first c right, that hold a right one."""
    subsets = list(itertools.combinations(range(n), k))
    return Fraction(sum(min(subset) < c for subset in subsets), len(subsets))


def exact(n: int, c: int, k: int) -> Fraction:
    return 1 - Fraction(math.comb(n - c, k), math.comb(n, k))


@pytest.mark.parametrize("n", range(1, 10))
def test_pass_at_k_is_the_share_of_subsets_with_a_success(n: int) -> None:
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        assert float(pass_at_k.pass_at_k(n, c, k)) == pytest.approx(
            float(enumerated(n, c, k)), rel=1e-12, abs=0
        )


@st.composite
def cases(draw: st.DrawFn, most: int) -> tuple[int, int, int]:
    n = draw(st.integers(1, most))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


@settings(max_examples=60, deadline=None)
@given(cases(2000))
def test_pass_at_k_is_exact(case: tuple[int, int, int]) -> None:
    assert float(pass_at_k.pass_at_k(*case)) == pytest.approx(float(exact(*case)), rel=1e-9, abs=0)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1024, 10_000, 100_000])
def test_pass_at_k_is_exact_for_many_completions(n: int) -> None:
    for c, k in itertools.product((1, 2, 7, n // 50, n // 3), (1, 2, 3, 16, 256, n // 2, n - 1, n)):
        assert float(pass_at_k.pass_at_k(n, c, k)) == pytest.approx(float(exact(n, c, k)), rel=1e-9, abs=0), (
            c,
            k,
        )


def test_pass_at_k_never_overflows() -> None:
    c = np.arange(0, 100_001, 977)[:, None]
    found = pass_at_k.pass_at_k(100_000, c, np.array([1, 2, 1000, 50_000, 100_000]))
    assert np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()
    assert (found[0] == 0).all() and (found[1:, -1] == 1).all()


@pytest.mark.slow
@given(st.integers(2, 400), st.data())
def test_monotone_and_concave_in_k(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    curve = pass_at_k.pass_at_k(n, c, np.arange(1, n + 1))
    rises = np.diff(curve)
    assert (rises >= -1e-13).all()
    assert (np.diff(rises) <= 1e-12).all()
    more = pass_at_k.pass_at_k(n, min(c + 1, n), np.arange(1, n + 1))
    assert (more >= curve - 1e-13).all()


@pytest.mark.slow
@given(st.lists(st.integers(0, 37), min_size=1, max_size=20))
def test_pass_at_1_is_mean_accuracy(c: list[int]) -> None:
    assert float(pass_at_k.pass_at_k(37, c, 1).mean()) == pytest.approx(sum(c) / (37 * len(c)), abs=1e-15)


@pytest.mark.parametrize(
    ("n", "c", "k"), [(4, -1, 1), (4, 5, 1), (4, 2, 0), (4, 2, 5), ([4, 8], 2, 8), (4, [2, 9], 1), (0, 0, 1)]
)
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@k needs"):
        pass_at_k.pass_at_k(n, c, k)


def test_ks() -> None:
    assert pass_at_k.ks(128) == [1, 2, 4, 8, 16, 32, 64]
    assert pass_at_k.ks(128, half=False) == [1, 2, 4, 8, 16, 32, 64, 128]
    assert pass_at_k.ks(100) == [1, 2, 4, 8, 16, 32]
    assert pass_at_k.ks(127) == [1, 2, 4, 8, 16, 32]
    assert pass_at_k.ks(2) == pass_at_k.ks(3) == pass_at_k.ks(1) == [1]


def test_counts_must_fit() -> None:
    for n, c in (([4, 4], [1]), ([], []), ([[4]], [[1]])):
        with pytest.raises(ValueError, match="counts need"):
            Counts(np.array(n), np.array(c))


# Published values ---------------------------------------------------------------------------------------

PROBLEMS = {"AIME24": 30, "MATH500": 500, "Minerva": 272, "Olympiad": 675, "AMC23": 40, "GSM8K": 1319}
CODE = {
    ("Fig4", "HumanEval+"): 164,
    ("Fig4", "MBPP+"): 378,
    ("Fig11", "LCB-279(2024.8-2025.1)/CodeR1"): 279,
    ("Fig11", "LCB-880(2023.5-2025.1)/CodeR1"): 880,
}
# How many of 30 problems were solved exactly 0, 1, 2 and 3 times of n (recovered from the curves).
RECOVERED = {
    ("AIME24/Qwen2.5-7B", "RL"): (1024, 11, 1, 1, 1),
    ("AIME24/Qwen2.5-7B", "base"): (1024, 7, 4, 1, 3),
    ("AIME24/Qwen2.5-14B", "RL"): (1024, 9, 2, 2, 0),
    ("AIME24/Qwen2.5-32B", "RL"): (1024, 5, 3, 2, 0),
    ("AIME24/Qwen2.5-32B", "base"): (1024, 3, 2, 3, 2),
    ("AIME24/LLaMA-3.1-8B", "RL"): (512, 22, 3, 1, 1),
    ("AIME24/LLaMA-3.1-8B", "base"): (512, 21, 5, 1, 2),
}
SOLVED = {
    ("AIME24/Qwen2.5-7B", "base"): 23,
    ("AIME24/Qwen2.5-7B", "RL"): 19,
    ("MATH500/Qwen2.5-32B", "base"): 488,
    ("Minerva/Qwen2.5-32B", "RL"): 159,
    ("Olympiad/Qwen2.5-32B", "base"): 529,
    ("GSM8K/LLaMA-3.1-8B", "RL"): 1265,
}


def published() -> dict[tuple[str, str, str], dict[int, float]]:
    """Curves by (figure, panel, series): k -> pass@k."""
    if not CURVES.exists():
        pytest.skip(f"the published curves are not there: {CURVES}")
    curves: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    with CURVES.open(newline="") as file:
        for row in csv.DictReader(file):
            curves[row["figure"], row["panel"], row["series"]][int(row["k"])] = float(row["pass_at_k"])
    return curves


def test_published_ends_are_whole_problems() -> None:
    checked = 0
    for (figure, panel, series), curve in published().items():
        if figure in ("Fig2", "Fig9"):
            problems = PROBLEMS[panel.split("/")[0]]
        elif (figure, panel) in CODE:
            problems = CODE[figure, panel]
        else:
            continue
        n = max(curve)
        solved = round(curve[n] * problems)
        # 0.02 of a problem, or what rounding to four decimals makes of a large test set.
        error = max(0.02, 0.51e-4 * problems)
        assert abs(curve[n] * problems - solved) <= error, (figure, panel, series)
        assert SOLVED.get((panel, series), solved) == solved
        found = pass_at_k.pass_at_k(n, [1] * solved + [0] * (problems - solved), n).mean()
        assert found == pytest.approx(curve[n], abs=error / problems)
        checked += 1
    assert checked == 2 * (16 + 8 + 4)


@pytest.mark.parametrize(("panel", "series"), RECOVERED)
def test_published_curves_near_their_ends_follow_from_the_rarely_solved(panel: str, series: str) -> None:
    n, *rare = RECOVERED[panel, series]
    curve = published()["Fig2", panel, series]
    for k in (k for k in curve if n * 0.7 < k <= n):
        # Problems solved four times or more: solved for sure at the least, c = 4 at the most unlikely.
        c = [c for c, problems in enumerate(rare) for _ in range(problems)]
        high = pass_at_k.pass_at_k(n, c + [n] * (30 - len(c)), k).mean()
        low = pass_at_k.pass_at_k(n, c + [4] * (30 - len(c)), k).mean()
        assert low - 3e-4 <= curve[k] <= high + 3e-4


# The bootstrap ------------------------------------------------------------------------------------------

KS = [1, 2, 4, 8, 16, 32]


def drawn_counts(seed: int, problems: int = 50, n: int = 64) -> Counts:
    rng = np.random.default_rng(seed)
    return counts(n, rng.binomial(n, rng.beta(0.5, 1.0, problems)))


def boot(arms: dict[str, list[Counts]], seed: int = 0, draws: int = 200, ks: list[int] = KS) -> Curves:
    return bootstrap.bootstrap(arms, ks, np.random.default_rng(seed), draws)


def test_the_same_seed_gives_the_same_draws() -> None:
    arms = {"a": [drawn_counts(1)], "b": [drawn_counts(2)]}
    first, again, other = boot(arms, 3), boot(arms, 3), boot(arms, 4)
    for name, base in (("a", None), ("b", None), ("a", "b")):
        assert np.array_equal(first.draws(name, base), again.draws(name, base))
        assert not np.array_equal(first.draws(name, base), other.draws(name, base))
    assert first.draws("a").shape == (200, len(KS))


def test_estimates_are_the_mean_over_problems() -> None:
    a, b = drawn_counts(1), drawn_counts(2)
    curves = boot({"a": [a], "b": [b]})
    for at, k in enumerate(KS):
        mean = {name: pass_at_k.pass_at_k(arm.n, arm.c, k).mean() for name, arm in (("a", a), ("b", b))}
        assert curves.estimate("a")[at] == pytest.approx(mean["a"], abs=1e-12)
        assert curves.estimate("a", "b")[at] == pytest.approx(mean["a"] - mean["b"], abs=1e-12)


def test_draws_are_centred_at_the_estimate() -> None:
    curves = boot({"a": [drawn_counts(1)]}, draws=4000, ks=[1, 8, 32, 64])
    draws = curves.draws("a")
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - curves.estimate("a")) < 4 * error).all()


def test_an_arm_against_itself_is_zero_without_width() -> None:
    curves = boot({"a": [drawn_counts(1)], "b": [drawn_counts(1)]})
    assert (curves.draws("a", "a") == 0).all()
    assert (curves.interval("a", "a") == 0).all()
    # Sampled twice, the same counts differ by sampling noise only, not by the spread between problems.
    width = np.diff(curves.interval("a", "b"), axis=0)[0]
    alone = np.diff(curves.interval("a"), axis=0)[0]
    assert (width > 0).all() and (width[:3] < 0.5 * alone[:3]).all()


def test_pairing_narrows_the_interval() -> None:
    rng = np.random.default_rng(8)
    share = rng.beta(0.5, 1.0, 100)
    a, b = (counts(64, rng.binomial(64, share)) for _ in range(2))
    shuffled = counts(64, rng.permutation(b.c))
    paired = np.diff(boot({"a": [a], "b": [b]}).interval("a", "b"), axis=0)
    unpaired = np.diff(boot({"a": [a], "b": [shuffled]}).interval("a", "b"), axis=0)
    assert (paired < 0.5 * unpaired).all()


def test_counts_without_any_spread_have_no_interval() -> None:
    for c in (0, 64):
        assert boot({"a": [counts(64, [c] * 20)]}).interval("a") == pytest.approx(c / 64, abs=1e-12)


def test_replicates_are_averaged() -> None:
    one, two = drawn_counts(1), drawn_counts(2)
    both, single = boot({"a": [one, two]}), boot({"a": [one]})
    mean = (boot({"a": [one]}).estimate("a") + boot({"a": [two]}).estimate("a")) / 2
    assert both.estimate("a") == pytest.approx(mean, abs=1e-12)
    assert both.noise["a"].std(axis=0)[0] < single.noise["a"].std(axis=0)[0]


def test_intervals_stay_in_the_possible_range() -> None:
    curves = boot({"a": [counts(64, [64] * 9 + [0])], "b": [counts(64, [0] * 9 + [1])]})
    for base, low in ((None, 0.0), ("b", -1.0)):
        bounds = curves.interval("a", base)
        assert (bounds[0] <= curves.estimate("a", base)).all() and (
            bounds[1] >= curves.estimate("a", base)
        ).all()
        assert bounds.min() >= low and bounds.max() <= 1


def test_unpaired_arms_and_too_large_k_are_refused() -> None:
    with pytest.raises(ValueError, match="paired"):
        boot({"a": [drawn_counts(1, 50)], "b": [drawn_counts(1, 40)]})
    with pytest.raises(ValueError, match="pass@k needs"):
        boot({"a": [drawn_counts(1, n=16)]})


def test_tails_widen_towards_a_t_interval() -> None:
    low, high = bootstrap.tails(10)
    expected = stats.norm.cdf(stats.t.ppf(0.025, 9) * np.sqrt(10 / 9))
    assert low == pytest.approx(expected) and high == pytest.approx(1 - expected)
    assert bootstrap.tails(10_000)[0] == pytest.approx(0.025, abs=1e-4)
    assert bootstrap.tails(10, 0.8)[0] > low


REPLICATIONS, N = 500, 64
A, B = (0.4, 1.2), (0.6, 1.4)
"""Beta distributions of the problems' true probabilities of success in two arms."""


def truth(shape: tuple[float, float]) -> NDArray[np.float64]:
    """Expected pass@k, 1 - E[(1 - p)^k], of p ~ Beta."""
    a, b = shape
    return 1 - beta_function(a, b + np.asarray(KS)) / beta_function(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("problems", [100])
def test_intervals_cover_the_truth(problems: int) -> None:
    """Monte-Carlo error: 0.010. A coverage of 0.88 fails this with probability 0.98 at each k."""
    rng = np.random.default_rng(20_250_400 + problems)
    # Ranks correlated by 0.7 between the arms, through a Gaussian copula.
    first = rng.standard_normal((REPLICATIONS, problems))
    second = 0.7 * first + math.sqrt(1 - 0.49) * rng.standard_normal((REPLICATIONS, problems))
    p, q = (stats.beta.ppf(stats.norm.cdf(z), *shape) for z, shape in ((first, A), (second, B)))
    a, b = rng.binomial(N, p), rng.binomial(N, q)
    targets = {("a", None): truth(A), ("b", None): truth(B), ("b", "a"): truth(B) - truth(A)}
    covered = {contrast: np.zeros(len(KS)) for contrast in targets}
    for one, two in zip(a, b, strict=True):
        curves = bootstrap.bootstrap({"a": [counts(N, one)], "b": [counts(N, two)]}, KS, rng, draws=300)
        for (arm, base), target in targets.items():
            low, high = curves.interval(arm, base)
            covered[arm, base] += (low <= target) & (target <= high)
    for contrast, hits in covered.items():
        assert (hits / REPLICATIONS >= 0.92 - 0.01).all(), (contrast, hits / REPLICATIONS)
        assert (hits / REPLICATIONS <= 0.98 + 0.01).all(), (contrast, hits / REPLICATIONS)


# The band over all k ------------------------------------------------------------------------------------


def uniform_draws(rng: np.random.Generator, problems: int, draws: int = 400) -> NDArray[np.float64]:
    return rng.multinomial(problems, np.full(problems, 1 / problems), draws) / problems


def test_a_band_is_the_largest_studentised_deviation_by_hand() -> None:
    values = np.array([[0.0, 0.0], [1.0, 0.2]])
    # Draws of (1, 1), and of (1/4, 3/4): the mean moves by half a standard error of 1/2 ...
    weights = np.array([[0.5, 0.5], [0.25, 0.75]])
    low, high = bootstrap.simultaneous(values, weights, level=1.0)
    # ... which within that draw is sqrt(3/16): 1/4 divided by sqrt(3)/4, times the data's 1/2 and 1/10.
    width = np.array([0.5, 0.1]) / math.sqrt(3)
    assert low == pytest.approx(values.mean(axis=0) - width) and high == pytest.approx(
        values.mean(axis=0) + width
    )


def test_a_draw_without_spread_counts_as_a_fifth() -> None:
    values = np.array([[0.0], [1.0]])
    low, high = bootstrap.simultaneous(values, np.array([[1.0, 0.0]]), level=1.0)
    assert (low[0], high[0]) == pytest.approx((0.5 - 2.5, 0.5 + 2.5))  # 1/2 is 5 fifths of the spread 1/2


def test_a_k_without_differences_has_no_width_and_leaves_the_others_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((40, 3))
    values[:, 1] = 0.1 + 0.2
    weights = uniform_draws(rng, 40)
    band = bootstrap.simultaneous(values, weights)
    assert band[:, 1] == pytest.approx(0.3)
    assert band[:, [0, 2]] == pytest.approx(bootstrap.simultaneous(values[:, [0, 2]], weights))
    assert (bootstrap.simultaneous(values[:, [1, 1]], weights) == values[0, 1]).all()


def test_bands_are_wider_than_intervals_and_within_the_possible_range() -> None:
    curves = boot({"a": [drawn_counts(1)], "b": [drawn_counts(2)]}, draws=1000)
    for base in (None, "b"):
        band, pointwise = curves.band("a", base), curves.interval("a", base)
        inside = (band > (-1 if base else 0)) & (band < 1)
        assert (np.diff(band, axis=0) > np.diff(pointwise, axis=0))[inside.all(axis=0)[None]].all()
        assert (band[0] < curves.estimate("a", base)).all() and (band[1] > curves.estimate("a", base)).all()
    extreme = boot({"a": [counts(64, [64] * 9 + [0])], "b": [counts(64, [0] * 9 + [1])]})
    assert extreme.band("a").max() == 1 and extreme.band("b").min() == 0 and extreme.band("a", "b").max() <= 1


def test_one_k_has_a_narrower_band_than_many() -> None:
    curves = boot({"a": [drawn_counts(1)]}, draws=1000)
    alone = bootstrap.simultaneous(curves.values["a"][:, :1], curves.weights)
    assert (np.diff(alone, axis=0) < np.diff(curves.band("a"), axis=0)[:, :1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("problems", [50, 100])
@pytest.mark.parametrize(
    ("first", "second"), [(A, B), ((0.3, 3), (1, 30)), ((0.2, 1), (0.15, 0.4)), ((1, 40), (0.8, 60))]
)
def test_bands_cover_the_truth_at_every_k(
    problems: int, first: tuple[float, float], second: tuple[float, float]
) -> None:
    replications = 400  # Monte-Carlo error 0.011; a coverage of 0.88 fails with probability 0.97
    rng = np.random.default_rng([problems, int(1000 * first[0])])
    common = rng.standard_normal((replications, problems))
    other = 0.7 * common + math.sqrt(1 - 0.49) * rng.standard_normal((replications, problems))
    p, q = (stats.beta.ppf(stats.norm.cdf(z), *shape) for z, shape in ((common, first), (other, second)))
    table = pass_at_k.pass_at_k(N, np.arange(N + 1)[:, None], np.asarray(KS))
    a, b = table[rng.binomial(N, p)], table[rng.binomial(N, q)]
    draws = uniform_draws(rng, problems)
    for values, target in ((a, truth(first)), (b - a, truth(second) - truth(first))):
        covered = 0
        for one in values:
            low, high = bootstrap.simultaneous(one, draws)
            covered += bool(((low <= target) & (target <= high)).all())
        assert 0.92 - 0.011 <= covered / replications <= 0.98 + 0.011


# The crossover ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ([-1, -1, -2, -3], 0),
        ([-1, 0, 0, 0], 0),
        ([1, 1, 1, 1], math.inf),
        ([-1, -1, -1, 1], math.inf),
        ([1, -1, -1, -1], 2**0.5),
        ([1, 3, -1, -1], 2**1.75),
        ([-1, 1, -1, -1], 2**1.5),
        ([1, -1, 1, -3], 2**2.25),
        ([2, 1, 0, -1], 4),
        ([2, 1, 0, 0], 4),
    ],
)
def test_crossover(difference: list[float], expected: float) -> None:
    assert crossover.crossover([1, 2, 4, 8], difference) == pytest.approx(expected)


def test_level_curves_have_no_crossover() -> None:
    assert math.isnan(crossover.crossover([1, 2, 4, 8], [0, 0, 0, 0]))


def hand_made(noise: list[float]) -> Curves:
    """Two arms on 400 equal problems, the arm ahead by 0.1 at k = 1 and behind by 0.1 at k = 4."""
    ks = np.array([1, 2, 4])
    values = {"arm": np.tile([0.5, 0.5, 0.5], (400, 1)), "base": np.tile([0.4, 0.5, 0.6], (400, 1))}
    draws = np.array(noise)[:, None] * np.ones(3)
    return Curves(ks, values, {"arm": draws, "base": 0 * draws}, np.full((len(noise), 400), 1 / 400))


def test_crossover_interval() -> None:
    estimate, low, high = crossover.crossover_interval(
        hand_made(list(np.linspace(-0.05, 0.05, 101))), "arm", "base"
    )
    assert estimate == pytest.approx(2)
    # A shift of s moves the crossing by 10 s in log2 k; 95% of the shifts lie within 0.0475 or so.
    assert low == pytest.approx(2 ** (1 - 0.475), rel=0.02)
    assert high == pytest.approx(2 ** (1 + 0.475), rel=0.02)


def test_crossover_interval_without_an_end() -> None:
    shifts = [-0.2] * 10 + [0.0] * 80 + [0.2] * 10
    assert crossover.crossover_interval(hand_made(shifts), "arm", "base") == (pytest.approx(2), 0.0, math.inf)


def test_crossover_of_sampled_arms() -> None:
    base = counts(64, [3] * 60 + [64] * 40)  # solves everything, in time
    arm = counts(64, [0] * 20 + [40] * 40 + [64] * 40)  # solves fewer problems, sooner
    curves = boot({"arm": [arm], "base": [base]})
    estimate, low, high = crossover.crossover_interval(curves, "arm", "base")
    assert 1 < low < estimate < high < 64
    gap = dict(zip(KS, curves.estimate("arm", "base"), strict=True))
    assert all((gap[k] > 0) == (k < estimate) for k in KS)


# The histogram ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("c", "n", "expected"),
    [
        (0, 10, "0"),
        (1, 128, "(0.0, 0.1]"),
        (1, 10, "(0.0, 0.1]"),
        (13, 128, "(0.1, 0.2]"),
        (2, 10, "(0.1, 0.2]"),
        (3, 10, "(0.2, 0.3]"),
        (300, 1000, "(0.2, 0.3]"),
        (301, 1000, "(0.3, 0.4]"),
        (6, 10, "(0.5, 0.6]"),
        (7, 10, "(0.6, 0.7]"),
        (9, 10, "(0.8, 0.9]"),
        (127, 128, "(0.9, 1)"),
        (10, 10, "1"),
        (1, 1, "1"),
    ],
)
def test_accuracy_bins(c: int, n: int, expected: str) -> None:
    found = accuracy_bins.accuracy_histogram(counts(n, [c]))
    assert len(accuracy_bins.BINS) == len(found) == 12
    assert accuracy_bins.BINS[int(found.argmax())] == expected and found.sum() == 1


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_every_problem_falls_into_the_bin_of_its_fraction(c: list[int]) -> None:
    expected = [0] * 12
    for share in (Fraction(value, 40) for value in c):
        index = 0 if share == 0 else 11 if share == 1 else math.ceil(share * 10)
        expected[index] += 1
    assert accuracy_bins.accuracy_histogram(counts(40, c)).tolist() == expected


def test_bins_of_problems_add_up_to_the_histogram() -> None:
    inside = accuracy_bins.in_bins(drawn_counts(1))
    assert inside.shape == (50, 12) and (inside.sum(axis=1) == 1).all()
    assert inside.sum(axis=0).tolist() == accuracy_bins.accuracy_histogram(drawn_counts(1)).tolist()


# Cover@tau ----------------------------------------------------------------------------------------------


def test_cover_at_tau_by_hand() -> None:
    found = counts(10, [0, 1, 3, 7, 10])
    assert accuracy_bins.reached(found, [0.01, 0.1, 0.3, 0.31, 0.7, 1.0]).mean(axis=0).tolist() == [
        0.8,
        0.8,
        0.6,
        0.4,
        0.4,
        0.2,
    ]
    # 3 of 10 reaches 0.3, and 2 of 20 does not.
    mixed = Counts(np.array([10, 20]), np.array([3, 2]))
    assert accuracy_bins.reached(mixed, [0.1, 0.3]).tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("n", [1, 7, 64, 100, 128, 1000, 100_000])
def test_a_share_of_exactly_tau_reaches_it(n: int) -> None:
    for percent in range(1, 101):
        needed = math.ceil(Fraction(percent, 100) * n)
        found = counts(n, [needed - 1, needed])
        assert accuracy_bins.reached(found, [percent / 100]).tolist() == [[False], [True]], percent


def test_pass_at_k_is_an_average_of_cover_at_tau() -> None:
    """1 - (1 - p)^k is the integral of Cover@tau with the density k (1 - tau)^(k - 1)."""
    found = drawn_counts(3)
    taus = np.arange(1, N + 1) / N
    cover = accuracy_bins.reached(found, taus.tolist()).mean(axis=0)
    for k in (1, 4, 16):
        weight = (1 - taus + 1 / N) ** k - (1 - taus) ** k
        assert cover @ weight == pytest.approx((1 - (1 - found.c / N) ** k).mean())


@pytest.mark.parametrize("tau", [0.0, -0.1, 1.01])
def test_impossible_taus_are_refused(tau: float) -> None:
    with pytest.raises(ValueError, match="0 < tau <= 1"):
        accuracy_bins.reached(counts(8, [1]), [tau])


def test_an_arms_draws_do_not_depend_on_the_other_arms() -> None:
    counts = {
        name: pass_at_k.Counts(np.full(20, 16), np.arange(20) % (at + 3)) for at, name in enumerate("abc")
    }
    few = bootstrap.bootstrap({"b": [counts["b"]]}, [1, 8], np.random.default_rng(0), 200)
    many = bootstrap.bootstrap({n: [c] for n, c in counts.items()}, [1, 8], np.random.default_rng(0), 200)
    assert np.array_equal(few.draws("b"), many.draws("b"))
    assert not np.array_equal(few.draws("b"), many.draws("a"))
