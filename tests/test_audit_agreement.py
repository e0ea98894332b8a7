"""Whether two files agree: known differences, kind by kind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from anatomy.audit.reproduce import agreement_result
from anatomy.audit.reproduce.agreement import compare
from anatomy.audit.reproduce.agreement_result import DIFFERENT, IDENTICAL, WITHIN, number, worst
from anatomy.errors import AnatomyError
from anatomy.storage import parquet
from anatomy.storage.verdicts import COUNTED

Row = dict[str, Any]
Change = Callable[[list[Row]], object]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "first", tmp_path / "again"
    for folder in folders:
        folder.mkdir()
    return folders


# Models -------------------------------------------------------------------------------------------------


def model(folder: Path, shift: float = 0.0, dtype: torch.dtype = torch.float32, **config: Any) -> Path:
    step = folder / "step-6"
    step.mkdir(parents=True, exist_ok=True)
    weights = torch.linspace(-1, 1, 12).reshape(3, 4).to(dtype)
    weights[1, 2] += shift
    save_file({"embedding": weights, "head": torch.ones(2, dtype=dtype)}, step / "model.safetensors")
    (step / "config.json").write_text(json.dumps({"layers": 2, "transformers_version": "5.0"} | config))
    (step / "manifest.json").write_text(json.dumps({"model.safetensors": f"digest of {shift}, {config}"}))
    (step / "word-level").write_text("")
    return folder


@pytest.mark.parametrize(
    ("shift", "outcome"), [(0.0, IDENTICAL), (9e-5, WITHIN), (-9e-5, WITHIN), (1.2e-4, DIFFERENT)]
)
def test_weights_may_differ_by_a_ten_thousandth(two: tuple[Path, Path], shift: float, outcome: str) -> None:
    found = compare(model(two[0]), model(two[1], shift))
    assert found.outcome == outcome
    assert shift == 0 or f"{abs(shift):.2g}" in found.detail


def test_weights_of_half_precision_are_compared_too(two: tuple[Path, Path]) -> None:
    assert (
        compare(model(two[0], dtype=torch.bfloat16), model(two[1], 0.5, torch.bfloat16)).outcome == DIFFERENT
    )


def test_a_weight_that_is_no_number_differs(two: tuple[Path, Path]) -> None:
    found = compare(model(two[0]), model(two[1], float("nan")))
    assert found.outcome == DIFFERENT and "not all weights are numbers" in found.detail


def test_a_models_configuration_is_compared_but_for_the_library_that_wrote_it(two: tuple[Path, Path]) -> None:
    assert compare(model(two[0]), model(two[1], transformers_version="6.0")).outcome == WITHIN
    found = compare(model(two[0]), model(two[1], layers=3))
    assert found.outcome == DIFFERENT and found.detail == "step-6/config.json: layers: 2 and 3"


def test_a_model_with_other_files_or_shapes_differs_by_name(two: tuple[Path, Path]) -> None:
    model(two[0]), model(two[1])
    (two[1] / "step-6/word-level").write_text("a")
    assert compare(*two).detail == "step-6/word-level: other bytes"
    (two[1] / "step-6/word-level").unlink()
    assert compare(*two).detail == "step-6/word-level only in one of the two"
    model(two[1])
    save_file({"embedding": torch.ones(4), "head": torch.ones(2)}, two[1] / "step-6/model.safetensors")
    assert "embedding: shapes (3, 4) and (4,)" in compare(*two).detail
    (two[1] / "step-6/model.safetensors").write_bytes(b"no weights")
    with pytest.raises(AnatomyError, match="weights cannot be read"):
        compare(*two)


# Tables between stages ----------------------------------------------------------------------------------


def samples() -> list[Row]:
    return [
        {
            "problem": f"p{problem}",
            "condition": condition,
            "sample": sample,
            "completion": f"ans {problem} {sample}",
            "tokens": 10 + problem + sample,
            "finish_reason": "stop",
            "logprob": -5.0 - problem - sample,
            "entropy": 4.0,
            "temperature": 1.0,
        }
        for problem in range(8)
        for condition in ("plain", "own-2")
        for sample in range(4)
    ]


def verdicts() -> list[Row]:
    return [
        {
            "problem": f"p{problem}",
            "condition": "plain",
            "sample": sample,
            "answer": "1",
            "verdict": "right" if sample == 0 else "wrong",
            "lenient": None,
            "derivation_right": None if problem == 7 else sample == 0,
            "first_bad_line": None,
        }
        for problem in range(8)
        for sample in range(4)
    ]


def counts() -> list[Row]:
    of_all = {"lenient": None, **dict.fromkeys(COUNTED, 1), "tokens": 90, "entropy": 45.5, "temperature": 1.0}
    return [
        {"problem": f"p{i}", "condition": "plain", "n": 8, "answer": i, "derivation": None, "chain": None}
        | of_all
        for i in range(8)
    ]


def training() -> list[Row]:
    other = {"entropy": 1.5, "kl": None, "zero_signal": 0.5, "clipped": 0.0, "value_loss": None}
    return [
        {"run": "grpo", "seed": 0, "step": step, "loss": 0.25, "reward": 0.5, "length": 8.0}
        | other
        | {"generated": 86, "tokens": 454}
        for step in range(1, 4)
    ]


def prompts() -> list[Row]:
    return [
        {"problem": f"p{i}", "benchmark": "hard", "condition": "plain", "template": "world"}
        | {"prompt": f"question {i}", "prefix": ""}
        for i in range(4)
    ]


ROWS = {f.__name__: f for f in (samples, verdicts, counts, training, prompts)}


@pytest.fixture
def changed(two: tuple[Path, Path]) -> Callable[[str, Change], agreement_result.Agreement]:
    """A function: how a table agrees with itself after a change of its rows."""

    def compared(table: str, change: Change) -> agreement_result.Agreement:
        paths = [folder / "file.parquet" for folder in two]
        rows = ROWS[table]()
        parquet.write(paths[0], table, rows)
        change(rows)
        parquet.write(paths[1], table, rows)
        return compare(*paths)

    return compared


Changed = Callable[[str, Change], agreement_result.Agreement]


@pytest.mark.parametrize("table", ROWS)
def test_the_same_rows_in_other_bytes_are_within_tolerance(changed: Changed, table: str) -> None:
    assert changed(table, lambda rows: None).outcome == IDENTICAL
    if table not in ("samples", "verdicts", "counts"):
        return

    def last_first(rows: list[Row]) -> None:
        rows.insert(0, rows.pop())

    found = changed(table, last_first)
    assert found.outcome == WITHIN and f"{len(ROWS[table]())} of {len(ROWS[table]())}" in found.detail


def test_a_table_packed_otherwise_is_the_same_rows(two: tuple[Path, Path]) -> None:
    paths = [folder / "file.parquet" for folder in two]
    parquet.write(paths[0], "prompts", prompts())
    pq.write_table(pq.read_table(paths[0]), paths[1], compression="none")
    assert compare(*paths).detail == "the same rows, in other bytes"


def test_swapped_completions_are_counted_and_judged_by_their_means(changed: Changed) -> None:
    def swap(rows: list[Row]) -> None:
        for name in ("completion", "tokens", "logprob"):  # of one problem: the means stay
            rows[0][name], rows[1][name] = rows[1][name], rows[0][name]

    found = changed("samples", swap)
    assert found.outcome == WITHIN
    assert found.detail.startswith("62 of 64 completions are equal, mean tokens +0 (standard error 0)")


def test_one_longer_completion_is_within_four_standard_errors(changed: Changed) -> None:
    found = changed("samples", lambda rows: rows[0].update(completion="longer", tokens=50))
    assert found.outcome == WITHIN and "63 of 64" in found.detail
    # One of 8 problems differs, by 40 tokens in one of its 8 completions: 5 / 8, and as much standard error.
    assert "mean tokens +0.625 (standard error 0.62)" in found.detail


def test_completions_that_are_all_longer_differ(changed: Changed) -> None:
    def longer(rows: list[Row]) -> None:
        for place, row in enumerate(rows):
            row["tokens"] += 5 + place % 2

    found = changed("samples", longer)
    assert found.outcome == DIFFERENT and "mean tokens +5.5" in found.detail


def test_rounding_of_log_probabilities_is_no_difference(changed: Changed) -> None:
    def rounded(rows: list[Row]) -> None:
        for row in rows:
            row["logprob"] += 1e-6  # always the same way: no standard error covers it

    found = changed("samples", rounded)
    assert found.outcome == WITHIN and "64 of 64 completions are equal" in found.detail


def test_missing_completions_differ_but_for_links_after_own_answers(changed: Changed) -> None:
    def without(condition: str) -> Change:
        return lambda rows: rows.remove(next(row for row in rows if row["condition"] == condition))

    found = changed("samples", without("plain"))
    assert (
        found.outcome == DIFFERENT and found.detail == "1 rows stand in one of the two only: p0, plain, 0 ..."
    )
    found = changed("samples", without("own-2"))
    assert found.outcome == WITHIN and "63 of 64" in found.detail


def test_of_one_problem_there_is_no_standard_error(two: tuple[Path, Path]) -> None:
    paths = [folder / "file.parquet" for folder in two]
    rows = samples()[:4]
    parquet.write(paths[0], "samples", rows)
    rows[0]["tokens"] += 1
    parquet.write(paths[1], "samples", rows)
    assert compare(*paths).outcome == DIFFERENT


def test_verdicts_and_counts_are_judged_by_their_shares(changed: Changed) -> None:
    found = changed("verdicts", lambda rows: rows[1].update(verdict="right"))
    assert found.outcome == WITHIN and found.detail.startswith("31 of 32 rows are equal, mean right +0.0312")

    def all_right(rows: list[Row]) -> None:
        for row in rows:
            row["verdict"] = "right"

    assert changed("verdicts", all_right).outcome == DIFFERENT
    assert changed("counts", lambda rows: rows[0].update(answer=1)).outcome == WITHIN

    def one_more(rows: list[Row]) -> None:
        for row in rows:
            row["answer"] += 1

    found = changed("counts", one_more)
    assert found.outcome == DIFFERENT and "mean answer +0.125 (standard error 0)" in found.detail


def test_values_of_training_are_compared_up_to_the_tolerance_of_weights(changed: Changed) -> None:
    found = changed("training", lambda rows: rows[0].update(loss=0.25 + 9e-5))
    assert found.outcome == WITHIN and found.detail == "largest difference 9e-05"
    assert changed("training", lambda rows: rows[0].update(reward=0.51)).outcome == DIFFERENT
    assert changed("training", lambda rows: rows[0].update(generated=87)).outcome == DIFFERENT
    assert changed("training", lambda rows: rows[0].update(kl=0.0)).outcome == DIFFERENT
    assert changed("training", lambda rows: rows.pop()).outcome == DIFFERENT


def test_prompts_must_be_the_same(changed: Changed) -> None:
    found = changed("prompts", lambda rows: rows[2].update(prompt="another"))
    assert found.outcome == DIFFERENT and found.detail == "column prompt differs, first in row 2"


def test_two_kinds_of_table_differ(two: tuple[Path, Path]) -> None:
    paths = [folder / "file.parquet" for folder in two]
    parquet.write(paths[0], "prompts", prompts())
    parquet.write(paths[1], "counts", counts())
    assert compare(*paths).detail == "a table 'prompts' and a table 'counts'"
    paths[1].write_bytes(b"PAR1")
    with pytest.raises(AnatomyError, match="cannot be read to be compared"):
        compare(*paths)


# Tables of results --------------------------------------------------------------------------------------

TABLE = """\
arm,k,estimate,low,high,verdict
base,1,0.5,0.25,0.75,holds
base,2,inf,0.5,inf,holds
grpo,1,,,,undecided
"""


@pytest.mark.parametrize(
    ("old", "new", "outcome", "told"),
    [
        ("", "", IDENTICAL, ""),
        ("base,1,0.5,", "base,1,0.50,", WITHIN, "the same values, written otherwise"),
        ("0.25,", "0.2500000000001,", WITHIN, "the same values, written otherwise"),
        ("0.5,0.25", "0.6,0.3", WITHIN, "1 of 3 rows differ, with estimates inside each other's intervals"),
        ("inf,0.5,inf", "8,0.5,inf", WITHIN, "1 of 3 rows differ"),
        ("0.5,0.25", "0.9,0.3", DIFFERENT, "row 0 (arm base, k 1): estimate 0.5 and 0.9, not each in the"),
        # The estimate moved little, but the first one lies outside the second one's interval.
        ("0.5,0.25,0.75", "0.6,0.55,0.65", DIFFERENT, "estimate 0.5 and 0.6"),
        ("base,1,", "base,3,", DIFFERENT, "row 0 (arm base, k 1): k 1 and 3"),
        ("0.75,holds", "0.75,fails", DIFFERENT, "verdict holds and fails"),
        ("grpo,1,,", "grpo,1,0.5,", DIFFERENT, "row 2 (arm grpo, k 1): estimate nan and 0.5"),
        ("grpo,1,,,,undecided\n", "", DIFFERENT, "3 and 2 rows"),
        ("verdict", "claim", DIFFERENT, "columns arm, k"),
        ("base,2,inf", "base,2,-inf", DIFFERENT, "estimate inf and -inf"),
    ],
)
def test_results_differ_by_rounding_or_inside_intervals(
    two: tuple[Path, Path], old: str, new: str, outcome: str, told: str
) -> None:
    paths = [folder / "table.csv" for folder in two]
    paths[0].write_text(TABLE)
    paths[1].write_text(TABLE.replace(old, new, 1))
    found = compare(*paths, keys=["arm", "k"])
    assert found.outcome == outcome and told in found.detail


def test_without_an_interval_results_must_be_equal(two: tuple[Path, Path]) -> None:
    paths = [folder / "table.csv" for folder in two]
    paths[0].write_text("arm,problems\nbase,6\n")
    paths[1].write_text("arm,problems\nbase,7\n")
    assert compare(*paths, keys=["arm"]).detail == "row 0 (arm base): problems 6 and 7"


# JSON and numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "outcome", "told"),
    [
        ({"temperature": 0.98, "tried": {"1.0": [1.5, None]}, "name": "a"}, WITHIN, "written otherwise"),
        ({"temperature": 0.98 + 1e-12, "tried": {"1.0": [1.5, None]}, "name": "a"}, WITHIN, ""),
        ({"temperature": 0.99, "tried": {"1.0": [1.5, None]}, "name": "a"}, DIFFERENT, "temperature: 0.98"),
        ({"temperature": 0.98, "tried": {"1.0": [1.6, None]}, "name": "a"}, DIFFERENT, "tried/1.0[0]: 1.5"),
        (
            {"temperature": 0.98, "tried": {"1.0": [1.5, 0]}, "name": "a"},
            DIFFERENT,
            "tried/1.0[1]: None and 0",
        ),
        ({"temperature": 0.98, "tried": {"1.0": [1.5]}, "name": "a"}, DIFFERENT, "2 and 1 entries"),
        ({"temperature": 0.98, "tried": {}, "name": "a"}, DIFFERENT, "tried: 1.0 only in one"),
        ({"temperature": 0.98, "tried": {"1.0": [1.5, None]}, "name": "b"}, DIFFERENT, "name: a and b"),
        ({"temperature": 0.98, "tried": 1, "name": "a"}, DIFFERENT, "tried: "),
    ],
)
def test_json_differs_by_rounding_alone(two: tuple[Path, Path], value: Any, outcome: str, told: str) -> None:
    paths = [folder / "file.json" for folder in two]
    paths[0].write_text(
        json.dumps({"temperature": 0.98, "tried": {"1.0": [1.5, None]}, "name": "a"}, indent=1)
    )
    paths[1].write_text(json.dumps(value))
    found = compare(*paths)
    assert found.outcome == outcome and told in found.detail


def reported(value: Any, text: str, interval: list[Any] | None = None, shown: list[str] | None = None) -> Row:
    ends = {"interval": interval, "interval_text": shown or [str(x) for x in interval]} if interval else {}
    return {"value": value, "text": text, **ends, "row": 3}


HALF = reported(0.5, "50.0", [0.25, 0.75], ["25.0", "75.0"])


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        (HALF, HALF | {"row": 7}, IDENTICAL),
        (HALF, HALF | {"value": 0.5 + 1e-12}, WITHIN),
        (HALF, reported(0.6, "60.0", [0.3, 0.8]), WITHIN),
        (HALF, reported(0.8, "80.0", [0.3, 0.9]), DIFFERENT),
        (HALF, reported(0.6, "60.0", [0.55, 0.8]), DIFFERENT),
        (HALF, reported(0.5, "50.0"), DIFFERENT),
        (HALF, HALF | {"interval": [0.25, 0.76], "interval_text": ["25.0", "76.0"]}, WITHIN),
        (reported(6, "6"), reported(7, "7"), DIFFERENT),
        (reported(None, "–"), reported(0.0, "0.0"), DIFFERENT),
        (reported("inf", ">4", [0, "inf"]), reported(2.0, "2.0", [1, "inf"]), WITHIN),
        (reported("inf", ">4"), reported("-inf", "<1"), DIFFERENT),
        (reported("undecided", "undecided"), reported("holds", "holds"), DIFFERENT),
    ],
)
def test_a_number_agrees_if_each_lies_inside_the_others_interval(one: Row, other: Row, outcome: str) -> None:
    assert number(one, other).outcome == outcome
    assert number(other, one).outcome == outcome


def test_all_numbers_of_a_study_are_compared_one_by_one(two: tuple[Path, Path]) -> None:
    paths = [folder / "numbers.json" for folder in two]
    paths[0].write_text(json.dumps({"a": HALF, "b": HALF}))
    paths[1].write_text(json.dumps({"a": HALF, "b": reported(0.6, "60.0", [0.3, 0.8])}))
    assert compare(*paths) == agreement_result.Agreement(WITHIN, "1 of 2 numbers differ within tolerance")
    paths[1].write_text(json.dumps({"a": HALF, "b": reported(0.9, "90.0", [0.8, 1.0])}))
    found = compare(*paths)
    assert found.outcome == DIFFERENT
    assert found.detail.startswith("1 of 2 numbers: b, 50.0 [25.0, 75.0] and 90.0 [0.8, 1.0]")
    paths[1].write_text(json.dumps({"a": HALF}))
    assert "1 numbers stand in one of the two only: b" in compare(*paths).detail


# Figures ------------------------------------------------------------------------------------------------


def picture(path: Path, size: tuple[int, int] = (60, 40), at: int = 10, grey: int = 0) -> Path:
    pixels = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    pixels[:, at : at + 2] = grey
    Image.fromarray(pixels).save(path)
    return path


def test_pictures_may_differ_by_two_grey_levels(two: tuple[Path, Path]) -> None:
    first, again = (folder / "figure.png" for folder in two)
    picture(first)
    assert compare(first, picture(again)).outcome == IDENTICAL
    # Two of 60 columns are 10 levels lighter, in 3 of 4 channels: 10 * sqrt(2 / 60 * 3 / 4) = 1.58.
    found = compare(first, picture(again, grey=10))
    assert found.outcome == WITHIN and found.detail == "picture: root mean square 1.6 of 255"
    # A line one pixel further: one column vanishes, one appears: 255 * sqrt(2 / 60 * 3 / 4) = 40.3.
    found = compare(first, picture(again, at=11))
    assert found.outcome == DIFFERENT and found.detail == "picture: root mean square 40 of 255"
    found = compare(first, picture(again, size=(61, 40)))
    assert found.outcome == DIFFERENT and found.detail == "picture of 60 x 40 and of 61 x 40"
    again.write_bytes(b"no picture")
    with pytest.raises(AnatomyError, match="cannot be read to be compared"):
        compare(first, again)


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_drawings_are_judged_by_the_picture_beside_them(two: tuple[Path, Path], suffix: str) -> None:
    first, again = (folder / f"figure{suffix}" for folder in two)
    first.write_text("a drawing"), again.write_text("drawn by another version")
    assert compare(first, again).outcome == DIFFERENT
    picture(two[0] / "figure.png"), picture(two[1] / "figure.png")
    assert compare(first, again) == agreement_result.Agreement(WITHIN, "other bytes, the same picture")
    picture(two[1] / "figure.png", at=11)
    assert compare(first, again).outcome == DIFFERENT
    shutil.copy(first, again)
    assert compare(first, again).outcome == IDENTICAL


def test_what_is_of_no_known_kind_is_compared_by_bytes(two: tuple[Path, Path]) -> None:
    first, again = (folder / "page.html" for folder in two)
    first.write_text("one"), again.write_text("other")
    assert compare(first, again) == agreement_result.Agreement(DIFFERENT, "other bytes (3 and 5)")


def test_the_worst_of_several_counts() -> None:
    found = {kind: agreement_result.Agreement(kind) for kind in (IDENTICAL, WITHIN, DIFFERENT)}
    assert worst([]) == IDENTICAL
    assert worst([found[WITHIN], found[IDENTICAL]]) == WITHIN
    assert worst([found[WITHIN], found[DIFFERENT], found[IDENTICAL]]) == DIFFERENT
    assert [found[kind].ok for kind in found] == [True, True, False]
