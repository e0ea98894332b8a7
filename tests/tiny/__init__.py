"""The workflow at its smallest size, run in a copy of the repository."""

import shutil
import subprocess
import sys
from pathlib import Path

import needs

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    *("Snakefile", "rules", "scripts", "config", "envs", "paper", "profiles", "report", "slurm"),
    "tests/tiny",
    *(".gitignore", "README.md", "LICENSE", "CITATION.cff"),
)
STUDY = "results/tiny"


def copy_repository(folder: Path) -> Path:
    """Copy what a clone has, and no results, into a repository of one commit."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pdf"))
        else:
            shutil.copy(source, target)
    git = [
        "git",
        "-c",
        "user.name=Tester",
        "-c",
        "user.email=tester@localhost",
        "-c",
        "init.defaultBranch=main",
    ]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The workflow"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


def command(*arguments: str) -> list[str]:
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tests/tiny/config.yaml"]
    return (
        [*snakemake, "--", *arguments] if arguments and arguments[0][0] != "-" else [*snakemake, *arguments]
    )


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if "-n" not in arguments:
        needs.require("sandbox")  # the tiny study has programs
    return subprocess.run(
        command(*arguments), cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def planned(folder: Path, *targets: str) -> dict[str, int]:
    """Return how many jobs of each rule a dry run would start."""
    shown = snakemake(folder, "-n", *targets).stdout
    assert "Error" not in shown, shown
    jobs: dict[str, int] = {}
    lines = iter(shown.splitlines())
    for line in lines:
        if line.startswith("Job stats:"):
            next(lines), next(lines)
            for row in lines:
                if not row.strip():
                    break
                rule, count = row.split()
                jobs[rule] = int(count)
    jobs.pop("total", None)
    jobs.pop("all", None)
    return jobs
