"""``--sdm conda`` as on a cluster: a rule of the tiny study in an environment that was made from its file.

No channel can be reached where the tests run, so two things are stand-ins (tests/conda): the channel, which
holds the running Python under the version that envs/*.yaml ask for, and the ``conda`` command, built on
py-rattler. Snakemake, the environment file, solving, linking, pip with its hashes, PyPI and the job are real.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conda import stand_in
from packaging.utils import canonicalize_name
from test_environments import ROOT, UV, conda_specs, pins
from test_workflow import copy_repository

ANALYSIS = ROOT / "envs/analysis.yaml"
TARGET = "results/tiny/problems/hard.parquet"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("sandbox"),  # the tiny study has programs
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the environments are locked for Python 3.11"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a shell that has ``conda``, and a channel for it."""
    folder = tmp_path_factory.mktemp("conda")
    versions = dict(spec.split("=") for spec in conda_specs(ANALYSIS))
    try:
        stand_in.make_channel(folder / "channels/conda-forge", **versions)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"PyPI cannot be reached: {error.stderr.strip().splitlines()[-1]}")
    stand_in.make_command(folder / "conda")
    (folder / "witness").mkdir()
    return {
        **os.environ,
        "PATH": f"{folder / 'conda/bin'}{os.pathsep}{os.environ['PATH']}",
        "CONDA_CHANNEL_ALIAS": (folder / "channels").as_uri(),
        "PIP_NO_COMPILE": "0",  # pip reads this as "compile: 0"; it saves minutes on a busy machine
        "WITNESS": str(folder / "witness"),
    }


def run(folder: Path, shell: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=shell, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def snakemake(folder: Path, shell: dict[str, str], target: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "snakemake", "--cores", "1", "--sdm", "conda")
    return run(folder, shell, *command, "--configfile", "tests/tiny/config.yaml", "--", target)


def witnessed(shell: dict[str, str], script: str) -> list[dict[str, Any]]:
    """Return what the channel's Python said at the end of each job of a script."""
    said = [json.loads(path.read_text()) for path in sorted(Path(shell["WITNESS"]).glob("*.json"))]
    return [record for record in said if record["arguments"][0].endswith(f"{script}.py")]


@pytest.fixture(scope="module")
def study(cluster: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, in which Snakemake has made an environment and run one rule in it."""
    folder = copy_repository(tmp_path_factory.mktemp("study"))
    done = snakemake(folder, cluster, TARGET)
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


def prefix(study: Path) -> Path:
    (meta,) = (study / ".snakemake/conda").glob("*/conda-meta")
    return meta.parent


def test_the_job_ran_in_the_environment_of_its_file(study: Path, cluster: dict[str, str]) -> None:
    assert (study / TARGET).exists()
    made_from = prefix(study).with_name(f"{prefix(study).name}.yaml")
    assert made_from.read_bytes() == ANALYSIS.read_bytes()
    (job,) = witnessed(cluster, "world")
    assert Path(job["prefix"]) == prefix(study)
    # Snakemake puts its packages behind the environment's: nothing that the file pins comes from there.
    inside = {name: Path(file).is_relative_to(prefix(study)) for name, file in job["modules"].items() if file}
    assert inside["numpy"] and inside["pandas"] and inside["pyarrow"]
    assert not inside["snakemake"]
    outside = {name.partition(".")[0] for name, is_inside in inside.items() if not is_inside}
    providers = importlib.metadata.packages_distributions()
    packages = {canonicalize_name(package) for name in outside for package in providers.get(name, [])}
    assert not packages & set(pins(ANALYSIS))


def test_the_environment_has_what_its_file_says(study: Path) -> None:
    for spec in conda_specs(ANALYSIS):
        (record,) = (prefix(study) / "conda-meta").glob(f"{spec.replace('=', '-')}-*.json")
        assert json.loads(record.read_text())["channel"].endswith("channels/conda-forge/")
    listing = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    listed = run(study, {}, str(prefix(study) / "bin/python"), "-c", listing).stdout.split()
    installed = {canonicalize_name(name): version for name, version in (line.split("==") for line in listed)}
    assert f"pip={installed.pop('pip')}" in conda_specs(ANALYSIS)
    assert installed == pins(ANALYSIS)
    checked = run(study, dict(os.environ), *UV, "pip", "check", "--python", str(prefix(study) / "bin/python"))
    assert checked.returncode == 0, checked.stdout


def test_the_next_job_finds_the_environment_made(study: Path, cluster: dict[str, str]) -> None:
    done = snakemake(study, cluster, "results/tiny/problems/seen.parquet")
    assert done.returncode == 0, done.stdout[-5000:]
    assert "Creating conda environment" not in done.stdout
    assert {job["prefix"] for job in witnessed(cluster, "world")} == {str(prefix(study))}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"sha256:\w", "sha256:0", "do not match"),
        (r"python=3\.11", "python=3.10", "No candidates were found for python 3.10"),
    ],
    ids=["hash", "version"],
)
def test_a_wrong_file_makes_no_environment(
    cluster: dict[str, str], tmp_path: Path, old: str, new: str, message: str
) -> None:
    """The stand-in really solves, and pip really compares hashes."""
    folder = copy_repository(tmp_path)
    file = folder / "envs/analysis.yaml"
    paper = (folder / "envs/paper.yaml").read_text()  # the smallest
    file.write_text(re.sub(old, new, paper))
    done = snakemake(folder, cluster, TARGET)
    assert done.returncode != 0
    assert message.lower() in done.stdout.lower()
    assert not list((folder / ".snakemake/conda").glob("*/conda-meta"))
    assert not (folder / TARGET).exists()
