"""Which jobs of a chain are to run again, and which results are taken as they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anatomy.audit import job_record
from anatomy.audit.job_record import File, Record
from anatomy.audit.provenance import Trail
from anatomy.errors import AnatomyError

STARTS = ("data", "models", "samples", "verdicts", "counts", "tables")
"""Where a chain can start. ``data``: everything is run; else what comes up to there is taken as given."""
OUTSIDE = ("download_model", "download_benchmark", "annotate", "ledger", "audit_site")
"""Rules whose outputs are always taken as given: those that ask a hub or a language model, which change, and
the ledger and the audit site, which show a study's records and compute nothing.
"""

_STAGES = {
    "downloads": "data",
    "problems": "data",
    "annotations": "data",
    "prompts": "data",
    "models": "models",
    "samples": "samples",
    "temperatures": "samples",
    "verdicts": "verdicts",
    "counts": "counts",
    "scores": "counts",
    "tables": "tables",
}
"""The stage of a job, by the folder of its study that its first output lies in."""


# What is to be run -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What is run again, and what that takes from the study."""

    run: list[Record]
    """In an order in which each job comes after those that it depends on."""
    given: dict[str, tuple[File, Record]]
    """Files of the study that are taken as given, each with the job that made it."""
    raw: list[File]
    """Inputs that no job made."""


def planned(trail: Trail, targets: Sequence[str], start: str) -> Plan:
    """Return what has to run again for some files.

    Args:
        trail: The study.
        targets: The files.
        start: From where on jobs run again; see STARTS.

    Raises:
        AnatomyError: A file has no record, or a record in the chain is damaged.
    """
    chain = trail.chain(targets)
    makers = {file.path: record for record in chain for file in record.outputs}
    for path in targets:
        if path not in makers:
            raise AnatomyError(f"{path}: no job made it, or its record is gone: it cannot be made again")
    for record in chain:
        _check_record(record, makers, record.inputs)
    running: set[str] = set()
    for record in chain:
        after = any(file.path in makers and makers[file.path].digest in running for file in record.inputs)
        if not _taken(trail, record, start, after):
            running.add(record.digest)
    wanted: set[str] = set()
    given: dict[str, tuple[File, Record]] = {}
    raw: dict[str, File] = {}
    todo = list(targets)
    while todo:
        path = todo.pop()
        record = makers[path]
        if record.digest not in running:
            file = record.output(path)
            assert file
            given[path] = file, record
        elif record.digest not in wanted:
            wanted.add(record.digest)
            raw |= {file.path: file for file in record.inputs if file.path not in makers}
            todo += [file.path for file in record.inputs if file.path in makers]
    return Plan([record for record in chain if record.digest in wanted], given, list(raw.values()))


def _taken(trail: Trail, record: Record, start: str, after: bool) -> bool:
    """Tell whether a job's outputs are taken as given; ``after``: it depends on a job that is run."""
    if record.rule in OUTSIDE:
        return True
    parts = Path(record.outputs[0].path).parts
    stage = _STAGES.get(parts[2]) if parts[:2] == Path(trail.results).parts else None
    if stage is None or start == "data":
        return False
    if stage == "data":  # problems that a model fails, say, come after that model's samples
        return not after
    return STARTS.index(stage) <= STARTS.index(start)


def _check_record(record: Record, makers: Mapping[str, Record], inputs: Iterable[File]) -> None:
    """Raise AnatomyError where a record was edited, or an input's record is not the one that it names."""
    if job_record.digest(record.result) != record.digest:
        raise AnatomyError(
            f"{record.path}: edited since it was written; its content is not that of its digest"
        )
    for file in inputs:
        maker = makers.get(file.path)
        if file.made_by and (maker is None or maker.digest != file.made_by):
            what = "is gone" if maker is None else f"({maker.path}) is another one now"
            raise AnatomyError(
                f"{file.path}: the record of the job that made it for {record.name} {what};"
                " `verify` tells what was altered"
            )


def collecting(trail: Trail, tables: Sequence[str]) -> Record:
    """Return the record of the job that read the numbers from tables, these among them."""
    path = f"{trail.results}/numbers.json"
    record = trail.maker(path)
    if record is None:
        raise AnatomyError(f"{path}: it has no record, so numbers cannot be read from their tables again")
    makers = {table: maker for table in tables if (maker := trail.maker(table))}
    _check_record(record, makers, [file for file in record.inputs if file.path in tables])
    return record
