"""What a number is made from, and what is made from a file: told from records alone, and true."""

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny import STUDY

from anatomy.analyses.inputs import gather
from anatomy.audit import job_record, lineage
from anatomy.audit.job_record import File, Record
from anatomy.audit.provenance import Trail, select
from anatomy.errors import AnatomyError
from anatomy.reporting import numbers as reporting_numbers
from anatomy.storage import csv, parquet

GRPO = "passk/grpo/all/hard/answer/1/estimate"


def audit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/audit.py", "--study", "tiny", *arguments]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True)


# Which inputs a row is made from ---------------------------------------------------------------------


def table(*sources: Mapping[str, Any]) -> Record:
    inputs = [{"path": source["path"], "sha256": "", "bytes": 0} for source in sources]
    result = {"rule": "table", "wildcards": {}, "params": {"sources": list(sources)}, "inputs": inputs}
    return Record(Path("x"), result | {"outputs": [], "code": {}}, {}, "")


def counts(arm: str, seed: int, benchmark: str) -> dict[str, Any]:
    return {"path": f"{arm}/{seed}/{benchmark}", "arm": arm, "seed": seed, "benchmark": benchmark}


COUNTS = table(
    counts("base", 0, "hard"), counts("grpo", 0, "hard"), counts("grpo", 1, "hard"), counts("grpo", 0, "easy")
)


@pytest.mark.parametrize(
    ("row", "paths"),
    [
        ({"arm": "grpo", "seed": "all", "benchmark": "hard"}, ["grpo/0/hard", "grpo/1/hard"]),
        ({"arm": "grpo", "seed": "1", "benchmark": "hard"}, ["grpo/1/hard"]),
        # The base has a training seed of its own.
        ({"arm": "grpo", "base": "base", "seed": "1", "benchmark": "hard"}, ["base/0/hard", "grpo/1/hard"]),
        ({"arm": "grpo", "benchmark": "easy"}, ["grpo/0/easy"]),
        ({"first": "grpo", "second": "grpo", "benchmark": "hard"}, ["grpo/0/hard", "grpo/1/hard"]),
        # A name that is no arm's: nothing can be left out.
        ({"arm": "all", "benchmark": "hard"}, ["base/0/hard", "grpo/0/hard", "grpo/1/hard"]),
        ({"group": "GRPO - Base"}, ["base/0/hard", "grpo/0/hard", "grpo/1/hard", "grpo/0/easy"]),
    ],
)  # fmt: skip
def test_the_inputs_of_a_row(row: dict[str, str], paths: list[str]) -> None:
    assert select(COUNTS, row) == paths


def test_a_table_without_sources_is_made_from_all_of_its_inputs() -> None:
    record = Record(Path("x"), {"params": {}, "inputs": [File("a", "", 0).to_json()]}, {}, "")
    assert select(record, {"arm": "grpo"}) == ["a"]


SHAKEN = [
    f"{STUDY}/counts/grpo/seed-0/hard.parquet",
    f"{STUDY}/counts/base/seed-0/hard.parquet",
    f"{STUDY}/counts/stage1/seed-1/ladder.parquet",
    f"{STUDY}/counts/stage1/seed-1/ladder/probes.parquet",
    f"{STUDY}/counts/base/seed-0/hard/extra-grpo-1.parquet",
    f"{STUDY}/verdicts/grpo/seed-0/hard/shard-000.parquet",
    f"{STUDY}/scores/base/seed-0/grpo/seed-0/hard.parquet",
    f"{STUDY}/training/grpo/seed-1.parquet",
]


def shake(path: Path) -> None:
    """Change every row of a table so that what is computed from it should change."""
    name = pq.read_schema(path).metadata[b"anatomy.table"].decode()
    rows = pq.read_table(path).to_pylist()
    for place, row in enumerate(rows):
        if name == "counts":
            row["answer"] = row["n"] - row["answer"] if place % 2 else row["answer"] // 2
            row["derivation"] = min(row["answer"], (row["derivation"] or 0) + place % 3)
        elif name == "verdicts":
            row["verdict"] = "wrong" if row["verdict"] == "right" else "right"
        elif name == "scores":
            row["logprob"] *= 1.5
        elif name == "training":
            row["reward"], row["length"] = 0.9, 99.0
    parquet.write(path, name, rows)


@pytest.mark.slow
@pytest.mark.parametrize("path", SHAKEN)
def test_no_number_changes_that_was_not_told(again: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables that read a file are made again after the file was changed: only numbers told may differ."""
    monkeypatch.chdir(again)
    trail = Trail("tiny")
    told, changed = set(trail.affected([path]).numbers), set()
    shake(again / path)
    specs = trail.makers[f"{STUDY}/numbers.json"].params["tables"]
    readers = [record for record in trail.readers[path] if record.rule == "table"]
    assert readers, "nothing reads it"
    for record in readers:
        p = record.params
        pairs = [tuple(pair) for pair in p["pairs"]]
        settings = (p["arms"], p["facts"], p["options"], p["seed"])
        inputs = gather(p["sources"], pairs, *settings, **p["statistics"])
        rows = importlib.import_module(f"anatomy.analyses.{p['analysis']}").rows(inputs)
        target = record.outputs[0].path
        csv.write_csv(target, rows)
        name = Path(target).stem
        now = reporting_numbers.numbers(name, target, specs[name])
        was = {one: number for one, number in trail.numbers.items() if number["file"] == target}
        # A row that is new or gone, such as a problem that disagrees now, was not there to be told of.
        changed |= {
            one for one in was.keys() & now.keys()
            if (was[one]["value"], was[one].get("interval")) != (now[one]["value"], now[one].get("interval"))
        }  # fmt: skip
    assert changed, "the change changed nothing"
    assert changed <= told, sorted(changed - told)[:5]


# A user's names --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_names_of_numbers_figures_tables_files_and_pages(finished: Path) -> None:
    trail = Trail("tiny", finished)
    assert trail.named(GRPO) == ([GRPO], [])
    assert trail.named("figure:luck") == trail.named("luck") == ([], ["figures/tiny/luck.svg"])
    assert trail.named("table:luck") == ([], [f"{STUDY}/tables/luck.csv"])
    assert trail.named(f"./{STUDY}/models/grpo/seed-0") == ([], [f"{STUDY}/models/grpo/seed-0"])
    places = json.loads((finished / STUDY / "places.json").read_text())
    page = places["figures"]["passk"][0]["page"]
    numbers, figures = trail.named(f"paper/tiny.pdf:p{page}")
    assert set(numbers) == {
        name for name, where in places["numbers"].items() if page in [one["page"] for one in where]
    }
    assert numbers and "figures/tiny/passk.svg" in figures
    with pytest.raises(AnatomyError, match=r"passk/grp: no number.*did you mean passk/grpo/"):
        trail.named("passk/grp")
    with pytest.raises(AnatomyError, match=r"paper/tiny.pdf:p99: the paper of this study .* has \d+ pages"):
        trail.named("paper/tiny.pdf:p99")


@pytest.mark.slow
def test_every_chain_ends_in_what_no_job_made(finished: Path) -> None:
    trail = Trail("tiny", finished)
    chain = trail.chain([f"{STUDY}/numbers.json"])
    made: set[str] = set()
    for record in chain:  # each after those that it depends on
        for file in record.inputs:
            assert file.path in made if file.made_by else file.path.startswith("config/"), file.path
        made |= {file.path for file in record.outputs}
    assert len(chain) > 200


# The command -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_trace_of_a_number_leads_to_raw_data_and_code(finished: Path) -> None:
    said = audit(finished, "trace", GRPO).stdout
    number = json.loads((finished / STUDY / "numbers.json").read_text())[GRPO]
    assert said.startswith(f"{GRPO} = {number['text']} ")
    for part in (
        f"{STUDY}/tables/passk.csv",
        f"{STUDY}/counts/grpo/seed-1/hard.parquet",
        f"{STUDY}/models/base/seed-0",
        "config/templates/world.yaml", "no job made it", "scripts/pretrain.py", "key [1, 'grpo', 1]",
        "the paper's page",
    ):  # fmt: skip
        assert part in said, part
    assert "counts/teacher" not in said and "seen.parquet" not in said
    assert audit(finished, "trace", GRPO, "--depth", "1").stdout.count("├") == 0


@pytest.mark.slow
def test_the_trace_goes_down_to_a_completion(finished: Path) -> None:
    found = json.loads(audit(finished, "trace", GRPO, "--json").stdout)
    row = found["counts"][-1]
    ((shard, runs),) = row["completions"].items()
    assert sum(last - first + 1 for first, last in runs) == row["n"] == 8
    arguments = ("trace", GRPO, "--problem", row["problem"], "--sample", "5")
    one = json.loads(audit(finished, *arguments, "--json").stdout)["completions"][-1]
    truth = pq.read_table(finished / shard).to_pylist()[one["row"]]
    assert (truth["problem"], truth["sample"]) == (row["problem"], 5)
    assert one["completion"] == truth["completion"] and one["file"] == shard
    graded = pq.read_table(finished / shard.replace("samples", "verdicts")).to_pylist()
    assert one["verdict"] == graded[one["row"]]["verdict"]
    said = audit(finished, *arguments).stdout
    assert f"{shard} row {one['row']}  sample 5" in said and f"    {truth['completion']}" in said


@pytest.mark.slow
def test_a_graph_has_an_edge_for_each_step(finished: Path) -> None:
    said = audit(finished, "trace", GRPO, "--dot").stdout
    assert f'"{STUDY}/tables/passk.csv" -> "{GRPO}";' in said
    assert f'"{STUDY}/models/grpo/seed-0" -> "{STUDY}/samples/grpo/seed-0/hard/shard-000.parquet";' in said


@pytest.mark.slow
def test_a_list_tells_values_and_pages(finished: Path) -> None:
    lines = audit(finished, "list", "passk/*/all/hard/answer/1/*").stdout.splitlines()
    number = json.loads((finished / STUDY / "numbers.json").read_text())[GRPO]
    (line,) = [line for line in lines if line.startswith(f"{GRPO} ")]
    places = json.loads((finished / STUDY / "places.json").read_text())["numbers"][GRPO]
    pages = ", ".join(str(page) for page in sorted({place["page"] for place in places}))
    assert line.startswith(f"{GRPO}  {number['text']} [") and line.endswith(f"p. {pages}")
    assert all("/all/hard/answer/1/" in line for line in lines)
    assert "figure:luck  figures/tiny/luck.svg  p. " in audit(finished, "list", "luck").stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trace", "nothing/like/it"), "no number, figure, table or file of the study 'tiny'"),
        (("trace", GRPO, "--sample", "3"), "--sample needs --problem"),
        (("trace", GRPO, "--problem", "none"), "--problem none: no counts of this problem"),
        (("trace", "luck", "--problem", "none"), "is not a number that completions stand behind directly"),
        (("--study", "absent", "verify"), "results/absent/ledger.json: no ledger"),
        (("--study", "absent", "list"), "results/absent/numbers.json: cannot read it"),
    ],
)
def test_mistakes_end_in_a_message(finished: Path, arguments: tuple[str, ...], message: str) -> None:
    done = audit(finished, *arguments)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_a_completion_cannot_drive_the_terminal() -> None:
    hostile = {
        "file": "x", "row": 0, "sample": 0, "tokens": 1, "finish_reason": "stop", "verdict": "wrong",
        "derivation_right": None, "first_bad_line": None, "answer": "\x1b[2J",
        "completion": "\x1b]0;title\x07\u202e",
    }  # fmt: skip
    said = "\n".join(lineage.completion_lines([hostile], text=True))
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said


@pytest.mark.slow
def test_a_damaged_record_is_refused_by_name(again: Path) -> None:
    path = job_record.path_of(again / STUDY / "counts/grpo/seed-0/hard.parquet")
    path.write_text("{}")
    done = audit(again, "trace", GRPO)
    assert done.returncode == 2 and "hard.record.json: not a job's record" in done.stderr
    shutil.rmtree(again / STUDY / "ledgers")
    done = audit(again, "verify")
    assert done.returncode == 1 and "ledger altered: results/tiny/ledgers/" in done.stdout
