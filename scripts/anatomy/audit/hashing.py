"""SHA-256 of files and folders; a large file is hashed once, and again only when it has changed."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

LARGE = 4 << 20
"""Bytes from which a file's digest is kept: up to here, hashing is cheaper than looking it up."""
STAMP = ".snakemake_timestamp"
"""Snakemake's own mark in a folder that a job has made; not part of the result."""
_CACHE = Path("results/.hashes")


def sha256(path: str | Path, cache: bool = False) -> str:
    """Return the SHA-256 of a file's bytes, in hex.

    Args:
        path: The file.
        cache: Take the digest of a large file from an earlier call, if size, times (the change time, which no
            program sets, among them) and inode are the same.

    Raises:
        OSError: The file cannot be read.
    """
    path = Path(path)
    status = path.stat()
    if not cache or status.st_size < LARGE:
        return _hash(path)
    state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    kept = _CACHE / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    try:
        known = json.loads(kept.read_text())
        if known["state"] == state:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not known yet, or another version's
    digest = _hash(path)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_name(f"{kept.name}.{os.getpid()}")
    partial.write_text(json.dumps({"state": state, "sha256": digest}))
    partial.replace(kept)
    return digest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_of(path: str | Path) -> Iterator[Path]:
    """Yield the files of a folder, all levels, sorted.

    What was half written, and Snakemake's marks, are left out.
    """
    for place, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".partial-"))
        yield from (
            Path(place) / name for name in sorted(names) if name != STAMP and not name.startswith(".partial-")
        )


def tree(path: str | Path, cache: bool = False) -> dict[str, str]:
    """Return the digest of every file of a folder, by its path within it."""
    return {str(file.relative_to(path)): sha256(file, cache) for file in files_of(path)}


def of_tree(files: dict[str, str]) -> str:
    """Return one digest for a folder.

    It is of the lines ``DIGEST NAME``, as ``sha256sum`` prints them, sorted by name.
    """
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def of_value(value: object) -> str:
    """Return the digest of a value of plain JSON, in its one canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def of_bytes(content: bytes) -> str:
    """Return the digest of bytes."""
    return hashlib.sha256(content).hexdigest()
