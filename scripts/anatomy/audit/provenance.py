"""A study's trail: its records, ledger, numbers and the places where these stand, as they lie on disk."""

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from anatomy.audit import job_record, ledger
from anatomy.audit.job_record import Record
from anatomy.errors import AnatomyError

_UNRECORDED = {"work", "logs", "benchmarks", "sources", "audit", ledger.HISTORY}
"""Folders of a study whose files are no job's declared outputs."""
_ARMS = ("arm", "base", "first", "second", "scorer", "text", "reference", "run")
"""Columns of tables that name an arm or a run."""


@dataclass(frozen=True)
class Affected:
    """What depends on something: numbers by id, figures and tables by name, and whether the paper does."""

    numbers: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """All outputs of jobs, those of the three kinds above among them."""


class Trail:
    """The trail of one study; ``folder`` is the repository in which its results lie. Read when asked for."""

    def __init__(self, study: str, folder: Path = Path()):
        self.study, self.folder = study, folder
        self.results = f"results/{study}"
        self.figures = f"figures/{study}"
        self.paper = f"paper/{study}.pdf"

    # What lies there ---------------------------------------------------------------------------------

    @cached_property
    def ledger(self) -> dict[str, Any]:
        """The study's ledger, as in ledger.json."""
        return ledger.read(self.folder / self.results / "ledger.json")

    @cached_property
    def numbers(self) -> dict[str, dict[str, Any]]:
        """Reported numbers by id, as in numbers.json."""
        return dict(self._json("numbers.json"))

    @cached_property
    def places(self) -> dict[str, Any]:
        """Where numbers and figures stand in the paper; nowhere in a study without one."""
        if not (self.folder / self.results / "places.json").exists():
            return {"numbers": {}, "figures": {}, "pages": 0}
        return dict(self._json("places.json"))

    def _json(self, name: str) -> Any:
        path = f"{self.results}/{name}"
        try:
            return json.loads((self.folder / path).read_text(encoding="utf-8"))
        except OSError as error:
            raise AnatomyError(
                f"{path}: cannot read it: {error.strerror}; is the study '{self.study}' finished?"
            ) from error
        except ValueError as error:
            raise AnatomyError(f"{path}: not valid JSON: {error}; it was damaged or edited") from error

    @cached_property
    def record_files(self) -> list[str]:
        """Paths of all records of the study."""
        paths = []
        for top in (self.results, self.figures):
            for place, folders, names in os.walk(self.folder / top):
                if Path(place) == self.folder / self.results:
                    folders[:] = [name for name in folders if name not in _UNRECORDED]
                relative = os.path.relpath(place, self.folder)
                paths += [f"{relative}/{name}" for name in names if name.endswith(job_record.SUFFIX)]
        paper = str(job_record.path_of(self.paper))
        return sorted([*paths, *([paper] if (self.folder / paper).exists() else [])])

    @cached_property
    def damaged(self) -> dict[str, str]:
        """Records that cannot be read, each with what is wrong."""
        return self._read[1]

    @cached_property
    def jobs(self) -> list[Record]:
        """Every job of the study that left a record, once, sorted by its first output."""
        records = {record.digest: record for record in self._read[0]}
        return sorted(records.values(), key=lambda record: record.outputs[0].path)

    @cached_property
    def _read(self) -> tuple[list[Record], dict[str, str]]:
        records, damaged = [], {}
        for path in self.record_files:
            try:
                records.append(job_record.read(self.folder / path))
            except AnatomyError as error:
                damaged[path] = str(error)
        return records, damaged

    @cached_property
    def makers(self) -> dict[str, Record]:
        """The job that made each file or folder."""
        return {file.path: record for record in self.jobs for file in record.outputs}

    @cached_property
    def readers(self) -> dict[str, list[Record]]:
        """The jobs that read each file or folder."""
        readers: dict[str, list[Record]] = {}
        for record in self.jobs:
            for file in record.inputs:
                readers.setdefault(file.path, []).append(record)
        return readers

    # Chains ------------------------------------------------------------------------------------------

    def maker(self, path: str) -> Record | None:
        """Return the job that made a file: from its record alone, unless all records are read already."""
        if "_read" in self.__dict__:
            return self.makers.get(path)
        return job_record.producer(path, self.folder)

    def chain(self, targets: Iterable[str]) -> list[Record]:
        """Return the jobs behind files, each after those that it depends on; fast: reads no other record."""
        done: dict[str, Record] = {}
        open_, seen = [(path, False) for path in reversed(list(targets))], set()
        makers: dict[str, Record | None] = {}
        while open_:
            path, ready = open_.pop()
            if path not in makers:
                makers[path] = self.maker(path)
            record = makers[path]
            if record is None or record.digest in done:
                continue
            if ready:
                done[record.digest] = record
            elif path not in seen:
                seen.add(path)
                open_.append((path, True))
                open_ += [(file.path, False) for file in reversed(record.inputs)]
        return list(done.values())

    def following(self, paths: Iterable[str]) -> set[str]:
        """Return the files that are made from any of these, directly or not."""
        following: set[str] = set()
        todo = list(paths)
        while todo:
            for record in self.readers.get(todo.pop(), []):
                fresh = {file.path for file in record.outputs} - following
                following |= fresh
                todo += fresh
        return following

    # Numbers -----------------------------------------------------------------------------------------

    def sources(self, identity: str) -> list[str]:
        """Return those inputs of a number's table that its row is made from.

        These are the files whose arm, training seed and benchmark are those that the row names; where a
        row names none, or a name is not one of the inputs', all of them.
        """
        number = self.numbers[identity]
        maker = self.maker(number["file"])
        if maker is None:
            return []
        row = number["keys"]
        known = tuple(row.items())
        cache = self._selected.setdefault(number["file"], {})
        if known not in cache:
            cache[known] = select(maker, row)
        return cache[known]

    @cached_property
    def _selected(self) -> dict[str, dict[Any, list[str]]]:
        return {}

    def affected(self, paths: Iterable[str], rows: Mapping[str, set[str]] | None = None) -> Affected:
        """Return what is made from files that were changed, or by jobs whose outputs these are.

        Args:
            paths: The files.
            rows: For a changed table the ids of its numbers that the change concerns; all of them without it.
        """
        changed = set(paths)
        files = self.following(changed) | (changed & self.makers.keys())
        touched = files | changed
        numbers = []
        # The file of all numbers is made from every table: what it says of one depends on that table alone.
        everything = f"{self.results}/numbers.json" in changed
        for identity, number in self.numbers.items():
            table = number["file"]
            if table in changed:
                concerned = rows is None or table not in rows or identity in rows[table]
            else:
                concerned = everything or (table in files and not touched.isdisjoint(self.sources(identity)))
            if concerned:
                numbers.append(identity)
        numbers.sort(key=lambda name: name not in self.places["numbers"])  # those of the paper first
        figures = {Path(path).stem for path in files if path.startswith(f"{self.figures}/")}
        tables = {
            Path(path).stem for path in touched if re.fullmatch(rf"{self.results}/tables/[^/]+\.csv", path)
        }
        return Affected(numbers, sorted(figures), sorted(tables), sorted(files))

    # What a user names -------------------------------------------------------------------------------

    def named(self, name: str) -> tuple[list[str], list[str]]:
        """Return the ids of numbers, and the files, that a user's name means.

        A name is a number's id, the name of a figure or table (or ``figure:NAME``, ``table:NAME``), a file
        or folder of the study, or ``paper/<study>.pdf:pN`` for all numbers and figures on a page. Raises
        AnatomyError where it is none of these, with the nearest ids.
        """
        if name in self.numbers:
            return [name], []
        page = re.fullmatch(r"(.+\.pdf):p(\d+)", name)
        if page:
            return _on_page(self, page[1], int(page[2]))
        kind, _, rest = name.rpartition(":")
        figure, table = f"{self.figures}/{rest}.svg", f"{self.results}/tables/{rest}.csv"
        for allowed, path in (("figure", figure), ("table", table)):
            if kind in ("", allowed) and (self.folder / path).exists():
                return [], [path]
        path = os.path.relpath(name) if os.path.isabs(name) else os.path.normpath(name)
        if self.maker(path) or (self.folder / path).exists():
            return [], [path]
        near = [identity for identity in self.numbers if name in identity][:3]
        near = near or difflib.get_close_matches(name, self.numbers, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `list` shows what there is"
        raise AnatomyError(f"{name}: no number, figure, table or file of the study '{self.study}'{hint}")


def _on_page(trail: Trail, pdf: str, page: int) -> tuple[list[str], list[str]]:
    """Return the ids of numbers, and the files of figures, on a page of the paper."""
    if pdf != trail.paper or not 1 <= page <= trail.places["pages"]:
        raise AnatomyError(
            f"{pdf}:p{page}: the paper of this study is {trail.paper} and has {trail.places['pages']} pages"
        )
    on = {
        kind: [name for name, at in trail.places[kind].items() if any(p["page"] == page for p in at)]
        for kind in ("numbers", "figures")
    }
    return on["numbers"], [f"{trail.figures}/{name}.svg" for name in on["figures"]]


def select(table: Record, row: Mapping[str, str]) -> list[str]:
    """Return those inputs of a table's job that a row with these keys is made from."""
    sources = table.params.get("sources", [])
    names = {row[column] for column in _ARMS if column in row}
    known = {str(source[column]) for source in sources for column in _ARMS if column in source}
    benchmarks = {str(source["benchmark"]) for source in sources if "benchmark" in source}
    benchmark, seed = row.get("benchmark"), row.get("seed")

    def concerned(source: Mapping[str, Any]) -> bool:
        of = {str(source[column]) for column in _ARMS if column in source}
        if names and names <= known and of and not of <= names:
            return False
        if benchmark in benchmarks and "benchmark" in source and str(source["benchmark"]) != benchmark:
            return False
        mine = seed is not None and seed.isdigit() and row.get("arm", row.get("run")) in of
        return not (mine and "seed" in source and str(source["seed"]) != seed)

    return [str(source["path"]) for source in sources if concerned(source)] or [
        file.path for file in table.inputs
    ]
