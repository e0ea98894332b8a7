"""One file with a study's source and results, from which it can be verified without having run anything.

The same content gives the same bytes (with the same version of zlib): names are sorted, and times, owners
and the order of a folder's entries play no part.
"""

import gzip
import io
import json
import os
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from anatomy.audit import hashing, job_record
from anatomy.audit.provenance import Trail
from anatomy.audit.recorder import SOURCES
from anatomy.errors import AnatomyError
from anatomy.storage.atomic import atomic

NOTE = "ARCHIVE.txt"
_LEFT_OUT = ("work", "logs")
"""Folders of a study that no record tells of: states of trainings, and logs."""
_ALWAYS = ("LICENSE", "CITATION.cff", "README.md", "Makefile", "pyproject.toml", "envs/requirements.txt")
_LEVEL = 3
"""Of gzip: most bytes are compressed already, or are weights, which hardly can be."""


def tracked(folder: Path) -> list[str]:
    """Return the files under version control, relative to ``folder``; none where there is no checkout."""
    words = ["git", "ls-files", "-z"]
    try:
        said = subprocess.run(words, cwd=folder, capture_output=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return sorted(os.fsdecode(name) for name in said.split(b"\0") if name)


def contents(trail: Trail, tracked: Iterable[str]) -> list[str]:
    """Return the files that an archive of a study has, sorted, relative to the repository.

    These are the tracked files, without other studies' results; what the study's records say was run or
    read, where it lies in the repository; and the study's results, figures and paper, without what was only
    half written.
    """
    named = {*tracked, *trail.ledger["workflow"], *_ALWAYS}
    trees = {str(record.run["sources"]) for record in trail.jobs if record.run["sources"]}
    for tree in trees:
        named |= _listed(trail.folder / trail.results / SOURCES / tree).keys()
    named |= {file.path for record in trail.jobs for file in record.inputs if not file.made_by}
    named = {name for name in named if _inside(name) and not name.startswith(("results/", "figures/"))}
    made = {trail.paper, *(file.path for record in trail.jobs for file in record.outputs)}
    beside = {path for path in made if path.startswith("paper/")}
    named |= beside | {str(job_record.path_of(path)) for path in beside}
    paths = {name for name in named if (trail.folder / name).is_file()}
    for own in (trail.results, trail.figures):
        paths |= set(_files(trail.folder, own))
    left_out = tuple(f"{trail.results}/{name}/" for name in _LEFT_OUT)
    return sorted(name for name in paths if not name.startswith(left_out))


def _listed(tree: Path) -> dict[str, str]:
    """Return what a list of sources names; nothing where it is lost, which `verify` tells."""
    try:
        return dict(json.loads(tree.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _files(folder: Path, name: str) -> Iterator[str]:
    """Yield all files of a folder of the repository; links are followed, since results may lie elsewhere."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder / name, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [entry for entry in folders if not entry.startswith(".partial-")]
        for entry in names:
            path = Path(place) / entry
            if path.is_file() and entry != hashing.STAMP and not entry.startswith(".partial-"):
                yield path.relative_to(folder).as_posix()


def _inside(name: str) -> bool:
    """Whether a file's name is that of one within the repository, and not of git's own."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and path.parts[0] != ".git"


def pack(trail: Trail, path: Path, tracked: Iterable[str]) -> Path:
    """Write an archive (.tar.gz) of a study and return its path.

    Args:
        trail: The study.
        path: The archive.
        tracked: Files under version control.

    Raises:
        AnatomyError: The study has no ledger, or a file cannot be read or written.
    """
    root = str(trail.ledger["root"])
    top = f"{trail.study}-{root[:12]}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic(path) as partial,
            partial.open("wb") as raw,
            gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            text = _note(trail, root).encode()
            tar.addfile(_entry(f"{top}/{NOTE}", len(text), False), io.BytesIO(text))
            for name in contents(trail, tracked):
                with (trail.folder / name).open("rb") as file:
                    state = os.fstat(file.fileno())
                    run = bool(state.st_mode & 0o100)
                    tar.addfile(_entry(f"{top}/{name}", state.st_size, run), file)
    except OSError as error:
        raise AnatomyError(f"{path}: cannot write the archive: {error}") from error
    return path


def _entry(name: str, size: int, executable: bool) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o755 if executable else 0o644
    return entry


def _note(trail: Trail, root: str) -> str:
    collected = trail.maker(f"{trail.results}/numbers.json")
    commit = collected.run["git"]["commit"] if collected else None
    return (
        f"Source and results of the study '{trail.study}' of rlvr-anatomy: all that its paper's numbers are"
        " made from.\n"
        f"Root of its ledger, as printed in the paper: {root}\n"
        f"Its numbers were collected at commit {commit or '(none)'}.\n"
        "Make the environment (Python 3.11):  make setup\n"
        "Verify all of it, running no job:  "
        f"  .venv/bin/python scripts/audit.py --study {trail.study} verify\n"
    )


def unpack(path: Path, folder: Path, wanted: Callable[[str], bool] | None = None) -> Path:
    """Unpack an archive into a folder and return the repository in it.

    Args:
        path: The archive.
        folder: The folder.
        wanted: Which files, by their paths in the repository; all without it.

    Raises:
        AnatomyError: It is no such archive, is damaged, or names a file outside of itself.
    """
    tops: set[str] = set()
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                top, _, name = member.name.partition("/")
                if not member.isreg() or not _inside(name) or not _inside(top):
                    raise AnatomyError(f"{path}: not an archive of a study: '{member.name}' is unsafe in it")
                tops.add(top)
                if wanted is None or wanted(name):
                    tar.extract(member, folder, filter="data")
            while stream.read(1 << 20):
                pass  # to its end, where gzip's checksum stands: tarfile takes a broken header for the end
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise AnatomyError(f"{path}: cannot unpack the archive: {error}") from error
    if len(tops) != 1:
        raise AnatomyError(f"{path}: not an archive of a study")
    return folder / tops.pop()
