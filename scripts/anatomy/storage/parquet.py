"""The tables between stages: declared schemas, written whole or not at all, verified when read.

A parquet file ends in a footer; ours carries the SHA-256 of the whole file. So a truncated, edited or foreign
file is refused by name, and a file's identity can be read without reading its data.
"""

import hashlib
import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from anatomy.errors import AnatomyError
from anatomy.storage.atomic import atomic
from anatomy.storage.schemas import SCHEMAS, int_field

if TYPE_CHECKING:
    import pandas as pd

_DIGEST = b"anatomy.sha256"
_UNKNOWN = b"0" * 64
_TABLE = b"anatomy.table"
_MAGIC = b"PAR1"


# Bytes of a row group, at least: each has a kilobyte of its own, and a prompt's few rows compress badly.
_GROUP = 4 << 20


def _column(rows: Sequence[Mapping[str, Any]], field: pa.Field) -> pa.Array:
    try:
        return pa.array([row.get(field.name) for row in rows], type=field.type)
    except (ValueError, TypeError) as error:
        raise pa.ArrowInvalid(f"column {field.name}: {error}") from error


@dataclass
class Writer:
    """Writes rows of one table in pieces; see ``writing``."""

    table: str
    path: Path
    _writer: pq.ParquetWriter
    rows: int = 0
    _held: list[pa.Table] = field(default_factory=list)
    _bytes: int = 0

    def write(self, rows: "pd.DataFrame | Sequence[Mapping[str, Any]]") -> None:
        """Append rows.

        Raises:
            AnatomyError: They do not fit the table's schema.
        """
        schema = SCHEMAS[self.table]
        try:
            if not isinstance(rows, Sequence):
                extra = set(rows.columns) ^ set(schema.names)
                batch = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
            else:
                extra = {name for row in rows for name in set(row) ^ set(schema.names)}
                for field in schema:
                    # pyarrow would cut 8.5 down to 8 without a word.
                    if field.type == int_field and any(
                        isinstance(row.get(field.name), float) for row in rows
                    ):
                        raise pa.ArrowInvalid(f"column {field.name} is not of whole numbers")
                batch = pa.table([_column(rows, field) for field in schema], schema=schema)
            if extra:
                raise pa.ArrowInvalid(f"missing or unknown columns {sorted(extra)}")
            for field, column in zip(schema, batch.columns, strict=True):
                if not field.nullable and column.null_count:
                    raise pa.ArrowInvalid(f"column {field.name} has {column.null_count} missing values")
        except (ValueError, TypeError, KeyError) as error:
            raise AnatomyError(f"{self.path}: rows do not fit the table '{self.table}': {error}") from error
        self.rows += batch.num_rows
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held))
            self._held, self._bytes = [], 0


@contextmanager
def writing(path: str | Path, table: str) -> Iterator[Writer]:
    """Open a table for writing; the file appears, checksummed, when the block ends well."""
    schema = SCHEMAS[table].with_metadata({_TABLE: table.encode()})
    with atomic(path) as partial:
        writer = pq.ParquetWriter(
            partial,
            schema,
            compression="zstd",
            store_schema=True,
            write_statistics=False,  # they hold whole completions: the first and the last by the alphabet
        )
        try:
            rows = Writer(table, Path(path), writer)
            yield rows
            rows._flush()
            writer.add_key_value_metadata({_DIGEST: _UNKNOWN})
        finally:
            writer.close()
        digest, at = _digest(partial)
        with partial.open("r+b") as file:
            file.seek(at)
            file.write(digest)


def write(path: str | Path, table: str, rows: "pd.DataFrame | Sequence[Mapping[str, Any]]") -> None:
    """Write a whole table."""
    with writing(path, table) as writer:
        writer.write(rows)


def _footer(file: BinaryIO, path: Path) -> int:
    """Return the offset at which the footer begins.

    Raises:
        AnatomyError: A cut-off or foreign file.
    """
    size = file.seek(0, os.SEEK_END)
    if size >= 12:
        file.seek(size - 8)
        length, magic = struct.unpack("<I4s", file.read(8))
        if magic == _MAGIC and length + 12 <= size:
            return int(size - 8 - length)
    raise AnatomyError(f"{path}: truncated, or not a parquet file; delete it and run the workflow again")


def _digest(path: Path) -> tuple[bytes, int]:
    """Return the SHA-256 of a whole file in which the digest counts as zeros, and its place."""
    with path.open("rb") as file:
        end = _footer(file, path)
        file.seek(end)
        footer = file.read()
        match = re.search(re.escape(_DIGEST) + rb".{1,4}?([0-9a-f]{64})", footer, re.DOTALL)
        if not match:
            raise AnatomyError(
                f"{path}: not a table of this workflow (written or edited by something else);"
                " delete it and run the workflow again"
            )
        digest = hashlib.sha256()
        file.seek(0)
        for start in range(0, end, 1 << 20):
            digest.update(file.read(min(1 << 20, end - start)))
        at = match.start(1)
        digest.update(footer[:at] + _UNKNOWN + footer[at + len(_UNKNOWN) :])
        return digest.hexdigest().encode(), end + at


def identity(path: str | Path) -> str:
    """Return a digest that stands for a parquet file's whole content, read from its footer alone."""
    path = Path(path)
    with path.open("rb") as file:
        file.seek(_footer(file, path))
        return hashlib.sha256(file.read()).hexdigest()


def verify(path: str | Path, table: str) -> None:
    """Raise AnatomyError unless the file is the given table, complete and unaltered since it was written."""
    path = Path(path)
    if not path.exists():
        raise AnatomyError(f"{path}: there is no such file; run the workflow for it first")
    digest, at = _digest(path)
    with path.open("rb") as file:
        file.seek(at)
        if file.read(len(digest)) != digest:
            raise AnatomyError(
                f"{path}: altered since it was written (checksum differs);"
                " delete it and run the workflow again"
            )
    schema = pq.read_schema(path)
    name = (schema.metadata or {}).get(_TABLE, b"?").decode()
    if name != table:
        raise AnatomyError(f"{path}: this is a table '{name}', and a table '{table}' is wanted here")
    if not schema.remove_metadata().equals(SCHEMAS[table].remove_metadata()):
        raise AnatomyError(
            f"{path}: written by another version of this workflow: its columns are not those of the table"
            f" '{table}'; delete it and run the workflow again"
        )


def stream(
    paths: str | Path | Sequence[str | Path],
    table: str,
    columns: Sequence[str] | None = None,
    rows: int = 16_384,
) -> "Iterator[pd.DataFrame]":
    """Yield a table, or its shards in order, in verified pieces of at most ``rows`` rows."""
    for path in [paths] if isinstance(paths, str | Path) else paths:
        verify(path, table)
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows, columns=columns):
                yield batch.to_pandas()


def read(
    paths: str | Path | Sequence[str | Path], table: str, columns: Sequence[str] | None = None
) -> "pd.DataFrame":
    """Read a whole table, verified; for tables of one row a problem, not for samples."""
    import pandas as pd  # a third of a second, of which most jobs that read records have no use

    pieces = list(stream(paths, table, columns))
    if pieces:
        return pd.concat(pieces, ignore_index=True)
    empty: pd.DataFrame = (
        SCHEMAS[table].empty_table().select(list(columns or SCHEMAS[table].names)).to_pandas()
    )
    return empty


def records(
    paths: str | Path | Sequence[str | Path], table: str, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a table's rows as dictionaries of plain Python values, in bounded memory."""
    for path in [paths] if isinstance(paths, str | Path) else paths:
        verify(path, table)
        with pq.ParquetFile(path) as file:
            # A completion may have 100 kB, and a program's tests 40 MB.
            for batch in file.iter_batches(batch_size=8 if table == "problems" else 256, columns=columns):
                yield from batch.to_pylist()
