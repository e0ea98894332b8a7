"""The beta-binomial fit, its predictions of pass@k, and the table of extrapolations."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from anatomy.analyses import extrapolation
from anatomy.analyses.inputs import Inputs
from anatomy.statistics import beta_binomial, bootstrap, pass_at_k
from anatomy.statistics.pass_at_k import Counts

CASES = [
    (0.4, 1.2, 50, 128),
    (0.1, 0.3, 50, 32),
    (3.0, 1.0, 150, 128),
    (0.05, 5.0, 50, 128),
    (30.0, 30.0, 50, 64),
]


def drawn(a: float, b: float, problems: int, n: int, seed: int = 1) -> Counts:
    rng = np.random.default_rng(seed)
    return Counts(np.full(problems, n), rng.binomial(n, rng.beta(a, b, problems)))


def searched(counts: Counts, weights: NDArray[np.int64] | int = 1) -> NDArray[np.float64]:
    """The maximum of the likelihood, by scipy."""
    found = optimize.minimize(
        lambda x: -(weights * stats.betabinom.logpmf(counts.c, counts.n, *np.exp(x))).sum(),
        [0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 2000},
    )
    return np.exp(np.asarray(found.x))


@pytest.mark.parametrize("case", CASES)
def test_fits_are_the_most_likely(case: tuple[float, float, int, int]) -> None:
    counts = drawn(*case)
    a, b = beta_binomial.fit(counts.n, counts.c)
    assert np.concatenate([a, b]) == pytest.approx(searched(counts), rel=1e-4)


def test_problems_may_differ_in_n() -> None:
    rng = np.random.default_rng(2)
    n = rng.choice([8, 32, 100], 60)
    counts = Counts(n, rng.binomial(n, rng.beta(0.6, 1.5, 60)))
    assert np.concatenate(beta_binomial.fit(counts.n, counts.c)) == pytest.approx(searched(counts), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_fits_of_draws(case: tuple[float, float, int, int]) -> None:
    counts = drawn(*case)
    problems = len(counts.n)
    weights = np.random.default_rng(3).multinomial(problems, np.full(problems, 1 / problems), size=300)
    a, b = beta_binomial.fit(counts.n, counts.c, weights)
    ks = [1, 8, 64]
    found = beta_binomial.predict(a[:, None], b[:, None], ks)
    for at in range(5):
        expected = beta_binomial.predict(*searched(counts, weights[at]), ks)
        assert (np.abs(found[at] - expected) <= 0.3 * found.std(axis=0) + 1e-4).all()
    # One at a time, they are found to four digits.
    single = np.concatenate(beta_binomial.fit(counts.n, counts.c, weights[:1]))
    assert single == pytest.approx(searched(counts, weights[0]), rel=1e-3)


def test_weights_stand_for_repeated_problems() -> None:
    counts = drawn(0.4, 1.2, 20, 32)
    weights = np.arange(20) % 3
    again = np.concatenate(beta_binomial.fit(counts.n, counts.c, weights[None]))
    repeated = beta_binomial.fit(np.repeat(counts.n, weights), np.repeat(counts.c, weights))
    assert again == pytest.approx(np.concatenate(repeated), rel=1e-6)


def test_counts_without_a_maximum_are_fitted_at_the_edge() -> None:
    n = np.full(20, 64)
    nothing = beta_binomial.predict(*beta_binomial.fit(n, 0 * n), [1, 64, 1024])
    everything = beta_binomial.predict(*beta_binomial.fit(n, n), [1, 64, 1024])
    assert (nothing < 1e-6).all() and (everything > 1 - 1e-6).all()
    half = beta_binomial.predict(*beta_binomial.fit(n, n // 2), [1, 2, 3])
    assert half == pytest.approx([0.5, 0.75, 0.875], abs=1e-3)


@pytest.mark.parametrize(("n", "c"), [([4, 4], [1, 5]), ([4, 4], [1, -1]), ([4, 1], [1, 1])])
def test_impossible_counts_are_refused(n: list[int], c: list[int]) -> None:
    with pytest.raises(ValueError, match="beta-binomial needs"):
        beta_binomial.fit(n, c)


def test_predictions() -> None:
    # Uniform p: E[(1 - p)^k] = 1 / (k + 1). Beta(1, 3): 3 / (k + 3).
    assert beta_binomial.predict(1, 1, [1, 2, 9]) == pytest.approx([1 / 2, 2 / 3, 9 / 10])
    assert beta_binomial.predict(1, 3, [1, 1000]) == pytest.approx([1 / 4, 1000 / 1003])
    p = np.random.default_rng(4).beta(0.3, 2.0, 400_000)
    assert float(beta_binomial.predict(0.3, 2.0, 50)) == pytest.approx((1 - (1 - p) ** 50).mean(), abs=2e-3)


def test_a_fit_to_all_predicts_what_was_seen() -> None:
    counts = drawn(0.4, 1.2, 4000, 64)
    ks = [1, 4, 16, 64]
    seen = pass_at_k.pass_at_k(counts.n[:, None], counts.c[:, None], ks).mean(axis=0)
    assert beta_binomial.predict(*beta_binomial.fit(counts.n, counts.c), ks) == pytest.approx(seen, abs=0.005)


def test_split() -> None:
    counts = Counts(np.array([8, 8, 8, 6]), np.array([0, 8, 4, 3]))
    parts = [beta_binomial.split(counts, 4, np.random.default_rng(seed)) for seed in range(4000)]
    part, rest = parts[0]
    assert part.n.tolist() == [2, 2, 2, 1] and rest.n.tolist() == [6, 6, 6, 5]
    assert (part.c + rest.c).tolist() == counts.c.tolist()
    assert part.c[:2].tolist() == [0, 2]
    third = np.bincount([part.c[2] for part, _ in parts], minlength=3) / 4000
    assert third == pytest.approx([3 / 14, 8 / 14, 3 / 14], abs=0.03)  # C(4, i) C(4, 2 - i) / C(8, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "zero"), [((0.4, 1.2), 0.0), ((0.15, 0.5), 0.0), ((0.4, 1.2), 0.4)])
def test_forecasts_cover(shape: tuple[float, float], zero: float) -> None:
    """Expected pass@k of a right model is covered; a wrong one, with hopeless problems, is found out."""
    rng, ks = np.random.default_rng(5), [1, 32, 128, 1024]
    truth = (1 - zero) * beta_binomial.predict(*shape, ks)
    covered, error = np.zeros(4), np.zeros(4)
    replications = 60 if zero else 140
    for _ in range(replications):
        chance = rng.beta(*shape, 50) * (rng.random(50) >= zero)
        counts = Counts(np.full(50, 32), rng.binomial(32, chance))
        weights = rng.multinomial(50, np.full(50, 1 / 50), size=200)
        estimate, draws = beta_binomial.forecast([counts], ks, weights)
        low, high = bootstrap.interval(draws, 50)
        covered += (low <= truth) & (truth <= high)
        error += (estimate - truth) / replications
    if zero:
        assert error[3] > 0.08 and covered[3] / replications < 0.9
    else:
        # Two standard errors of a coverage are 0.04, three of the mean 0.02.
        share = covered / replications
        assert (share >= 0.95 - 0.04).all() and (share <= 0.95 + 0.04).all(), share
        assert (np.abs(error) < 0.02).all(), error


def test_seeds_are_fitted_together() -> None:
    one, two = drawn(0.4, 1.2, 30, 32, 1), drawn(0.4, 1.2, 30, 32, 2)
    weights = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), size=50)
    estimate, draws = beta_binomial.forecast([one, two], [1, 64], weights)
    both = beta_binomial.fit(np.concatenate([one.n, two.n]), np.concatenate([one.c, two.c]))
    assert estimate == pytest.approx(beta_binomial.predict(*both, [1, 64])) and draws.shape == (50, 2)
    # The same seed twice says no more than once.
    _, twice = beta_binomial.forecast([one, one], [1, 64], weights)
    assert twice == pytest.approx(beta_binomial.forecast([one], [1, 64], weights)[1], abs=1e-6)


def frame(counts: Counts) -> Any:
    columns = {"problem": [f"p{at:03}" for at in range(len(counts.n))], "n": counts.n, "answer": counts.c}
    return pd.DataFrame(columns | {"derivation": pd.array([None] * len(counts.n), dtype="Int64")})


def test_extrapolation_table() -> None:
    cells = {"toy": {"arm": {seed: frame(drawn(0.4, 1.2, 60, 32, seed)) for seed in (0, 1)}}}
    rows = extrapolation.rows(Inputs(cells=cells, draws=200))
    assert repr(rows) == repr(extrapolation.rows(Inputs(cells=cells, draws=200)))
    assert [(row["fitted_n"], row["k"]) for row in rows] == [
        *((8, k) for k in (1, 2, 4, 8, 16)),
        *((32, k) for k in (64, 128, 256)),
    ]
    columns = ["arm", "benchmark", "target", "fitted_n", "k", "estimate", "low", "high", "observed"]
    columns += ["gap", "gap_low", "gap_high"]
    assert all(list(row) == columns and row["low"] <= row["estimate"] <= row["high"] for row in rows)
    assert all(
        row["gap_low"] < 0.02 and row["gap_high"] > -0.02 and abs(row["gap"]) < 0.08 for row in rows[:5]
    )
    assert all(row["gap"] is row["observed"] is None for row in rows[5:])
    assert np.all(np.diff([row["estimate"] for row in rows[5:]]) > 0)


def test_the_gap_tells_a_population_that_no_beta_binomial_describes() -> None:
    """Half of the problems have no chance, and pass@k never exceeds one half."""
    rng = np.random.default_rng(0)
    n = np.full(400, 64)
    c = rng.binomial(n, np.where(np.arange(400) < 200, 0.0, 0.3))
    rows = extrapolation.rows(Inputs(cells={"toy": {"arm": {0: frame(Counts(n, c))}}}, draws=400))
    gaps = [row for row in rows if row["k"] == 32 and row["fitted_n"] == 16]
    assert len(gaps) == 1 and gaps[0]["gap_low"] > 0.1


def test_too_few_samples_for_a_quarter() -> None:
    cells = {"toy": {"arm": {0: frame(drawn(0.4, 1.2, 20, 4))}}}
    rows = extrapolation.rows(Inputs(cells=cells, draws=20))
    assert [(row["fitted_n"], row["k"]) for row in rows] == [(4, 8), (4, 16), (4, 32)]
    assert not any(math.isnan(row["estimate"]) for row in rows)
