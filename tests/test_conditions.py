"""Averages, changes, chains and trends under conditions: values, coverage of intervals, and their tables."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from anatomy.analyses import chains, condition_contrast, scaffolding, screening, survival
from anatomy.analyses import conditions as conditions_table
from anatomy.analyses.inputs import Inputs, Rows
from anatomy.rng import generator
from anatomy.statistics import condition_effects, tests_and_intervals
from anatomy.storage import parquet, schemas

Floats = NDArray[np.float64]
Counted = Mapping[str, Mapping[str, int | None]]
"""condition -> problem -> completions that succeed; none where the problem has no such row"""


def probed(found: Counted, n: int = 8, chain: Counted | None = None) -> pd.DataFrame:
    """A table 'counts' of several conditions."""
    rows = [
        {
            "problem": problem,
            "condition": condition,
            "n": n,
            "answer": count,
            "derivation": count // 2,
            "chain": (chain or {}).get(condition, {}).get(problem),
        }
        for condition, by_problem in found.items()
        for problem, count in by_problem.items()
        if count is not None
    ]
    return pd.DataFrame(rows).astype({"chain": "float64"})


def plain(counts: Sequence[int], n: int = 64, condition: str = "plain") -> pd.DataFrame:
    return probed({condition: {f"p{at}": count for at, count in enumerate(counts)}}, n)


# Averages -----------------------------------------------------------------------------------------------


def test_averages_by_hand() -> None:
    seeds = {
        3: probed({"plan": {"a": 2, "b": 8}, "plain": {"a": 1, "b": 1, "c": 1}}),
        1: probed({"plain": {"c": 4}, "plan": {"b": 1, "a": 0}}, n=4),
    }
    found = condition_effects.average(seeds, ["c", "b", "a"], "plan")
    assert found == pytest.approx(np.array([[math.nan, 1, 0.25], [math.nan, 0.25, 0]]), nan_ok=True)
    assert condition_effects.average(seeds, ["a", "b"], "plan", "derivation")[0] == pytest.approx(
        [1 / 8, 4 / 8]
    )
    assert np.isnan(condition_effects.average(seeds, ["a"], "knowledge")).all()


# Chains -------------------------------------------------------------------------------------------------


def test_chains_by_hand() -> None:
    gold = {
        "subproblem-1": {"a": 8, "b": 4, "c": 8},
        "subproblem-2": {"a": 4, "b": 4, "c": 0},
        "subproblem-3": {"a": 2},
    }
    own = {"own-1": {"a": 8, "b": 4, "c": 0}, "own-2": {"a": 7, "b": 4}, "own-3": {"a": 7}}
    unbroken = {"own-1": {"a": 8, "b": 4, "c": 0}, "own-2": {"a": 6, "b": 3}, "own-3": {"a": 5}}
    seeds, names, lengths = {0: probed({**gold, **own}, chain=unbroken)}, ["a", "b", "c", "d"], [3, 2, 2, 1]
    none = [math.nan] * 3
    by_gold = condition_effects.chain(seeds, names, lengths, own=False)
    expected = [[1, 1 / 2, 1 / 8], [1 / 2, 1 / 4, math.nan], [1, 0, math.nan], none]
    assert by_gold == pytest.approx(np.array([expected]), nan_ok=True)
    assert condition_effects.solved(by_gold, lengths) == pytest.approx(
        np.array([[1 / 8, 1 / 4, 0, math.nan]]), nan_ok=True
    )
    by_own = condition_effects.chain(seeds, names, lengths, own=True)
    # No chain of c came to the second link; d was never asked.
    expected = [[1, 6 / 8, 5 / 8], [1 / 2, 3 / 8, math.nan], [0, 0, math.nan], none]
    assert by_own == pytest.approx(np.array([expected]), nan_ok=True)
    nothing = condition_effects.chain(seeds, [], [], own=True)
    assert nothing.shape == (1, 0, 0) and condition_effects.solved(nothing, []).shape == (1, 0)


def test_products_of_links_are_unbiased() -> None:
    rates, problems = np.array([0.9, 0.7, 0.5]), 20_000
    right = generator("links").binomial(4, rates[:, None], (3, problems))
    names = [f"p{at}" for at in range(problems)]
    counts = pd.concat(
        pd.DataFrame({"problem": names, "condition": f"subproblem-{i + 1}", "n": 4, "answer": right[i]})
        for i in range(3)
    )
    found = condition_effects.chain({0: counts}, names, [3] * problems, own=False)[0]
    errors = found.std(axis=0) / math.sqrt(problems)
    assert (np.abs(found.mean(axis=0) - np.cumprod(rates)) < 3.5 * errors).all()
    assert (errors < 0.005).all()


# Strata and trends --------------------------------------------------------------------------------------


def test_strata() -> None:
    problems = pd.DataFrame({"difficulty": [2.0, 5, 3, 2], "domain": ["x", "y", "x", None]})
    found = {
        name: mask.tolist() for name, mask in condition_effects.strata(problems, {"easy": [2, 3], "far": [9]})
    }
    assert found == {
        "all": [True] * 4,
        "band easy": [True, False, True, True],
        "band far": [False] * 4,
        "level 2": [True, False, False, True],
        "level 3": [False, False, True, False],
        "level 5": [False, True, False, False],
        "domain x": [True, False, True, False],
        "domain y": [False, True, False, False],
    }
    unknown = problems.assign(difficulty=[2.0, math.nan, 3, 2], domain=None)
    assert [name for name, _ in condition_effects.strata(unknown, {"easy": [2, 3]})] == ["all"]


@pytest.mark.parametrize("seeds", [1, 3])
def test_trends_are_least_squares_slopes(seeds: int) -> None:
    level = np.repeat(np.arange(2.0, 8), [3, 9, 4, 6, 5, 8])
    values = generator("slope", seeds).normal(0.1 * level, 0.05 * level, (seeds, len(level)))
    found = condition_effects.trend(values, level)
    assert found.shape == values.shape
    assert found.mean(axis=1) == pytest.approx([np.polyfit(level, row, 1)[0] for row in values])
    fitted = sm.OLS(values.mean(axis=0), sm.add_constant(level)).fit(cov_type="HC0")
    assert found.mean() == pytest.approx(fitted.params[1])
    error = found.mean(axis=0).std(ddof=1) / math.sqrt(len(level))
    assert error == pytest.approx(fitted.bse[1] * math.sqrt(len(level) / (len(level) - 1)))


# Coverage -----------------------------------------------------------------------------------------------
# Chances have exact means, so the truth is known: a problem's chance p is beta-distributed around the
# accuracy, a seed's around p. A condition loses a share of p and gains a share of 1 - p, both
# beta-distributed around their means, which differ between seeds by up to ``spread`` of themselves.

GAIN, LOSS = 0.2, 0.1


def around(draw: np.random.Generator, mean: Any, weight: float, size: Sequence[int]) -> Floats:
    clipped = np.clip(mean, 1e-9, 1 - 1e-9)
    return draw.beta(weight * clipped, weight * (1 - clipped), tuple(size))


def changes(
    draw: np.random.Generator, skill: Floats, seeds: int, gain: float, loss: float, spread: float = 0.0
) -> Floats:
    """(R, S, N) of Avg@8 under a condition less Avg@64 without it; skill: (R, N) chances."""
    shape = (len(skill), seeds, skill.shape[1])
    p = around(draw, skill[:, None], 8.0, shape)
    by_seed = [mean * (1 + spread * draw.uniform(-1, 1, (len(skill), seeds, 1))) for mean in (gain, loss)]
    gained, lost = (around(draw, mean, 4.0, shape) for mean in by_seed)
    given = p * (1 - lost) + (1 - p) * gained
    found: Floats = draw.binomial(8, given) / 8 - draw.binomial(64, p) / 64
    return found


def covered(found: Sequence[tests_and_intervals.Contrast], truth: float) -> float:
    """Return how often intervals hold the truth; one that is not known does not."""
    return float(np.mean([one.low <= truth <= one.high for one in found]))


def change_coverage(problems: int, seeds: int, accuracy: float, spread: float, times: int) -> float:
    draw = generator("change", problems, seeds, accuracy, spread)
    skill = around(draw, accuracy, 2.0, (times, problems))
    values = changes(draw, skill, seeds, GAIN, LOSS, spread)
    truth = GAIN * (1 - accuracy) - LOSS * accuracy
    return covered([tests_and_intervals.crossed(one) for one in values], truth)


def contrast_coverage(problems: int, accuracy: float, spread: float, times: int) -> float:
    """Three seeds that gain twice as much as the single one, which is a little less accurate."""
    draw = generator("contrast", problems, accuracy, spread)
    skill = around(draw, accuracy, 2.0, (times, problems))
    below = skill * around(draw, 0.8, 8.0, skill.shape)
    one, two = changes(draw, skill, 3, 2 * GAIN, LOSS, spread), changes(draw, below, 1, GAIN, LOSS)
    truth = 2 * GAIN * (1 - accuracy) - LOSS * accuracy
    truth -= GAIN * (1 - 0.8 * accuracy) - LOSS * 0.8 * accuracy
    return covered([tests_and_intervals.contrast(*pair) for pair in zip(one, two, strict=True)], truth)


def chain_coverage(problems: int, seeds: int, link: float, kept: float, times: int) -> float:
    """Chains of 2 to 7 links, Avg@8 each; of the chance that all are right a share ``kept`` is accuracy."""
    draw = generator("chain", problems, seeds, link, kept)
    lengths = np.resize(np.arange(2, 8), problems)
    rates = around(draw, link, 4.0, (times, 1, problems, 7))
    rates = around(draw, rates, 8.0, (times, seeds, problems, 7))
    inside = np.arange(7) < lengths[:, None]
    full = np.where(inside, rates, 1.0).prod(axis=3)
    if kept < 1:
        full = full * around(draw, kept, 4.0, full.shape)
    success = np.where(inside, draw.binomial(8, rates) / 8, 1.0).prod(axis=3)
    values = success - draw.binomial(64, full) / 64
    truth = float(np.mean(link ** lengths.astype(float)) * (1 - kept))
    return covered([tests_and_intervals.crossed(one) for one in values], truth)


def trend_coverage(problems: int, seeds: int, spread: float, times: int) -> tuple[float, float]:
    """Return the coverage of a change's slope, and of its difference to that of another arm of one seed."""
    draw = generator("trend", problems, seeds, spread)
    level = np.resize(np.arange(2.0, 8), problems)
    accuracy = 0.85 - 0.13 * (level - 2)  # 0.2 at 7 steps
    skill = around(draw, accuracy, 2.0, (times, problems))
    one, two = changes(draw, skill, seeds, GAIN, LOSS, spread), changes(draw, skill, 1, LOSS, LOSS)
    mine, theirs = ([condition_effects.trend(table, level) for table in side] for side in (one, two))
    slope, other = 0.13 * (GAIN + LOSS), 0.13 * 2 * LOSS
    pairs = [tests_and_intervals.contrast(*pair) for pair in zip(mine, theirs, strict=True)]
    return covered([tests_and_intervals.crossed(table) for table in mine], slope), covered(
        pairs, slope - other
    )


TIMES = 1000
"""Simulations; the error of a coverage is 0.007."""


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [0.05, 0.5])
@pytest.mark.parametrize("problems", [20, 60])
@pytest.mark.parametrize("seeds", [1, 3])
def test_changes_cover(problems: int, seeds: int, accuracy: float) -> None:
    assert 0.93 <= change_coverage(problems, seeds, accuracy, 0.0, TIMES) <= 0.985


@pytest.mark.slow
def test_changes_of_seeds_that_differ_much_cover_too_seldom() -> None:
    assert 0.88 <= change_coverage(60, 3, 0.05, 0.3, TIMES) <= 0.935
    assert 0.87 <= change_coverage(60, 3, 0.2, 1.0, TIMES) <= 0.93
    assert 0.93 <= change_coverage(60, 3, 0.5, 0.3, TIMES) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("problems", [20, 60])
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_contrasts_of_three_seeds_and_one_cover(problems: int, spread: float) -> None:
    assert 0.92 <= contrast_coverage(problems, 0.2, spread, TIMES) <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize(("link", "kept"), [(0.9, 1.0), (0.7, 0.5)])
@pytest.mark.parametrize(("problems", "seeds"), [(24, 1), (60, 1), (60, 3)])
def test_chains_against_accuracy_cover(problems: int, seeds: int, link: float, kept: float) -> None:
    assert 0.93 <= chain_coverage(problems, seeds, link, kept, TIMES) <= 0.99


def test_chains_that_are_hardly_ever_solved_cover_too_seldom() -> None:
    assert 0.84 <= chain_coverage(24, 1, 0.4, 0.5, TIMES) <= 0.91
    assert 0.89 <= chain_coverage(60, 1, 0.4, 0.5, TIMES) <= 0.94


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.0), (3, 0.3)])
@pytest.mark.parametrize("problems", [24, 60])
def test_trends_cover(problems: int, seeds: int, spread: float) -> None:
    alone, against = trend_coverage(problems, seeds, spread, TIMES)
    assert 0.92 <= alone <= 0.985 and 0.92 <= against <= 0.985


# Tables -------------------------------------------------------------------------------------------------
# Four problems of 2, 2, 3 and 3 steps, as many links; the first lacks the disordered plan.

NAMES = ["p0", "p1", "p2", "p3"]
BASE, FIRST, SECOND = [64, 48, 16, 0], [64, 64, 32, 16], [64, 32, 16, 0]
GIVEN = {
    "base": {"plan": [8, 4, 2, 1], "plan-disordered": [None, 4, 0, 0], "knowledge": [8, 8, 0, 2]},
    "first": {"plan": [8, 8, 2, 0], "plan-disordered": [None, 8, 4, 2], "knowledge": [8, 8, 4, 4]},
    "second": {"plan": [8, 8, 4, 0], "plan-disordered": [None, 4, 4, 0], "knowledge": [8, 8, 8, 8]},
}
LINKS = {
    "subproblem-1": [8, 4, 8, 4],
    "subproblem-2": [8, 4, 4, 4],
    "subproblem-3": [None, None, 4, 8],
    "own-1": [8, 4, 8, 4],
    "own-2": [8, 6, 4, None],
    "own-3": [None, None, 2, None],
}
UNBROKEN = {"own-1": [8, 4, 8, 4], "own-2": [8, 3, 4, None], "own-3": [None, None, 1, None]}


def named(found: Mapping[str, Sequence[int | None]]) -> Counted:
    return {key: dict(zip(NAMES, values, strict=True)) for key, values in found.items()}


def given(arm: str) -> pd.DataFrame:
    return probed(named({**GIVEN[arm], **LINKS}), chain=named(UNBROKEN))


def inputs(folder: Path, known: bool = True, **more: Any) -> Inputs:
    path = folder / "problems.parquet"
    schema = schemas.SCHEMAS["problems"]
    links = [{"question": "?", "answer": "1", "fact": "x = {answer}"}] * 3
    rows = [
        {
            **{field.name: None if field.nullable else "" for field in schema},
            "problem": name,
            "answers": ["1"],
            "difficulty": difficulty if known else None,
            "domain": domain if known else None,
            "subproblems": links[: int(difficulty)],
        }
        for name, difficulty, domain in zip(NAMES, [2.0, 2, 3, 3], "xyxy", strict=True)
    ]
    parquet.write(path, "problems", rows[::-1])
    settings: dict[str, Any] = {
        "cells": {"toy": {"base": {0: plain(BASE)}, "rl": {0: plain(FIRST), 1: plain(SECOND)}}},
        "probes": {"toy": {"base": {0: given("base")}, "rl": {0: given("first"), 1: given("second")}}},
        "pairs": [("rl", "base")],
        "arms": {"base": {"condition": "plain"}, "rl": {"condition": "plain"}},
        "files": {"problems": [{"path": path, "benchmark": "toy"}]},
        "options": {"bands": {"easy": [2], "none": [9]}},
    }
    return Inputs(**{**settings, **more})


def the(rows: Rows, **keys: object) -> dict[str, Any]:
    (row,) = (row for row in rows if all(row[name] == value for name, value in keys.items()))
    return row


def effect(row: Mapping[str, Any]) -> list[float]:
    return [row[name] for name in ("estimate", "low", "high", "p")]


def test_conditions_table(tmp_path: Path) -> None:
    rows = conditions_table.rows(inputs(tmp_path))
    assert {row["target"] for row in rows} == {"answer", "derivation"}
    assert len({tuple(row) for row in rows}) == 1
    keys = [(row["arm"], row["target"], row["stratum"], row["condition"], row["reference"]) for row in rows]
    assert len(set(keys)) == len(keys)
    base = {"arm": "base", "target": "answer", "stratum": "all"}
    rl = {**base, "arm": "rl"}
    alone = the(rows, **base, condition="plain")
    assert (alone["reference"], alone["problems"], alone["average"]) == ("none", 4, 0.5)
    assert effect(alone) == pytest.approx(tests_and_intervals.crossed([[1, 3 / 4, 1 / 4, 0]]))
    plan = the(rows, **base, condition="plan", reference="plain")
    assert plan["average"] == 15 / 32
    assert effect(plan) == pytest.approx(tests_and_intervals.crossed([[0, -1 / 4, 0, 1 / 8]]))
    # Against the control on the three problems that have it.
    control = the(rows, **base, condition="plan", reference="plan-disordered")
    assert (control["problems"], control["average"]) == (3, pytest.approx(7 / 24))
    assert effect(control) == pytest.approx(tests_and_intervals.crossed([[0, 1 / 4, 1 / 8]]))
    both = the(rows, **rl, condition="knowledge", reference="plain")
    assert effect(both) == pytest.approx(
        tests_and_intervals.crossed([[0, 0, 0, 1 / 4], [0, 1 / 2, 3 / 4, 1]])
    )
    assert the(rows, **rl, condition="knowledge", reference="none")["average"] == 56 / 64
    # Conditions that were not asked are not told of, nor strata of one problem or none.
    assert {row["condition"] for row in rows} == {"plain", "plan", "plan-disordered", "knowledge"}
    assert not [row for row in rows if row["reference"] in ("plan-incomplete", "knowledge-irrelevant")]
    strata = {row["stratum"] for row in rows if row["condition"] == "plan-disordered"}
    assert strata == {"all", "level 3", "domain y"}
    assert "band easy" in {row["stratum"] for row in rows} and "band none" not in {
        row["stratum"] for row in rows
    }


def test_arms_that_were_not_probed_have_their_plain_rows(tmp_path: Path) -> None:
    rows = conditions_table.rows(inputs(tmp_path, known=False, probes={}))
    assert {(row["condition"], row["stratum"]) for row in rows} == {("plain", "all")}
    assert len(rows) == 4 and not condition_contrast.rows(inputs(tmp_path, probes={}))


def test_condition_contrast_table(tmp_path: Path) -> None:
    rows = condition_contrast.rows(inputs(tmp_path))
    found = the(rows, target="answer", stratum="all", condition="knowledge")
    one, two = [[0, 0, 0, 1 / 4], [0, 1 / 2, 3 / 4, 1]], [[0, 1 / 4, -1 / 4, 1 / 4]]
    assert found["problems"] == 4 and found["estimate"] == pytest.approx(2.5 / 8 - 1 / 16)
    assert effect(found) == pytest.approx(tests_and_intervals.contrast(one, two))
    trend = the(rows, target="answer", stratum="trend", condition="knowledge")
    assert trend["estimate"] == pytest.approx((0.5 - 0.125) - (0.0 - 0.125))
    assert trend["low"] < trend["estimate"] < trend["high"]
    least = the(rows, target="answer", stratum="trend", condition="plan-disordered")
    # Changes of the arm 0, 1/8, 0 and of its base -1/4, -1/4, 0, at 2, 3 and 3 steps.
    assert least["problems"] == 3 and least["estimate"] == pytest.approx(1 / 16 - 1 / 8)
    unknown = condition_contrast.rows(inputs(tmp_path, known=False))
    assert {row["stratum"] for row in unknown} == {"all"}


def test_chains_table(tmp_path: Path) -> None:
    rows = chains.rows(inputs(tmp_path))
    gold = the(rows, arm="base", stratum="all", mode="gold")
    ssr = [1, 1 / 4, 1 / 4, 1 / 4]
    assert (gold["problems"], gold["accuracy"], gold["last"]) == (4, 0.5, 3 / 4)
    assert [gold["ssr"], gold["ssr_low"], gold["ssr_high"]] == pytest.approx(
        tests_and_intervals.crossed([ssr])[:3]
    )
    assert effect(gold) == pytest.approx(tests_and_intervals.crossed([[0, -1 / 2, 0, 1 / 4]]))
    own = the(rows, arm="base", stratum="all", mode="own")
    assert own["ssr"] == pytest.approx((1 + 3 / 8 + 1 / 8 + 0) / 4)
    assert own["last"] == pytest.approx((1 + 6 / 8 + 2 / 8 + 0) / 4)
    assert own["estimate"] == pytest.approx(own["ssr"] - 0.5)
    seeds = the(rows, arm="rl", stratum="level 3", mode="gold")
    assert seeds["problems"] == 2 and seeds["estimate"] == pytest.approx(1 / 4 - 1 / 4)
    assert len(rows) == 2 * 2 * 6  # all, a band, two levels, two domains


def test_chains_that_were_not_asked_are_not_told_of(tmp_path: Path) -> None:
    gold = given("base")[lambda counts: ~counts["condition"].str.startswith("own-")]
    only = inputs(tmp_path, probes={"toy": {"base": {0: gold}}})
    assert {row["mode"] for row in chains.rows(only)} == {"gold"}
    assert {row["mode"] for row in survival.rows(only)} == {"gold"}
    path = tmp_path / "problems.parquet"
    parquet.write(path, "problems", parquet.read(path, "problems").assign(subproblems=None))
    assert not chains.rows(only) and not survival.rows(only)


def test_survival_table(tmp_path: Path) -> None:
    rows = survival.rows(inputs(tmp_path))
    gold = [row for row in rows if (row["arm"], row["mode"], row["links"]) == ("base", "gold", 3)]
    assert [row["link"] for row in gold] == [1, 2, 3] and {row["problems"] for row in gold} == {2}
    assert [row["estimate"] for row in gold] == pytest.approx([3 / 4, 3 / 8, 1 / 4])
    assert [row["breaks"] for row in gold] == pytest.approx([1 / 4, 3 / 8, 1 / 8])
    assert [gold[0]["low"], gold[0]["high"]] == pytest.approx(tests_and_intervals.crossed([[1, 1 / 2]])[1:3])
    own = [row for row in rows if (row["arm"], row["mode"], row["links"]) == ("rl", "own", 3)]
    assert [row["estimate"] for row in own] == pytest.approx([3 / 4, 1 / 4, 1 / 16])
    assert len(rows) == 2 * 2 * (2 + 3)


def test_scaffolding_table(tmp_path: Path) -> None:
    row = the(scaffolding.rows(inputs(tmp_path)), target="answer", stratum="all")
    one, two = np.array([FIRST, SECOND]) / 64, np.array([BASE]) / 64
    assert (row["arm_average"], row["base_average"]) == (pytest.approx(one.mean()), 0.5)
    assert row["problems"] == 4 and effect(row) == pytest.approx(tests_and_intervals.contrast(one, two))
    cells = {"toy": {"base": {0: plain(BASE), 1: plain(FIRST)}, "rl": {0: plain(FIRST), 1: plain(SECOND)}}}
    rows = scaffolding.rows(inputs(tmp_path, cells=cells))
    other = np.array([BASE, FIRST]) / 64
    assert effect(the(rows, target="answer", stratum="all")) == pytest.approx(
        tests_and_intervals.crossed(one - other)
    )
    assert the(rows, target="derivation", stratum="band easy")["problems"] == 2


def test_screening_table(tmp_path: Path) -> None:
    cells = {"toy": {"rl": {0: plain([0, 5, 0, 0], 20), 1: plain([3, 0, 0, 0], 20)}}}
    rows = screening.rows(inputs(tmp_path, cells=cells))
    failed = {row["seed"]: row["failed"] for row in rows if row["stratum"] == "all"}
    assert failed == {"0": 3, "1": 3, "all": 2}
    hard = the(rows, seed="all", stratum="level 3")
    assert (hard["problems"], hard["failed"], hard["estimate"], hard["attempts"]) == (2, 2, 1, 20)
    every = the(rows, seed="0", stratum="all")
    assert every["estimate"] == 3 / 4
    assert (every["low"], every["high"]) == pytest.approx(proportion_confint(3, 4, 0.05, "beta"))
    assert the(rows, seed="1", stratum="domain x")["failed"] == 1
    assert "band none" not in {row["stratum"] for row in rows}
    wide = the(screening.rows(inputs(tmp_path, cells=cells, level=0.99)), seed="0", stratum="all")
    assert (wide["low"], wide["high"]) == pytest.approx(proportion_confint(3, 4, 0.01, "beta"))
