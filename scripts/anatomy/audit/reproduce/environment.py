"""The environment in which jobs run again: compared with the recorded one, or made from its lock."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from anatomy.audit.job_record import Record
from anatomy.audit.reproduce.folder import Workspace, copied
from anatomy.audit.reproduce.result import Report, last_lines
from anatomy.audit.words import few
from anatomy.errors import AnatomyError

ENVIRONMENTS = ("same", "current", "build")
"""``same``: this one, and it must be the recorded one; ``current``: this one, whatever it is; ``build``: the
recorded one, made anew.
"""
_VERSIONS = """
import importlib.metadata, json, platform, re
found = {"python": platform.python_version()}
for one in importlib.metadata.distributions():
    if one.name:
        found[re.sub("[_.]", "-", one.name.lower())] = one.version
print(json.dumps(found))
"""
"""What an interpreter is asked."""


# The environment -------------------------------------------------------------------------------------


def check_environment(jobs: Sequence[Record], environment: str, report: Report) -> None:
    """Compare this environment with the recorded one of jobs.

    Args:
        jobs: The jobs to run again.
        environment: ``same``: it must be the recorded one; ``current``: what differs is reported.
        report: Takes a line for people.

    Raises:
        AnatomyError: It has to be the recorded one, and is not.
    """
    unlike = _unlike(jobs, sys.executable)
    if unlike and environment == "same":
        raise AnatomyError(
            f"this environment is not the recorded one: {few(unlike)}; `--environment build` makes the"
            " recorded one; `--environment current` goes on with this one, and tolerances tell the rest"
        )
    if unlike:
        report(f"The environment is not the recorded one: {few(unlike)}")


def _unlike(jobs: Iterable[Record], python: str) -> list[str]:
    """Return, in words, which versions of an environment are not those that jobs were run with."""
    here: dict[str, str] = json.loads(
        subprocess.run([python, "-c", _VERSIONS], capture_output=True, text=True, check=True).stdout
    )
    needed: dict[str, dict[str, None]] = {}
    for job in jobs:
        recorded = job.result["environment"]
        for name, version in {"python": recorded["python"], **recorded["packages"]}.items():
            needed.setdefault(name, {})[version] = None
    return [
        f"{name} {version} (here {here.get(name, 'none')})"
        for name, versions in needed.items()
        for version in versions
        if here.get(name) != version
    ]


def interpreters(workspace: Workspace, jobs: Sequence[Record], report: Report) -> dict[str, str]:
    """Make an environment for each lock that jobs were run with; return the interpreter for each job."""
    of_lock: dict[tuple[str, str], list[Record]] = {}
    for job in jobs:
        lock = job.result["environment"]["lock"]
        if lock is None or Path(lock["path"]).suffix in (".yaml", ".yml"):
            what = "no lock is recorded" if lock is None else f"{lock['path']} is an environment of conda"
            raise AnatomyError(
                f"{job.name}: {what}: it cannot be built; set it up, and use `--environment current` in it"
            )
        of_lock.setdefault((lock["path"], lock["sha256"]), []).append(job)
    pythons: dict[str, str] = {}
    for (path, digest), its in of_lock.items():
        folder = Path("environment", digest[:12])
        report(f"Making the environment of {path} in {workspace.work / folder}")
        lock_file = workspace.work / folder.with_suffix(".txt")
        copied(workspace.kept(digest, path), lock_file)
        torch = {v for job in its if (v := job.result["environment"]["packages"].get("torch"))}
        if len(torch) > 1:
            raise AnatomyError(f"jobs were run with several versions of torch: {', '.join(sorted(torch))}")
        python = build(workspace.work / folder, lock_file, next(iter(torch), None))
        if unlike := _unlike(its, python):
            raise AnatomyError(
                f"{workspace.work / folder}: what {path} gives is not the recorded environment: {few(unlike)}"
                "; `--environment current` goes on with the environment that is here"
            )
        pythons |= {job.digest: python for job in its}
    return pythons


def build(folder: Path, lock: Path, torch: str | None) -> str:
    """Make a virtual environment of a lock, and of torch where a version is given; return its Python.

    Raises:
        AnatomyError: That fails; the message has the last lines of the log, which lies beside the folder.
    """
    log = folder.with_suffix(".log")
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
    steps = [
        [[sys.executable, "-m", "venv", str(folder)]],
        [[*pip, "--no-deps", "--require-hashes", "-r", str(lock)]],
    ]
    if torch:
        version, _, backend = torch.partition("+")
        uv = [str(folder / "bin" / "uv"), "pip", "install", "--python", str(python)]
        # Builds for a backend have a name of their own in an index of their own, which uv knows.
        other = [[*uv, f"--torch-backend={backend}", f"torch=={version}"]] if backend else []
        steps.append([[*pip, f"torch=={torch}"], *other])
    with log.open("w", encoding="utf-8") as file:
        for ways in steps:
            if not any(_went_well(words, file) for words in ways):
                raise AnatomyError(f"the environment cannot be made; {log} ends:\n{last_lines(log)}")
    return str(python)


def _went_well(words: Sequence[str], log: Any) -> bool:
    try:
        return subprocess.run(words, stdout=log, stderr=subprocess.STDOUT).returncode == 0
    except OSError as error:
        print(f"{words[0]}: {error.strerror}", file=log, flush=True)
        return False
