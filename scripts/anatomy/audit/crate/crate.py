"""A study as a Workflow Run RO-Crate: its files and every job that made them, for other programs to read.

The profile is Provenance Run Crate 0.5, on RO-Crate 1.1. A file that the crate does not carry is described
too, with its digest, under an address made from the ledger's root.
"""

import tempfile
from pathlib import Path

from anatomy.audit import hashing
from anatomy.audit.crate.builder import Builder, Data
from anatomy.audit.crate.jobs import add_job, relate
from anatomy.audit.crate.sources import add_sources
from anatomy.audit.crate.study import describe
from anatomy.audit.crate.workflow import add_workflow
from anatomy.audit.provenance import Trail
from anatomy.errors import AnatomyError


def write(trail: Trail, folder: Path, data: Data = "results") -> Path:
    """Write the crate of a study into a new or empty folder, and return its path.

    Args:
        trail: The study.
        folder: The folder, which is made.
        data: Which files the crate carries.

    Raises:
        AnatomyError: The study is not finished, a file is not what its record says, the folder has something
            in it, or rocrate is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AnatomyError(f"{folder}: there is something already; name a new folder for the crate")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as partial:
            place = Path(partial) / "crate"
            _write(Builder(trail, data), place)
            if folder.exists():
                folder.rmdir()
            place.rename(folder)
    except OSError as error:
        raise AnatomyError(f"{folder}: cannot write the crate: {error}") from error
    return folder


def _write(builder: Builder, place: Path) -> None:
    """Write a crate: first the jobs, then what they say of files and slots, then the workflow."""
    describe(builder)
    add_sources(builder)
    actions = {record.digest: add_job(builder, record) for record in builder.jobs}
    for record in builder.jobs:
        relate(builder, record, actions[record.digest])
    add_workflow(builder, actions)
    builder.add_slots()
    for entity in builder.crate.get_entities():
        shown = entity.properties()
        # RO-Crate wants one value as such, not a list of it.
        shown |= {
            name: value[0] for name, value in shown.items() if isinstance(value, list) and len(value) == 1
        }
    builder.crate.write(place)
    _check(builder, place)


def _check(builder: Builder, place: Path) -> None:
    """Compare what the crate carries with the digests that it states."""
    for path, entity in builder.files.items():
        written = place / path
        if "sha256" in entity and written.is_file() and hashing.sha256(written) != entity["sha256"]:
            raise AnatomyError(
                f"{path}: not what its record says (another checksum); `audit.py verify {path}` tells more"
            )
