"""What Snakemake does without scripts/_patches.py, in small workflows: a patch whose test fails can go."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT

PROFILE = dict(re.findall(r"(?m)^([a-z-]+): (.+)$", (ROOT / "profiles/default/config.yaml").read_text()))
CHAIN = """
rule last:
    input: {last}
    output: "last"
    shell: "cat {{input}}/* > {{output}} 2> /dev/null || cat {{input}} > {{output}}"

rule folder:
    input: {first}
    output: directory("folder")
    shell: "mkdir {{output}}; cp {{input}} {{output}}"
"""


def snakemake(folder: Path, *options: str) -> str:
    """Return what Snakemake says of a workflow, with the study's rerun triggers and any file's checksum."""
    triggers = [
        "--rerun-triggers",
        *re.findall(r"\w+", PROFILE["rerun-triggers"]),
        "--max-checksum-file-size",
        "1000000000000",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *triggers, *options, "--", "last"],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def chain(folder: Path, first: str = '"first"', last: str = '"folder"') -> Path:
    """Make a workflow of two jobs, ``first`` to ``folder`` to ``last``, and finish it."""
    folder.mkdir()
    (folder / "first").write_text("one")
    (folder / "Snakefile").write_text(CHAIN.format(first=first, last=last))
    snakemake(folder)
    assert "Nothing to be done" in snakemake(folder, "-n")
    return folder


def newer(path: Path) -> None:
    """Give a file or folder a time after all others."""
    os.utime(path, (2_000_000_000, 2_000_000_000))


@pytest.mark.slow
def test_a_touched_folder_runs_what_reads_it_whatever_the_rerun_triggers(tmp_path: Path) -> None:
    study = chain(tmp_path / "study")
    newer(study / "folder/.snakemake_timestamp")  # by which Snakemake tells a folder's time
    assert "Updated input files: folder" in snakemake(study, "-n")


@pytest.mark.slow
def test_a_touched_file_runs_what_reads_it_where_nothing_is_recorded(tmp_path: Path) -> None:
    study = chain(tmp_path / "study")
    newer(study / "first")
    assert "Nothing to be done" in snakemake(study, "-n")  # by its checksum
    shutil.rmtree(study / ".snakemake")
    assert "Updated input files: first" in snakemake(study, "-n")


@pytest.mark.slow
def test_other_content_under_an_older_time_is_not_seen(tmp_path: Path) -> None:
    study = chain(tmp_path / "study")
    (study / "first").write_text("two")
    os.utime(study / "first", (1_000_000_000, 1_000_000_000))
    assert "Nothing to be done" in snakemake(study, "-n")


@pytest.mark.slow
def test_what_reads_an_ancient_input_does_not_run_behind_it(tmp_path: Path) -> None:
    study = chain(tmp_path / "study", last='ancient("folder")')
    (study / "first").write_text("two")
    newer(study / "first")
    said = snakemake(study, "-n")
    assert "rule folder:" in said and "rule last:" not in said


RECORDED = """
import sys
from pathlib import Path
import snakemake.api
from snakemake.dag import DAG
from snakemake.jobs import Job
from snakemake.settings import types
from snakemake.workflow import Workflow

if sys.argv[1:]:
    sys.path.insert(0, sys.argv[1])
    import _patches
    _patches.apply()
workflow = Workflow(
    config_settings=types.ConfigSettings(), resource_settings=types.ResourceSettings(cores=1),
    workflow_settings=types.WorkflowSettings(), storage_settings=types.StorageSettings(),
    dag_settings=types.DAGSettings(), deployment_settings=types.DeploymentSettings(),
    storage_provider_settings={}, logger_manager=None,
)
workflow.include(Path("Snakefile"), overwrite_default_target=True)
workflow.global_resources = {}
(rule,) = workflow.rules
job = Job(rule, DAG(workflow, rules=[]), {})
job.non_derived_params
Path("first").write_text("one")
job.reset_params_and_resources()
print(*job.non_derived_params)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("patched", "recorded"), [(False, "absent"), (True, "one")])
def test_recorded_params_are_those_of_before_the_inputs(patched: bool, recorded: str, tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(
        "def read(wildcards):\n"
        "    return open('first').read() if os.path.exists('first') else 'absent'\n"
        "rule last:\n"
        "    input: 'first'\n"
        "    output: 'last'\n"
        "    params: stamp=read\n"
        "    shell: 'cp {input} {output}'\n"
    )
    command = [sys.executable, "-c", RECORDED, *([str(ROOT / "scripts")] if patched else [])]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.stdout == f"{recorded}\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("patched", "next_time"), [(False, "rule last:"), (True, "Nothing to be done")])
def test_params_that_were_compared_before_the_inputs_were_made_are_recorded(
    patched: bool, next_time: str, tmp_path: Path
) -> None:
    patch = f"import sys\nsys.path.insert(0, {str(ROOT / 'scripts')!r})\nimport _patches\n_patches.apply()\n"
    (tmp_path / "Snakefile").write_text(
        patch * patched + "def read(wildcards):\n"
        "    return open('first').read() if os.path.exists('first') else 'absent'\n"
        "rule last:\n"
        "    input: 'first'\n"
        "    output: 'last'\n"
        "    params: stamp=read\n"
        "    shell: 'cp {input} {output}'\n"
        "rule first:\n"
        "    output: 'first'\n"
        "    shell: 'echo one > {output}'\n"
    )
    snakemake(tmp_path)
    assert "Nothing to be done" in snakemake(tmp_path, "-n")
    (tmp_path / "first").unlink()
    snakemake(tmp_path)
    assert next_time in snakemake(tmp_path, "-n")


TIMERS = """
import sys, threading
import snakemake.cli

timers = []
start = threading.Timer.start
threading.Timer.start = lambda timer: (timers.append(timer.interval), start(timer))
try:
    snakemake.cli.main(sys.argv[1:])
finally:
    print(*sorted(set(timers)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dropped", "options", "waits"),
    [(False, [], "1"), (True, [], ""), (True, ["--max-jobs-per-timespan", "100/2s"], "2")],
)
def test_a_limit_of_jobs_a_second_starts_timers_and_only_the_default_is_dropped(
    dropped: bool, options: list[str], waits: str, tmp_path: Path
) -> None:
    patch = f"import sys\nsys.path.insert(0, {str(ROOT / 'scripts')!r})\nimport _patches\n"
    (tmp_path / "Snakefile").write_text(
        (patch + "onstart:\n    _patches.drop_default_rate(workflow)\n") * dropped
        + "rule last:\n    output: 'last'\n    shell: 'touch {output}'\n"
    )
    command = [sys.executable, "-c", TIMERS, "--cores", "1", *options]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert [float(seconds) for seconds in done.stdout.split()] == [
        float(seconds) for seconds in waits.split()
    ]
