"""Revisions of the hub, written into the sheets that name models and data sets."""

import hashlib
from pathlib import Path

from huggingface_hub import get_session
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

from anatomy.errors import AnatomyError
from anatomy.hub.download import TIMEOUT, Report, api, require_pin
from anatomy.hub.errors import explained
from anatomy.hub.repository import Kind, Repository
from anatomy.storage.atomic import atomic


def newest(repository: Repository) -> str:
    """Return the newest commit of a repository's main branch; of a file elsewhere, its digest.

    Raises:
        HubError: It cannot be told.
    """
    if repository.elsewhere:
        with explained(repository):
            answer = get_session().get(repository.id, timeout=TIMEOUT)
            hf_raise_for_status(answer)
        return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    with explained(repository):
        info = api().repo_info(repository.id, repo_type=repository.kind, timeout=TIMEOUT)
    commit = str(info.sha)
    require_pin(Repository(repository.kind, repository.id, commit))
    return commit


def pin(path: str | Path, kind: Kind, report: Report) -> int:
    """Fill in the newest commit where a sheet's column ``revision`` is empty ("-") and ``hub_id`` is not.

    Nothing else of the file changes.

    Args:
        path: The sheet.
        kind: What its column ``hub_id`` names.
        report: Is told each commit.

    Returns:
        How many cells were filled in.

    Raises:
        HubError: The hub cannot tell one of them; the file stays as it is.
        AnatomyError: The sheet cannot be read, or lacks a column.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise AnatomyError(f"{path}: cannot read the sheet: {error.strerror}") from error
    names = lines[0].rstrip(b"\r").split(b"\t")
    absent = {b"hub_id", b"revision"} - set(names)
    if absent:
        raise AnatomyError(f"{path}: missing column {sorted(name.decode() for name in absent)}")
    id_, revision = names.index(b"hub_id"), names.index(b"revision")
    commits: dict[str, str] = {}
    count = 0
    for index, line in enumerate(lines[1:], start=1):
        content = line.rstrip(b"\r")
        cells = content.split(b"\t")
        # Whole rows only: what is wrong with another, the workflow says.
        if len(cells) != len(names) or cells[id_] == b"-" or cells[revision] != b"-":
            continue
        name = cells[id_].decode()
        if name not in commits:
            commits[name] = newest(Repository(kind, name))
        cells[revision] = commits[name].encode()
        lines[index] = b"\t".join(cells) + line[len(content) :]
        count += 1
    if count:
        mode = path.stat().st_mode
        with atomic(path) as partial:
            partial.write_bytes(b"\n".join(lines))
            partial.chmod(mode)
    for name, commit in commits.items():
        report(f"{path}: {name} is pinned to {commit}")
    return count
