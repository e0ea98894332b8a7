"""The published record: what the estimator demands, intervals without the pairing, and the findings."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from tiny import copy_repository

import _snakemake
from anatomy.analyses.inputs import Inputs, Rows
from anatomy.errors import AnatomyError
from anatomy.figures import overlay, passk, plotting
from anatomy.figures.inputs import Inputs as DrawnFrom
from anatomy.published import bounds, consistency
from anatomy.published import curves as published_curves
from anatomy.reporting import numbers
from anatomy.statistics import accuracy_bins, pass_at_k, proportions
from anatomy.statistics.pass_at_k import Counts
from anatomy.storage import csv
from anatomy.study import validation, yaml_files

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / ".." / "shared" / "reference"
N = 64
KS = np.array([1, 2, 3, 5, 8, 13, 22, 38, 64])


def files(folder: Path = ROOT / "config/published") -> published_curves.Files:
    return [{"file": path.stem, "path": str(path)} for path in sorted(folder.glob("*.csv"))]


def rows(name: str, *tables: Path, folder: Path = ROOT / "config/published") -> Rows:
    artifacts = yaml.safe_load((ROOT / "config/published_numbers.yaml").read_text())["tables"]
    read = {*artifacts[name].get("record", []), "sources"}  # what the workflow gives it
    found: Rows = import_module(f"anatomy.analyses.{artifacts[name].get('analysis', name)}").rows(
        Inputs(
            files={
                "record": [file for file in files(folder) if file["file"] in read],
                "tables": [{"table": path.stem, "path": str(path)} for path in tables],
            },
            options=artifacts[name].get("options", {}),
        )
    )
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], pd.DataFrame]:
    """Return a function that gives a table of the record, made once and read back as figures read it."""
    folder = tmp_path_factory.mktemp("tables")
    artifacts = yaml.safe_load((ROOT / "config/published_numbers.yaml").read_text())["tables"]

    def table(name: str) -> pd.DataFrame:
        path = folder / f"{name}.csv"
        if not path.exists():
            needed = artifacts[name].get("tables", [])
            for other in needed:
                table(other)
            csv.write_csv(path, rows(name, *(folder / f"{other}.csv" for other in needed)))
        return csv.read_csv(path)

    return table


def curve_of(c: NDArray[np.int64], n: int = N, ks: NDArray[np.int64] = KS) -> NDArray[np.float64]:
    return pass_at_k.pass_at_k(n, c[:, None], ks).mean(axis=0)


# What the estimator demands -----------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, N), min_size=1, max_size=60))
def test_a_curve_of_counts_passes_every_check(successes: list[int]) -> None:
    c = np.array(successes)
    values = np.round(curve_of(c), 4)
    assert consistency.decrease(KS, values).amount <= 2 * published_curves.ROUNDING
    assert consistency.dent(KS, values).amount <= 2 * published_curves.ROUNDING + 1e-12
    assert consistency.deviation(N, KS, values).amount <= published_curves.ROUNDING + 1e-7
    bins = accuracy_bins.accuracy_histogram(Counts(np.full(len(c), N), c))
    assert consistency.deviation(N, KS, values, bins / len(c)).amount <= published_curves.ROUNDING + 1e-7
    low, high = consistency.mean_range(bins, N)
    assert low - 1e-12 <= c.mean() / N <= high + 1e-12


@pytest.mark.parametrize(
    ("change", "caught"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0, -0.2], {"decrease", "deviation"}),
        ([0, 0, -0.03, 0, 0, 0, 0, 0, 0], {"dent", "deviation"}),
        ([0.05, 0, 0, 0, 0, 0, 0, 0, 0], {"dent", "deviation"}),
        # Still rising and concave: only complete monotonicity tells.
        ([0, 0, 0, 0, 0.004, 0, 0, 0, 0], {"deviation"}),
    ],
)
def test_a_curve_that_was_touched_fails_the_right_check(change: list[float], caught: set[str]) -> None:
    values = curve_of(np.array([0, 1, 2, 4, 9, 20, 33, 50, 64, 64])) + np.array(change)
    amounts = {
        "decrease": consistency.decrease(KS, values).amount / 2,
        "dent": consistency.dent(KS, values).amount / 2,
        "deviation": consistency.deviation(N, KS, values).amount,
    }
    assert {name for name, amount in amounts.items() if amount > published_curves.ROUNDING} == caught


def test_amounts_are_the_largest_and_say_where() -> None:
    values = np.array([0.1, 0.4, 0.3, 0.5])
    ks = np.array([1, 2, 3, 5])
    assert consistency.decrease(ks, values) == (pytest.approx(0.1), 3)
    amount, at = consistency.dent(ks, values)
    assert (amount, at) == (pytest.approx(0.4 + 0.1 / 3 - 0.3), 3)


def test_the_nearest_curve_of_one_problem() -> None:
    """With one sample a problem, pass@1 is all there is, and any share can be had."""
    assert consistency.deviation(1, np.array([1]), np.array([0.3])).amount == pytest.approx(0, abs=1e-9)
    assert consistency.deviation(1, np.array([1]), np.array([1.2])).amount == pytest.approx(0.2)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, N), min_size=5, max_size=80))
def test_least_squares_finds_problems_solved_once(successes: list[int]) -> None:
    c = np.array(successes)
    fit = consistency.fit(N, KS, curve_of(c), len(c))
    assert fit.problems[0] == pytest.approx((c == 0).sum(), abs=1e-4)
    assert fit.problems.sum() == pytest.approx(len(c))
    assert fit.residual < 1e-6
    once = np.eye(N + 1)[1] * len(c)
    low, high = consistency.reach(N, KS, np.round(curve_of(c), 4), once, published_curves.ROUNDING)
    assert low - 1e-3 <= (c == 1).sum() <= high + 1e-3


def test_nothing_is_implied_by_a_curve_of_no_counts() -> None:
    low, high = consistency.reach(4, np.array([1, 2]), np.array([0.5, 0.2]), np.ones(5), 1e-4)
    assert np.isnan(low) and np.isnan(high)


# Intervals without the pairing --------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 60), st.floats(0, 1))
def test_no_values_vary_more_than_the_most_uneven(problems: int, share: float) -> None:
    values = bounds.most_uneven(np.array(share), problems)
    assert values.shape == (problems,) and values.min() >= 0 and values.max() <= 1
    assert values.mean() == pytest.approx(share)
    rng = np.random.default_rng(problems)
    other = rng.beta(1, 1, problems)
    assert bounds.most_uneven(np.array(other.mean()), problems).var() >= other.var() - 1e-12


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.data())
def test_p_of_every_pairing_is_within_its_range(problems: int, data: st.DataObject) -> None:
    arm, base = data.draw(st.integers(0, problems)), data.draw(st.integers(0, problems))
    least, most = bounds.p_range(arm, base, problems)
    found = [
        proportions.mcnemar(base - both, arm - both)
        for both in range(max(0, arm + base - problems), min(arm, base) + 1)
    ]
    assert min(found) == pytest.approx(least) and max(found) == pytest.approx(most)


def test_the_widest_interval_holds_that_of_every_pairing() -> None:
    arm, base, problems = 19, 23, 30
    low, high = bounds.change_interval(np.array(arm / problems), np.array(base / problems), problems, 0.95)
    for both in range(12, 20):
        cells = np.repeat([0, 1, 2, 3], [both, base - both, arm - both, problems - arm - base + both])
        paired = proportions.change((cells == 2) * 1.0, (cells == 1) * 1.0, np.ones(problems))
        assert low - 1e-9 <= paired.low and paired.high <= high + 1e-9


@pytest.mark.slow
def test_intervals_hold_their_level_for_any_pairing() -> None:
    """Simulated: partial scores of two models, opposed, alike and independent, means 0.66 and 0.5."""
    rng = np.random.default_rng(4)
    for sign in (-1, 0, 1):
        held = []
        for _ in range(200):
            skill = rng.normal(size=60)
            other = sign * skill if sign else rng.normal(size=60)
            one, two = stats.norm.cdf(skill + 0.6), stats.norm.cdf(other)
            low, high = bounds.change_interval(one.mean(), two.mean(), 60, 0.95)
            held.append(low <= stats.norm.cdf(0.6 / np.sqrt(2)) - 0.5 <= high)
        assert np.mean(held) >= 0.95


def test_curves_that_only_meet_have_not_crossed() -> None:
    ks = np.array([1, 2, 4])
    meet = bounds.crossover_interval(ks, np.array([0.5, 0.6, 0.7]), np.array([0.4, 0.5, 0.7]), 1000, 0.95)
    assert meet[0] == np.inf and meet[2] == np.inf
    cross = bounds.crossover_interval(ks, np.array([0.5, 0.6, 0.6]), np.array([0.2, 0.5, 0.9]), 1000, 0.95)
    assert cross[1] <= cross[0] <= cross[2] and cross[0] == pytest.approx(2 * 2**0.25)


# The data -----------------------------------------------------------------------------------------------


def test_the_record_is_whole_and_every_line_has_its_source() -> None:
    curves = published_curves.curves(files())
    assert len(curves) == 144 and sum(len(curve.ks) for curve in curves) == 3720
    assert len(published_curves.contrasts(curves)) == 88
    histograms = list(published_curves.histograms(files()))
    assert len(histograms) == 48
    sizes = {curve.benchmark: curve.problems for curve in curves}
    assert all(counts.sum() == sizes[names["benchmark"]] for names, counts in histograms)
    assert len(published_curves.values(files())) > 200 and len(published_curves.sparkle(files())) == 33
    sources = csv.read_csv(ROOT / "config/published/sources.csv")
    assert not sources.isna().any().any() and not sources.duplicated(["file", "item"]).any()
    assert {"yue2025_curves", "yue2025_histograms", "yue2025_tables", "wang2025_tables"} <= set(
        sources["file"]
    )


@pytest.mark.parametrize("name", ["yue2025_curves", "wang2025_tables"])
def test_the_data_is_what_was_read(name: str) -> None:
    if not REFERENCE.exists():
        pytest.skip("the reference numbers are not beside this clone")
    assert (ROOT / f"config/published/{name}.csv").read_bytes() == (REFERENCE / f"{name}.csv").read_bytes()


def test_a_number_without_a_source_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    shutil.copytree(ROOT / "config/published", folder)
    sources = folder / "sources.csv"
    lines = sources.read_text().splitlines(keepends=True)
    sources.write_text("".join(line for line in lines if not line.startswith("yue2025_curves,Fig7")))
    with pytest.raises(AnatomyError, match=r"figure Fig7: no source.*sources\.csv"):
        published_curves.curves(files(folder))


def test_a_curve_of_an_unknown_panel_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    shutil.copytree(ROOT / "config/published", folder)
    with (folder / "yue2025_curves.csv").open("a") as table:
        table.write("Fig2,AIME24/Other,base,1,0.5\n")
    with pytest.raises(AnatomyError, match="no line for panel 'AIME24/Other' of Fig2"):
        published_curves.curves(files(folder))


# What it says -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_which_curves_cannot_come_from_the_estimator(made: Callable[[str], pd.DataFrame]) -> None:
    failures = made("published_failures")
    mixed = failures[failures["check"] == "completely monotone"]
    assert set(zip(mixed["benchmark"], mixed["series"], strict=True)) == {
        ("HumanEval+", "RL"),
        ("MathVista", "base"),
        ("MathVision", "base"),
        ("MathVision", "RL"),
    }
    # All but one fit without the point at k = 1, and the pass@1 that the others imply is not the plotted one.
    without = mixed.set_index(["benchmark", "series"])
    assert without.loc[("HumanEval+", "RL"), "without_first"] > published_curves.ROUNDING
    vision = without.drop(index=("HumanEval+", "RL"))
    assert (vision["without_first"] <= published_curves.ROUNDING).all()
    assert ((vision["first"] < vision["first_low"]) | (vision["first"] > vision["first_high"])).all()
    counts = made("published_check_counts").set_index("check")
    assert (
        counts.loc["completely monotone", "tested"] == 144
        and counts.loc["completely monotone", "failed"] == 4
    )
    for check in ("never falls", "sums to N", "mean is pass@1", "0-bin is N (1 - pass@n)"):
        assert counts.loc[check, "failed"] == 0
    assert counts.loc["one set of counts for both", "tested"] == 48
    assert counts.loc["one set of counts for both", "failed"] == 0


@pytest.mark.slow
def test_coverage_tables_have_the_known_p(made: Callable[[str], pd.DataFrame]) -> None:
    table = made("published_coverage").set_index(["place", "benchmark"])
    assert table["p"].round(4).to_dict() == {
        ("Table 2 (v5)", "AIME24"): 0.125,
        ("Table 2 (v5)", "MATH500"): 0.0106,
        ("Table 5", "LCB-51"): 0.375,
        ("Reproduction", "MATH500"): 0.0009,
    }
    lists = (
        published_curves.values(files())
        .query("table == 'Table 4'")
        .pivot_table(index="item", columns="quantity", values="value")
    )
    solved = lists.astype(bool)
    assert (solved["base"] & ~solved["RL"]).sum() == table.loc[("Table 2 (v5)", "AIME24"), "base_only"]
    assert not (solved["RL"] & ~solved["base"]).any()


def test_gaps_of_the_text_against_table_and_curves(made: Callable[[str], pd.DataFrame]) -> None:
    table = made("published_delta_se")
    assert table["table_gap"].abs().max() <= 0.001
    test = table[table["benchmark"] == "Omni-MATH-Test"].iloc[:6].set_index("arm")
    assert test["from_table"].idxmax() == "ReMax" and test["from_table"].idxmin() == "RLOO"
    assert 100 * test["from_table"].max() == pytest.approx(45.3)
    assert 100 * test["from_table"].min() == pytest.approx(41.0)
    assert 100 * test.loc["GRPO", "text_gap"] == pytest.approx(0, abs=0.05)
    assert 100 * test.loc["RLOO", "text_gap"] == pytest.approx(1.58, abs=0.01)
    assert 100 * test.loc["DAPO", "estimate"] == pytest.approx(42.57)  # what the text says of RLOO


@pytest.mark.slow
def test_solved_problems_crossovers_and_singletons(made: Callable[[str], pd.DataFrame]) -> None:
    def one(table: str, figure: str, benchmark: str, model: str) -> pd.DataFrame:
        frame = made(table)
        return frame[
            (frame["figure"] == figure) & (frame["benchmark"] == benchmark) & (frame["model"] == model)
        ]

    tests = one("published_tests", "Fig2", "AIME24", "Qwen2.5-7B").iloc[0]
    assert (tests["solved_base"], tests["solved_arm"], tests["p_least"]) == (23, 19, 0.125)
    solved = one("published_solved", "Fig2", "AIME24", "Qwen2.5-7B").set_index("series")
    assert solved["singletons"].round().to_dict() == {"RL": 1, "base": 4}
    assert (solved["singletons_high"] - solved["singletons_low"] < 0.25).all()
    crossover = one("published_crossover", "Fig2", "AIME24", "Qwen2.5-7B").iloc[0]
    assert crossover["estimate"] == pytest.approx(183.2, abs=0.2)
    assert one("published_crossover", "Fig3", "LCB-279", "R1-Distill-14B")["estimate"].iloc[0] == np.inf
    # Whatever the pairing, the base solves more on GSM8K; elsewhere the numbers alone seldom say so.
    sure = made("published_tests").query("p < 0.05")
    assert {"Qwen2.5-7B", "Qwen2.5-14B", "Qwen2.5-32B"} <= set(sure[sure["benchmark"] == "GSM8K"]["model"])


def test_the_base_of_another_prompt_is_the_same_curve(made: Callable[[str], pd.DataFrame]) -> None:
    repeats = made("published_repeats")
    dapo = repeats[repeats["other_model"] == "DAPO-32B"]
    assert dapo[["figure", "model", "series", "other_series", "largest"]].values.tolist() == [
        ["Fig2", "Qwen2.5-32B", "base", "base", 0.0]
    ]


def test_the_averages_of_the_second_paper(made: Callable[[str], pd.DataFrame]) -> None:
    table = made("published_sparkle_contrast").set_index(["arm", "base", "benchmark"])
    mean = table.loc[("SparkleRL-Stage2-pss", "SparkleRL-Stage1", "mean")]
    assert 100 * mean["estimate"] == pytest.approx(2.02, abs=0.005)
    assert mean["low"] < 0 < mean["high"]
    assert table.loc[("SparkleRL-Stage1", "Qwen2.5-Math-7B", "mean"), "low"] > 0
    assert table.loc[("SFT-hard", "SparkleRL-Stage1", "AIME24"), "high"] < 0


@pytest.mark.slow
def test_every_table_has_its_keys_and_numbers(made: Callable[[str], pd.DataFrame], tmp_path: Path) -> None:
    artifacts = yaml.safe_load((ROOT / "config/published_numbers.yaml").read_text())["tables"]
    for name, spec in artifacts.items():
        made(name).to_csv(tmp_path / f"{name}.csv", index=False)
        assert numbers.numbers(name, tmp_path / f"{name}.csv", spec), name


# The configuration --------------------------------------------------------------------------------------


def test_a_name_in_two_files_of_artifacts_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        entry = {"title": "T", "keys": ["k"], "numbers": {}, "published": "none"}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"tables": {"same": entry}, "figures": {}}))
    with pytest.raises(AnatomyError, match=r"two\.yaml: tables\.same stands in one\.yaml too"):
        yaml_files.read_artifacts(tmp_path, ["one.yaml", "two.yaml"])
    together, origin = yaml_files.read_artifacts(tmp_path, ["two.yaml"])
    assert list(together["tables"]) == ["same"] and origin == {("tables", "same"): "two.yaml"}


# Beside our own numbers ---------------------------------------------------------------------------------

OVERLAY = {
    "table": "published_curves",
    "model": "Qwen2.5-7B",
    "figures": ["Fig2"],
    "benchmarks": {"hard": "AIME24"},
    "arms": {"base": "base", "grpo": "RL"},
}


@pytest.mark.slow
def test_an_overlay_takes_the_published_curves_of_its_arms(
    made: Callable[[str], pd.DataFrame], tmp_path: Path
) -> None:
    path = tmp_path / "published_curves.csv"
    made("published_curves").to_csv(path, index=False)
    found = overlay.read(OVERLAY, ["ours.csv", str(path)], ["k", "estimate"])
    assert set(found["arm"]) == {"base", "grpo"} and set(found["benchmark"]) == {"hard"}
    first = found[found["k"] == 1].set_index("arm")
    assert first["estimate"].to_dict() == {"base": 0.0738, "grpo": 0.1544}
    assert first.loc["grpo", "label"] == "published: Qwen2.5-7B, RL on AIME24"
    assert overlay.read({}, ["ours.csv"], ["k"]).empty
    with pytest.raises(AnatomyError, match=r"no numbers of 'PPO' on 'AIME24' for the overlay"):
        overlay.read(OVERLAY | {"arms": {"grpo": "PPO"}}, [str(path)], ["k"])


@pytest.mark.slow
@pytest.mark.parametrize("study", ["embedded", "published"])
def test_every_overlay_finds_its_numbers(
    study: str, made: Callable[[str], pd.DataFrame], tmp_path: Path
) -> None:
    where = ROOT / f"config/{study}.yaml"
    figures = validation.load(yaml_files.read_yaml(where), ROOT, str(where)).artifacts["figures"]
    found = {name: entry["overlay"] for name, entry in figures.items() if "overlay" in entry}
    assert len(found) >= {"embedded": 4, "published": 19}[study]
    for spec in found.values():
        made(spec["table"]).to_csv(tmp_path / "table.csv", index=False)
        assert len(overlay.read(spec, [str(tmp_path / "table.csv")], []))


def test_a_figure_shows_published_curves_where_the_overlay_is_on(
    made: Callable[[str], pd.DataFrame], tmp_path: Path
) -> None:
    made("published_curves").to_csv(tmp_path / "published_curves.csv", index=False)
    points = [
        {"arm": arm, "seed": "all", "benchmark": "hard", "target": "answer", "k": k} | value
        for arm in ("base", "grpo")
        for k in (1, 2, 4)
        for value in ({"estimate": 0.5, "low": 0.4, "high": 0.6},)
    ]
    csv.write_csv(tmp_path / "passk.csv", points)
    crossover = {"arm": "grpo", "base": "base", "benchmark": "hard", "target": "answer", "estimate": 2.0}
    csv.write_csv(tmp_path / "crossover.csv", [crossover])
    inputs = [str(tmp_path / f"{name}.csv") for name in ("passk", "crossover", "published_curves")]
    for spec, shown in (({}, False), (OVERLAY, True)):
        out = tmp_path / "figure.svg"
        given = DrawnFrom(inputs if spec else inputs[:2], {"base": "Base", "grpo": "GRPO"}, spec)
        plotting.save(passk.draw(given), [str(out)])
        assert ("published: Qwen2.5-7B, RL on AIME24" in out.read_text()) is shown


# The workflow -------------------------------------------------------------------------------------------


def snakemake(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.needs("sandbox")  # which the study that this is a part of has
def test_the_record_needs_nothing_but_itself(tmp_path: Path) -> None:
    """`snakemake published` with the default configuration has no job with a model; a figure is made."""
    folder = copy_repository(tmp_path / "clone")
    plan = snakemake(folder, "-n", "--quiet", "rules", "--", "published")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", plan, re.MULTILINE))
    entries = yaml.safe_load((ROOT / "config/published_numbers.yaml").read_text())
    count = {kind: len(entries[f"{kind}s"]) for kind in ("table", "figure")}
    assert {name: int(number) for name, number in jobs.items() if name != "total"} == count | {"published": 1}
    snakemake(folder, "--", "figures/embedded/published_failures.svg")
    made = sorted(path.stem for path in (folder / "results/embedded/tables").glob("*.csv"))
    expected = ["published_checks", "published_curves", "published_delta_se", "published_failures"]
    assert made == expected
    assert "MathVision" in (folder / "figures/embedded/published_failures.svg").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("on", [True, False])
def test_a_figure_needs_the_record_where_the_overlay_is_on(on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    target = "figures/embedded/passk.svg"
    read = _snakemake.load([], {"overlay": on})
    from snakemake.dag import DAG  # after what ``load`` imports: they import each other
    from snakemake.jobs import Job

    rule = next(rule for rule in read.rules if rule.is_producer(target))
    needed = Job(rule, DAG(read, rules=[]), rule.get_wildcards(target)).input
    assert ("results/embedded/tables/published_curves.csv" in needed) is on
