"""The paper quotes numbers by id and types none; its sentences follow verdicts and intervals; ids, texts and
intervals come from the tables.
"""

import json
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import typst
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from anatomy.analyses.inputs import TARGETS
from anatomy.errors import AnatomyError
from anatomy.reporting import numbers as reporting_numbers
from anatomy.reporting.typst import typed_numbers
from anatomy.storage import csv
from anatomy.study import validation, yaml_files
from anatomy.study.study import Study

ROOT = Path(__file__).resolve().parents[1]
SOURCE = (ROOT / "paper/main.typ").read_text(encoding="utf-8")
SPEC = {"keys": ["arm", "k"], "numbers": {"estimate": "percent"}}
VERDICTS = ("supported", "contradicted", "undecided")
UNTESTABLE = "not testable here"
STUDIES = {"embedded": "config/embedded.yaml", "tiny": "tests/tiny/config.yaml"}
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="468pt" height="300pt" viewBox="0 0 468 300"/>'

Numbers = dict[str, dict[str, Any]]


# What is typed --------------------------------------------------------------------------------------------


def test_no_number_is_typed_by_hand() -> None:
    assert typed_numbers(SOURCE) == []


def test_a_typed_number_is_found() -> None:
    assert typed_numbers(SOURCE.replace("The base model is", "The base model of 12 layers is", 1)) == ["12"]
    assert typed_numbers("accuracy rose to 34.2 % // 5\n @yue2025limits") == ["34.2"]


# A paper of made numbers ----------------------------------------------------------------------------------


def number(value: float | str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A reported number, as in numbers.json."""
    made: dict[str, Any] = {
        "value": value,
        "text": str(value),
        "page": "numbers/it.html",
        "keys": {"arm": "it"},
    }
    if low is not None:
        made |= {"interval": [low, high], "interval_text": [str(low), str(high)]}
    return made


def study(name: str) -> Study:
    return validation.load(yaml_files.read_yaml(ROOT / STUDIES[name]), ROOT, STUDIES[name])


def leading(of: Study) -> Iterator[str]:
    """Yield the ids by which the paper learns which arms, splits, seeds, checks and claims there are."""
    tables = of.artifacts["tables"]
    largest = of.facts()["largest_k"]
    yield from (f"study/setting/{name}/value" for name in of.facts())
    yield from (f"study/problems/{test}/value" for test in of.tests)
    for arm in of.arms:
        for test in of.tests_of(arm):
            yield from (
                f"passk/{arm}/all/{test}/{target}/{k}/estimate" for target in TARGETS for k in (1, largest)
            )
            yield f"outcomes/{arm}/{test}/right/estimate"
    yield from (f"coverage/grpo/base/{seed}/hard/answer/both" for seed in of.seeds("grpo"))
    yield from (f"cover/grpo/{test}/answer/0.1/estimate" for test in of.tests_of("grpo"))
    yield from (f"efficiency/{arm}/base/hard/answer/estimate" for arm, _ in tables["efficiency"]["pairs"])
    yield from (f"ablation/{arm}/{base}/hard/answer/1/estimate" for arm, base in tables["ablation"]["pairs"])
    yield from (f"dynamics/grpo/{arm}/hard/answer/1/estimate" for arm, _ in tables["dynamics"]["pairs"])
    yield from (f"extrapolation/{arm}/hard/answer/2/4/gap" for arm in tables["extrapolation"]["arms"])
    yield from (f"chains/{arm}/ladder/all/gold/ssr" for arm in tables["chains"]["arms"])
    for arm, base in tables["scaffolding"]["pairs"]:
        yield f"scaffolding/{arm}/{base}/ladder/answer/all/estimate"
    if "published_checks" not in tables:
        return
    yield "published_check_counts/concave/failed"
    for figure, curve in (("Fig4", "RL"), ("Fig15", "base")):
        yield f"published_failures/curve/{figure}/MATH500/Qwen2.5-7B/{curve}/concave/amount"
    yield "published_coverage/Table 5/LCB-51/CodeR1-Zero-7B/base/p_holm"
    yield from (
        f"published_delta_se/Omni-MATH-Test/{arm}/from_{where}"
        for arm in ("GRPO", "RLOO")
        for where in ("table", "text")
    )
    yield "published_sparkle_contrast/SFT-hard/SparkleRL-Stage1/AIME24/estimate"


def judged(of: Study, verdict: str) -> Numbers:
    """The claims of a study, all with one verdict but those that cannot be tested."""
    made: Numbers = {}
    for name, entry in of.claims.items():
        evidence = of.claims[entry["counters"]]["evidence"] if "counters" in entry else entry["evidence"]
        for scope, told in evidence.items():
            found = {
                "statement": "-",
                "verdict": verdict,
                "reason": "-",
                "expected": "above 0 points",
            }
            found |= {
                "effects": "4",
                "needed": "3",
                "supported": "2",
                "unit": "points",
                "p_holm": "0.02",
                "smallest": "9",
            }
            if isinstance(told, str):
                found |= {"verdict": UNTESTABLE, "reason": told}
            made |= {f"claims/{name}/{scope}/all/{column}": number(value) for column, value in found.items()}
            made[f"claims/{name}/{scope}/all/estimate"] = number(3.5, 1.25, 5.75)
    return made


class Press:
    """The paper's source in a folder, with drawings of nothing, on one page as long as it takes."""

    def __init__(self, folder: Path, of: Study) -> None:
        self.folder = folder
        (folder / "paper").mkdir()
        (folder / "figures").mkdir()
        for name in ("main.typ", "style.typ", "references.bib"):
            shutil.copy(ROOT / "paper" / name, folder / "paper")
        style = folder / "paper/style.typ"
        text = style.read_text(encoding="utf-8")
        sheet = 'set page(paper: "a4", margin: (x: 2.2cm, y: 1.9cm), numbering: "1", columns: 2)'
        assert sheet in text
        style.write_text(text.replace(sheet, "set page(width: 40cm, height: auto)"), encoding="utf-8")
        for name in of.artifacts["figures"]:
            (folder / f"figures/{name}.svg").write_text(DRAWING)

    def compiler(self, numbers: Numbers) -> typst.Compiler:
        (self.folder / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
        inputs = {"numbers": "/numbers.json", "figures": "/figures", "site": "site/", "root": "5e" * 32}
        source = str(self.folder / "paper/main.typ")
        return typst.Compiler(source, root=str(self.folder), ignore_system_fonts=True, sys_inputs=inputs)

    def missing(self, numbers: Numbers) -> list[str]:
        """The ids that the paper asks for and the numbers lack."""
        found = json.loads(self.compiler(numbers).query("<missing>", field="value"))
        return list(dict.fromkeys(found))

    def text(self, numbers: Numbers) -> str:
        """The letters of the paper, without all between them."""
        pdf = self.compiler(numbers).compile(format="pdf")
        assert isinstance(pdf, bytes)
        return letters("".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages))


def letters(text: str) -> str:
    return re.sub(r"[^A-Za-z]", "", unicodedata.normalize("NFKC", text))


Printed = tuple[Study, Press, Numbers, list[str]]


@pytest.fixture(scope="module", params=STUDIES)
def printed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    """A study, its press, made numbers for all that the paper asks for, and what it asks for."""
    of = study(request.param)
    press = Press(tmp_path_factory.mktemp("paper"), of)
    numbers = {identity: number(0.25, -0.5, 0.75) for identity in leading(of)}
    largest = "study/setting/largest_k/value"
    numbers |= judged(of, "undecided") | {largest: number(of.facts()["largest_k"])}
    asked: list[str] = []
    while lacking := press.missing(numbers):
        assert not set(lacking) & set(asked), "numbers that do not help"
        asked += lacking
        numbers |= {identity: number(0.25, -0.5, 0.75) for identity in lacking}
    return of, press, numbers, [*numbers, *asked]


# Ids ------------------------------------------------------------------------------------------------------


def slip(of: Study, identity: str) -> str | None:
    """Tell what is wrong with an id; None if the study has such a number, or may have it."""
    table, *names, column = identity.split("/")
    spec = of.artifacts["tables"].get(table)
    if spec is None:
        return "no such table"
    if len(names) != len(spec["keys"]):
        return f"not the keys {spec['keys']}"
    if column not in spec["numbers"]:
        return "no such column"
    named = dict(zip(spec["keys"], names, strict=True))
    if table.startswith("published_") or table == "claims":
        return None
    if table == "study":
        facts = {"setting": of.facts(), "world": ("modulus", "guess_chance")}
        return None if named["name"] in facts.get(named["item"], of.tests) else "no such setting"
    known: dict[str, Callable[[str], bool]] = {
        "arm": lambda arm: arm in (*of.arms, "all"),
        "base": lambda arm: arm in (*of.arms, "all"),
        "benchmark": lambda test: test in (*of.tests, "pool", "pool-test"),
        "target": lambda target: target in TARGETS,
        "k": lambda k: 2 * int(k) <= of.settings.sampling.n or table == "extrapolation",
    }
    wrong = [key for key, value in named.items() if key in known and not known[key](value)]
    return f"no such {wrong[0]}" if wrong else None


@pytest.mark.slow
def test_every_id_is_one_of_the_study(printed: Printed) -> None:
    of, _, _, asked = printed
    optional = () if of.name == "embedded" else ("no such",)  # the tiny study has less
    found = {identity: slip(of, identity) for identity in asked}
    assert len(asked) > 200
    assert {
        at: told for at, told in found.items() if told and not told.startswith(tuple(optional) or "-")
    } == {}


def test_a_slip_in_an_id_is_found() -> None:
    of = study("embedded")
    assert slip(of, "passk/grpo/all/hard/answer/1/estimate") is None
    for wrong in ("pask/grpo/all/hard/answer/1/estimate", "passk/grop/all/hard/answer/1/estimate"):
        assert slip(of, wrong)
    for wrong in (
        "passk/grpo/all/hard/answer/1/p",
        "passk/grpo/hard/answer/1/estimate",
        "study/setting/x/value",
    ):
        assert slip(of, wrong)


def test_every_claim_of_the_source_is_a_claim() -> None:
    assert set(re.findall(r'#says\("([^"]+)"', SOURCE)) <= set(study("embedded").claims)


# Sentences ------------------------------------------------------------------------------------------------


NOT_PROSE = re.compile(
    r"""\#given\((?:[^()]|\([^()]*\))*\)\[[^]]*\]     # what is said where there is the number
    |\#[\w-]+(?:\((?:[^()]|\([^()]*\))*\))?          # a function, and its arguments
    |@[\w-]+ | "[^"]*" """,
    re.VERBOSE,
)


def sentences() -> Iterator[tuple[str, str, dict[str, list[str]]]]:
    """Yield claim, scope ("" for the study's own) and wordings by verdict, as runs of letters."""
    for start in re.finditer(r'#says\("([^"]+)",', SOURCE):
        scope = re.match(r'\s*scope: "(\w+)"', SOURCE[start.end() :])
        wordings: dict[str, list[str]] = {}
        at = start.end()
        while option := re.match(r'[\s,]*(?:scope: "\w+",)?\s*(\w+): \[', SOURCE[at:]):
            begin = end = at + option.end()
            depth = 1
            while depth:
                depth += {"[": 1, "]": -1}.get(SOURCE[end], 0)
                end += 1
            prose = NOT_PROSE.split(SOURCE[begin : end - 1])
            wordings[option[1]] = [run for run in map(letters, prose) if len(run) >= 6]
            at = end
        yield start[1], scope[1] if scope else "", wordings


def test_every_sentence_has_a_wording_for_each_verdict() -> None:
    found = list(sentences())
    assert len(found) > 60
    short = [name for name, _, wordings in found if not {"supported", "undecided"} <= set(wordings)]
    assert short == [], "a claim about which the paper would be silent"


WORDS = {"stand above": (0.1, 0.3), "stand below": (-0.3, -0.1), "cannot be told from": (-0.1, 0.1)}
"""What is said of a difference, and an interval of which it is to be said."""


@pytest.fixture(scope="module")
def texts(printed: Printed) -> dict[str, str]:
    """The paper with each verdict for all claims, each time with another interval of one number."""
    of, press, numbers, _ = printed
    at = f"difference/grpo/base/hard/answer/{of.facts()['largest_k']}/estimate"
    return {
        verdict: press.text(numbers | judged(of, verdict) | {at: number(0.0, *ends)})
        for verdict, ends in zip(VERDICTS, WORDS.values(), strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize("verdict", VERDICTS)
def test_sentences_follow_the_verdicts(printed: Printed, texts: dict[str, str], verdict: str) -> None:
    of, text = printed[0], texts[verdict]
    said: list[str] = []
    unsaid: list[str] = []
    for name, scope, wordings in sentences():
        entry = of.claims.get(name)
        told = entry and entry["evidence"].get(scope or of.name)
        for of_verdict, runs in wordings.items():
            (said if isinstance(told, dict) and of_verdict == verdict else unsaid).extend(runs)
    assert [run for run in said if run not in text] == []
    everything = " ".join(said)
    other = [run for run in unsaid if len(run) > 30 and run not in everything]
    assert [run for run in other if run in text] == []


@pytest.mark.slow
def test_wordings_follow_intervals(texts: dict[str, str]) -> None:
    for verdict, said in zip(VERDICTS, WORDS, strict=True):
        found = [other for other in WORDS if letters(f"GRPO's answers {other} the base's") in texts[verdict]]
        assert found == [said]


@pytest.mark.slow
def test_programs_and_the_record_go_with_their_numbers(printed: Printed, texts: dict[str, str]) -> None:
    _, press, numbers, _ = printed
    gone = ("code-grpo", "code-easy", "code-hard", "published_")
    left = {at: it for at, it in numbers.items() if not any(name in at for name in gone)}
    whole, rest = texts["undecided"], press.text(left)
    assert letters("GRPO was also run on programming tasks") in whole
    assert letters("GRPO was also run on programming tasks") not in rest
    assert letters("What do the papers' own numbers say") not in rest


@pytest.mark.slow
def test_a_number_that_is_not_there_is_a_dash(printed: Printed) -> None:
    _, press, numbers, _ = printed
    at = "unseen/base/0/hard/answer/estimate"
    assert press.missing({name: it for name, it in numbers.items() if name != at}) == [at]


def test_the_paper_of_a_finished_embedded_study(tmp_path: Path) -> None:
    """ANATOMY_EMBEDDED names a folder with one."""
    finished = os.environ.get("ANATOMY_EMBEDDED")
    if not finished:
        pytest.skip("ANATOMY_EMBEDDED names no finished study")
    results = Path(finished) / "results/embedded"
    assert 10 <= json.loads((results / "places.json").read_text())["pages"] <= 16
    press = Press(tmp_path, study("embedded"))
    assert press.missing(json.loads((results / "numbers.json").read_text())) == []


# Rounding, ids and cells -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "rule", "text"),
    [
        (0.3416, "percent", "34.2"),
        (-0.0416, "points", "\N{MINUS SIGN}4.2"),
        (0.05, "points", "+5.0"),
        (0.123456, "decimal", "0.12"),
        (128.0, "plain", "128"),
        (0.00659843, "amount", "0.0066"),
        (-0.0, "amount", "0"),
        (0.00004890, "amount", "4.9e-05"),
        (float("inf"), "k", ">64"),
        (0.0, "k", "<1"),
        (11.26, "k", "11.3"),
        (float("nan"), "percent", "\N{EN DASH}"),
    ],
)
def test_rounding(value: float, rule: str, text: str) -> None:
    assert reporting_numbers.shown(value, rule, 64) == text


@given(st.floats(0, 1))
def test_percent_is_within_half_a_digit(value: float) -> None:
    assert abs(float(reporting_numbers.shown(value, "percent")) - 100 * value) <= 0.05 + 1e-9


def test_numbers_know_their_cell(tmp_path: Path) -> None:
    path = tmp_path / "passk.csv"
    rows = [
        {"arm": "base", "k": 1, "estimate": 0.25, "low": 0.2, "high": 0.3},
        {"arm": "base", "k": 2, "estimate": 0.4, "low": 0.3, "high": float("inf")},
    ]
    csv.write_csv(path, rows)
    numbers = reporting_numbers.numbers("passk", path, SPEC)
    assert numbers["passk/base/1/estimate"]["text"] == "25.0"
    assert numbers["passk/base/2/estimate"]["row"] == 1
    assert numbers["passk/base/1/estimate"]["interval_text"] == ["20.0", "30.0"]
    assert numbers["passk/base/2/estimate"]["interval"] == [0.3, "inf"]
    json.dumps(numbers, allow_nan=False)


def test_an_interval_belongs_to_one_column(tmp_path: Path) -> None:
    path = tmp_path / "chains.csv"
    row = {"arm": "base", "k": 1, "ssr": 0.2, "ssr_low": 0.1, "ssr_high": 0.3, "accuracy": 0.5}
    csv.write_csv(path, [row | {"estimate": -0.3, "low": -0.4, "high": -0.2, "p": 0.01}])
    formats = {"ssr": "percent", "accuracy": "percent", "estimate": "points", "p": "p"}
    numbers = reporting_numbers.numbers("chains", path, SPEC | {"numbers": formats})
    assert numbers["chains/base/1/ssr"]["interval"] == [0.1, 0.3]
    assert numbers["chains/base/1/estimate"]["interval"] == [-0.4, -0.2]
    assert (
        "interval" not in numbers["chains/base/1/accuracy"] and "interval" not in numbers["chains/base/1/p"]
    )


def test_keys_that_do_not_tell_rows_apart_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "passk.csv"
    csv.write_csv(path, [{"arm": "base", "k": 1, "estimate": 0.25}] * 2)
    with pytest.raises(AnatomyError, match="do not tell it from another row"):
        reporting_numbers.numbers("passk", path, SPEC)


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "passk.csv"
    csv.write_csv(path, [{"arm": "base", "k": 1}])
    with pytest.raises(AnatomyError, match=r"passk\.csv: column estimate is missing"):
        reporting_numbers.numbers("passk", path, SPEC)
