"""The ledger of a study: the records behind all numbers, tables and figures, under one root.

The root is a digest of what determined the results and of the results themselves, not of times and hosts:
the same study, made again, has the same root. It is printed in the paper.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anatomy.audit import hashing, job_record
from anatomy.audit.job_record import Record
from anatomy.errors import AnatomyError
from anatomy.storage.atomic import atomic

FORMAT = 1
HISTORY = "ledgers"
"""The folder of a study that keeps, for each root that it has had, all records and numbers."""


def reached(targets: Iterable[str], folder: Path = Path()) -> tuple[list[Record], list[str]]:
    """Return the records behind targets, and those files of the study behind them that have none."""
    records: dict[str, Record] = {}
    without, seen, todo = set(), set(), list(targets)
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        record = job_record.producer(path, folder)
        if record is None:
            if path.startswith(("results/", "figures/")):
                without.add(path)
            continue
        records[record.digest] = record
        todo += [file.path for file in record.inputs]
    return sorted(records.values(), key=lambda record: record.outputs[0].path), sorted(without)


def root(study: str, digests: Iterable[str]) -> str:
    """Return the root of a ledger with records of these digests."""
    return hashing.of_value({"format": FORMAT, "study": study, "records": sorted(digests)})


def entries(records: Iterable[Record], folder: Path = Path()) -> list[dict[str, Any]]:
    """Return a ledger's line for each record: its digest, and the files that it stands in with their digests.

    Of a job whose outputs lie in several folders, the record stands in each.
    """
    lines = []
    for record in records:
        places = sorted({str(job_record.path_of(file.path)) for file in record.outputs})
        copies = {place: hashing.sha256(folder / place) for place in places}
        lines.append({"digest": record.digest, "job": record.name, "files": copies})
    return lines


def history(study_folder: Path, root: str) -> Path:
    """Return where a study keeps the records and numbers that it had under a root."""
    return study_folder / HISTORY / f"{root}.json.gz"


def keep_history(
    study_folder: Path, root: str, records: Iterable[Record], numbers: Mapping[str, Any]
) -> None:
    """Keep records and numbers under their root; the same ones give the same bytes."""
    jobs = [{"digest": record.digest, "result": record.result, "run": record.run} for record in records]
    text = json.dumps({"root": root, "records": jobs, "numbers": numbers}, ensure_ascii=False)
    with atomic(history(study_folder, root)) as partial:
        partial.write_bytes(gzip.compress(text.encode(), 6, mtime=0))


def read_history(path: Path) -> dict[str, Any]:
    """Read what ``keep_history`` kept: root, records (each a Record) and numbers.

    Raises:
        AnatomyError: It is not there or damaged.
    """
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
        kept = []
        for entry in content["records"]:
            path_of = job_record.path_of(entry["result"]["outputs"][0]["path"])
            kept.append(Record(path_of, entry["result"], entry["run"], entry["digest"]))
        return {"root": content["root"], "records": kept, "numbers": content["numbers"]}
    except OSError as error:
        raise AnatomyError(
            f"{path}: cannot read the records of this root: {error.strerror or error}"
        ) from error
    except (ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
        raise AnatomyError(f"{path}: damaged: {error}") from error


def make(
    study: str, targets: Iterable[str], settings: Mapping[str, Any], workflow: Mapping[str, str]
) -> dict[str, Any]:
    """Return the ledger of what targets are made from.

    Args:
        study: The study's name.
        targets: The files.
        settings: ``config``, the settings in force, the ``configfiles`` that they come from, and
            ``overrides``, those of the command line.
        workflow: Digests of the files that the workflow and the settings stand in.
    """
    records, without = reached(targets)
    return {
        "format": FORMAT,
        "study": study,
        "root": root(study, (record.digest for record in records)),
        "records": entries(records),
        "without_record": without,
        **settings,
        "workflow": dict(workflow),
    }


def read(path: Path) -> dict[str, Any]:
    """Read a ledger.

    Raises:
        AnatomyError: There is none, or it is damaged.
    """
    try:
        ledger: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for part in ("root", "records", "config", "configfiles", "overrides", "workflow"):
            ledger[part]
        return ledger
    except OSError as error:
        raise AnatomyError(
            f"{path}: no ledger ({error.strerror}); `snakemake {path}` makes it of a finished study"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise AnatomyError(f"{path}: not a ledger: {error}; it was damaged or edited") from error
