"""What verifying a study found, as data and in words."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from anatomy.audit.provenance import Affected


@dataclass(frozen=True)
class Finding:
    """One difference: its kind, the file or number it is in, what it is, and what depends on it."""

    kind: str
    """data changed, data missing, record altered, record missing, ledger altered, code changed, config
    changed, environment changed, source changed, number differs, number typed, paper altered.
    """
    what: str
    detail: str
    affected: Affected = field(default_factory=Affected)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        affected = {"numbers": self.affected.numbers, "figures": self.affected.figures}
        more = {"tables": self.affected.tables, "files": self.affected.files}
        return {"kind": self.kind, "what": self.what, "detail": self.detail, "affected": affected | more}


@dataclass
class Verdict:
    """What was found; ``notes`` are differences that change nothing."""

    root: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: int = 0
    files: int = 0
    numbers: int = 0


def lines(verdict: Verdict, limit: int = 5) -> Iterator[str]:
    """Yield what was found, for people.

    Args:
        verdict: What was found.
        limit: How many ids are shown of those that a finding affects.
    """
    for finding in verdict.findings:
        yield f"{finding.kind}: {finding.what}"
        yield f"  {finding.detail}"
        after = finding.affected
        kinds = (("number", after.numbers), ("figure", after.figures), ("table", after.tables))
        parts = [f"{len(names)} {kind}{'s' * (len(names) > 1)}" for kind, names in kinds if names]
        if parts:
            more = f", ... ({len(after.numbers) - limit} more)" if len(after.numbers) > limit else ""
            ids = f": {', '.join(after.numbers[:limit])}{more}" if after.numbers else ""
            yield f"  affects {', '.join(parts)}{ids}"
        if after.figures:
            yield f"  figures: {', '.join(after.figures)}"
    yield from (f"note: {note}" for note in verdict.notes)
    several = "s" * (len(verdict.findings) > 1)
    total = f"{len(verdict.findings)} finding{several}" if verdict.findings else "nothing differs"
    yield f"{total}: {verdict.records} records, {verdict.files} files, {verdict.numbers} numbers looked at"
    yield f"root {verdict.root}"
