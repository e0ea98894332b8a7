"""What the audit site shows of a study: tables, figures, numbers, claims, jobs, completions and sources."""

import csv
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from anatomy.audit import recorder
from anatomy.audit.job_record import Record
from anatomy.audit.provenance import Trail
from anatomy.audit.site import completions as site_completions
from anatomy.audit.site.chain import Graph
from anatomy.audit.site.spec import ALL, Source, Spec
from anatomy.errors import AnatomyError

_CLIPPED = 50  # changed files that a record lists


class Contents:
    """A study as its site has it; read when asked for."""

    def __init__(self, trail: Trail, spec: Spec):
        self.trail, self.spec = trail, spec

    @cached_property
    def tables(self) -> dict[str, str]:
        """Path of each table by its name."""
        return {name: f"{self.trail.results}/tables/{name}.csv" for name in self.spec.artifacts["tables"]}

    @cached_property
    def figures(self) -> dict[str, str]:
        """Path of each figure by its name."""
        return {name: f"{self.trail.figures}/{name}.svg" for name in self.spec.artifacts["figures"]}

    @cached_property
    def has_paper(self) -> bool:
        """Whether the study has a paper."""
        return bool(self.trail.places["pages"])

    @cached_property
    def graph(self) -> Graph:
        """All jobs behind what is reported, and behind the paper."""
        paper = [self.trail.paper] if self.has_paper else []
        return Graph(self.trail.chain([*self.reported, *paper]))

    @property
    def reported(self) -> list[str]:
        """The files whose records the ledger chains, with those of all that they are made from."""
        return [*self.tables.values(), *self.figures.values(), f"{self.trail.results}/numbers.json"]

    def check(self) -> None:
        """Raise AnatomyError where the records that lie here are not those that the ledger chains."""
        listed = {entry["digest"] for entry in self.trail.ledger["records"]}
        here = {self.graph.jobs[place].digest for place in self.graph.behind(self.reported)}
        if listed != here:
            raise AnatomyError(
                f"{self.trail.results}/ledger.json tells {len(listed - here)} records that are not here, and"
                f" lacks {len(here - listed)} that are; run the workflow again, which makes it anew"
            )

    @cached_property
    def made(self) -> dict[str, Record]:
        """The job that made each file."""
        return {path: self.graph.jobs[place] for path, place in self.graph.makers.items()}

    @cached_property
    def numbers(self) -> dict[str, dict[str, Any]]:
        """Reported numbers that have a page."""
        numbers, placed = self.trail.numbers, self.trail.places["numbers"]
        return {name: number for name, number in numbers.items() if len(numbers) <= ALL or name in placed}

    @cached_property
    def by_row(self) -> dict[tuple[str, int], dict[str, str]]:
        """Ids of a table's row, by column."""
        ids: dict[tuple[str, int], dict[str, str]] = {}
        for name, number in self.trail.numbers.items():
            ids.setdefault((number["file"], number["row"]), {})[number["column"]] = name
        return ids

    def shown(self, number: Mapping[str, Any]) -> str:
        """Return a number as the paper has it, with its interval."""
        ends = f" [{', '.join(number['interval_text'])}]" if "interval_text" in number else ""
        return f"{number['text']}{ends}"

    def stands(self, kind: str, name: str) -> list[int]:
        """Return the paper's pages on which a number or figure stands."""
        return sorted({place["page"] for place in self.trail.places[kind].get(name, [])})

    def rows(self, path: str) -> tuple[list[str], list[list[str]]]:
        """Return a table's header and rows as they stand in its file."""
        try:
            with (self.trail.folder / path).open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
        except (OSError, ValueError) as error:
            raise AnatomyError(f"{path}: cannot read the table: {error}; run the workflow again") from error
        return header, rows

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """The claims by scope, each with its verdict and its effects, from the table of that name."""
        if "claims" not in self.tables:
            return []
        path = self.tables["claims"]
        header, rows = self.rows(path)
        claims: dict[str, dict[str, Any]] = {}
        for place, values in enumerate(rows):
            row: dict[str, Any] = dict(zip(header, values, strict=True))
            ids = self.by_row.get((path, place), {})
            shown = self.shown(self.trail.numbers[ids["estimate"]]) if "estimate" in ids else ""
            row |= {"ids": ids, "row": place, "shown": shown}
            name = f"{row['claim']}-{row['scope']}"
            claim = claims.setdefault(name, {"name": name, "effects": []})
            if row["contrast"] == "all":
                claim |= {"all": row}
            else:
                claim["effects"].append(row)
        return [claim for claim in claims.values() if "all" in claim]

    # Completions

    @cached_property
    def completions(self) -> list[site_completions.Page]:
        """Pages of completions."""
        return site_completions.pages(self.graph.jobs)

    @cached_property
    def completions_of(self) -> dict[str, str]:
        """Page of the completions that a file of counts, samples or verdicts is about."""
        return {
            path: page.path
            for page in self.completions
            for piece in page.pieces
            for path in (piece.path, *piece.named("samples"), *piece.named("verdicts"))
        }

    @cached_property
    def counts(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of each counts file by its path."""
        return {
            piece.path: site_completions.counts(self.trail.folder, piece.path)
            for page in self.completions
            for piece in page.pieces
        }

    # Sources

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Every source file, kept by digest, that jobs ran or read, or that the workflow stands in."""
        sources: dict[str, Source] = {}

        def use(path: str, digest: str, commit: str = "", state: str = "") -> None:
            if digest in sources or (self.kept / digest).is_file():
                uses = sources.setdefault(digest, Source(digest)).uses
                uses[path, commit, state] = uses.get((path, commit, state), 0) + (1 if commit else 0)

        for place, job in enumerate(self.graph.jobs):
            for path, digest in self._read_by(place):
                use(path, digest, job.run["git"]["commit"] or "no commit", _state(job, path))
        for path, digest in self.trail.ledger["workflow"].items():
            if digest not in sources:
                use(path, digest)
        return dict(sorted(sources.items(), key=lambda item: (item[1].path, item[0])))

    @property
    def kept(self) -> Path:
        """The folder that keeps sources by their digests."""
        return self.trail.folder / self.trail.results / recorder.SOURCES

    def _read_by(self, place: int) -> list[tuple[str, str]]:
        """Return path and digest of the sources of a job: its code, its lock, its inputs that no job made."""
        job = self.graph.jobs[place]
        lock = job.result["environment"]["lock"]
        raw = [(file.path, file.sha256) for file in self.graph.raw[place] if file.files is None]
        return [*job.code.items(), *([(lock["path"], lock["sha256"])] if lock else []), *raw]

    def commits(self, jobs: Sequence[Record]) -> dict[tuple[str, bool], int]:
        """Return the commits at which jobs ran, with whether nothing differed from them -> number of jobs."""
        numbers: dict[tuple[str, bool], int] = {}
        for job in jobs:
            git = job.run["git"]
            key = (git["commit"] or "", bool(git["clean"]))
            numbers[key] = numbers.get(key, 0) + 1
        return dict(sorted(numbers.items(), key=lambda item: -item[1]))

    @cached_property
    def readers(self) -> dict[int, list[int]]:
        """The jobs that each job is followed by at once, by their places in the graph."""
        readers: dict[int, list[int]] = {}
        for place, parents in enumerate(self.graph.parents):
            for parent in parents:
                readers.setdefault(parent, []).append(place)
        return readers


def _state(job: Record, path: str) -> str:
    """Return whether a file was as committed when a job used it."""
    git = job.run["git"]
    if not git["commit"]:
        return "unknown"
    if any(path == name or (name.endswith("/") and path.startswith(name)) for name in git["changed"]):
        return "differs from it"
    return "as committed" if len(git["changed"]) < _CLIPPED else "unknown"
