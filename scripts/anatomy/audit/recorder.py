"""How a job comes by its record: its inputs hashed before it starts, its outputs when it has ended well.

Nothing here may be slow: most jobs take seconds. No record contains a user's name, a home path or a secret.
"""

import json
import os
import platform
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anatomy.audit import circumstances, hashing, job_record
from anatomy.audit.environment import environment
from anatomy.audit.job_record import File
from anatomy.audit.scrubbing import scrubbed
from anatomy.errors import AnatomyError

SOURCES = "sources"
"""The folder of a study that keeps, by digest, every source file that a job ran or read."""
_KEPT = 16 << 20
"""Bytes up to which an input that no job made is kept among the sources."""
_PARTS = ("hashing", "recorder", "job_record", "circumstances", "environment", "scrubbing")
_RECORDER = ("anatomy.audit", *(f"anatomy.audit.{part}" for part in _PARTS))
"""Modules that no job's result depends on."""


class Recorder:
    """Writes the record of one job; ``job`` has what Snakemake hands to a script."""

    def __init__(self, job: Any, script: Path):
        """Hash the inputs, and remove the record of an earlier run.

        Args:
            job: What Snakemake hands to a script.
            script: The script.

        Raises:
            AnatomyError: An input is not what its own record says.
        """
        self.job, self.script, self.folder = job, script, study_folder(str(job.output[0]))
        self.began = datetime.now(UTC)
        self._clock, self._cpu = time.perf_counter(), circumstances.cpu_seconds()
        for output in job.output:
            job_record.path_of(str(output)).unlink(missing_ok=True)
        self._states = {str(path): _state(str(path)) for path in job.input}
        self.inputs = [self._input(str(path)) for path in job.input]
        self.seconds = time.perf_counter() - self._clock
        """Seconds that recording took."""

    def _input(self, path: str) -> File:
        file = look(path, cache=True)
        record = job_record.producer(path)
        if record is None:
            if self.folder and file.files is None and file.bytes <= _KEPT:
                kept(self.folder, [Path(path)])
            return file
        made = record.output(path)
        if made is None or made.sha256 != file.sha256:
            raise AnatomyError(
                f"{path}: altered since it was written (its record tells another checksum);"
                f" delete it and {record.path}, and run the workflow again"
            )
        return File(file.path, file.sha256, file.bytes, record.digest)

    def write(self) -> None:
        """Write the record beside the job's outputs.

        Raises:
            AnatomyError: An input changed meanwhile.
        """
        began = time.perf_counter()
        job = self.job
        for path, state in self._states.items():
            if _state(path) != state:
                raise AnatomyError(f"{path}: changed while the job that reads it was running; run it again")
        code = {path: hashing.sha256(path) for path in _imported(self.script)}
        result = scrubbed(
            {
                "rule": str(getattr(job.rule, "name", job.rule)),
                "wildcards": {name: str(value) for name, value in dict(job.wildcards).items()},
                "script": _within(self.script),
                "params": (params := plain(dict(job.params))),
                "threads": int(job.threads),
                "gpu": int(dict(job.resources).get("gpu", 0)),
                "seeds": seeds(params, dict(job.wildcards)),
                "inputs": [file.to_json() for file in self.inputs],
                "outputs": [look(str(path), cache=True).to_json() for path in job.output],
                "named": {"inputs": named(job.input), "outputs": named(job.output)},
                "code": {_within(path): digest for path, digest in code.items()},
                "environment": environment(code),
            }
        )
        result["params"].pop("stamp", None)  # a digest of what stands here in full
        lock = Path((result["environment"]["lock"] or {}).get("path", ""))
        sources = [*_tree(self.script), *([lock] if lock.is_file() else [])]
        tree = keep(self.folder, sources) if self.folder else ""
        run = scrubbed(
            {
                "git": circumstances.git(),
                "sources": tree,
                "start": self.began.isoformat(timespec="milliseconds"),
                "end": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "seconds": round(began - self._clock, 3),
                "cpu_seconds": round(circumstances.cpu_seconds() - self._cpu, 3),
                "peak_memory_mib": round(circumstances.peak_memory() / 1024),
                "host": socket.gethostname().partition(".")[0],
                "system": f"{platform.system()} {platform.machine()}",
                "cpu": circumstances.cpu(),
                "gpu": circumstances.gpus(),
                "command": circumstances.command(),
            }
        )
        self.seconds += time.perf_counter() - began
        run["recording_seconds"] = round(self.seconds, 4)
        for place in {job_record.path_of(str(output)) for output in job.output}:
            job_record.write(place, result, run)


def study_folder(output: str) -> str | None:
    """Return the folder ``results/<study>`` that an output of the workflow belongs to."""
    first, *rest = Path(output).parts
    if first in ("results", "figures", "paper") and rest:
        return f"results/{Path(rest[0]).stem if first == 'paper' else rest[0]}"
    return None


def _state(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, 0 if os.path.isdir(path) else status.st_mtime_ns


def look(path: str, cache: bool = False) -> File:
    """Return a file or folder as it is now."""
    if os.path.isdir(path):
        files = hashing.tree(path, cache)
        size = sum(file.stat().st_size for file in hashing.files_of(path))
        return File(path, hashing.of_tree(files), size, files=files)
    return File(path, hashing.sha256(path, cache), os.path.getsize(path))


def kept(folder: str, paths: Iterable[Path]) -> dict[str, str]:
    """Keep source files among a study's sources, named by their digests; return the digests by path."""
    return {_within(path): _store(folder, path.read_bytes()) for path in paths}


def keep(folder: str, paths: Iterable[Path]) -> str:
    """Keep source files and the list of them, a JSON of digests by path; return the list's digest."""
    listed = json.dumps(kept(folder, paths), indent=1, sort_keys=True) + "\n"
    return _store(folder, listed.encode())


def _store(folder: str, content: bytes) -> str:
    digest = hashing.of_bytes(content)
    place = Path(folder) / SOURCES / digest
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".partial-{os.getpid()}-{digest}")
        partial.write_bytes(content)
        partial.replace(place)
    return digest


def _within(path: str | Path) -> str:
    """Return a path relative to the repository, where it lies in it."""
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def named(files: Any) -> dict[str, Any]:
    """Return a job's inputs or outputs by name, those that have one: a path, or a list of paths."""
    by_name = dict(files.items()) if hasattr(files, "items") else {}
    return {
        name: str(paths) if isinstance(paths, str) else [str(x) for x in paths]
        for name, paths in by_name.items()
    }


def plain(value: Any) -> Any:
    """Return a value in the types of JSON."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(part) for part in value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def seeds(params: Mapping[str, Any], wildcards: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job's randomness is keyed by: every param and wildcard that is a seed or a key."""
    named = {**{name: str(value) for name, value in wildcards.items()}, **params}
    return {name: value for name, value in named.items() if name == "key" or "seed" in name.split("_")}


def _imported(script: Path) -> list[Path]:
    """Return the script and the modules of the library that it has imported, without the recorder's own."""
    ours = {name: module for name, module in list(sys.modules.items()) if name.startswith("anatomy")}
    files = (getattr(module, "__file__", None) for name, module in ours.items() if name not in _RECORDER)
    loaded = {Path(file).resolve() for file in files if file}
    return sorted(loaded | {script.resolve()})


def _tree(script: Path) -> list[Path]:
    """Return all scripts and the whole library."""
    return [path for path in hashing.files_of(script.parent) if path.suffix == ".py"]
