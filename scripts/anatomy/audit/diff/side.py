"""One side of a comparison of studies: a folder, a commit, an archive or a ledger's root."""

import gzip
import re
import subprocess
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from anatomy.audit import archive, job_record, ledger
from anatomy.audit.job_record import Record
from anatomy.audit.provenance import Trail
from anatomy.audit.recorder import SOURCES
from anatomy.errors import AnatomyError

_HEX = re.compile(r"[0-9a-f]{6,64}")
_COMMIT = re.compile(rb'"commit": "([0-9a-f]{40,64})"')
_ANY = "*"
"""Stands for the study's name in paths, so that studies of different names can be compared."""


# Sides -----------------------------------------------------------------------------------------------


@dataclass
class Side:
    """One of the two that are compared: its numbers, and the records of the jobs that they come from."""

    name: str
    """What the user called it."""
    study: str
    root: str
    """Root of its ledger; empty if it has none."""
    numbers: Mapping[str, Mapping[str, Any]]
    jobs: Sequence[Record]
    store: Path
    """Folder with the sources, named by their digests."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know about how it was found."""
    unpacked: tempfile.TemporaryDirectory[str] | None = None
    """Keeps an archive's files for as long as the side is used."""

    def common(self, path: str) -> str:
        """Return a path of the workflow without the study's name."""
        return self._own.sub(rf"\1{_ANY}\2", path)

    @cached_property
    def _own(self) -> re.Pattern[str]:
        name = re.escape(self.study)
        return re.compile(rf"^((?:results|figures|paper)/){name}(/|\.pdf$|$)")

    @cached_property
    def makers(self) -> dict[str, Record]:
        """The job that made each file, by the file's path without the study's name."""
        return {self.common(file.path): record for record in self.jobs for file in record.outputs}

    def source(self, digest: str) -> str | None:
        """Return a source file's text, or None: it is not in the store."""
        try:
            return (self.store / digest).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    @property
    def commits(self) -> list[tuple[str, int]]:
        """Commits at which its jobs ran, with the number of jobs; the most first. "" is for no commit."""
        counted: dict[str, int] = {}
        for record in self.jobs:
            commit = str(record.run["git"]["commit"] or "")
            counted[commit] = counted.get(commit, 0) + 1
        return sorted(counted.items(), key=lambda item: (-item[1], item[0]))

    @property
    def ended(self) -> str:
        """When the last of its jobs ended, ISO 8601; empty without jobs."""
        return max((str(record.run["end"]) for record in self.jobs), default="")

    def to_json(self) -> dict[str, Any]:
        """Return what names this side."""
        return {
            "name": self.name,
            "study": self.study,
            "root": self.root,
            "numbers": len(self.numbers),
            "jobs": len(self.jobs),
            "commits": dict(self.commits),
            "ended": self.ended,
            "notes": self.notes,
        }


def side(name: str, folder: Path = Path()) -> Side:
    """Return what a user's name means.

    This is one of: a study of the repository in ``folder``; the folder of another repository, or an
    archive, with ``:STUDY`` behind it if several studies lie there; a root, or a git commit, under which a
    study of ``folder`` has had records (at least 6 digits; also what git itself calls a commit). Raises
    AnatomyError where it is none of these, or several, or damaged.
    """
    if re.fullmatch(r"[\w.-]+", name) and name.strip(".") and (folder / "results" / name).is_dir():
        return _of_folder(name, name, folder)
    for place, _, study in ((name, "", ""), name.rpartition(":")):
        if place and Path(place).exists():
            return _of_place(name, Path(place), study)
    place, _, study = name.rpartition(":")
    wanted, study = (place, study) if place else (study, "")
    by_name = _of_root(name, wanted, study, folder) or _of_commit(name, wanted, study, folder)
    if by_name is None:
        raise AnatomyError(f"{name}: {_unknown(wanted, folder)}")
    return by_name


def _of_folder(name: str, study: str, folder: Path) -> Side:
    trail = Trail(study, folder)
    try:
        numbers = trail.numbers
    except AnatomyError as error:
        raise AnatomyError(f"{name}: {error}") from error
    notes = [f"{len(trail.damaged)} records cannot be read"] if trail.damaged else []
    try:
        root = str(trail.ledger["root"])
    except AnatomyError as error:
        root, notes = "", [*notes, str(error)]
    return Side(name, study, root, numbers, trail.jobs, folder / trail.results / SOURCES, notes)


def _of_place(name: str, place: Path, study: str) -> Side:
    unpacked = None
    if place.is_file():
        unpacked = tempfile.TemporaryDirectory(prefix="anatomy-")
        wanted = re.compile(
            rf".*{re.escape(job_record.SUFFIX)}|results/[^/]+/(?:(?:numbers|ledger)\.json|{SOURCES}/[0-9a-f]+)"
        )
        place = archive.unpack(place, Path(unpacked.name), lambda path: bool(wanted.fullmatch(path)))
    there = sorted(path.parent.name for path in place.glob("results/*/numbers.json"))
    if study not in there and (study or len(there) != 1):
        said = f"there are {', '.join(there)}" if there else "there is none"
        which = f"no finished study '{study}' there" if study else "name one finished study of it"
        raise AnatomyError(f"{name}: {which} as FOLDER:STUDY; {said}")
    of_folder = _of_folder(name, study or there[0], place)
    of_folder.unpacked = unpacked
    return of_folder


def _histories(folder: Path, study: str) -> list[Path]:
    """Return the files that keep the records and numbers of a study's roots; of all studies without one."""
    return sorted(folder.glob(f"results/{study or _ANY}/{ledger.HISTORY}/*.json.gz"))


def _root_of(path: Path) -> str:
    return path.name.removesuffix(".json.gz")


def _of_root(name: str, wanted: str, study: str, folder: Path) -> Side | None:
    if not _HEX.fullmatch(wanted):
        return None
    paths = [path for path in _histories(folder, study) if _root_of(path).startswith(wanted)]
    if len(paths) > 1:
        raise AnatomyError(f"{name}: several roots begin so: {', '.join(str(path) for path in paths)}")
    return _of_history(name, paths[0]) if paths else None


def _of_history(name: str, path: Path) -> Side:
    """Return the side that a root's file has.

    Raises:
        AnatomyError: It does not have this root.
    """
    try:
        content = ledger.read_history(path)
    except zlib.error as error:
        raise AnatomyError(f"{path}: damaged: {error}") from error
    study = path.parents[1].name
    jobs: list[Record] = content["records"]
    for record in jobs:
        if job_record.digest(record.result) != record.digest:
            raise AnatomyError(f"{path}: damaged: the record of '{record.name}' is not what its digest says")
    if ledger.root(study, (record.digest for record in jobs)) != _root_of(path):
        raise AnatomyError(f"{path}: damaged: its records have another root")
    return Side(name, study, _root_of(path), content["numbers"], jobs, path.parents[1] / SOURCES)


def _of_commit(name: str, wanted: str, study: str, folder: Path) -> Side | None:
    """Return the side whose numbers were collected at a commit; else where most, or some, jobs ran at it."""
    commit = wanted if _HEX.fullmatch(wanted) else _commit(wanted, folder)
    if not commit:
        return None
    known, damaged = _commits(folder, study)
    full = sorted(
        {side_then for commits in known.values() for side_then in commits if side_then.startswith(commit)}
    )
    if not full:
        return None
    if len(full) > 1:
        raise AnatomyError(f"{name}: several commits begin so: {', '.join(full)}")
    ranked: list[tuple[int, str, Side]] = []
    for path in (path for path, commits in known.items() if full[0] in commits):
        side = _of_history(name, path)
        at = [record for record in side.jobs if record.run["git"]["commit"] == full[0]]
        collected = [record for record in side.jobs if record.rule == "collect_numbers"]
        rank = 0 if any(record in at for record in collected) else 1 if 2 * len(at) > len(side.jobs) else 2
        ended = max((str(record.run["end"]) for record in collected), default=side.ended)
        ranked.append((rank, ended, side))
        if rank > 0:
            side.notes.append(f"{len(at)} of {len(side.jobs)} jobs ran at this commit")
        if any(not record.run["git"]["clean"] for record in at):
            side.notes.append("with changes that were not committed")
    best = min(rank for rank, _, _ in ranked)
    fits = sorted((ended, side_then.root, side_then) for rank, ended, side_then in ranked if rank == best)
    studies = sorted({side_then.study for _, _, side_then in fits})
    if len(studies) > 1:
        raise AnatomyError(f"{name}: several studies ran at it; name one: {wanted}:{studies[0]}")
    chosen = fits[-1][2]
    if len(fits) > 1:
        others = ", ".join(root[:12] for _, root, _ in fits[:-1])
        chosen.notes.append(f"the latest of {len(fits)} roots of this commit; the others: {others}")
    chosen.notes += [f"{path}: damaged, not looked at" for path in damaged]
    return chosen


def _commits(folder: Path, study: str) -> tuple[dict[Path, set[str]], list[Path]]:
    """Return the commits that each root's file names, without reading it in full; and damaged files."""
    known, damaged = {}, []
    for path in _histories(folder, study):
        try:
            text = gzip.decompress(path.read_bytes())
            known[path] = {match.decode() for match in _COMMIT.findall(text)}
        except (OSError, EOFError, zlib.error):
            damaged.append(path)
    return known, damaged


def _commit(name: str, folder: Path) -> str:
    """Return the commit that git means by a name, such as HEAD~1; empty if there is none."""
    if not name or name.startswith("-"):
        return ""
    words = ["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    try:
        said = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()


def _unknown(wanted: str, folder: Path) -> str:
    """Return what there is, for a name that means nothing."""
    studies = sorted(path.parent.name for path in folder.glob("results/*/numbers.json"))
    known, damaged = _commits(folder, "")
    commits = sorted({commit_id[:10] for commit_ids in known.values() for commit_id in commit_ids})
    roots = [f"{path.parents[1].name} {_root_of(path)[:12]}" for path in known]
    said = [
        f"{called}: {', '.join(names)}" if names else f"no {called}"
        for called, names in (("studies", studies), ("roots", roots), ("commits with results", commits))
    ]
    said += [f"damaged: {', '.join(map(str, damaged))}"] if damaged else []
    commit = _commit(wanted, folder)
    if commit:
        known_at = {commit_id: commit_id[:10] for commit_ids in known.values() for commit_id in commit_ids}
        near = next(
            (known_at[commit_id] for commit_id in _ancestors(commit, folder) if commit_id in known_at), None
        )
        nearest = f"; of the commits before it, the last with results is {near}" if near else ""
        return f"no results of commit {commit[:10]} here{nearest}; there are {'; '.join(said)}"
    return (
        f"no study, folder or archive, and no root or commit with results here; there are {'; '.join(said)}"
    )


def _ancestors(commit: str, folder: Path) -> list[str]:
    """Return the commits before a commit, the latest first."""
    words = ["git", "rev-list", "--max-count=10000", commit]
    said = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    return said.stdout.split()
