"""Code, environment and settings of a study against those that are there now."""

from anatomy.audit import hashing, source_diff
from anatomy.audit.job_record import Record
from anatomy.audit.provenance import Affected
from anatomy.audit.verify.comparison import Comparison
from anatomy.errors import AnatomyError
from anatomy.workflow import code_digest


def check_code(comparison: Comparison) -> None:
    """Compare the code that ran with what is there now, by its meaning."""
    ran: dict[tuple[str, str], list[Record]] = {}
    for record in filter(comparison.concerns, comparison.jobs):
        for path, digest in record.code.items():
            ran.setdefault((path, digest), []).append(record)
    for (path, digest), jobs in sorted(ran.items()):
        place = comparison.disk.folder / path
        if place.is_file() and hashing.sha256(place) == digest:
            continue
        new = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else None
        old = comparison.source(digest)
        if new is not None and old is not None and code_digest.same_meaning(old, new):
            comparison.verdict.notes.append(f"{path}: comments or layout changed since, not what it does")
            continue
        detail = "it is gone" if new is None else _changed_code(old, new)
        comparison.find(
            "code changed", path, f"{detail}; {len(jobs)} jobs ran it", comparison.outputs_of(jobs)
        )


def _changed_code(old: str | None, new: str) -> str:
    """Return what of a module differs, by the names that it defines."""
    names = source_diff.changed_names(old, new) if old is not None else ()
    if names is None:
        return "it is not valid Python any more"
    return f"in {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else "it differs"


def check_environment(comparison: Comparison) -> None:
    """Compare the lock that the environment was made from with what is there now."""
    locks: dict[tuple[str, str], list[Record]] = {}
    for record in filter(comparison.concerns, comparison.jobs):
        lock = record.result["environment"]["lock"]
        if lock:
            locks.setdefault((lock["path"], lock["sha256"]), []).append(record)
    for (path, digest), jobs in sorted(locks.items()):
        place = comparison.disk.folder / path
        if not place.is_file() or hashing.sha256(place) != digest:
            old, detail = comparison.source(digest), "it is gone"
            if place.is_file():
                fresh = source_diff.new_lines(old or "", place.read_text(encoding="utf-8", errors="replace"))
                detail = f"first new line: {fresh[0]}" if old and fresh else "it differs"
            comparison.find("environment changed", path, detail, comparison.outputs_of(jobs))


def check_config(comparison: Comparison) -> None:
    """Compare the files that settings stand in, and find the jobs whose params would differ now."""
    changed = {}
    for path, digest in comparison.disk.ledger["workflow"].items():
        place = comparison.disk.folder / path
        if not place.is_file():
            changed[path] = "it is gone"
        elif hashing.sha256(place) != digest:
            old = comparison.source(digest)
            new = place.read_text(encoding="utf-8", errors="replace")
            values = ["it differs"] if old is None else source_diff.changed_values(path, old, new)
            changed[path] = ", ".join(values[:3])
    if not changed or comparison.resolve is None:
        for path, detail in changed.items():
            comparison.find("config changed", path, detail)
        return
    concerned = [
        record
        for record in comparison.jobs
        if comparison.concerns(record) and record.rule not in ("ledger", "audit_site")
    ]
    try:
        params = comparison.resolve(concerned)
    except AnatomyError as error:
        everything = Affected(list(comparison.kept_numbers))
        for path, detail in changed.items():
            comparison.find("config changed", path, f"{detail}; it is not valid: {error}", everything)
        return
    touched = []
    for record in concerned:
        differing = source_diff.differences(record.params, params.get(record.digest) or {})
        if differing:
            touched.append((record, differing[0]))
    for path, detail in changed.items():
        if touched:
            record, first = touched[0]
            more = f"; the params of {len(touched)} jobs differ, those of '{record.name}': {first}"
            affected = comparison.outputs_of([record for record, _ in touched])
            comparison.find("config changed", path, detail + more, affected)
        else:
            comparison.verdict.notes.append(f"{path}: {detail}; no job's params differ")
