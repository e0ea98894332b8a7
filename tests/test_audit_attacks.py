"""A study is altered, one thing at a time; `verify` must find and name each, and the numbers it affects."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny import ROOT, STUDY, snakemake

from anatomy.audit import hashing, job_record, ledger
from anatomy.audit.provenance import Trail
from anatomy.audit.verify import verify as verify_verify
from anatomy.reporting import numbers as reporting_numbers
from anatomy.reporting import typst
from anatomy.storage import parquet

pytestmark = pytest.mark.slow

SHARD = f"{STUDY}/samples/grpo/seed-0/hard/shard-000.parquet"
VERDICTS = f"{STUDY}/verdicts/grpo/seed-0/hard/shard-000.parquet"
COUNTS = f"{STUDY}/counts/grpo/seed-0/hard.parquet"
PASSK = f"{STUDY}/tables/passk.csv"
MODEL = f"{STUDY}/models/grpo/seed-0"
KEPT = f"{STUDY}/sources/{hashing.sha256(ROOT / 'scripts/anatomy/grading/counts.py')}"
# A number of GRPO's, one of the base's, and one of another table.
GRPO, BASE = "passk/grpo/all/hard/answer/1/estimate", "passk/base/all/hard/answer/1/estimate"
DIFFERENCE, OTHER = "difference/grpo/base/hard/answer/1/estimate", "passk/teacher/all/hard/answer/1/estimate"


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "scripts/audit.py", "--study", "tiny", "verify", *arguments]
    done = subprocess.run(words, cwd=folder, text=True, capture_output=True)
    assert done.returncode in (0, 1), done.stderr
    return done


def verify(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Verify as a user does, by the code of the study's folder."""
    done = command(folder, "--json", *arguments)
    return done.returncode, json.loads(done.stdout)


def verdict(folder: Path, *arguments: str | None) -> tuple[int, dict[str, Any]]:
    """Verify in this process, which has all packages loaded; the settings are not read again."""
    with contextlib.chdir(folder):
        found = verify_verify.verify(Trail("tiny"), *arguments)
    findings = json.loads(json.dumps([finding.to_json() for finding in found.findings]))
    return int(bool(findings)), {"findings": findings, "notes": found.notes}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def rewrite(path: Path, table: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Write a table again with a change, checksum and all: the file itself is in order."""
    rows = pq.read_table(path).to_pylist()
    change(rows)
    parquet.write(path, table, rows)


def row_of(folder: Path, identity: str) -> int:
    return int(json.loads((folder / STUDY / "numbers.json").read_text())[identity]["row"])


def forge(folder: Path, path: str) -> None:
    """Have a record tell the digest that its output has now, and its own digest with it."""
    place = job_record.path_of(folder / path)
    content = json.loads(place.read_text())
    for output in content["result"]["outputs"]:
        if output["path"] == path:
            output["sha256"] = hashing.sha256(folder / path)
    content["digest"] = job_record.digest(content["result"])
    place.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


@pytest.fixture(autouse=True, scope="module")
def set_once() -> Iterator[None]:
    """Set the same paper, and read the same table's numbers, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typst, "compile", once(typst.compile, content_of_paper))
        patch.setattr(reporting_numbers, "numbers", once(reporting_numbers.numbers, content_of_table))
        yield


def once(function: Callable[..., Any], content: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that keeps its answers by what its arguments' files hold."""
    kept: dict[Any, Any] = {}

    def ask(*arguments: Any) -> Any:
        key = content(*arguments)
        if key not in kept:
            kept[key] = function(*arguments)
        return kept[key]

    return ask


def content_of_paper(paper: typst.Paper) -> tuple[str, ...]:
    folder = (paper.root / paper.source).parent
    files = (*folder.glob("*.typ"), *folder.glob("*.bib"), paper.root / paper.numbers)
    figures = hashing.of_tree(hashing.tree(paper.root / f"figures/{paper.study}"))
    return paper.ledger_root, figures, *map(hashing.sha256, files)


def content_of_table(name: str, file: str, spec: dict[str, Any], folder: Path) -> tuple[str, ...]:
    return name, file, hashing.of_value(spec), hashing.sha256(folder / file)


# The attacks -----------------------------------------------------------------------------------------


def a_cell_in_a_table(folder: Path) -> None:
    lines = (folder / PASSK).read_text().splitlines()
    at = row_of(folder, GRPO) + 1
    cells = lines[at].split(",")
    place = lines[0].split(",").index("estimate")
    cells[place] = "0.5"
    lines[at] = ",".join(cells)
    (folder / PASSK).write_text("\n".join(lines) + "\n")


def two_rows_exchanged(folder: Path) -> None:
    lines = (folder / PASSK).read_text().splitlines()
    one, other = row_of(folder, GRPO) + 1, row_of(folder, BASE) + 1
    lines[one], lines[other] = lines[other], lines[one]
    (folder / PASSK).write_text("\n".join(lines) + "\n")


def the_text_of_a_completion(folder: Path) -> None:
    rewrite(folder / SHARD, "samples", lambda rows: rows[3].update(completion=rows[3]["completion"] + " ."))


def a_verdict(folder: Path) -> None:
    rewrite(folder / VERDICTS, "verdicts", lambda rows: rows[3].update(verdict="truncated"))


def a_row_of_counts(folder: Path) -> None:
    rewrite(folder / COUNTS, "counts", lambda rows: rows[0].update(answer=rows[0]["n"]))


def a_shard_of_another_arm(folder: Path) -> None:
    shutil.copy(folder / f"{STUDY}/samples/base/seed-0/hard/shard-000.parquet", folder / SHARD)


def a_shard_deleted(folder: Path) -> None:
    (folder / SHARD).unlink()


def the_weights_of_a_model(folder: Path) -> None:
    path = folder / MODEL / "step-6/model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def a_value_of_the_configuration(folder: Path) -> None:
    edit(folder / "tests/tiny/config.yaml", "match_n: 4", "match_n: 5")


def a_cell_of_a_sheet(folder: Path) -> None:
    edit(folder / "tests/tiny/arms.tsv", "\t1.2\t", "\t1.3\t")


def a_script(folder: Path) -> None:
    edit(folder / "scripts/anatomy/figures/luck.py", "import", "import math\nimport")


def a_function_of_the_library(folder: Path) -> None:
    edit(folder / "scripts/anatomy/grading/counts.py", "+= 1", "+= 2")


def the_lock_of_the_environment(folder: Path) -> None:
    edit(folder / "envs/requirements.txt", "pandas==3.1.1", "pandas==3.1.0")


def a_seed_in_a_record(folder: Path) -> None:
    edit(job_record.path_of(folder / MODEL), '"seeds": {\n   "seed": 0', '"seeds": {\n   "seed": 7')


def the_time_in_a_record(folder: Path) -> None:
    edit(job_record.path_of(folder / COUNTS), '"host": "', '"host": "another-')


def a_record_deleted(folder: Path) -> None:
    job_record.path_of(folder / COUNTS).unlink()


def the_record_of_the_paper_deleted(folder: Path) -> None:
    job_record.path_of(folder / "paper/tiny.pdf").unlink()


def a_record_forged(folder: Path) -> None:
    a_row_of_counts(folder)
    forge(folder, COUNTS)


def every_record_and_the_ledger_forged(folder: Path) -> None:
    """Alter counts, and carry the digests that follow through all records, the ledger and its history."""
    a_row_of_counts(folder)
    entries = ledger.read(folder / STUDY / "ledger.json")["records"]
    targets = [
        file.path
        for entry in entries
        for path in entry["files"]
        for file in job_record.read(folder / path).outputs
    ]
    new: dict[str, str] = {}
    for record in Trail("tiny", folder).chain(targets):
        result = json.loads(json.dumps(record.result))
        for file in result["inputs"]:
            if file["path"] == COUNTS:
                file["sha256"] = hashing.sha256(folder / COUNTS)
            if "made_by" in file:
                file["made_by"] = new[file["made_by"]]
        for file in result["outputs"]:
            if file["path"] == COUNTS:
                file["sha256"] = hashing.sha256(folder / COUNTS)
        new[record.digest] = job_record.digest(result)
        for file in record.outputs:
            job_record.write(job_record.path_of(folder / file.path), result, record.run)
    found, _ = ledger.reached(targets, folder)
    assert {record.digest for record in found} == set(new.values())
    made = ledger.read(folder / STUDY / "ledger.json")
    made |= {"root": ledger.root("tiny", new.values()), "records": ledger.entries(found, folder)}
    (folder / STUDY / "ledger.json").write_text(json.dumps(made, indent=1))
    numbers = json.loads((folder / STUDY / "numbers.json").read_text())
    ledger.keep_history(folder / STUDY, made["root"], found, numbers)


def the_file_of_numbers(folder: Path) -> None:
    path = folder / STUDY / "numbers.json"
    numbers = json.loads(path.read_text())
    numbers[GRPO]["text"] = "99.9"
    path.write_text(json.dumps(numbers, indent=1) + "\n")


def a_number_in_the_history(folder: Path) -> None:
    """Alter what the study keeps of its numbers, to which those of the tables are compared."""
    root = ledger.read(folder / STUDY / "ledger.json")["root"]
    path = ledger.history(folder / STUDY, root)
    kept = ledger.read_history(path)
    kept["numbers"][GRPO]["text"] = "99.9"
    path.unlink()
    ledger.keep_history(folder / STUDY, root, kept["records"], kept["numbers"])


def a_number_typed_into_the_paper(folder: Path) -> None:
    edit(folder / "paper/main.typ", "The base model is", "The base model of 12 layers is")


def the_paper_itself_with_its_record(folder: Path) -> None:
    with (folder / "paper/tiny.pdf").open("ab") as file:
        file.write(b"\n% nothing that one sees\n")
    forge(folder, "paper/tiny.pdf")
    shutil.copy(folder / "paper/tiny.record.json", folder / STUDY / "places.record.json")


def a_source_that_is_kept(folder: Path) -> None:
    edit(folder / KEPT, "def count", "def  count")


def a_figure_replaced(folder: Path) -> None:
    shutil.copy(folder / "figures/tiny/cover.svg", folder / "figures/tiny/luck.svg")


def an_older_figure_with_its_record(folder: Path) -> None:
    """Draw it with another label in a copy, and bring that drawing here, with the record that fits it."""
    older = folder.parent / "older"
    shutil.copytree(folder, older, symlinks=True)
    edit(older / "scripts/anatomy/figures/luck.py", "share with a valid", "part with a valid")
    done = snakemake(older, "figures/tiny/luck.svg")
    assert done.returncode == 0, done.stdout
    for suffix in (".svg", ".pdf", ".png", job_record.SUFFIX):
        shutil.copy(older / f"figures/tiny/luck{suffix}", folder / f"figures/tiny/luck{suffix}")


@dataclass
class Expected:
    """What must be found: its kind and the file; numbers that it affects, and one that it does not."""

    attack: Callable[[Path], None]
    kind: str
    what: str
    affects: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()
    detail: str = ""


ATTACKS = [
    Expected(a_cell_in_a_table, "data changed", PASSK, (GRPO,), (BASE, OTHER, DIFFERENCE)),
    Expected(two_rows_exchanged, "data changed", PASSK, (GRPO, BASE), (OTHER, DIFFERENCE)),
    Expected(the_text_of_a_completion, "data changed", SHARD, (GRPO, DIFFERENCE), (BASE, OTHER)),
    Expected(a_verdict, "data changed", VERDICTS, (GRPO, DIFFERENCE), (BASE, OTHER)),
    Expected(a_row_of_counts, "data changed", COUNTS, (GRPO, DIFFERENCE), (BASE, OTHER)),
    Expected(
        a_shard_of_another_arm,
        "data changed",
        SHARD,
        (GRPO, DIFFERENCE),
        (BASE, OTHER),
        "samples/base/seed-0",
    ),
    Expected(a_shard_deleted, "data missing", SHARD, (GRPO, DIFFERENCE), (BASE, OTHER)),
    Expected(
        the_weights_of_a_model,
        "data changed",
        MODEL,
        (GRPO, DIFFERENCE),
        (BASE, OTHER),
        "step-6/model.safetensors",
    ),
    Expected(
        a_value_of_the_configuration,
        "config changed",
        "tests/tiny/config.yaml",
        ("passk/grpo-matched/all/hard/answer/1/estimate",),
        (GRPO, BASE),
        "sampling.match_n: 4 -> 5",
    ),
    Expected(
        a_cell_of_a_sheet,
        "config changed",
        "tests/tiny/arms.tsv",
        ("envelope/Base/hard/answer/1/estimate",),
        (GRPO, BASE),
        "base-warm.temperature: 1.2 -> 1.3",
    ),
    Expected(a_script, "code changed", "scripts/anatomy/figures/luck.py", (), (GRPO, BASE), "imports"),
    Expected(
        a_function_of_the_library,
        "code changed",
        "scripts/anatomy/grading/counts.py",
        (GRPO, BASE),
        (),
        "in count()",
    ),
    Expected(
        the_lock_of_the_environment,
        "environment changed",
        "envs/requirements.txt",
        (GRPO, BASE),
        (),
        "pandas==3.1.0",
    ),
    Expected(
        a_seed_in_a_record,
        "record altered",
        f"{MODEL}.record.json",
        (GRPO,),
        (BASE, OTHER),
        "seeds.seed: 0 -> 7",
    ),
    Expected(
        the_time_in_a_record,
        "record altered",
        COUNTS.replace(".parquet", ".record.json"),
        (GRPO,),
        (BASE,),
        "host",
    ),
    Expected(
        a_record_deleted, "record missing", COUNTS.replace(".parquet", ".record.json"), (GRPO,), (BASE, OTHER)
    ),
    Expected(the_record_of_the_paper_deleted, "record missing", "paper/tiny.record.json"),
    Expected(
        a_record_forged, "record altered", COUNTS.replace(".parquet", ".record.json"), (GRPO,), (BASE, OTHER)
    ),
    Expected(
        every_record_and_the_ledger_forged,
        "ledger altered",
        f"{STUDY}/ledger.json",
        (GRPO, BASE),
        (),
        "was set with",
    ),
    Expected(the_file_of_numbers, "data changed", f"{STUDY}/numbers.json", (GRPO,), (BASE, OTHER)),
    Expected(a_number_in_the_history, "number differs", GRPO, (GRPO,), (BASE, OTHER), "reported as 99.9"),
    Expected(a_number_typed_into_the_paper, "number typed", "paper/main.typ", (), (GRPO,), "12"),
    Expected(the_paper_itself_with_its_record, "paper altered", "paper/tiny.pdf", (GRPO,), (OTHER,)),
    Expected(a_source_that_is_kept, "data changed", KEPT),
    Expected(a_figure_replaced, "data changed", "figures/tiny/luck.svg", (), (GRPO,), "cover.svg"),
    Expected(an_older_figure_with_its_record, "data changed", "figures/tiny/luck.svg", (), (GRPO,)),
]


def test_an_untouched_study_is_in_order(finished: Path) -> None:
    status, found = verify(finished)
    assert (status, found["findings"], found["notes"]) == (0, [], [])


@pytest.mark.parametrize("expected", ATTACKS, ids=lambda one: one.attack.__name__)
def test_an_attack_is_found_and_named(again: Path, expected: Expected) -> None:
    expected.attack(again)
    # What jobs' params would be now, the workflow of the study's own folder tells.
    status, found = (verify if expected.kind == "config changed" else verdict)(again)
    assert status == 1
    named = [one for one in found["findings"] if (one["kind"], one["what"]) == (expected.kind, expected.what)]
    assert len(named) == 1, [(one["kind"], one["what"], one["detail"]) for one in found["findings"]]
    (finding,) = named
    assert expected.detail in finding["detail"]
    affected = set(finding["affected"]["numbers"])
    assert set(expected.affects) <= affected, f"affects {len(affected)} numbers"
    assert affected.isdisjoint(expected.spares)
    if "luck" in expected.what:
        assert finding["affected"]["figures"] == ["luck"]
    if expected.attack is an_older_figure_with_its_record:
        assert ("record altered", "figures/tiny/luck.record.json") in [
            (one["kind"], one["what"]) for one in found["findings"]
        ]


def test_file_times_and_copies_are_no_change(again: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(again, copied, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns(".snakemake"))
    status, found = verdict(copied)
    assert (status, found["findings"], found["notes"]) == (0, [], [])


def test_a_comment_is_told_and_is_no_finding(again: Path) -> None:
    path = again / "scripts/anatomy/statistics/pass_at_k.py"
    path.write_text(path.read_text() + "\n# a comment\n")
    status, found = verdict(again)
    assert (status, found["findings"]) == (0, [])
    assert found["notes"] == [
        "scripts/anatomy/statistics/pass_at_k.py: comments or layout changed since, not what it does"
    ]


def test_one_number_is_verified_alone(again: Path) -> None:
    the_text_of_a_completion(again)
    assert verdict(again, BASE)[0] == 0
    status, found = verdict(again, GRPO)
    assert status == 1 and {number for one in found["findings"] for number in one["affected"]["numbers"]} == {
        GRPO
    }


def test_a_record_that_is_gone_is_missed_by_a_number_too(again: Path) -> None:
    a_record_deleted(again)
    assert verdict(again, BASE)[0] == 0
    status, found = verdict(again, GRPO)
    assert status == 1 and [one["kind"] for one in found["findings"]] == ["record missing"]


def test_a_root_known_from_elsewhere(finished: Path) -> None:
    root = ledger.read(finished / STUDY / "ledger.json")["root"]
    assert command(finished, BASE, "--root", root[:12]).returncode == 0
    status, found = verdict(finished, None, "0" * 64)
    assert status == 1 and found["findings"][0]["kind"] == "ledger altered"


def test_the_printed_findings_name_file_and_numbers(again: Path) -> None:
    a_row_of_counts(again)
    done = command(again)
    assert done.returncode == 1
    assert f"data changed: {COUNTS}\n" in done.stdout
    assert (
        "affects" in done.stdout and "passk/grpo/all/hard" in done.stdout and "\n1 finding: " in done.stdout
    )
