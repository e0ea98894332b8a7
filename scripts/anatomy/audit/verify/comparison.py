"""A study as it was recorded beside what lies there now: the ground of every check."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from anatomy.audit import hashing, job_record, ledger, recorder
from anatomy.audit.job_record import File, Record
from anatomy.audit.provenance import Affected, Trail
from anatomy.audit.verify.finding import Finding, Verdict
from anatomy.errors import AnatomyError

OUTER = ("ledger", "typeset", "audit_site")
"""Rules that run after the ledger is made, so that it cannot have their records."""

Resolver = Callable[[list[Record]], dict[str, Any]]
"""Gives, for jobs, the params that the workflow would have for them now, by the digest of their records."""


class Comparison:
    """What was recorded, what is there now, and what checks have found to differ."""

    def __init__(self, trail: Trail, name: str | None, root: str | None, resolve: Resolver | None):
        """Read the records, and check the ledger that they are trusted by; arguments as for ``verify``."""
        self.disk = trail
        self.resolve = resolve
        self.verdict = Verdict(trail.ledger["root"])
        self._now: dict[str, File | None] = {}
        self.reported: set[str] = set()
        """Files, numbers and the like that something was found of."""
        self.only: set[str] | None = None
        """Digests of the records that are looked at; None for all."""
        self.wanted: set[str] | None = None
        """Ids of the numbers that were asked for; None for all."""
        kept = self._kept()
        # After the ledger: the paper, the site and the ledger itself, as their own records tell.
        outer = [record for record in trail.jobs if record.rule in OUTER]
        known = {record.digest for record in kept}
        self.jobs = kept + [record for record in outer if record.digest not in known]
        self.trusted = Trail(trail.study, trail.folder)
        self.trusted.__dict__ |= {"_read": (self.jobs, {}), "numbers": self.kept_numbers}
        if name is not None:
            self._restrict(name)
        self._check_root(root)

    def _restrict(self, name: str) -> None:
        """Look only at what is behind a number, figure or file."""
        numbers, files = self.trusted.named(name)
        self.wanted = set(numbers)
        behind = [*files, *(source for number in numbers for source in self.trusted.sources(number))]
        chain = self.trusted.chain(behind)
        tables = [self.trusted.makers[self.trusted.numbers[number]["file"]] for number in numbers]
        self.only = {record.digest for record in (*chain, *tables)}

    def _kept(self) -> list[Record]:
        """Return the records under the ledger's root; where these are gone, those that lie there now."""
        trail = self.disk
        path = ledger.history(trail.folder / trail.results, trail.ledger["root"])
        shown = str(path.relative_to(trail.folder))
        there = (trail.folder / trail.results / "numbers.json").exists()
        self.kept_numbers: dict[str, Any] = trail.numbers if there else {}
        try:
            kept = ledger.read_history(path)
        except AnatomyError as error:
            self.find("ledger altered", shown, f"{error}; the records that lie there are taken instead")
            listed = {entry["digest"] for entry in trail.ledger["records"]}
            return [record for record in trail.jobs if record.digest in listed]
        wrong = [record for record in kept["records"] if job_record.digest(record.result) != record.digest]
        if wrong or ledger.root(trail.study, (record.digest for record in kept["records"])) != kept["root"]:
            names = ", ".join(record.name for record in wrong[:3]) or "some are missing or added"
            self.find("ledger altered", shown, f"its records do not give its root: {names}")
        self.kept_numbers = kept["numbers"]
        return list(kept["records"])

    def _check_root(self, expected: str | None) -> None:
        trail, root = self.disk, self.disk.ledger["root"]
        path = f"{trail.results}/ledger.json"
        everything = Affected(list(self.kept_numbers))
        if ledger.root(trail.study, (entry["digest"] for entry in trail.ledger["records"])) != root:
            self.find("ledger altered", path, "its records do not give its root", everything)
        if expected is not None and not root.startswith(expected.lower()):
            self.find("ledger altered", path, f"its root is {root}, not the expected {expected}", everything)
        printed = _printed_root(trail.folder / trail.paper)
        if printed is not None and printed != root:
            detail = f"its root is {root}; {trail.paper} was set with {printed or 'none'}"
            self.find("ledger altered", path, detail, everything)

    def look(self, path: str) -> File | None:
        """Return a file or folder as it is now; None where it is gone."""
        if path not in self._now:
            place = self.disk.folder / path
            self._now[path] = recorder.look(str(place)) if place.exists() else None
        return self._now[path]

    def source(self, digest: str) -> str | None:
        """Return the text of a source file that the study keeps, if it is there and what it should be."""
        place = self.disk.folder / self.disk.results / recorder.SOURCES / digest
        if not place.is_file() or hashing.sha256(place) != digest:
            return None
        return place.read_text(encoding="utf-8", errors="replace")

    def concerns(self, record: Record) -> bool:
        """Whether a job is one of those that are looked at."""
        return self.only is None or record.digest in self.only

    def affected(self, paths: Iterable[str], rows: dict[str, set[str]] | None = None) -> Affected:
        """Return what depends on files.

        Args:
            paths: The files.
            rows: Of a changed table, the ids of its numbers that are concerned.
        """
        return self.trusted.affected(paths, rows)

    def outputs_of(self, jobs: Iterable[Record]) -> Affected:
        """Return what depends on the outputs of jobs."""
        return self.affected({file.path for record in jobs for file in record.outputs})

    def find_job(self, kind: str, what: str, detail: str, record: Record) -> None:
        """Note a difference that the outputs of a job depend on."""
        self.find(kind, what, detail, self.outputs_of([record]))

    def find(self, kind: str, what: str, detail: str, affected: Affected | None = None) -> None:
        """Note a difference; see ``Finding``. Of what it affects, those numbers count that were asked for."""
        self.reported.add(what)
        affected = affected or Affected()
        if self.wanted:
            numbers = [number for number in affected.numbers if number in self.wanted]
            affected = Affected(numbers, affected.figures, affected.tables, affected.files)
        self.verdict.findings.append(Finding(kind, what, detail, affected))


def _printed_root(pdf: Path) -> str | None:
    """Return the root that a paper carries; empty if none, None where there is no readable paper."""
    if not pdf.exists():
        return None
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        metadata = PdfReader(pdf).metadata
        keywords = metadata.get("/Keywords", "") if metadata else ""
    except (PyPdfError, OSError, ValueError):
        return None  # its own digest tells
    return next((word for word in str(keywords).replace(",", " ").split() if len(word) == 64), "")
