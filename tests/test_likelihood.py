"""Perplexity and the other likelihoods by problem: by hand, and on simulated completions of known truth."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from anatomy.analyses import perplexity as analyses_perplexity
from anatomy.analyses import perplexity_contrast
from anatomy.analyses.inputs import Inputs
from anatomy.errors import AnatomyError
from anatomy.statistics import perplexity
from anatomy.storage import csv, parquet

Floats = NDArray[np.float64]


# Reading ------------------------------------------------------------------------------------------------


class Files:
    """Writes tables of scores and verdicts, and names them as the workflow does."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.scores: list[dict[str, Any]] = []
        self.verdicts: list[dict[str, Any]] = []

    def score(
        self, text: str, rows: Sequence[tuple[str, int, int, float]], seed: int = 0, **names: str
    ) -> None:
        """rows: problem, sample, tokens, logprob."""
        names = {"scorer": "base", "benchmark": "easy", **names}
        path = self.folder / f"scores-{len(self.scores)}.parquet"
        columns = ("problem", "sample", "tokens", "logprob")
        frame = pd.DataFrame(rows, columns=columns).assign(surprisal=2.0, entropy=1.0)
        parquet.write(path, "scores", frame)
        self.scores.append({"path": str(path), "text": text, "seed": seed, **names})

    def judge(
        self, arm: str, rows: Sequence[tuple[str, int, str]], seed: int = 0, benchmark: str = "easy"
    ) -> None:
        """rows: problem, sample, verdict."""
        path = self.folder / f"verdicts-{len(self.verdicts)}.parquet"
        frame = pd.DataFrame(rows, columns=["problem", "sample", "verdict"])
        rest = {"condition": "plain", "answer": None, "lenient": None}
        rest |= {"derivation_right": None, "first_bad_line": None}
        parquet.write(path, "verdicts", [{**row, **rest} for row in frame.to_dict("records")])
        self.verdicts.append({"path": str(path), "arm": arm, "seed": seed, "benchmark": benchmark})

    def completions(self) -> pd.DataFrame:
        return perplexity.completions(self.scores, self.verdicts)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_right_and_wrong_completions(files: Files) -> None:
    files.score("arm", [("p", 0, 4, -1.0), ("p", 1, 4, -2.0), ("q", 0, 4, -3.0), ("q", 1, 4, -4.0)])
    files.judge("arm", [("q", 1, "no_answer"), ("q", 0, "truncated")])  # shards, in any order
    files.judge("arm", [("p", 1, "wrong"), ("p", 0, "right")])
    files.score("gold", [("p", 0, 9, -5.0)])
    found = files.completions()
    of = {name: part["logprob"].tolist() for name, part in found.groupby(["text", "subset"])}
    assert of == {
        ("arm", "all"): [-1.0, -2.0, -3.0, -4.0],
        ("arm", "right"): [-1.0],
        ("arm", "wrong"): [-2.0, -3.0, -4.0],
        ("gold", "all"): [-5.0],
        ("gold", "right"): [-5.0],
    }


def test_verdicts_are_those_of_the_same_arm_seed_and_benchmark(files: Files) -> None:
    rows = [("p", 0, 4, -1.0)]
    verdicts = {
        ("a", 0, "x"): "right",
        ("a", 1, "x"): "wrong",
        ("b", 0, "x"): "wrong",
        ("a", 0, "y"): "wrong",
    }
    for (arm, seed, benchmark), verdict in verdicts.items():
        files.score(arm, rows, seed, benchmark=benchmark)
        files.judge(arm, [("p", 0, verdict)], seed, benchmark)
    found = files.completions()
    found = found[found["subset"] != "all"]
    keys = zip(found["text"], found["seed"], found["benchmark"], strict=True)
    assert dict(zip(keys, found["subset"], strict=True)) == verdicts


def test_completions_without_a_verdict_are_refused(files: Files) -> None:
    files.score("arm", [("p", 0, 4, -1.0), ("p", 1, 4, -1.0)])
    with pytest.raises(AnatomyError, match=r"scores-0\.parquet: completions of arm without a verdict"):
        files.completions()
    files.judge("arm", [("p", 0, "right")])
    with pytest.raises(AnatomyError, match="without a verdict"):
        files.completions()
    files.judge("arm", [("p", 1, "right")], seed=1)
    with pytest.raises(AnatomyError, match="without a verdict"):
        files.completions()


def test_a_completion_without_a_token_is_left_out(files: Files) -> None:
    files.score("gold", [("p", 0, 0, 0.0), ("q", 0, 2, -1.0)])
    assert set(files.completions()["problem"]) == {"q"}


# By problem ---------------------------------------------------------------------------------------------


def frame(
    rows: Sequence[tuple[str, int, int, float, float]], text: str = "arm", subset: str = "all"
) -> pd.DataFrame:
    """rows: problem, seed, tokens, logprob, surprisal; one scorer and benchmark."""
    columns = ["problem", "seed", "tokens", "logprob", "surprisal"]
    return pd.DataFrame(rows, columns=columns).assign(
        scorer="base", text=text, benchmark="easy", subset=subset
    )


def test_measures_by_hand() -> None:
    found = perplexity.by_problem(
        frame(
            [
                ("p", 0, 2, -2 * math.log(2), 1.0),
                ("p", 0, 4, -4 * math.log(8), 5.0),
                ("p", 0, 3, -3 * math.log(3), 3.0),
                ("q", 0, 1, -math.log(2), 1.0),
                ("q", 0, 2, -2 * math.log(8), 2.0),
            ]
        )
    )
    log = math.log
    assert list(found.index) == [("base", "arm", "easy", "all", name) for name in "pq"]
    assert list(found.columns) == ["ppl", "log_ppl", "nll_token", "logprob_sum", "surprisal_max", "tokens"]
    p, q = found.to_numpy().tolist()
    assert p == pytest.approx([3, log(3), log(48) / 3, -(2 * log(2) + 4 * log(8) + 3 * log(3)) / 3, 3, 3])
    # The median of two perplexities is not the exponential of that of their logarithms.
    assert q == pytest.approx([5, log(4), log(4), -7 * log(2) / 2, 1.5, 1.5])


def test_seeds_count_alike_whatever_their_number_of_completions() -> None:
    rows = [("p", 0, 1, -1.0, 1.0)] * 9 + [("p", 1, 3, -6.0, 3.0)] + [("q", 1, 1, -1.0, 1.0)]
    found = perplexity.by_problem(frame(rows))
    assert found["nll_token"].tolist() == pytest.approx([1.5, 1.0])
    assert found["ppl"].tolist() == pytest.approx([(math.e + math.e**2) / 2, math.e])
    assert found["tokens"].tolist() == [2.0, 1.0]


def test_padding_lowers_perplexity_but_not_the_sum() -> None:
    """The published measure falls when predictable tokens are added; see the module's docstring."""
    found = perplexity.by_problem(
        pd.concat(
            [
                frame([("p", 0, 4, -8.0, 3.0)], "short"),
                frame([("p", 0, 4 + 100, -8.0 - 0.01 * 100, 3.0)], "padded"),
            ]
        )
    )
    short, padded = (found.xs(text, level="text").iloc[0] for text in ("short", "padded"))
    assert padded["ppl"] < 1.1 < 7 < short["ppl"]
    assert padded["logprob_sum"] < short["logprob_sum"]
    assert padded["surprisal_max"] == short["surprisal_max"]


# Length-matched -----------------------------------------------------------------------------------------


def matched(ours: list[tuple[int, float]], theirs: list[tuple[int, float]]) -> list[float]:
    """Both: tokens and nll of each completion of one problem."""
    sides = [frame([("p", 0, tokens, -nll * tokens, 1.0) for tokens, nll in side]) for side in (ours, theirs)]
    return perplexity.matched(*sides).tolist()


def test_matched_by_hand() -> None:
    ours = [(5, 1.0), (5, 3.0), (5, 2.0), (9, 4.0), (7, 90.0)]
    theirs = [(5, 1.0), (9, 1.0), (9, 2.0), (9, 3.0), (3, 50.0)]
    # Lengths 5 and 9, of ours three and one: 3/4 (2 - 1) + 1/4 (4 - 2).
    assert matched(ours, theirs) == pytest.approx([1.25])
    assert matched(theirs, ours) == pytest.approx([-(1 / 4 * 1 + 3 / 4 * 2)])
    assert matched([(5, 1.0)], [(6, 1.0)]) == []


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(1, 6), st.floats(0, 5)), min_size=1, max_size=12), st.floats(-2, 2))
def test_matched_is_the_plain_difference_at_equal_lengths(
    rows: list[tuple[int, float]], shift: float
) -> None:
    theirs = [(tokens, nll + shift) for tokens, nll in reversed(rows)]
    assert matched(rows, theirs) == pytest.approx([-shift], abs=1e-9)
    assert matched(rows, theirs * 3) == pytest.approx([-shift], abs=1e-9)


def test_matched_pools_seeds() -> None:
    ours = frame([("p", 0, 5, -5.0, 1.0), ("p", 1, 5, -15.0, 1.0), ("p", 1, 5, -15.0, 1.0)])
    theirs = frame([("p", 0, 5, -5.0, 1.0)])
    assert perplexity.matched(ours, theirs).tolist() == pytest.approx([7 / 3 - 1])


def test_differences_are_paired_by_problem_and_subset() -> None:
    whole = pd.concat(
        [
            frame([("p", 0, 2, -2.0, 1.0), ("q", 0, 2, -6.0, 1.0), ("r", 0, 4, -8.0, 1.0)], "new"),
            frame([("r", 0, 4, -8.0, 1.0)], "new", "right"),
            frame([("q", 0, 2, -2.0, 1.0), ("r", 0, 5, -5.0, 1.0), ("s", 0, 2, -4.0, 1.0)], "old"),
            frame([("q", 0, 2, -2.0, 1.0)], "old", "right"),
        ]
    )
    found = perplexity.differences(whole, "base", "new", "old")
    assert list(found.index) == [("easy", "all", "q"), ("easy", "all", "r")]
    assert list(found.columns) == list(perplexity.CONTRASTS)
    assert found.iloc[0].tolist() == pytest.approx([2, 2, -4, 2])
    assert found.iloc[1].tolist() == pytest.approx([1, 1, -3, math.nan], nan_ok=True)
    back = perplexity.differences(whole, "base", "old", "new")
    assert back.iloc[0].tolist() == pytest.approx([-2, -2, 4, -2])


@pytest.mark.parametrize(("scorer", "text"), [("other", "new"), ("base", "nothing"), ("base", "apart")])
def test_contrasts_without_a_common_problem_are_refused(scorer: str, text: str) -> None:
    whole = pd.concat(
        [frame([("p", 0, 2, -2.0, 1.0)], name) for name in ("new", "old")]
        + [frame([("z", 0, 2, -2.0, 1.0)], "apart")]
    )
    with pytest.raises(AnatomyError, match=f"{scorer} has scored no problem of both {text} and old"):
        perplexity.differences(whole, scorer, text, "old")


# Intervals ----------------------------------------------------------------------------------------------


def test_symmetric_values_have_the_t_interval() -> None:
    values = [1.0, 2.0, 4.0, 6.0, 7.0]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert perplexity.interval(values, 0.9).tolist() == pytest.approx([4.0, expected.low, expected.high])


def test_skewed_values_have_halls_end_on_the_side_of_the_tail() -> None:
    values = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 9.0])
    mean, low, high = perplexity.interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert low == pytest.approx(expected.low)
    assert high > expected.high + 1
    skewness = stats.skew(values, bias=False)

    def transformed(end: float) -> float:
        w = (mean - end) / values.std(ddof=1)
        return float(w + skewness * w**2 / 3 + skewness**2 * w**3 / 27 + skewness / (6 * 6))

    quantile = stats.t.ppf(0.975, 5) / math.sqrt(6)
    assert high == pytest.approx(optimize.brentq(lambda end: transformed(end) + quantile, mean, 100))
    assert perplexity.interval(-values).tolist() == pytest.approx([-mean, -high, -low])


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=20), st.floats(-5, 5), st.floats(0.1, 10))
def test_intervals_move_with_their_values(values: list[float], shift: float, scale: float) -> None:
    found = perplexity.interval(values)
    moved = perplexity.interval([shift + scale * value for value in values])
    assert moved.tolist() == pytest.approx((shift + scale * found).tolist(), abs=1e-4)
    assert found[1] <= found[0] <= found[2]


def test_intervals_of_many_columns_are_those_of_each() -> None:
    values = np.random.default_rng(0).exponential(size=(12, 3, 2))
    values[:, 0, 0] = 4.0
    found = perplexity.interval(values)
    assert found.shape == (3, 3, 2)
    assert found[:, 0, 0].tolist() == [4.0] * 3
    for at in np.ndindex(3, 2):
        assert found[:, *at].tolist() == pytest.approx(
            perplexity.interval(values[:, *at]).tolist(), abs=1e-12
        )


def test_rounding_errors_are_no_skewness() -> None:
    values = np.array([-1.0, -0.5, 0.5, 1.0]) + np.array([1, -1, 1, 1]) * 1e-14
    assert perplexity.interval(values) == pytest.approx(perplexity.interval([-1, -0.5, 0.5, 1]), abs=1e-6)


def test_too_few_problems() -> None:
    assert perplexity.interval([3.0]).tolist() == pytest.approx([3.0, math.nan, math.nan], nan_ok=True)
    two = perplexity.interval([3.0, 5.0])
    assert two.tolist() == pytest.approx([4 + sign * stats.t.ppf(0.975, 1) for sign in (0, -1, 1)])
    with pytest.raises(ValueError, match="one problem or more"):
        perplexity.interval([])


POPULATIONS: dict[str, tuple[Callable[[np.random.Generator, tuple[int, int]], Floats], float]] = {
    "normal": (lambda rng, size: rng.normal(size=size), 0),
    "uniform": (lambda rng, size: rng.uniform(size=size), 0.5),
    "heavy tails": (lambda rng, size: rng.standard_t(3, size), 0),
    "exponential": (lambda rng, size: rng.exponential(size=size), 1),
    "gamma": (lambda rng, size: rng.gamma(0.5, size=size), 0.5),
    "log-normal": (lambda rng, size: rng.lognormal(0, 0.5, size), math.exp(0.125)),
    "perplexity": (lambda rng, size: np.exp(rng.gamma(2, 0.1, size)), 0.9**-2),
}


@pytest.mark.parametrize("problems", [10, 20, 50])
@pytest.mark.parametrize("name", POPULATIONS)
def test_intervals_hold_their_level(name: str, problems: int) -> None:
    """8,000 samples each: the Monte-Carlo standard error is 0.0025."""
    draw, truth = POPULATIONS[name]
    _, low, high = perplexity.interval(draw(np.random.default_rng(5), (problems, 8000)))
    assert 0.92 <= np.mean((low <= truth) & (truth <= high)) <= 0.98


# Simulated studies: one a benchmark ---------------------------------------------------------------------

STUDIES, PROBLEMS, SAMPLES = 1000, 20, 9


def simulated(
    rng: np.random.Generator,
    text: str,
    level: Floats,
    drift: float = 0.0,
    shorter: float = 0.0,
    spread: float = 0.2,
    seeds: int = 1,
) -> pd.DataFrame:
    """Completions of mean nll ``level`` (studies, problems) + drift * tokens, of 10 tokens on average.

    Lengths are Poisson; ``shorter`` lowers their mean.
    """
    shape = (*level.shape, seeds, SAMPLES)
    study, problem, seed, _ = (index.ravel() for index in np.indices(shape))
    tokens = 1 + rng.poisson(9 - shorter, shape).ravel()
    mean = level[study, problem] + drift * (tokens - 10)
    nll = mean * (1 + spread * rng.uniform(-1, 1, len(mean)))
    return pd.DataFrame(
        {
            "scorer": "base",
            "text": text,
            "benchmark": study,
            "subset": "all",
            "problem": problem,
            "seed": seed,
            "tokens": tokens,
            "logprob": -nll * tokens,
            "surprisal": nll * rng.uniform(1, 3, len(mean)),
        }
    )


def ends(values: pd.Series, by: str = "benchmark") -> tuple[Floats, Floats]:
    """Return low and high of each study."""
    columns = values.to_numpy().reshape(-1, values.groupby(level=by, sort=False).size().iloc[0]).T
    _, low, high = perplexity.interval(columns)
    return low, high


def test_intervals_of_measures_cover_their_truth() -> None:
    """1,000 studies: the Monte-Carlo standard error of a coverage is 0.007."""
    rng = np.random.default_rng(11)
    level = rng.gamma(4, 0.1, (STUDIES, PROBLEMS))
    found = perplexity.by_problem(simulated(rng, "arm", level, seeds=2))
    # Nine completions of one mean and symmetric noise: the median's mean is that mean, in logarithms.
    truths = {"log_ppl": 0.4, "nll_token": 0.4, "logprob_sum": -4.0, "surprisal_max": 0.8, "tokens": 10.0}
    # The median of 9 uniform numbers is beta(5, 5) distributed.
    u = 2 * stats.beta(5, 5).ppf((np.arange(2000) + 0.5) / 2000) - 1
    truths["ppl"] = float(np.mean((1 - 0.1 * (1 + 0.2 * u)) ** -4.0))  # E exp(x v), x gamma distributed
    for measure, truth in truths.items():
        low, high = ends(found[measure])
        assert 0.92 <= np.mean((low <= truth) & (truth <= high)) <= 0.98, measure


def test_contrasts_cover_their_truth() -> None:
    rng = np.random.default_rng(12)
    level = rng.gamma(4, 0.1, (STUDIES, PROBLEMS))
    gain = rng.gamma(2, 0.05, level.shape)
    new, old = simulated(rng, "new", level + gain, seeds=2), simulated(rng, "old", level)
    found = perplexity.differences(pd.concat([new, old]), "base", "new", "old")
    assert found["nll_token_matched"].notna().mean() > 0.99
    for measure, truth in (("log_ppl", 0.1), ("nll_token", 0.1), ("logprob_sum", -1.0)):
        low, high = ends(found[measure])
        assert 0.92 <= np.mean((low <= truth) & (truth <= high)) <= 0.98, measure


@pytest.mark.slow
@pytest.mark.parametrize("measure", perplexity.CONTRASTS)
def test_equal_texts_differ_no_more_often_than_the_level(measure: str) -> None:
    """1,000 studies, all the same texts: at most 5%, within two Monte-Carlo standard errors of 0.007."""
    rng = np.random.default_rng(13)
    level = rng.gamma(4, 0.1, (STUDIES, PROBLEMS))
    both = pd.concat([simulated(rng, text, level) for text in ("new", "old")])
    low, high = ends(perplexity.differences(both, "base", "new", "old")[measure])
    assert 0.02 < np.mean((low > 0) | (high < 0)) <= 0.05 + 2 * 0.007


@pytest.mark.slow
def test_matching_removes_what_length_alone_does() -> None:
    """Each token is as likely at each length in both texts, but one text is shorter."""
    rng = np.random.default_rng(14)
    level = 0.5 + rng.gamma(4, 0.1, (STUDIES, PROBLEMS))
    both = pd.concat(
        [
            simulated(rng, "new", level, drift=-0.03, shorter=4, spread=0.1),
            simulated(rng, "old", level, drift=-0.03, spread=0.1),
        ]
    )
    found = perplexity.differences(both, "base", "new", "old")
    low, _ = ends(found["nll_token"])
    assert np.mean(low > 0) > 0.95
    matched = found["nll_token_matched"].dropna()
    assert abs(matched.mean()) < 4 * matched.std() / math.sqrt(len(matched))
    enough = matched.groupby(level="benchmark").transform("size") >= 15
    studies = [perplexity.interval(values) for _, values in matched[enough].groupby(level="benchmark")]
    found_ends = np.array(studies)
    outside = (found_ends[:, 1] > 0) | (found_ends[:, 2] < 0)
    assert len(studies) > 900 and np.mean(outside) <= 0.05 + 2 * 0.007


# Tables -------------------------------------------------------------------------------------------------


@pytest.fixture
def inputs(files: Files) -> Inputs:
    rng = np.random.default_rng(0)
    for text, seed in (("base", 0), ("grpo", 0), ("grpo", 1)):
        asked = [(f"p{problem}", sample) for problem in range(6) for sample in range(8)]
        files.score(text, [(*a, int(rng.integers(3, 6)), -rng.gamma(2)) for a in asked], seed)
        files.judge(text, [(*a, "right" if a[1] < 4 and a[0] != "p0" else "wrong") for a in asked], seed)
    files.score("gold", [(f"p{problem}", 0, 40, -3.0 - problem) for problem in range(5)])
    options = {"contrasts": [["base", "grpo", "base"], ["base", "gold", "base"]]}
    return Inputs(files={"scores": files.scores, "verdicts": files.verdicts}, options=options)


def test_the_table_of_measures(inputs: Inputs) -> None:
    rows = analyses_perplexity.rows(inputs)
    assert all(
        list(row) == [*perplexity.KEYS, "measure", "estimate", "low", "high", "problems"] for row in rows
    )
    problems = {(row["text"], row["subset"]): row["problems"] for row in rows}
    assert problems == {
        **{(text, "all"): 6 for text in ("base", "grpo")},
        **{(text, "right"): 5 for text in ("base", "grpo")},
        **{(text, "wrong"): 6 for text in ("base", "grpo")},
        **{("gold", subset): 5 for subset in ("all", "right")},
    }
    assert len(rows) == 8 * 5
    for row in rows:
        least, most = perplexity.MEASURES[row["measure"]]
        assert least <= row["low"] <= row["estimate"] <= row["high"] <= most
    (gold,) = (
        row for row in rows if (row["text"], row["subset"], row["measure"]) == ("gold", "all", "logprob_sum")
    )
    assert gold["estimate"] == -5.0
    assert gold["low"] == pytest.approx(-5 - stats.t.ppf(0.975, 4) * math.sqrt(2.5 / 5))
    (wide,) = (
        row
        for row in analyses_perplexity.rows(Inputs(files=inputs.files, level=0.99))
        if {**row, "low": 0, "high": 0} == {**gold, "low": 0, "high": 0}
    )
    assert wide["low"] < gold["low"]


def test_the_table_of_contrasts(inputs: Inputs) -> None:
    rows = perplexity_contrast.rows(inputs)
    columns = ["scorer", "text", "reference", "benchmark", "subset", "measure", "estimate", "low", "high"]
    assert all(list(row) == [*columns, "problems"] for row in rows)
    found = {(row["text"], row["subset"], row["measure"]): row for row in rows}
    # The gold solutions are longer than all completions: nothing to match.
    subsets = {"grpo": ("all", "right", "wrong"), "gold": ("all", "right")}
    measures = {"grpo": perplexity.CONTRASTS, "gold": perplexity.CONTRASTS[:3]}
    assert list(found) == [
        (text, subset, measure) for text in subsets for subset in subsets[text] for measure in measures[text]
    ]
    assert [found["grpo", subset, "log_ppl"]["problems"] for subset in ("all", "right", "wrong")] == [6, 5, 6]
    assert [found["gold", subset, "log_ppl"]["problems"] for subset in ("all", "right")] == [5, 4]
    means = {
        (row["text"], row["measure"]): row["estimate"]
        for row in analyses_perplexity.rows(inputs)
        if row["subset"] == "all"
    }
    for measure in ("nll_token", "logprob_sum"):
        expected = means["grpo", measure] - means["base", measure]
        assert found["grpo", "all", measure]["estimate"] == pytest.approx(expected)


def test_the_same_inputs_give_the_same_bytes(inputs: Inputs, tmp_path: Path) -> None:
    for analysis in (analyses_perplexity, perplexity_contrast):
        for name in ("one", "two"):
            csv.write_csv(tmp_path / name, analysis.rows(inputs))
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
