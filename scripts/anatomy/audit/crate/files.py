"""The files of a study in its crate: carried, or described by their digests."""

import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anatomy.audit.crate.builder import Builder
from anatomy.audit.crate.vocabulary import FORMATS, KINDS
from anatomy.audit.job_record import File, Record
from anatomy.errors import AnatomyError


def add_file(
    builder: Builder, path: str, digest: str, source: Path | None, size: int | None = None, **more: Any
) -> Any:
    """Add a file, or return the entity that it has.

    Args:
        builder: The crate.
        path: The file, as records name it.
        digest: Its SHA-256.
        source: Where it lies, to be carried; None where the crate only describes it.
        size: Bytes; those of ``source`` without it.
        **more: Further properties.

    Raises:
        AnatomyError: The file is not there.
    """
    if path in builder.files:
        return builder.files[path]
    if source is not None and not source.is_file():
        raise AnatomyError(f"{path}: missing; `audit.py verify` tells what else is not as it was")
    if size is None and source is not None:
        size = source.stat().st_size
    shown = {
        "name": Path(path).name if outside(path) else path,
        "sha256": digest,
        "encodingFormat": FORMATS.get(Path(path).suffix, "text/plain"),
        **({"contentSize": str(size)} if size is not None else {}),
        **more,
    }
    carried = source is not None and not outside(path)
    where = (source, path) if carried else (_address(builder, path, digest), None)
    builder.files[path] = builder.crate.add(builder.model.File(builder.crate, *where, properties=shown))
    return builder.files[path]


def _address(builder: Builder, path: str, digest: str) -> str:
    """Return the address of a file that the crate does not carry."""
    if outside(path):
        path = f"outside/{digest}/{Path(path).name}"
    return f"arcp://uuid,{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:sha256:{builder.root}')}/{quote(path)}"


def add_data(builder: Builder, file: File, maker: Record | None) -> Any:
    """Add an input or output of a job, a file or a folder, or return the entity that it has.

    Args:
        builder: The crate.
        file: The input or output.
        maker: The job that made it; None for an input.
    """
    path = file.path
    if path in builder.files:
        return builder.files[path]
    about = f"{_about(builder, path)}{f'; made by the job {maker.name!r}' if maker else ''}"
    carried = _carried(builder, path)
    if file.files is None:
        source = builder.trail.folder / path if carried else None
        return add_file(builder, path, file.sha256, source, file.bytes, description=about)
    shown = {
        "name": Path(path).name if outside(path) else path,
        "description": f"{about}; {len(file.files)} files, {file.bytes} bytes;"
        f" SHA-256 of their list: {file.sha256}",
        "identifier": f"urn:sha256:{file.sha256}",
    }
    where = (None, path) if carried else (_address(builder, path, file.sha256), None)
    dataset = builder.model.Dataset(builder.crate, *where, properties=shown)
    folder = builder.files[path] = builder.crate.add(dataset)
    if carried:
        for name, digest in file.files.items():
            source = builder.trail.folder / path / name
            part = add_file(builder, f"{path}/{name}", digest, source, description=f"Part of {path}")
            folder.append_to("hasPart", part)
    return folder


def _carried(builder: Builder, path: str) -> bool:
    trail = builder.trail
    if builder.data == "all" or path == f"{trail.results}/ledger.json":
        return True
    small = (f"{trail.results}/tables/", f"{trail.figures}/", f"{trail.results}/numbers.json", "paper/")
    return builder.data == "results" and path.startswith((*small, f"{trail.results}/places.json"))


def _about(builder: Builder, path: str) -> str:
    """Return what a file of the study is, in words."""
    trail, name = builder.trail, Path(path).stem
    if path == trail.paper:
        return "The paper; every number in it is a link to where it comes from"
    if path.startswith(f"{trail.figures}/"):
        return f"Figure '{name}' of the paper"
    kind, _, rest = path.removeprefix(f"{trail.results}/").partition("/")
    if kind == "tables":
        return f"Table '{name}': {builder.titles.get(name, 'results')}"
    whole = {
        "numbers.json": f"All {len(trail.numbers)} reported numbers by id: value, text, interval, and the"
        " file, row and column each was read from",
        "ledger.json": "The ledger: digests of the records of all jobs, under one root, and the settings",
        "places.json": "Where each number and figure stands in the paper",
    }
    return KINDS.get(kind, "Data of the study") if rest else whole.get(kind, "Data of the study")


def outside(path: str) -> bool:
    """Whether a job read a file from outside of the repository."""
    return path.startswith(("/", "~", "$")) or ".." in Path(path).parts
