"""A job's record: what determined its result, the result itself, and the circumstances in which it was made.

A record lies beside each of a job's outputs (``passk.csv`` has ``passk.record.json``). Its part ``result``
says all that the outputs depend on, and their digests; ``digest`` is that part's own. An input names the
digest of the record of the job that made it, so that records form a chain in which none can change without
all that follow it. The part ``run`` says when, where and at which commit; it is not chained, so that the
same study made again, elsewhere, ends in the same chain.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anatomy.audit import hashing
from anatomy.errors import AnatomyError
from anatomy.storage.atomic import atomic

FORMAT = 1
SUFFIX = ".record.json"


def path_of(output: str | Path) -> Path:
    """Return where the record of the job that made a file or folder lies."""
    return Path(output).with_suffix(SUFFIX)


@dataclass(frozen=True)
class File:
    """An input or output as a job saw it; of a folder, ``files`` has the digest of each file."""

    path: str
    sha256: str
    bytes: int
    made_by: str = ""
    """Digest of the record of the job that made it; empty for what no job made, and for outputs."""
    files: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what stands in a record."""
        shown: dict[str, Any] = {"path": self.path, "sha256": self.sha256, "bytes": self.bytes}
        if self.made_by:
            shown["made_by"] = self.made_by
        return shown | ({"files": dict(self.files)} if self.files is not None else {})


@dataclass(frozen=True)
class Record:
    """A record as it was read from ``path``; ``result`` and ``run`` are its two parts."""

    path: Path
    result: Mapping[str, Any]
    run: Mapping[str, Any]
    digest: str

    @property
    def rule(self) -> str:
        """The rule that the job is one of."""
        return str(self.result["rule"])

    @property
    def wildcards(self) -> Mapping[str, str]:
        """The rule's wildcards, as the job filled them."""
        return dict(self.result["wildcards"])

    @property
    def params(self) -> Mapping[str, Any]:
        """The rule's params, as the job was given them."""
        return dict(self.result["params"])

    @property
    def name(self) -> str:
        """The job as its log calls it: rule and wildcards."""
        return " ".join([self.rule, *map(str, self.wildcards.values())])

    @cached_property
    def inputs(self) -> list[File]:
        """What the job read."""
        return [File(**entry) for entry in self.result["inputs"]]

    @cached_property
    def outputs(self) -> list[File]:
        """What the job made."""
        return [File(**entry) for entry in self.result["outputs"]]

    @property
    def code(self) -> Mapping[str, str]:
        """SHA-256 of the script and of each module of the library that it imported, by path."""
        return dict(self.result["code"])

    def output(self, path: str) -> File | None:
        """Return the output of a path; None where the job has none such."""
        return next((file for file in self.outputs if file.path == path), None)


def parts(result: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest for each part of a record's result."""
    return {name: hashing.of_value(value) for name, value in result.items()}


def digest(result: Mapping[str, Any]) -> str:
    """Return the digest of a record's result."""
    return hashing.of_value(result)


def write(path: Path, result: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Write a record."""
    content = {"format": FORMAT, "digest": digest(result), "result": result, "run": run}
    with atomic(path) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: str | Path) -> Record:
    """Read a record; its digest is not checked (``audit.verify`` does that).

    Raises:
        AnatomyError: It is none.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        record = Record(path, content["result"], content["run"], content["digest"])
        if content["format"] != FORMAT:
            raise AnatomyError(f"{path}: a record of format {content['format']}; this version reads {FORMAT}")
        _ = record.rule, record.inputs, record.outputs, record.code, record.wildcards, record.params
        return record
    except OSError as error:
        raise AnatomyError(f"{path}: cannot read the record: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnatomyError(f"{path}: not a job's record ({error}); it was damaged or edited") from error


def producer(path: str | Path, folder: Path = Path()) -> Record | None:
    """Return the record of the job that made a file of a study, or None: no job made it, or it has none.

    Args:
        path: The file.
        folder: Where paths of records are relative to.
    """
    place = folder / path_of(path)
    if not place.is_file():
        return None
    record = read(place)
    return record if record.output(str(path)) else None


def within(*folders: Path) -> list[Record]:
    """Return the records of all jobs whose outputs lie in some folders, each once.

    Raises:
        AnatomyError: A record that was damaged.
    """
    paths = (path for folder in folders for path in sorted(folder.rglob("*.record.json")))
    return list({record.digest: record for record in map(read, paths)}.values())
