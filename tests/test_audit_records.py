"""Records: complete, written with the outputs or not at all, nothing personal in them, and cheap."""

import getpass
import hashlib
import importlib
import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import STUDY, copy_repository, snakemake

from anatomy.audit import hashing, job_record, ledger, scrubbing, source_diff
from anatomy.audit import recorder as audit_recorder
from anatomy.errors import AnatomyError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


# Digests ---------------------------------------------------------------------------------------------


def test_digests_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "folder/deep").mkdir(parents=True)
    (tmp_path / "folder/deep/b").write_bytes(b"two")
    (tmp_path / "folder/a").write_bytes(b"one")
    (tmp_path / "folder" / hashing.STAMP).write_bytes(b"Snakemake's")
    lines = subprocess.run(
        ["sha256sum", "a", "deep/b"], cwd=tmp_path / "folder", capture_output=True, check=True
    ).stdout
    found = audit_recorder.look(str(tmp_path / "folder"))
    assert found.sha256 == hashlib.sha256(lines).hexdigest() and found.bytes == 6
    assert set(found.files or {}) == {"a", "deep/b"}


def test_a_large_file_is_hashed_once_and_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    large = tmp_path / "large"
    large.write_bytes(bytes(hashing.LARGE))
    first = hashing.sha256(large, cache=True)
    read = []
    real = hashing._hash
    monkeypatch.setattr(hashing, "_hash", lambda path: read.append(path) or real(path))
    assert hashing.sha256(large, cache=True) == first and not read
    before = large.stat()
    with large.open("r+b") as file:
        file.write(b"x")
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))  # as one who wants to hide it would
    assert hashing.sha256(large, cache=True) != first and read
    assert hashing.sha256(large) == hashing.sha256(large, cache=True)


@given(JSON)
def test_a_value_has_one_digest_whatever_its_order(value: Any) -> None:
    again = json.loads(json.dumps(value))
    if isinstance(again, dict):
        again = dict(reversed(list(again.items())))
    assert hashing.of_value(value) == hashing.of_value(again)


@given(JSON, JSON)
def test_differences_are_told_where_there_are_any(one: Any, other: Any) -> None:
    assert source_diff.differences(one, one) == []
    if json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):
        assert source_diff.differences(one, other)


def test_differences_name_their_place() -> None:
    old = {"sampling": {"temperature": 1.0, "stop": ["a", "b"]}, "seed": 1}
    new = {"sampling": {"temperature": 0.6, "stop": ["a", "c"]}, "draws": 10, "seed": True}
    assert source_diff.differences(old, new) == [
        "sampling.temperature: 1.0 -> 0.6",
        "sampling.stop[1]: b -> c",
        "seed: 1 -> true",
        "draws: nothing -> 10",
    ]


def test_the_root_is_that_of_the_records_in_any_order() -> None:
    assert ledger.root("a", ["1", "2"]) == ledger.root("a", ["2", "1"])
    assert len({ledger.root(*one) for one in (("a", ["1"]), ("b", ["1"]), ("a", ["2"]), ("a", []))}) == 4


# A job -----------------------------------------------------------------------------------------------


class Files(list[str]):
    """As Snakemake hands inputs and outputs to a script."""

    def __init__(self, **named: str):
        super().__init__(named.values())
        self.named = named

    def items(self) -> Any:
        return self.named.items()


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.chdir(tmp_path)
    scrubbing._places.cache_clear()
    for name in ("scripts/some.py", "config/raw.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(name)
    return SimpleNamespace(
        input=Files(raw="config/raw.yaml"),
        output=Files(out="results/s/a/out.csv"),
        rule="some",
        wildcards={"seed": "3", "arm": "base"},
        params={"key": [1, "base", 3], "study_seed": 1, "draws": 5, "stamp": "x", "pair": ("a", "b")},
        threads=2,
        resources={"gpu": 1},
    )


def record(job: SimpleNamespace) -> job_record.Record:
    recorder = audit_recorder.Recorder(job, Path("scripts/some.py").resolve())
    output = Path(job.output[0])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("made")
    recorder.write()
    return job_record.read(job_record.path_of(output))


def test_a_record_tells_what_a_job_depended_on(job: SimpleNamespace) -> None:
    found = record(job)
    assert found.rule == "some" and found.wildcards == {"seed": "3", "arm": "base"}
    assert found.params == {"key": [1, "base", 3], "study_seed": 1, "draws": 5, "pair": ["a", "b"]}
    assert found.result["seeds"] == {"seed": "3", "key": [1, "base", 3], "study_seed": 1}
    assert found.inputs == [
        job_record.File("config/raw.yaml", hashlib.sha256(b"config/raw.yaml").hexdigest(), 15)
    ]
    assert found.outputs[0].sha256 == hashlib.sha256(b"made").hexdigest()
    assert found.result["named"] == {
        "inputs": {"raw": "config/raw.yaml"},
        "outputs": {"out": "results/s/a/out.csv"},
    }
    assert found.digest == job_record.digest(found.result)
    assert found.code["scripts/some.py"] == hashlib.sha256(b"scripts/some.py").hexdigest()
    run = found.run
    assert run["peak_memory_mib"] > 10 and run["cpu"] and run["start"] <= run["end"] and run["command"]
    kept = Path("results/s/sources") / found.inputs[0].sha256
    assert kept.read_text() == "config/raw.yaml"
    listed = json.loads((Path("results/s/sources") / run["sources"]).read_text())
    assert listed == {"scripts/some.py": found.code["scripts/some.py"]}


def test_versions_are_those_of_the_packages_that_the_code_imports(job: SimpleNamespace) -> None:
    Path("scripts/some.py").write_text("import pandas as pd\ndef late():\n    from hypothesis.x import y\n")
    importlib.import_module("anatomy.storage.parquet")  # which a job has loaded
    packages = record(job).result["environment"]["packages"]
    for name in ("pandas", "hypothesis", "pyarrow"):  # the last one by the library
        assert packages[name] == importlib.metadata.version(name)
    assert {"numpy", "python-dateutil", "sortedcontainers"} <= set(packages), "what these require"
    assert "pytest" in sys.modules and "pytest" not in packages  # this process has it, for other reasons
    assert not any(name.startswith("snakemake") for name in packages)


@pytest.mark.slow
def test_versions_do_not_depend_on_what_a_process_has_loaded(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("import yaml\n")
    asking = (
        "from pathlib import Path; from anatomy.audit import environment as e;"
        "print(e.packages([Path('code.py')]))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", before + asking],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(audit_recorder.__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for before in ("", "import numpy, jinja2;")
    ]
    assert said[0] == said[1] == f"{{'pyyaml': '{importlib.metadata.version('pyyaml')}'}}\n"


@pytest.mark.slow
def test_the_same_job_has_the_same_digest_whenever_and_wherever_it_runs(job: SimpleNamespace) -> None:
    first = record(job)
    time.sleep(0.01)
    second = record(job)
    assert first.digest == second.digest and first.run["start"] != second.run["start"]
    job.params["draws"] = 6
    assert record(job).digest != first.digest


def test_records_are_chained(job: SimpleNamespace) -> None:
    first = record(job)
    job.input, job.output = Files(table="results/s/a/out.csv"), Files(out="results/s/next.csv")
    following = record(job)
    assert following.inputs[0].made_by == first.digest
    # A comment in the first job's settings is none; another parameter is, and changes all that follows.
    altered = {**first.result, "params": {**first.params, "draws": 7}}
    job_record.write(first.path, altered, first.run)
    assert record(job).digest != following.digest


def test_an_altered_input_is_refused_by_name(job: SimpleNamespace) -> None:
    record(job)
    Path("results/s/a/out.csv").write_text("edited")
    job.input, job.output = Files(table="results/s/a/out.csv"), Files(out="results/s/next.csv")
    with pytest.raises(AnatomyError, match=r"results/s/a/out\.csv: altered since it was written"):
        record(job)
    assert not Path("results/s/next.record.json").exists()


def test_an_input_that_changes_meanwhile_ends_the_job_without_a_record(job: SimpleNamespace) -> None:
    recorder = audit_recorder.Recorder(job, Path("scripts/some.py").resolve())
    Path("config/raw.yaml").write_text("other content")
    with pytest.raises(AnatomyError, match=r"config/raw\.yaml: changed while the job"):
        recorder.write()
    assert not job_record.path_of(job.output[0]).exists()


def test_a_job_that_fails_leaves_no_record_not_even_its_old_one(job: SimpleNamespace) -> None:
    found = record(job)
    audit_recorder.Recorder(job, Path("scripts/some.py").resolve())
    assert not found.path.exists()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 1}', '{"format": 2, "digest": "", "result": {}, "run": {}}', "\x00", "null"],
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.record.json"
    path.write_text(content)
    with pytest.raises(AnatomyError, match=r"x\.record\.json: "):
        job_record.read(path)


# Nothing personal ------------------------------------------------------------------------------------


def test_nothing_personal_is_recorded(job: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.getcwd()
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("HF_TOKEN", "some-secret-value")
    monkeypatch.setenv("WANDB_API_KEY", "another-secret-value")
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    monkeypatch.setattr(socket, "gethostname", lambda: "Alices-laptop.local")
    scrubbing._secrets.cache_clear()
    scrubbing._places.cache_clear()
    try:
        job.params = {
            "folder": "/home/alice/data/x",
            "scratch": "/scratch/alice/work",
            "here": f"{here}/results/base",
            "url": "https://alice:pass@host/v1",
            "header": "Bearer abcdefgh12345",
            "key": "some-secret-value",
            "other": {"nested": ["x another-secret-value y", "hf_AbCdEfGhIjKlMnOp"]},
            "arm": "alice",  # a name in the study, and no path
        }
        found = record(job)
    finally:
        scrubbing._secrets.cache_clear()
        scrubbing._places.cache_clear()
    text = found.path.read_text()
    for secret in (
        "some-secret",
        "another-secret",
        "hf_AbCd",
        "abcdefgh12345",
        "alice:pass",
        "/home",
        "Alices",
        here,
    ):
        assert secret not in text, secret
    assert found.params["folder"] == "~/data/x" and found.params["scratch"] == "/scratch/$USER/work"
    assert found.params["here"] == "results/base" and found.params["arm"] == "alice"
    assert found.run["host"] == "$USERs-laptop"


def test_a_scrubbed_path_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/bob")
    monkeypatch.setenv("USER", "bob")
    assert scrubbing.unscrubbed("~/data") == Path("/home/bob/data")
    assert scrubbing.unscrubbed("/scratch/$USER/x") == Path("/scratch/bob/x")
    assert scrubbing.unscrubbed("results/x.csv") == Path("results/x.csv")


# In the workflow -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_output_of_every_job_has_a_record(finished: Path) -> None:
    rules, study = set(), finished / STUDY
    skipped = ("work", "logs", "benchmarks", "sources", "audit", "ledgers")
    files = [
        path
        for path in study.rglob("*")
        if path.is_file() and path.relative_to(study).parts[0] not in skipped
    ]
    files += [*list((finished / "figures/tiny").iterdir()), finished / "paper/tiny.pdf"]
    of_models = [
        path for path in files if "models" in path.parts and not path.name.endswith(job_record.SUFFIX)
    ]
    outputs = [path for path in files if path not in of_models and not path.name.endswith(job_record.SUFFIX)]
    outputs += {path.parents[1] for path in of_models if path.name == "manifest.json"}
    assert len(outputs) > 300
    for path in outputs:
        found = job_record.producer(str(path.relative_to(finished)), finished)
        assert found, f"{path} has no record"
        assert found.digest == job_record.digest(found.result)
        assert found.run["git"]["clean"] is True and len(found.run["git"]["commit"]) == 40
        rules.add(found.rule)
    assert {
        "pretrain",
        "train",
        "sample",
        "grade",
        "count",
        "table",
        "figure",
        "collect_numbers",
        "ledger",
        "typeset",
    } <= rules


@pytest.mark.slow
def test_no_record_names_the_user_or_the_folder(finished: Path) -> None:
    for path in finished.rglob(f"*{job_record.SUFFIX}"):
        text = path.read_text()
        assert str(finished.parent) not in text and "tester@localhost" not in text, path


@pytest.mark.slow
def test_the_same_part_of_a_study_made_elsewhere_has_the_same_digests(finished: Path, tmp_path: Path) -> None:
    target = f"{STUDY}/prompts/hard/world.parquet"
    elsewhere = copy_repository(tmp_path / "elsewhere")
    done = snakemake(elsewhere, target)
    assert done.returncode == 0, done.stdout
    here, there = (job_record.producer(target, folder) for folder in (finished, elsewhere))
    assert here and there and here.digest == there.digest


@pytest.mark.slow
def test_a_job_that_cannot_write_its_record_keeps_no_output(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "full")
    path = folder / "scripts/anatomy/audit/recorder.py"
    path.write_text(
        path.read_text().replace(
            "            job_record.write(place, result, run)",
            "            raise OSError(28, 'No space left on device')",
        )
    )
    done = snakemake(folder, f"{STUDY}/problems/hard.parquet")
    assert done.returncode != 0 and "error: No space left on device: free some space" in done.stdout
    assert not (folder / STUDY / "problems/hard.parquet").exists()
