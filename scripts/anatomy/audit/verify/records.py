"""The records of a study against its ledger."""

from pathlib import Path

from anatomy.audit import hashing, job_record, source_diff
from anatomy.audit.job_record import Record
from anatomy.audit.verify.comparison import OUTER, Comparison
from anatomy.errors import AnatomyError


def check_records(comparison: Comparison) -> None:
    """Compare each record that lies there with the ledger."""
    trail = comparison.disk
    by_digest = {record.digest: record for record in comparison.jobs}
    for entry in trail.ledger["records"]:
        record = by_digest.get(entry["digest"])
        if record is None or not comparison.concerns(record):
            continue
        for path, digest in entry["files"].items():
            comparison.verdict.records += 1
            place = trail.folder / path
            if not place.exists():
                comparison.find_job("record missing", path, f"the record of the job '{entry['job']}'", record)
            elif hashing.sha256(place) != digest:
                comparison.find_job("record altered", path, _altered(comparison, place, record), record)
    for record in comparison.jobs:
        if record.rule in OUTER and job_record.digest(record.result) != record.digest:
            path = str(record.path.relative_to(trail.folder))
            comparison.find_job("record altered", path, "its content does not give its digest", record)
    for path in trail.damaged:
        if not any(path in entry["files"] for entry in trail.ledger["records"]):
            comparison.find("record altered", path, "it cannot be read")


def _altered(comparison: Comparison, place: Path, record: Record) -> str:
    try:
        now = job_record.read(place)
    except AnatomyError:
        return "it cannot be read"
    changed = source_diff.differences(record.result, now.result) or source_diff.differences(
        record.run, now.run
    )
    shown = "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
    if now.result == record.result:
        return f"made again or edited since the ledger: {shown or 'its layout'}"
    return shown


def check_missing_records(comparison: Comparison) -> None:
    """Find files without a record: those made after the ledger, and those that had none before."""
    trail = comparison.disk
    if comparison.only is not None:
        return
    results = trail.results
    for path in (trail.paper, f"{results}/places.json", f"{results}/ledger.json", f"{results}/audit"):
        place = job_record.path_of(path)  # which no ledger can list
        if (trail.folder / path).exists() and not (trail.folder / place).exists():
            comparison.find("record missing", str(place), f"the record of the job that made {path}")
    for path in trail.ledger.get("without_record", []):
        comparison.find(
            "record missing", path, "it had no record when the ledger was made", comparison.affected([path])
        )
