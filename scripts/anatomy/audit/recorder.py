"""How a job comes by its record: its inputs hashed before it starts, its outputs when it has ended well.

Nothing here may be slow: most jobs take seconds. No record contains a user's name, a home path or a secret.
"""

import getpass
import json
import os
import platform
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement

from anatomy.audit import hashing, job_record
from anatomy.audit.job_record import File
from anatomy.errors import AnatomyError

SOURCES = "sources"
"""The folder of a study that keeps, by digest, every source file that a job ran or read."""
_KEPT = 16 << 20
"""Bytes up to which an input that no job made is kept among the sources."""
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)
_TOKENS = re.compile(
    r"\b(?:hf_|sk-|gh[pousr]_|github_pat_|glpat-|xox[abp]-|AKIA)[\w-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=[Bb]earer )\S+"
)
_HIDDEN = "[secret]"
_IMPORT = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)
_RECORDER = ("anatomy.audit", *(f"anatomy.audit.{name}" for name in ("hashing", "recorder", "job_record")))


class Recorder:
    """Writes the record of one job; ``job`` has what Snakemake hands to a script."""

    def __init__(self, job: Any, script: Path):
        """Hash the inputs, and remove the record of an earlier run.

        Raises AnatomyError for an input that is not what its own record says.
        """
        self.job, self.script, self.folder = job, script, study_folder(str(job.output[0]))
        self.began = datetime.now(UTC)
        self._clock, self._cpu = time.perf_counter(), _cpu_seconds()
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
        """Write the record beside the job's outputs. Raises AnatomyError where an input changed meanwhile."""
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
                "git": git(),
                "sources": tree,
                "start": self.began.isoformat(timespec="milliseconds"),
                "end": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "seconds": round(began - self._clock, 3),
                "cpu_seconds": round(_cpu_seconds() - self._cpu, 3),
                "peak_memory_mib": round(_peak() / 1024),
                "host": socket.gethostname().partition(".")[0],
                "system": f"{platform.system()} {platform.machine()}",
                "cpu": _cpu(),
                "gpu": _gpu(),
                "command": _command(),
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
    found = os.stat(path)
    return found.st_size, 0 if os.path.isdir(path) else found.st_mtime_ns


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
    found = dict(files.items()) if hasattr(files, "items") else {}
    return {name: str(one) if isinstance(one, str) else [str(x) for x in one] for name, one in found.items()}


def plain(value: Any) -> Any:
    """Return a value in the types of JSON."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(one) for one in value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def seeds(params: Mapping[str, Any], wildcards: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job's randomness is keyed by: every param and wildcard that is a seed or a key."""
    named = {**{name: str(value) for name, value in wildcards.items()}, **params}
    return {name: value for name, value in named.items() if name == "key" or "seed" in name.split("_")}


def _imported(script: Path) -> list[Path]:
    """Return the script and the modules of the library that it has imported; the recorder itself has no
    part in it.
    """
    ours = {name: module for name, module in list(sys.modules.items()) if name.startswith("anatomy")}
    files = (getattr(module, "__file__", None) for name, module in ours.items() if name not in _RECORDER)
    loaded = {Path(file).resolve() for file in files if file}
    return sorted(loaded | {script.resolve()})


def _tree(script: Path) -> list[Path]:
    """Return all scripts and the whole library."""
    return [path for path in hashing.files_of(script.parent) if path.suffix == ".py"]


# Environment -----------------------------------------------------------------------------------------


def environment(code: Iterable[Path]) -> dict[str, Any]:
    """Return Python's version, the lock that the packages were installed from, and those that code uses."""
    return {"python": platform.python_version(), "lock": _lock(), "packages": packages(code)}


def _lock() -> dict[str, str] | None:
    """Return the lock file of this environment: of conda's, the file that it was made from."""
    prefix = Path(sys.prefix)
    made_from = prefix.with_suffix(".yaml")  # Snakemake lays it beside the environment
    if (prefix / "conda-meta").is_dir() and made_from.is_file():
        digest = hashing.sha256(made_from)
        for path in sorted(Path("envs").glob("*.yaml")):
            if hashing.sha256(path) == digest:
                return {"path": str(path), "sha256": digest}
        return {"path": made_from.name, "sha256": digest}
    path = Path("envs/vllm-cpu.txt" if "vllm" in sys.modules else "envs/requirements.txt")
    return {"path": str(path), "sha256": hashing.sha256(path)} if path.is_file() else None


def packages(code: Iterable[Path]) -> dict[str, str]:
    """Return the versions of the installed packages that source files import, and of all that these require.

    It is read in the sources and not in ``sys.modules``: what a process has loaded besides, and when, depends
    on how it was started.
    """
    roots = {root for path in code for root in _IMPORT.findall(path.read_text(encoding="utf-8"))}
    todo = [found.name for found in _distributions().values() if not roots.isdisjoint(found.modules)]
    seen: dict[str, str] = {}
    while todo:
        found = _distributions().get(todo.pop())
        if found and found.name not in seen:
            seen[found.name] = found.version
            todo += _required(found.folder)
    return dict(sorted(seen.items()))


class _Distribution(NamedTuple):
    name: str
    version: str
    modules: tuple[str, ...]
    """Top-level modules."""
    folder: Path


def _called(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _distributions() -> dict[str, _Distribution]:
    """Return each installed package by its name, from the names of files alone."""
    found: dict[str, _Distribution] = {}
    for folder in sys.path:
        if not folder.endswith(("site-packages", "dist-packages")):
            continue
        for info in sorted(Path(folder).glob("*.dist-info")):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            listed = info / "top_level.txt"
            modules = tuple(listed.read_text().split()) if listed.is_file() else _from_record(info)
            found.setdefault(_called(name), _Distribution(_called(name), version, modules, info))
    return found


def _required(info: Path) -> list[str]:
    """Return the names of the packages that an installed one requires, extras left out."""
    found = []
    with (info / "METADATA").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            field, _, value = line.partition(": ")
            if field == "Requires-Dist":
                needed = Requirement(value.strip())
                if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                    found.append(_called(needed.name))
            elif not line.strip():  # the description
                break
    return found


def _from_record(info: Path) -> tuple[str, ...]:
    """Return the top-level modules that a package's list of files names."""
    name = info.name.partition("-")[0]
    beside = info.parent
    if (beside / name).is_dir() or (beside / f"{name}.py").is_file():
        return (name,)
    try:
        lines = (info / "RECORD").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    roots = {line.partition(",")[0].partition("/")[0].partition(".")[0] for line in lines}
    return tuple(sorted(root for root in roots if root and root.isidentifier()))


# Circumstances ---------------------------------------------------------------------------------------


def git() -> dict[str, Any]:
    """Return the commit that is checked out, and what differs from it; nothing where there is no checkout."""
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "clean": None, "changed": []}
    lines = said.splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), None)
    changed = [line.split("\t")[0].split(" ")[-1] for line in lines if not line.startswith("#")]
    return {"commit": commit, "clean": not changed, "changed": changed[:50]}


def _cpu_seconds() -> float:
    mine, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + others.ru_utime + others.ru_stime


def _peak() -> int:
    """Return the largest resident memory of this process or of one that it started, KiB."""
    scale = 1024 if sys.platform == "darwin" else 1
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(peaks) // scale


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _gpu() -> list[str]:
    """Return the models of the GPUs that this process could use."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]


def _command() -> str:
    """Return the command line that started the job: Snakemake's, where it is an ancestor of this process."""
    pid = os.getppid()
    try:
        while pid > 1:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if any(Path(word).name == "snakemake" for word in words):
                return " ".join(word for word in words if word)
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        pass  # no /proc
    return " ".join([Path(sys.executable).name, *sys.argv])


# Nothing personal ------------------------------------------------------------------------------------


def scrubbed(value: Any) -> Any:
    """Return a value without secrets, home paths and the user's name.

    Secrets are the values of environment variables that are named like one, and what looks like a token.
    The repository's own folder is left out of paths, the home folder is ``~``, and the user's name in an
    absolute path or a host's name is ``$USER``.
    """
    if isinstance(value, Mapping):
        return {scrubbed(name): scrubbed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [scrubbed(one) for one in value]
    return _scrub(value) if isinstance(value, str) else value


def _scrub(text: str) -> str:
    for secret in _secrets():
        text = text.replace(secret, _HIDDEN)
    text = _TOKENS.sub(_HIDDEN, text)
    here, home, user = _places()
    text = text.replace(f"{here}/", "")
    for folder, called in ((here, "."), (home, "~")):
        if folder:
            text = re.sub(rf"{re.escape(folder)}(?=/|$|[\s\"':,])", called, text)
    if user:
        name = rf"(?<![\w.-]){re.escape(user)}(?![\w-])"
        text = re.sub(r"(?:~|/)[^\s\"']*", lambda found: re.sub(name, "$USER", found[0]), text)
        if text == socket.gethostname().partition(".")[0]:
            text = re.sub(re.escape(user), "$USER", text, flags=re.IGNORECASE)
    return text


def unscrubbed(path: str) -> Path:
    """Return the path that a record means on this machine."""
    return Path(os.path.expandvars(os.path.expanduser(path)))


@cache
def _secrets() -> tuple[str, ...]:
    values = (value for name, value in os.environ.items() if _SECRET.search(name))
    return tuple(value for value in values if len(value) >= 6)


@cache
def _places() -> tuple[str, str, str]:
    """Return the repository's folder, the home folder and the user's name; empty where there is none."""
    home = os.path.expanduser("~")
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = ""  # a container without a user database
    return str(Path.cwd()), home if len(home) > 1 else "", user
