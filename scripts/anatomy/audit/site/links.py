"""Where on the audit site each thing of a study has its place; ways start at the site's folder."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from anatomy.audit.job_record import File, Record
from anatomy.audit.site.contents import Contents
from anatomy.audit.site.spec import slug


class Links(Contents):
    """A study's contents with the ways to them; templates know it as ``site``."""

    def paper_page(self, page: int) -> str:
        """Return the way from the site's folder to a page of the paper."""
        return f"../../../{self.trail.paper}#page={page}"

    @cached_property
    def job_pages(self) -> dict[str, str]:
        """Page of each job by the digest of its record."""
        pages: dict[str, str] = {}
        taken: set[str] = set()
        for job in self.graph.jobs:
            name = slug([job.rule, *job.wildcards.values()])
            if name.lower() in taken:
                name = f"{name}~{job.digest[:8]}"
            taken.add(name.lower())
            pages[job.digest] = f"jobs/{name}.html"
        return pages

    def job_page(self, job: Record) -> str:
        """Return a job's page."""
        return self.job_pages[job.digest]

    def page_of(self, path: str) -> str | None:
        """Return the page of a file: a table's or figure's own, else that of the job that made it."""
        first, _, name = path.rpartition("/")
        stem = name.partition(".")[0]
        if first == self.trail.figures and stem in self.figures:
            return f"figures/{stem}.html"
        if path == self.tables.get(stem):
            return f"tables/{stem}.html"
        return self.job_page(self.made[path]) if path in self.made else None

    def row_of(self, number: Mapping[str, Any]) -> str:
        """Return the way to a number's row in its table's page."""
        return f"tables/{Path(number['file']).stem}.html#r{number['row']}"

    def way_to(self, identity: str) -> str:
        """Return the way to a number's page or, where it has none, to its row."""
        number = self.trail.numbers[identity]
        return str(number["page"]) if identity in self.numbers else self.row_of(number)

    def source_page(self, digest: str) -> str | None:
        """Return the page of a source file; None where it is not kept."""
        return self.sources[digest].page if digest in self.sources else None

    def file_way(self, file: File) -> str | None:
        """Return the page of an input: its maker's, or of what no job made the text that was kept of it."""
        return self.page_of(file.path) or self.source_page(file.sha256)
