"""Real benchmarks as rows of the table ``problems``; the six published sets where they are at hand."""

import csv
import json
import os
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.problems.math_sets import Fields, check_content, content_digest, local, rows, side
from anatomy.storage import parquet, schemas

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("ANATOMY_BENCHMARKS") or ROOT / "../shared/benchmarks")
COUNTS = {
    "aime24": 30,
    "amc23": 40,
    "math500": 500,
    "gsm8k": 1_319,
    "minerva_math": 272,
    "olympiadbench": 675,
}
QUESTION = Fields(question="q", answer="a", id="n")


@cache
def sheet() -> dict[str, dict[str, str]]:
    """The benchmark sheet's rows of real sets; "-" is an empty cell."""
    with (ROOT / "config/benchmarks.tsv").open(encoding="utf-8") as file:
        return {
            row["benchmark"]: {name: "" if cell == "-" else cell for name, cell in row.items()}
            for row in csv.DictReader(file, delimiter="\t")
            if row["benchmark"] in COUNTS
        }


def sheet_fields(name: str) -> Fields:
    return Fields(**{field: sheet()[name][field] for field in Fields.__dataclass_fields__})  # type: ignore[arg-type]


@cache
def problems(name: str) -> list[dict[str, Any]]:
    """One published set's rows; skips the test where the sets are not at hand."""
    path = FOLDER / name / "test.jsonl"
    if not path.exists():
        pytest.skip(f"the published sets are not in {FOLDER} (set ANATOMY_BENCHMARKS to their folder)")
    return list(rows(local(path), name, sheet_fields(name), str(path)))


@pytest.mark.parametrize("name", COUNTS)
def test_published_set_is_complete_unique_and_pinned(name: str, tmp_path: Path) -> None:
    found = problems(name)
    assert len(found) == COUNTS[name] == int(sheet()[name]["problems"])
    assert len({row["problem"] for row in found}) == len(found)
    assert all(answer == answer.strip() and answer for row in found for answer in row["answers"])
    check_content(found, sheet()[name]["sha256"], name)
    parquet.write(tmp_path / "problems.parquet", "problems", found)
    assert list(parquet.records(tmp_path / "problems.parquet", "problems")) == found


def test_the_six_sets_have_2836_problems_and_2796_solutions() -> None:
    found = [row for name in COUNTS for row in problems(name)]
    assert len(found) == 2_836
    assert sum(row["solution"] is not None for row in found) == 2_796


def test_amc23_says_that_it_has_no_solutions_and_its_numbers_are_whole() -> None:
    found = problems("amc23")
    assert all(row["solution"] is None and row["chunks"] is None for row in found)
    assert all("." not in answer for row in found for answer in row["answers"])


def test_gsm8k_solution_ends_before_the_hashes() -> None:
    assert not any("####" in row["solution"] for row in problems("gsm8k"))


def test_olympiadbench_answers_are_entries_without_dollars() -> None:
    found = problems("olympiadbench")
    assert not any("$" in answer for row in found for answer in row["answers"])
    assert sum(len(row["answers"]) > 1 for row in found) == 92


def test_sheet_has_only_full_commits_and_digests() -> None:
    for name, row in sheet().items():
        assert len(row["sha256"]) == 64, name
        assert len(row["revision"]) in (0, 40), name


def made(record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return next(iter(rows([record], "made", Fields(question="q", answer="a", **fields))))


def test_row_has_the_columns_of_the_table() -> None:
    record = {"q": "How many?", "a": 27.0, "s": "One. Two.", "n": 5, "d": 2, "t": "Counting"}
    row = made(record, solution="s", id="n", difficulty="d", domain="t")
    assert list(row) == schemas.SCHEMAS["problems"].names
    assert (row["problem"], row["answers"], row["difficulty"], row["domain"]) == (
        "5",
        ["27"],
        2.0,
        "Counting",
    )
    assert "".join(row["chunks"]) == row["solution"] == "One. Two."
    parts = ("plan", "plan_disordered", "plan_incomplete", "knowledge", "knowledge_irrelevant", "subproblems")
    assert [row[part] for part in parts] == [None] * 6  # no publisher has them


@pytest.mark.parametrize(
    ("published", "answers"),
    [
        (27.0, ["27"]),
        ("27.0", ["27"]),
        ("-3", ["-3"]),
        ("025", ["025"]),
        (2.5, ["2.5"]),
        (["$69$,$84$"], ["69", "84"]),
        (["$(1,2), (3,4)$"], ["(1,2)", "(3,4)"]),
        ([r"$\left(\frac{1}{2}, 3\right)$"], [r"\left(\frac{1}{2}, 3\right)"]),
        (["$f(n)=n$, $g(n)=1$"], ["f(n)=n", "g(n)=1"]),
        (["$f(x)=k x$, where $k$ is an integer, not zero"], ["f(x)=k x"]),
        ([r"$(-\infty, 0)$."], [r"(-\infty, 0)"]),
    ],
)
def test_answers_as_published_but_for_the_documented_rules(published: Any, answers: list[str]) -> None:
    assert made({"q": "?", "a": published})["answers"] == answers


def test_answers_marked_in_a_text() -> None:
    hashes = made({"q": "?", "a": "1 + 1 = 2\nSo two.\n#### 2"}, answer_from="hashes")
    assert (hashes["answers"], hashes["solution"]) == (["2"], "1 + 1 = 2\nSo two.")
    fields = Fields(question="q", answer="", answer_from="boxed", solution="s")
    solution = r"First \boxed{1}, then \boxed{\frac{1}{2}}."
    boxed = next(iter(rows([{"q": "?", "s": solution}], "made", fields)))
    assert (boxed["answers"], boxed["solution"]) == ([r"\frac{1}{2}"], solution)


def test_several_solutions_are_joined_with_blank_lines() -> None:
    assert made({"q": "?", "a": "1", "s": ["One.", "Two."]}, solution="s")["solution"] == "One.\n\nTwo."


@pytest.mark.parametrize(
    ("record", "fields", "message"),
    [
        ({"q": "?"}, QUESTION, "file, record 1: there is no field 'a'"),
        ({"a": "1"}, QUESTION, "there is no field 'q'"),
        ({"q": " ", "a": "1", "n": 1}, QUESTION, "field 'q' is not a question"),
        ({"q": "?", "a": "", "n": 1}, QUESTION, "field 'a' holds no answer"),
        ({"q": "?", "a": "no mark", "n": 1}, Fields("q", "a", "hashes"), "holds no answer \\(hashes\\)"),
        ({"q": "?", "a": "no box", "n": 1}, Fields("q", "a", "boxed"), "holds no answer \\(boxed\\)"),
        ({"q": "?", "a": "1", "d": "hard"}, Fields("q", "a", difficulty="d"), "'d' is no number: 'hard'"),
    ],
)
def test_rows_name_what_is_wrong(record: dict[str, Any], fields: Fields, message: str) -> None:
    with pytest.raises(AnatomyError, match=message):
        list(rows([record], "made", fields, "file"))


def test_ids_must_be_unique() -> None:
    with pytest.raises(AnatomyError, match="record 2: field 'n' is '7', the id of an earlier problem"):
        list(rows([{"q": "?", "a": "1", "n": 7}] * 2, "made", QUESTION))


def test_fields_are_checked() -> None:
    with pytest.raises(AnatomyError, match="answer_from is 'guess'"):
        Fields("q", "a", "guess")  # type: ignore[arg-type]
    with pytest.raises(AnatomyError, match="'question' and 'answer'"):
        Fields("q", "")


def test_local_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"q": 1}\nnot json\n', encoding="utf-8")
    with pytest.raises(AnatomyError, match=r"set\.jsonl, line 2: not JSON"):
        list(local(path))
    path.write_text("[1]\n", encoding="utf-8")
    with pytest.raises(AnatomyError, match=r"set\.jsonl, line 1: not a JSON object"):
        list(local(path))
    with pytest.raises(AnatomyError, match="absent"):
        list(local(tmp_path / "absent.jsonl"))


def test_content_digest_depends_on_problems_texts_and_answers_alone() -> None:
    row = made({"q": "?", "a": "1"})
    digest = content_digest([row])
    assert digest == content_digest([json.loads(json.dumps(row)) | {"solution": "other"}])
    for change in ({"text": "!"}, {"answers": ["2"]}, {"problem": "x"}):
        assert content_digest([row | change]) != digest
    check_content([row], digest, "made")
    with pytest.raises(AnatomyError, match="benchmark 'made'"):
        check_content([row], "0" * 64, "made")


def test_gsm8k_chains_end_in_the_problems_answer() -> None:
    found = problems("gsm8k")
    chains = [(row, row["subproblems"]) for row in found if row["subproblems"]]
    assert len(chains) == 1_301  # the other solutions carry no calculation
    for row, chain in chains:
        assert Fraction(chain[-1]["answer"].replace(",", "")) == Fraction(row["answers"][0].replace(",", ""))
        assert all(link["fact"].count("{answer}") == 1 for link in chain)
    asked = [
        chain for _, chain in chains if chain[-1]["question"] == "What is the answer to the whole problem?"
    ]
    assert len(asked) == 93


def test_gsm8k_plans_have_wrong_versions() -> None:
    for row in problems("gsm8k"):
        steps = (row["plan"] or "").splitlines()
        disordered, incomplete = row["plan_disordered"], row["plan_incomplete"]
        assert (disordered is None) == (incomplete is None) == (len(steps) < 2)
        if len(steps) > 1:
            bare = [step.partition(". ")[2] for step in steps]
            wrong = [step.partition(". ")[2] for step in disordered.splitlines()]
            assert sorted(wrong) == sorted(bare) and (wrong != bare or len(set(bare)) == 1)
            assert len(incomplete.splitlines()) == len(steps) - 1


# Sides of a benchmark -----------------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**32))
def test_sides_share_no_problem_and_depend_on_the_key_alone(first: int, second: int, seed: int) -> None:
    whole = [{"problem": str(number)} for number in range(first + second)]
    training = [row["problem"] for row in side(whole, "training", first, [seed])]
    test = [row["problem"] for row in side(whole, "test", second, [seed])]
    assert (len(training), len(test)) == (first, second)
    assert set(training) | set(test) == {row["problem"] for row in whole}
    assert training == sorted(training, key=int) and test == sorted(test, key=int)
    assert training == [row["problem"] for row in side(whole, "training", first, [seed])]


def test_a_side_is_drawn_and_not_cut_off() -> None:
    whole = [{"problem": str(number)} for number in range(1000)]
    drawn = [int(row["problem"]) for row in side(whole, "training", 700, [1, "split", "omni"])]
    assert drawn != list(range(700)) and 0.4 < sum(number < 500 for number in drawn) / 700 < 0.6
    assert drawn != [int(row["problem"]) for row in side(whole, "training", 700, [2, "split", "omni"])]


def test_a_side_of_too_many() -> None:
    with pytest.raises(AnatomyError, match="3 problems are too few for a test side of 4"):
        side([{"problem": "a"}] * 3, "test", 4, [0])
