"""Two studies, or two commits: which numbers changed, by how much, and the first step at which they part."""

import gzip
import math
import re
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from anatomy.audit import archive, changes, ledger, records
from anatomy.audit.recording import SOURCES
from anatomy.audit.records import Record
from anatomy.audit.trail import Trail, select
from anatomy.audit.words import counted, few, short
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
    found = _of_root(name, wanted, study, folder) or _of_commit(name, wanted, study, folder)
    if found is None:
        raise AnatomyError(f"{name}: {_unknown(wanted, folder)}")
    return found


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
            rf".*{re.escape(records.SUFFIX)}|results/[^/]+/(?:(?:numbers|ledger)\.json|{SOURCES}/[0-9a-f]+)"
        )
        place = archive.unpack(place, Path(unpacked.name), lambda path: bool(wanted.fullmatch(path)))
    there = sorted(path.parent.name for path in place.glob("results/*/numbers.json"))
    if study not in there and (study or len(there) != 1):
        said = f"there are {', '.join(there)}" if there else "there is none"
        which = f"no finished study '{study}' there" if study else "name one finished study of it"
        raise AnatomyError(f"{name}: {which} as FOLDER:STUDY; {said}")
    found = _of_folder(name, study or there[0], place)
    found.unpacked = unpacked
    return found


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
    """Return the side that a root's file has. Raises AnatomyError where it does not have this root."""
    try:
        content = ledger.read_history(path)
    except zlib.error as error:
        raise AnatomyError(f"{path}: damaged: {error}") from error
    study = path.parents[1].name
    jobs: list[Record] = content["records"]
    for record in jobs:
        if records.digest(record.result) != record.digest:
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
    full = sorted({one for commits in known.values() for one in commits if one.startswith(commit)})
    if not full:
        return None
    if len(full) > 1:
        raise AnatomyError(f"{name}: several commits begin so: {', '.join(full)}")
    ranked: list[tuple[int, str, Side]] = []
    for path in (path for path, commits in known.items() if full[0] in commits):
        found = _of_history(name, path)
        at = [record for record in found.jobs if record.run["git"]["commit"] == full[0]]
        collected = [record for record in found.jobs if record.rule == "collect"]
        rank = 0 if any(record in at for record in collected) else 1 if 2 * len(at) > len(found.jobs) else 2
        ended = max((str(record.run["end"]) for record in collected), default=found.ended)
        ranked.append((rank, ended, found))
        if rank > 0:
            found.notes.append(f"{len(at)} of {len(found.jobs)} jobs ran at this commit")
        if any(not record.run["git"]["clean"] for record in at):
            found.notes.append("with changes that were not committed")
    best = min(rank for rank, _, _ in ranked)
    fits = sorted((ended, one.root, one) for rank, ended, one in ranked if rank == best)
    studies = sorted({one.study for _, _, one in fits})
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
            known[path] = {one.decode() for one in _COMMIT.findall(text)}
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
    commits = sorted({one[:10] for found in known.values() for one in found})
    roots = [f"{path.parents[1].name} {_root_of(path)[:12]}" for path in known]
    said = [
        f"{called}: {', '.join(names)}" if names else f"no {called}"
        for called, names in (("studies", studies), ("roots", roots), ("commits with results", commits))
    ]
    said += [f"damaged: {', '.join(map(str, damaged))}"] if damaged else []
    commit = _commit(wanted, folder)
    if commit:
        known_at = {one: one[:10] for found in known.values() for one in found}
        near = next((known_at[one] for one in _ancestors(commit, folder) if one in known_at), None)
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


# Causes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cause:
    """What differs in a job between the two sides, as its records tell; None is for what a side lacks."""

    kind: str
    """One of record, rule, script, inputs, file, order, code, params, seeds, threads, gpu, python, package,
    lock and nothing."""
    what: str
    a: Any = None
    b: Any = None
    names: tuple[str, ...] = ()
    """Of code: the functions and classes that differ."""
    idle: bool = False
    """Of code: only comments, docstrings or layout differ."""

    def __str__(self) -> str:
        if self.kind == "code":
            if self.a is None or self.b is None:
                return f"{self.what}: only in {'A' if self.b is None else 'B'}"
            said = "only comments, docstrings or layout" if self.idle else ", ".join(self.names)
            return f"{self.what}: {said}" if said else self.what
        if self.kind in ("nothing", "record", "order"):
            return self.what
        if self.kind == "inputs":
            return f"input only in {'A' if self.b is None else 'B'}: {self.what}"
        if self.kind in ("file", "lock"):
            return f"{self.what}: {str(self.a)[:12]} -> {str(self.b)[:12]}"
        kind = "" if self.kind in ("package", "python", "rule", "script") else f"{self.kind} "
        if self.kind == self.what:
            kind = ""
        return f"{kind}{self.what}: {_shown(self.a)} -> {_shown(self.b)}"

    def to_json(self) -> dict[str, Any]:
        shown = {"kind": self.kind, "what": self.what, "a": self.a, "b": self.b}
        names = {"names": list(self.names)} if self.names else {}
        return shown | names | ({"idle": True} if self.idle else {})


def _shown(value: Any) -> str:
    return "–" if value is None else short(value)


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of params by their paths; what a list says of files is keyed by the files' paths."""
    if isinstance(value, Mapping) and value:
        for name, one in value.items():
            yield from _leaves(one, f"{prefix}.{name}" if prefix else str(name))
    elif (
        isinstance(value, list) and value and all(isinstance(one, Mapping) and "path" in one for one in value)
    ):
        for one in value:
            yield f"{prefix}[{one['path']}]", {name: x for name, x in one.items() if name != "path"}
    else:
        yield prefix, value


# The comparison --------------------------------------------------------------------------------------


@dataclass(eq=False)
class Step:
    """A job at which two chains part: from the same inputs to other outputs; or that one side alone has."""

    rule: str
    job: str
    only: str
    """A or B; empty if both have it."""
    causes: tuple[Cause, ...]

    @cached_property
    def kind(self) -> tuple[str, ...]:
        """What steps have in common that part for the same reason."""
        return (self.rule, self.only, *map(str, self.causes))


@dataclass(frozen=True)
class Changed:
    """A number that is not the same on both sides; ``a`` and ``b`` are what numbers.json says of it."""

    id: str
    a: Mapping[str, Any]
    b: Mapping[str, Any]

    @property
    def difference(self) -> float | None:
        """B's value less A's; None where one is not a finite number."""
        values = (self.a["value"], self.b["value"])
        if all(isinstance(value, (int, float)) for value in values):
            return float(values[1]) - float(values[0])
        return None

    @property
    def ratio(self) -> float | None:
        """|B - A| over half the width of the wider of their intervals; None without an interval."""
        widths = [high - low for low, high in filter(None, (_interval(self.a), _interval(self.b)))]
        if self.difference is None or not widths:
            return None
        if self.difference == 0:
            return 0.0
        return abs(self.difference) / (max(widths) / 2) if max(widths) > 0 else math.inf

    @property
    def a_in_b(self) -> bool | None:
        """Whether A's value lies in B's interval; None without one."""
        return _within(self.a["value"], _interval(self.b))

    @property
    def b_in_a(self) -> bool | None:
        return _within(self.b["value"], _interval(self.a))

    def __str__(self) -> str:
        texts = [str(self.a["text"]), str(self.b["text"])]
        if texts[0] == texts[1] and self.a["value"] != self.b["value"]:
            texts = [
                f"{text} ({_shown(one['value'])})" for text, one in zip(texts, (self.a, self.b), strict=True)
            ]
        said = f"{self.id}  {texts[0]} -> {texts[1]}"
        if self.a["value"] == self.b["value"] and _interval(self.a) != _interval(self.b):
            said += f"  interval [{_ends(self.a)}] -> [{_ends(self.b)}]"
        if self.difference:
            said += f"  {_signed(self.difference, str(self.b['rule']))}"
            if self.ratio is not None:
                widths = f"{self.ratio:.2f} half-widths" if math.isfinite(self.ratio) else "no width"
                said += f"  {widths}, {self._where()}"
        return said

    def _where(self) -> str:
        outside = [
            f"{mine} outside {other}'s interval"
            for mine, other, inside in (("A", "B", self.a_in_b), ("B", "A", self.b_in_a))
            if inside is False
        ]
        if len(outside) == 2:
            return "each outside the other's interval"
        return outside[0] if outside else "inside"

    def to_json(self) -> dict[str, Any]:
        ratio = self.ratio if self.ratio is None or math.isfinite(self.ratio) else "inf"
        facts = {name: getattr(self, name) for name in ("difference", "a_in_b", "b_in_a")}
        kept = ("value", "text", "interval", "rule")
        sides = {s: {k: one[k] for k in kept if k in one} for s, one in (("a", self.a), ("b", self.b))}
        return {"id": self.id, **sides, **facts, "half_widths": ratio}


def _interval(number: Mapping[str, Any]) -> tuple[float, float] | None:
    ends = number.get("interval")
    if not ends or any(end is None for end in ends):
        return None
    low, high = map(float, ends)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _within(value: Any, interval: tuple[float, float] | None) -> bool | None:
    if interval is None or not isinstance(value, (int, float)):
        return None
    return interval[0] <= value <= interval[1]


def _ends(number: Mapping[str, Any]) -> str:
    return ", ".join(map(str, number.get("interval_text") or ["–"]))


def _signed(difference: float, rule: str) -> str:
    shown = f"{100 * difference:+.1f}" if rule in ("percent", "points") else f"{difference:+.3g}"
    return shown.replace("-", "\N{MINUS SIGN}")


@dataclass
class Group:
    """Numbers that changed for the same reasons."""

    first: list[list[Step]]
    """The first steps at which their chains part; those of one rule and one reason stand together."""
    later: list[list[Step]]
    """Steps behind those that differ in themselves too, by something else."""
    numbers: list[Changed]


@dataclass
class Difference:
    """What differs between two sides."""

    a: Side
    b: Side
    only_a: list[str]
    only_b: list[str]
    same: int
    groups: list[Group]
    """Largest first."""
    files: list[str]
    """Files that both sides made, with other content; the study's name in them is ``*``."""
    records: list[str]
    """Jobs of both sides whose records differ, although they made the same from the same inputs."""

    @property
    def changed(self) -> list[Changed]:
        """All numbers that changed; those that changed most against their intervals first."""
        return sorted((one for group in self.groups for one in group.numbers), key=_order)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON."""
        return {
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "same": self.same,
            "only_a": self.only_a,
            "only_b": self.only_b,
            "changed": [
                {
                    "first": [_step_json(steps) for steps in group.first],
                    "later": [_step_json(steps) for steps in group.later],
                    "numbers": [one.to_json() for one in group.numbers],
                }
                for group in self.groups
            ],
            "files": self.files,
            "records": self.records,
        }


def _step_json(steps: Sequence[Step]) -> dict[str, Any]:
    one = steps[0]
    only = {"only": one.only} if one.only else {}
    causes = [cause.to_json() for cause in one.causes]
    return {"rule": one.rule, "jobs": [step.job for step in steps], **only, "causes": causes}


def _order(one: Changed) -> tuple[float, float, str]:
    ratio = -1.0 if one.ratio is None else one.ratio
    return -ratio, -abs(one.difference or 0.0), one.id


def compare(a: Side, b: Side) -> Difference:
    """Return which numbers differ, and for each the first steps at which its two chains part."""
    shared = [name for name in a.numbers if name in b.numbers]
    changed = [
        Changed(name, a.numbers[name], b.numbers[name])
        for name in shared
        if _facts(a.numbers[name]) != _facts(b.numbers[name])
    ]
    walk = _Walk(a, b)
    found: dict[frozenset[tuple[str, ...]], tuple[dict[Step, None], dict[Step, None], list[Changed]]] = {}
    for one in changed:
        first, later = walk.number(one)
        steps, behind, numbers = found.setdefault(frozenset(step.kind for step in first), ({}, {}, []))
        steps.update(dict.fromkeys(first))
        behind.update(dict.fromkeys(later))
        numbers.append(one)
    groups = []
    for steps, behind, numbers in found.values():
        told = {str(cause) for step in steps for cause in step.causes}
        others = [step for step in behind if not told.issuperset(map(str, step.causes))]
        groups.append(Group(_alike(steps), _alike(others), sorted(numbers, key=_order)))
    return Difference(
        a,
        b,
        [name for name in a.numbers if name not in b.numbers],
        [name for name in b.numbers if name not in a.numbers],
        len(shared) - len(changed),
        sorted(groups, key=lambda group: -len(group.numbers)),
        walk.files(),
        walk.records(),
    )


def _facts(number: Mapping[str, Any]) -> list[Any]:
    return [number["value"], number["text"], number.get("interval"), number.get("interval_text")]


def _alike(steps: Iterable[Step]) -> list[list[Step]]:
    """Return steps by what they part for; a job once."""
    groups: dict[tuple[str, ...], dict[str, Step]] = {}
    for step in steps:
        groups.setdefault(step.kind, {}).setdefault(step.job, step)
    return [list(group.values()) for group in groups.values()]


_Parted = tuple[tuple[Step, ...], tuple[Step, ...]]
"""The first steps at which chains part, and steps behind them that differ in themselves too."""


class _Walk:
    """Goes up both chains together, to where they part; each job once."""

    def __init__(self, a: Side, b: Side):
        self.a, self.b = a, b
        self._known: dict[Any, _Parted] = {}
        self._defined: dict[tuple[str, str], tuple[str, ...] | None] = {}

    def files(self) -> list[str]:
        """Return the files that both sides made with different content; not those that tell of all others."""
        whole = {f"results/*/{name}" for name in ("audit", "ledger.json", "numbers.json", "places.json")}
        whole |= {"paper/*.pdf", "paper/*-numbers.tex"}
        digests = [
            {side.common(file.path): file.sha256 for record in side.jobs for file in record.outputs}
            for side in (self.a, self.b)
        ]
        both = (path for path, digest in digests[0].items() if digests[1].get(path, digest) != digest)
        return sorted(path for path in both if path not in whole)

    def records(self) -> list[str]:
        """Return the jobs that differ in themselves without a consequence."""
        found: dict[str, None] = {}
        for path, b in self.b.makers.items():
            a = self.a.makers.get(path)
            if a is None or a.digest == b.digest:
                continue
            made = [
                {side.common(f.path): f.sha256 for f in r.outputs} for side, r in ((self.a, a), (self.b, b))
            ]
            read = [
                {side.common(f.path): f.sha256 for f in r.inputs} for side, r in ((self.a, a), (self.b, b))
            ]
            if made[0] == made[1] and read[0] == read[1] and self._causes(a, b, []):
                found[b.name] = None
        return list(found)

    def number(self, one: Changed) -> _Parted:
        """Return where the chains of a number part."""
        path = self.a.common(str(one.a["file"]))
        other = self.b.common(str(one.b["file"]))
        everything = "results/*/numbers.json"
        tables = self.a.makers.get(path), self.b.makers.get(other)
        collects = self.a.makers.get(everything), self.b.makers.get(everything)
        for name, found in ((everything, collects), (path, tables)):
            lacking = [side for side, record in zip("AB", found, strict=True) if record is None]
            if lacking:
                what = f"no record of the job that made it in {' and '.join(lacking)}"
                return (Step("", name, "", (Cause("record", what),)),), ()
        collect_a, collect_b, table_a, table_b = map(_there, (*collects, *tables))
        read = [_digest(self.a, collect_a, path), _digest(self.b, collect_b, other)]
        values = [[number["value"], number.get("interval")] for number in (one.a, one.b)]
        if read[0] == read[1] or values[0] == values[1]:
            return self._collect(collect_a, collect_b, Path(path).stem)
        rows = (
            tuple(select(record, number["keys"])) for record, number in ((table_a, one.a), (table_b, one.b))
        )
        return self._table(path, table_a, table_b, *rows)

    def _collect(self, a: Record, b: Record, table: str) -> _Parted:
        """Return how the job that collects all numbers differs in what it does to one table's."""
        key = ("collect", table)
        if key not in self._known:
            causes = [
                cause
                for cause in self._causes(a, b, [])
                if cause.kind != "params" or cause.what.startswith(f"tables.{table}.")
            ]
            self._known[key] = (self._step(a, b, causes),), ()
        return self._known[key]

    def _table(
        self, path: str, a: Record, b: Record, rows_a: tuple[str, ...], rows_b: tuple[str, ...]
    ) -> _Parted:
        """Return where the chains of a table's row part; rows: the inputs that the row is made from."""
        key = (path, rows_a, rows_b)
        if key not in self._known:
            found = self._pair(a, b, set(rows_a), set(rows_b))
            if any(cause.kind == "nothing" for step in found[0] for cause in step.causes):
                # A row may depend on more than it names: a correction over all rows does.
                found = self._pair(a, b)
            self._known[key] = found
        return self._known[key]

    def _differs(self, path: str) -> bool:
        """Whether the sides made a file with other content, or one of them alone did."""
        makers = (self.a, self.a.makers.get(path)), (self.b, self.b.makers.get(path))
        made = [
            next((f.sha256 for f in record.outputs if side.common(f.path) == path), None) if record else None
            for side, record in makers
        ]
        return made[0] != made[1]

    def _why(self, path: str) -> _Parted:
        """Return where the chains of a file part whose content differs, or that one side alone has."""
        if path in self._known:
            return self._known[path]
        self._known[path] = (), ()  # stands while the chain above is looked at
        a, b = self.a.makers.get(path), self.b.makers.get(path)
        if a is not None and b is not None:
            found = self._pair(a, b)
        elif a is not None:
            found = self._lonely(self.a, self.b, "A", a)
        elif b is not None:
            found = self._lonely(self.b, self.a, "B", b)
        else:
            found = (), ()
        self._known[path] = found
        return found

    def _lonely(self, side: Side, other: Side, only: str, record: Record) -> _Parted:
        """Return the first steps, up a chain, that one side alone has."""
        first: list[Step] = []
        later: list[Step] = []
        for file in record.inputs:
            path = side.common(file.path)
            if path in side.makers and path not in other.makers:
                above = self._why(path)
                first += above[0]
                later += above[1]
        if not first:
            first = [Step(record.rule, record.name, only, ())]
        return _unique(first), _unique(later)

    def _pair(
        self, a: Record, b: Record, rows_a: set[str] | None = None, rows_b: set[str] | None = None
    ) -> _Parted:
        """Return where the chains of a job's outputs part; rows: those of its inputs that matter."""
        inputs = [
            {side.common(file.path): file for file in record.inputs if rows is None or file.path in rows}
            for side, record, rows in ((self.a, a, rows_a), (self.b, b, rows_b))
        ]
        first: list[Step] = []
        later: list[Step] = []
        own: list[Cause] = []
        for path in {**inputs[0], **inputs[1]}:
            one, two = inputs[0].get(path), inputs[1].get(path)
            if one and two and one.sha256 == two.sha256:
                continue
            above = self._why(path) if self._differs(path) else ((), ())
            first += above[0]
            later += above[1]
            if not above[0]:
                kind = "file" if one and two else "inputs"
                own.append(Cause(kind, path, one and one.sha256, two and two.sha256))
        only = {path for path in {**inputs[0], **inputs[1]} if not (path in inputs[0] and path in inputs[1])}
        shown = None if rows_a is None else inputs[0].keys() & inputs[1].keys()
        own = self._causes(a, b, own, shown, only)
        if not first:
            return (self._step(a, b, own),), ()
        return _unique(first), _unique([*later, *([self._step(a, b, own)] if own else [])])

    def _step(self, a: Record, b: Record, causes: Sequence[Cause]) -> Step:
        if all(cause.idle for cause in causes):
            said = f"nothing {'else ' if causes else ''}recorded differs"
            causes = [*causes, Cause("nothing", f"{said}; A ran on {_where(a)}, B on {_where(b)}")]
        return Step(b.rule, b.name, "", tuple(causes))

    def _causes(
        self,
        a: Record,
        b: Record,
        files: Sequence[Cause],
        rows: Iterable[str] | None = None,
        only: Iterable[str] = (),
    ) -> list[Cause]:
        """Return what differs between two runs of a job, apart from the content of its inputs.

        files: what is known of those already. rows: of what params say of files, these alone matter.
        only: files that one side alone has; what params say of them is no cause of its own.
        """
        found = [
            Cause(part, part, a.result[part], b.result[part])
            for part in ("rule", "script", "threads", "gpu")
            if a.result[part] != b.result[part]
        ]
        found += files
        found += self._code(a, b)
        seeds = [dict(_leaves(record.result["seeds"])) for record in (a, b)]
        found += _changes("seeds", *seeds)
        params = [
            {
                _plain(side, name): _plain(side, value)
                for name, value in _leaves(
                    {k: v for k, v in record.params.items() if k not in record.result["seeds"]}
                )
            }
            for side, record in ((self.a, a), (self.b, b))
        ]
        for cause in _changes("params", *params):
            file = re.search(r"\[(.+)\]$", cause.what)
            if file and (file[1] in set(only) or (rows is not None and file[1] not in set(rows))):
                continue
            found.append(cause)
        found += _environment(a.result["environment"], b.result["environment"])
        if not found:
            order = [
                [side.common(f.path) for f in record.inputs] for side, record in ((self.a, a), (self.b, b))
            ]
            if order[0] != order[1] and sorted(order[0]) == sorted(order[1]):
                found.append(Cause("order", "the order of the inputs"))
        return found

    def _code(self, a: Record, b: Record) -> list[Cause]:
        found = []
        for path in sorted({**a.code, **b.code}):
            one, two = a.code.get(path), b.code.get(path)
            if one != two:
                names = self._names(one, two) if one and two else None
                found.append(Cause("code", path, one, two, names or (), idle=names == ()))
        return found

    def _names(self, one: str, two: str) -> tuple[str, ...] | None:
        """Return what differs between two versions of a source; None where they are not kept."""
        if (one, two) not in self._defined:
            before = self.a.source(one) or self.b.source(one)
            after = self.b.source(two) or self.a.source(two)
            known = before is not None and after is not None
            self._defined[one, two] = changes.changed_names(str(before), str(after)) if known else None
        return self._defined[one, two]


def _there(record: Record | None) -> Record:
    assert record is not None
    return record


def _digest(side: Side, record: Record, path: str) -> str | None:
    """Return the digest of an input as a job saw it."""
    return next((file.sha256 for file in record.inputs if side.common(file.path) == path), None)


def _unique(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(dict.fromkeys(steps))


def _where(record: Record) -> str:
    run = record.run
    gpu = ", ".join(run["gpu"]) or "no GPU"
    return f"{run['host']} ({run['cpu']}, {gpu})"


def _plain(side: Side, value: Any) -> Any:
    """Return a param's value, or name, without the study's name in paths."""
    if isinstance(value, Mapping):
        return {name: _plain(side, one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(side, one) for one in value]
    if not isinstance(value, str):
        return value
    keyed = re.fullmatch(r"(.*\[)(.+)(\])", value)
    return f"{keyed[1]}{side.common(keyed[2])}{keyed[3]}" if keyed else side.common(value)


def _changes(kind: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Cause]:
    return [Cause(kind, name, a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)]


def _environment(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Cause]:
    found = _changes("python", {"python": a["python"]}, {"python": b["python"]})
    found += _changes("package", a["packages"], b["packages"])
    locks = [{lock["path"]: lock["sha256"]} if lock else {} for lock in (a["lock"], b["lock"])]
    return found + _changes("lock", *locks)


# Shown -----------------------------------------------------------------------------------------------


def lines(difference: Difference, limit: int | None = 10) -> Iterator[str]:
    """Yield a difference's lines; limit: numbers shown of each group, None for all."""
    for letter, one in (("A", difference.a), ("B", difference.b)):
        yield _head(letter, one)
        yield from (f"   {note}" for note in one.notes)
    changed = sum(len(group.numbers) for group in difference.groups)
    both = difference.same + changed
    parts = f"{len(difference.only_a)} only in A, {len(difference.only_b)} only in B"
    yield f"{both} numbers in both, {changed} of them changed; {parts}"
    if not changed:
        roots = difference.a.root, difference.b.root
        if difference.files:
            yield f"{counted(len(difference.files), 'file')} differ: {few(difference.files)}"
        if roots[0] and roots[0] == roots[1]:
            yield "the same root: nothing differs in what determined the results, or in the results"
        elif difference.records:
            jobs = f"{counted(len(difference.records), 'job')} ({few(difference.records)})"
            yield f"{jobs} differ in code, params or environment, and made the same"
    for group in difference.groups:
        yield ""
        yield f"{counted(len(group.numbers), 'number')}; the chains part first at"
        for steps in group.first:
            yield from _step_lines(steps)
        if group.later:
            yield "  and these steps behind it differ in themselves too:"
            for steps in group.later:
                yield from _step_lines(steps)
        yield "  |B - A| in half-widths of the wider interval:"
        shown = group.numbers[:limit]
        yield from (f"    {one}" for one in shown)
        if len(shown) < len(group.numbers):
            yield f"    and {len(group.numbers) - len(shown)} more"
    for letter, names in (("A", difference.only_a), ("B", difference.only_b)):
        if names:
            yield ""
            yield f"{counted(len(names), 'number')} only in {letter}:"
            yield from (f"    {name}" for name in names[:limit])
            if limit is not None and len(names) > limit:
                yield f"    and {len(names) - limit} more"


def _head(letter: str, one: Side) -> str:
    root = f"root {one.root[:12]}" if one.root else "no root"
    commits = ", ".join(f"{commit[:10] or 'no commit'} ({jobs} jobs)" for commit, jobs in one.commits[:3])
    if len(one.commits) > 3:
        commits += f", {len(one.commits) - 3} more"
    return f"{letter}: {one.name}: study {one.study}, {root}, commits {commits}, ended {one.ended[:19]}"


def _step_lines(steps: Sequence[Step]) -> Iterator[str]:
    one = steps[0]
    jobs = few([step.job for step in steps])
    counted = f"{len(steps)} jobs: " if len(steps) > 1 else ""
    yield f"  {counted}{jobs}{f' (only in {one.only})' if one.only else ''}"
    kinds: dict[str, list[str]] = {}
    for cause in one.causes:
        kinds.setdefault(cause.kind, []).append(str(cause))
    for said in kinds.values():
        yield from (f"      {text}" for text in said[:5])
        if len(said) > 5:
            yield f"      and {len(said) - 5} more"
