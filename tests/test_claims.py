"""Claims as statistical statements: verdicts, the rows they are about, error rates, the study's claims."""

import json
import math
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anatomy import claims, inference, reporting
from anatomy.analyses import claims as claims_table
from anatomy.analysis import Inputs
from anatomy.claims import Claim
from anatomy.errors import AnatomyError
from anatomy.rng import generator

ROOT = Path(__file__).resolve().parents[1]
ENTRY: dict[str, Any] = {
    "statement": "Plans help.",
    "source": "nobody",
    "table": "conditions",
    "where": {"arm": ["rl", "base"], "condition": "plan", "level": [3, 2]},
    "expected": "above",
}
CLAIM = Claim("C1", **ENTRY)


def table(**more: Any) -> pd.DataFrame:
    rows = [
        {"arm": arm, "condition": condition, "level": level, "estimate": 0.1, "low": 0.05, "high": 0.15}
        for arm in ("base", "rl", "other")
        for condition in ("plan", "knowledge")
        for level in (2, 3)
    ]
    return pd.DataFrame(rows).assign(**more)


# Verdicts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (0.1, 0.2, "supported", "contradicted"),
        (-0.2, -0.1, "contradicted", "supported"),
        (-0.1, 0.2, "undecided", "undecided"),
        (0.0, 0.2, "undecided", "undecided"),
        (-0.2, 0.0, "undecided", "undecided"),
        (0.0, 0.0, "undecided", "undecided"),
        (math.nan, math.nan, "undecided", "undecided"),
        (0.1, math.nan, "undecided", "undecided"),
    ],
)
def test_verdicts(low: float, high: float, above: str, below: str) -> None:
    assert claims.verdict(low, high, "above") == above
    assert claims.verdict(low, high, "below") == below


ENDS = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted)


@given(ENDS)
def test_the_expected_side_only_changes_the_sign(ends: list[float]) -> None:
    low, high = ends
    assert claims.verdict(low, high, "above") == claims.verdict(-high, -low, "below")
    opposite = {"supported": "contradicted", "contradicted": "supported", "undecided": "undecided"}
    assert claims.verdict(low, high, "below") == opposite[claims.verdict(low, high, "above")]


VERDICTS = ("supported", "undecided", "contradicted")


@given(st.lists(st.sampled_from(VERDICTS), min_size=1))
def test_a_claim_is_as_its_worst_effect(found: list[claims.Verdict]) -> None:
    assert claims.together(found) == max(found, key=VERDICTS.index)


# Effects ------------------------------------------------------------------------------------------------


def test_effects_are_in_the_order_of_the_values() -> None:
    found = claims.effects(CLAIM, table())
    assert [*zip(found["arm"], found["level"], strict=True)] == [
        ("rl", 3),
        ("rl", 2),
        ("base", 3),
        ("base", 2),
    ]
    assert set(found["condition"]) == {"plan"}
    one = Claim("C2", **{**ENTRY, "where": {"arm": "other"}})
    assert len(claims.effects(one, table())) == 4


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(
        AnatomyError, match=r"claim C1: table 'conditions' has no column 'level'; it has \['arm"
    ):
        claims.effects(CLAIM, table().drop(columns="level"))


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("arm != 'base'", "has arm 'base';"),
        ("condition != 'plan'", "has arm 'rl', condition 'plan';"),
        # Each value occurs, and yet an effect is missing.
        ("arm != 'base' or level != 2", "has arm 'base', condition 'plan', level 2;"),
    ],
)
def test_an_effect_that_is_not_there(gone: str, told: str) -> None:
    with pytest.raises(AnatomyError, match=f"claim C1: no row of table 'conditions' {told} change the claim"):
        claims.effects(CLAIM, table().query(gone))


# Errors -------------------------------------------------------------------------------------------------

TIMES = 1500


@cache
def judged(shift: float, expected: str = "above", effects: int = 1) -> Counter[str]:
    """Judge simulated differences of 60 problems and 3 seeds, whose true mean is ``shift``."""
    draw = generator("claims", shift)
    values = draw.normal(shift, 0.2, (TIMES, effects, 1, 60)) + draw.normal(0, 0.2, (TIMES, effects, 3, 60))
    found: Counter[str] = Counter()
    for sides in values:
        ends = [inference.crossed(side)[1:3] for side in sides]
        found[claims.together([claims.verdict(*pair, expected) for pair in ends])] += 1
    return found


def test_no_effect_is_seldom_decided() -> None:
    found = judged(0.0)
    error = 3 * math.sqrt(0.025 * 0.975 / TIMES)
    for side in ("supported", "contradicted"):
        assert 0.002 <= found[side] / TIMES <= 0.025 + error


@pytest.mark.parametrize(("shift", "expected"), [(0.12, "above"), (-0.12, "below")])
def test_an_effect_is_found_on_its_side(shift: float, expected: str) -> None:
    found = judged(shift, expected)
    # It is four standard errors: found nine times in ten or more, and never taken for its opposite.
    assert found["supported"] >= 0.9 * TIMES and found["contradicted"] == 0
    against = judged(shift, "below" if expected == "above" else "above")
    assert against["contradicted"] == found["supported"] and against["undecided"] == found["undecided"]


def test_several_effects_support_more_seldom_and_contradict_more_often() -> None:
    one, three = judged(0.12), judged(0.12, effects=3)
    assert 0.75 * TIMES < three["supported"] < one["supported"]
    none = judged(0.0, effects=3)
    assert none["supported"] <= 2  # 0.025 cubed
    assert judged(0.0)["contradicted"] < none["contradicted"] <= 3 * (0.025 * TIMES + 20)


# The claims of the study --------------------------------------------------------------------------------


def studied(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


STUDIES = {
    "config/claims.yaml": "config/artifacts.yaml",
    "tests/tiny/claims.yaml": "tests/tiny/artifacts.yaml",
}


@pytest.mark.parametrize("name", STUDIES)
def test_claims_are_valid(name: str) -> None:
    schema = json.loads((ROOT / "config" / "schemas" / "claims.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    found = studied(name)
    jsonschema.validate(found, schema)
    for key in ("expected", "where", "table"):
        broken = {"S1": {k: v for k, v in found["S1"].items() if k != key}}
        with pytest.raises(jsonschema.ValidationError, match=key):
            jsonschema.validate(broken, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"S1": {**found["S1"], "expected": "left"}}, schema)


def test_both_studies_have_all_claims() -> None:
    study, tiny = (studied(name) for name in STUDIES)
    assert list(study) == list(tiny)
    assert {name.split("-")[0] for name in study} == {"S1", "S2", "S3", "S4", "S5", "S6"}
    for name, claim in study.items():
        assert {k: v for k, v in claim.items() if k != "where"} == {
            k: v for k, v in tiny[name].items() if k != "where"
        }


@pytest.mark.parametrize("name", STUDIES)
def test_tables_cover_what_claims_are_about(name: str) -> None:
    artifacts = studied(STUDIES[name])["tables"]
    for claim, entry in studied(name).items():
        assert entry["table"] in artifacts["claims"]["tables"], claim
        covers, where = artifacts[entry["table"]], entry["where"]
        assert set(where) <= set(covers["keys"]), claim
        assert where["benchmark"] in covers["benchmarks"], claim
        arms, bases = (
            np.atleast_1d(where[key]).tolist() if key in where else [None] for key in ("arm", "base")
        )
        wanted = [arm if base is None else [arm, base] for base in bases for arm in arms]
        absent = [one for one in wanted if one not in covers["arms" if bases == [None] else "pairs"]]
        assert not absent, f"{claim}: table {entry['table']} does not cover {absent}"


# The table ----------------------------------------------------------------------------------------------


def inputs(folder: Path, rows: pd.DataFrame, **entry: Any) -> Inputs:
    path = folder / "conditions.csv"
    reporting.write_csv(path, rows.to_dict("records"))
    options = {"claims": {"C1": {**ENTRY, **entry}}}
    return Inputs(options=options, files={"tables": [{"table": "conditions", "path": path}]})


def test_claims_table(tmp_path: Path) -> None:
    rows = table(problems=40)
    rows.loc[(rows["arm"] == "rl") & (rows["level"] == 2), ["low", "high"]] = -0.1, 0.3
    overall, *effects = claims_table.rows(inputs(tmp_path, rows))
    assert overall == {
        "claim": "C1",
        "contrast": "all",
        "statement": "Plans help.",
        "expected": "above",
        "verdict": "undecided",
        "effects": 4,
        "supported": 3,
    }
    assert [row["contrast"] for row in effects] == [
        "arm rl, level 3",
        "arm rl, level 2",
        "arm base, level 3",
        "arm base, level 2",
    ]
    assert [row["supported"] for row in effects] == [1, 0, 1, 1] and effects[1]["verdict"] == "undecided"
    assert effects[0]["problems"] == 40 and effects[0]["estimate"] == 0.1
    below = claims_table.rows(inputs(tmp_path, rows, expected="below"))
    assert below[0]["verdict"] == "contradicted" and below[0]["supported"] == 0


def test_an_effect_of_unknown_interval_is_undecided(tmp_path: Path) -> None:
    where = {"arm": "rl", "condition": "plan", "level": 2}
    overall, effect = claims_table.rows(inputs(tmp_path, table(low=math.nan, high=math.nan), where=where))
    assert (effect["contrast"], effect["problems"], effect["verdict"]) == ("conditions", None, "undecided")
    assert overall["verdict"] == "undecided"
    reporting.write_csv(tmp_path / "claims.csv", [overall, effect])
    spec = {"keys": ["claim", "contrast"], "numbers": {"estimate": "points", "verdict": "plain"}}
    assert reporting.numbers("claims", tmp_path / "claims.csv", spec)["claims/C1/all/verdict"]["text"]


def test_a_table_without_intervals_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match="column low is missing"):
        claims_table.rows(inputs(tmp_path, table().drop(columns="low")))
