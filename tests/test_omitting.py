"""The study without programs: nothing of them is left, and everything else is as it was."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import snakemake.api  # noqa: F401  (first, since its modules import each other)
from snakemake.cli import parse_config
from tiny import ROOT, copy_repository

import _snakemake
from anatomy.study import validation, without_programs, yaml_files
from anatomy.study.study import Study

CONFIGS = ("config/embedded.yaml", "config/published.yaml", "tests/tiny/config.yaml")


def load(where: str) -> Study:
    return validation.load(yaml_files.read_yaml(ROOT / where), ROOT, where)


def names(value: Any) -> Iterator[str]:
    """Every text in an artifact, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (name for one in value.values() for name in names(one))
    elif isinstance(value, list | tuple):
        yield from (name for one in value for name in names(one))


@pytest.mark.parametrize("where", CONFIGS)
def test_nothing_of_programs_is_left(where: str) -> None:
    whole = load(where)
    left = without_programs.programs(whole)
    programs = {name for name, row in whole.benchmarks.items() if row.grader == "program"}
    assert programs and not programs & set(left.benchmarks)
    gone = programs | (set(whole.runs) - set(left.runs)) | (set(whole.arms) - set(left.arms))
    assert not any(benchmark in programs for arm in left.arms for benchmark in left.tests_of(arm))
    for kind in ("tables", "figures"):
        for name, artifact in left.artifacts[kind].items():
            covered = {key: artifact.get(key) for key in ("arms", "pairs", "benchmarks", "texts", "tables")}
            assert not gone & set(names(covered)), (kind, name)
            assert set(artifact.get("tables", [])) <= set(left.artifacts["tables"]), (kind, name)


@pytest.mark.parametrize("where", CONFIGS)
def test_everything_else_is_as_it_was(where: str) -> None:
    whole = load(where)
    left = without_programs.programs(whole)
    programs = {name for name, row in whole.benchmarks.items() if row.grader == "program"}
    mathematical = {name for name in whole.arms if any(one not in programs for one in whole.tests_of(name))}
    assert set(left.arms) == mathematical
    assert left.models == whole.models and left.settings == whole.settings
    for kind in ("tables", "figures"):
        dropped = set(whole.artifacts[kind]) - set(left.artifacts[kind])
        assert all("programs" in name or "code" in name for name in dropped), dropped
        kept = [name for name in whole.artifacts[kind] if name not in dropped]
        assert list(left.artifacts[kind]) == kept
    for arm in left.arms:
        assert json.dumps(left.sampling(arm)) == json.dumps(whole.sampling(arm))


@pytest.mark.slow
@pytest.mark.parametrize("said", ["False", "True"])
def test_the_command_line_can_leave_them_out(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the README and the messages write it."""
    monkeypatch.chdir(ROOT)
    read = _snakemake.load([], parse_config([f"programs={said}"])).globals["STUDY"]
    graders = {row.grader for row in read.benchmarks.values()}
    assert "world" in graders and ("program" in graders) == (said == "True")


def test_false_in_small_letters_is_refused_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """To Snakemake only ``True`` and ``False`` are no texts after ``--config``."""
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit, match="programs: 'false' is not true or false"):
        _snakemake.load([], parse_config(["programs=false"]))


@pytest.mark.slow
def test_no_job_of_programs_is_planned(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "clone")
    command = (sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--config", "programs=False")
    plan = subprocess.run((*command, "--", "all"), cwd=folder, text=True, capture_output=True)
    assert plan.returncode == 0, plan.stderr
    rules = plan.stdout.replace(",", " ").split()
    assert "world" in rules and "tasks" not in rules
