"""Files and folders that are there whole or not at all."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def _left(path: Path) -> list[Path]:
    """Return what killed processes left of a path; ``code-train`` is not ``train``."""
    own = re.compile(rf"\.partial-\d+-{re.escape(path.name)}")
    return [file for file in path.parent.glob(".partial-*") if own.fullmatch(file.name)]


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the name when the block ends well, and only then."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in _left(path):
        left.unlink()
    # The suffix is kept, since some writers choose their format by it.
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def text_output(path: str) -> Iterator[TextIO]:
    """Open what a command writes text to.

    That is a file, which takes its name when it is complete; a pipe or device; or standard output, ``-``.
    """
    if path == "-":
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
    elif Path(path).exists() and not Path(path).is_file():
        with open(path, "w", encoding="utf-8") as file:
            yield file
    else:
        with atomic(path) as written, written.open("w", encoding="utf-8") as file:
            yield file


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``folder``; it takes the name when the block ends well."""
    folder = Path(folder)
    partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
    for left in _left(folder):
        shutil.rmtree(left)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
