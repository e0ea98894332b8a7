"""Models and data sets of the Hugging Face hub: fetched at pinned commits, verified, whole or not at all.

The hub's own client lists, fetches and verifies: ``HfApi.verify_repo_checksums`` compares all files with the
checksums that the hub keeps of them (SHA-256 of large files, git's SHA-1 of small ones). An interrupted
download goes on within the file it was in, so each is fetched with the client's ``http_get``:
``snapshot_download`` and ``hf_hub_download`` (2.4) remove what came of a file when they are interrupted, and
compare sizes only.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, get_session, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    DEFAULT_IGNORE_PATTERNS,
    build_hf_headers,
    disable_progress_bars,
    filter_repo_objects,
    hf_raise_for_status,
)

from anatomy.hub.errors import FULL, HubError, explain, explained
from anatomy.hub.repository import COMMIT, DIGEST, Repository, endpoint
from anatomy.names import MANIFEST
from anatomy.storage.atomic import atomic

Report = Callable[[str], None]
ORIGIN = "origin.json"
"""A downloaded model's id and revision, in its folder."""
_BESIDES_WEIGHTS = {"", ".jinja", ".json", ".md", ".model", ".tiktoken", ".txt"}
"""Suffixes of the files of a model that are no weights: configuration, tokenizer, chat template, licence."""
_DATA = {".arrow", ".csv", ".gz", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".txt", ".zip", ".zst"}
TIMEOUT = 10.0  # seconds


def api() -> HfApi:
    """Return a client of the hub."""
    return HfApi(endpoint=endpoint())


def require_pin(repository: Repository) -> None:
    """Check that the revision is a full commit, or a file's digest: a branch or tag may move.

    Raises:
        HubError: It is not.
    """
    wanted, name = (DIGEST, "digest (sha256:...)") if repository.elsewhere else (COMMIT, "commit")
    if not wanted.fullmatch(repository.revision):
        given = f" but '{repository.revision}'" if repository.revision else ""
        raise HubError(
            f"{repository}: the revision is no full {name}{given}",
            f"`python scripts/pin.py` fills in the column 'revision' of {repository.sheet}",
        )


def reachable() -> None:
    """Check that the hub answers at all, asked once and without a long wait.

    Raises:
        HubError: It does not.
    """
    with explained(Repository("model", "")):
        get_session().head(endpoint(), headers=_headers(), timeout=TIMEOUT)


def _headers() -> dict[str, str]:
    # Compressed content has other lengths and cannot be gone on with in the middle.
    headers: dict[str, str] = build_hf_headers(headers={"Accept-Encoding": "identity"})
    return headers


def files(repository: Repository) -> list[RepoFile]:
    """Return the files of a repository that a download takes, at its pinned commit.

    Of a model: weights as safetensors, else as PyTorch's .bin; configuration, tokenizer, chat template and
    licence; nothing in subfolders, where other formats lie. Of a data set: its data and its card.

    Raises:
        HubError: There are none, or the hub does not list them.
    """
    require_pin(repository)
    whole = repository.kind == "dataset"
    with explained(repository):
        tree = api().list_repo_tree(
            repository.id, recursive=whole, revision=repository.revision, repo_type=repository.kind
        )
        entries = [entry for entry in tree if isinstance(entry, RepoFile)]
    # What the verification leaves out, such as what is named like the client's own notes, is not taken.
    kept = filter_repo_objects(entries, ignore_patterns=DEFAULT_IGNORE_PATTERNS, key=lambda entry: entry.path)
    taken = (_data if whole else _model)(list(kept))
    if not taken:
        wanted = "data files" if whole else "safetensors or pytorch_model*.bin"
        raise HubError(
            f"{repository} has no {wanted} at revision {repository.revision}",
            f"choose another revision or id in {repository.sheet}",
        )
    return taken


def _model(files: list[RepoFile]) -> list[RepoFile]:
    tensors = [f for f in files if f.path.endswith(".safetensors") and not f.path.startswith("consolidated")]
    weights = tensors or [f for f in files if re.fullmatch(r"pytorch_model.*\.bin", f.path)]
    others = [
        entry
        for entry in files
        if Path(entry.path).suffix in _BESIDES_WEIGHTS
        and not entry.path.startswith(".")
        and entry.path not in (MANIFEST, ORIGIN)
    ]
    return [*others, *weights] if weights else []


def _data(files: list[RepoFile]) -> list[RepoFile]:
    data = [entry for entry in files if Path(entry.path).suffix in _DATA]
    cards = [entry for entry in files if entry.path in ("README.md", ".huggingface.yaml")]
    return [*cards, *data] if data else []


def _fetch(repository: Repository, wanted: list[RepoFile], work: Path, report: Report) -> None:
    """Fetch files into ``work``, go on with those that are there in part, and verify all of them."""
    disable_progress_bars()
    with explained(repository):
        work.mkdir(parents=True, exist_ok=True)
        have = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
        missing = sum(file.size for file in wanted) - have
        free = shutil.disk_usage(work).free
    if missing > free:
        raise HubError(
            f"{repository}: {gigabytes(missing)} are still to be fetched, and the disk of {work} has"
            f" {gigabytes(free)} left",
            "free some space, or put `results` on a larger file system, and run again",
        )
    for number, file in enumerate(wanted, start=1):
        with explained(repository):
            _transfer(repository, file, work / file.path)
        report(f"{file.path}: {gigabytes(file.size)} ({number} of {len(wanted)} files)")
    _verify(repository, work)
    report(f"{len(wanted)} files, verified")


def _transfer(repository: Repository, file: RepoFile, target: Path) -> None:
    """Fetch what is missing of one file."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    url = hf_hub_url(
        repository.id,
        file.path,
        repo_type=repository.kind,
        revision=repository.revision,
        endpoint=endpoint(),
    )
    partial = target.with_name(f"{target.name}.partial")
    with partial.open("ab") as output:
        if output.tell() > file.size:
            output.seek(0)
            output.truncate()
        http_get(url, output, resume_size=output.tell(), headers=_headers(), expected_size=file.size)
        output.flush()
        os.fsync(output.fileno())
    partial.replace(target)


def _verify(repository: Repository, work: Path) -> None:
    """Raise HubError where a file's content is not that which the hub has a checksum of, and remove it."""
    with explained(repository):
        verification = api().verify_repo_checksums(
            repository.id, repo_type=repository.kind, revision=repository.revision, local_dir=work
        )
        wrong = verification.mismatches
        for file in wrong:
            (work / file["path"]).unlink()
    if wrong:
        names = ", ".join(file["path"] for file in wrong)
        sums = "; ".join("{algorithm} {actual}, expected {expected}".format(**file) for file in wrong)
        raise HubError(
            f"{repository}: the content of {names} is not that which the hub has a checksum of ({sums})",
            "it was damaged on its way and has been removed: run again to fetch it anew",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def gigabytes(size: float) -> str:
    """Write a number of bytes for people."""
    for unit, bytes_ in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= bytes_:
            return f"{size / bytes_:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"


def _work(work: str | Path, repository: Repository) -> Path:
    """Return the folder of a download in progress; what another revision left there goes."""
    folder = Path(work) / repository.revision
    for left in Path(work).glob("*"):
        if left != folder:
            shutil.rmtree(left)
    return folder


def download_model(id: str, revision: str, folder: str | Path, work: str | Path, report: Report) -> None:
    """Download a model at a full commit; ``folder`` appears whole, with manifest and origin, or not at all.

    Args:
        id: The model's name on the hub.
        revision: A full commit.
        folder: Where it shall lie.
        work: A folder on the same file system, in which an interrupted download is kept and gone on with.
        report: Is told the progress.

    Raises:
        HubError: The revision is no full commit or is gone, the model is missing or gated, the hub cannot be
            reached, the disk is full, or what came is not what the hub has a checksum of; with what to do.
    """
    repository = Repository("model", id, revision)
    require_pin(repository)
    folder = Path(folder)
    reachable()
    wanted, partial = files(repository), _work(work, repository)
    report(f"{id} at {revision}: {len(wanted)} files, {gigabytes(sum(file.size for file in wanted))}")
    _fetch(repository, wanted, partial, report)
    with explained(repository):
        _write_json(partial / ORIGIN, {"id": id, "revision": revision})
        # Of large files, the verified checksum is the digest.
        digests = {
            file.path: file.lfs.sha256 if file.lfs else _sha256(partial / file.path) for file in wanted
        }
        digests[ORIGIN] = _sha256(partial / ORIGIN)
        _write_json(partial / MANIFEST, dict(sorted(digests.items())))
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        Path(work).rmdir()


def _write_json(path: Path, content: dict[str, str]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def fetch_dataset(
    id: str, config: str, split: str, revision: str, path: str | Path, work: str | Path, report: Report
) -> None:
    """Write a split of a data set as JSON lines, fields in the publisher's order; the same bytes every time.

    The files are fetched and verified like a model's, and read by the ``datasets`` library. Dates become ISO
    8601 text.

    Args:
        id: The data set's name on the hub, or the address of a file (see ``Repository``).
        config: Its configuration; empty: the only or default one.
        split: The split of it.
        revision: A full commit, or the file's digest.
        path: The file that is written.
        work: A folder in which an interrupted download is kept and gone on with.
        report: Is told the progress.

    Raises:
        HubError: As ``download_model``, or there is no such config or split, or a field holds what is no
            text, number or list, such as pictures.
    """
    repository = Repository("dataset", id, revision)
    require_pin(repository)
    if repository.elsewhere:
        return _fetch_file(repository, path, report)
    reachable()
    partial = _work(work, repository)
    _fetch(repository, files(repository), partial / "files", report)
    import datasets  # heavy, and needed only here

    datasets.disable_progress_bars()
    where = f"{repository}, config '{config or 'default'}', split '{split}'"
    try:
        loaded = datasets.load_dataset(
            str(partial / "files"), config or None, split=split, cache_dir=str(partial / "prepared")
        )
        with atomic(path) as written, written.open("w", encoding="utf-8") as output:
            for record in loaded:
                output.write(json.dumps(dict(record), ensure_ascii=False, default=_text) + "\n")
    except Exception as error:  # the library's own and those of each format share no base
        first = error.__cause__ or error  # which says in particular what failed
        if isinstance(first, OSError) and first.errno in FULL:
            raise HubError(*explain(first, repository)) from error
        reason = str(first).strip() or type(first).__name__
        raise HubError(
            f"{where}, revision {revision}: {reason.splitlines()[0]}",
            f"correct the columns hub_config, hub_split or revision of {repository.sheet}",
        ) from error
    shutil.rmtree(work)
    report(f"{id} at {revision}: {len(loaded)} rows")


def _fetch_file(repository: Repository, path: str | Path, report: Report) -> None:
    """Fetch a file from an address of its own; the hub's token is not sent there."""
    disable_progress_bars()
    _ask_for(repository)  # since the transfer itself would try for long
    with explained(repository), atomic(path) as partial:
        with partial.open("wb") as output:
            http_get(repository.id, output, headers={"Accept-Encoding": "identity"})
        digest = f"sha256:{_sha256(partial)}"
        if digest != repository.revision:
            raise HubError(
                f"{repository}: its content is {digest}, expected {repository.revision}",
                f"run again; if it stays so, the file has changed: find the old one, or correct"
                f" {repository.sheet} knowing that results may differ",
            )
        size = partial.stat().st_size
    report(f"{repository.id}: {gigabytes(size)}, verified")


def _ask_for(repository: Repository) -> int:
    """Return the bytes of a file elsewhere, 0 where its server does not tell."""
    with explained(repository):
        answer = get_session().head(repository.id, timeout=TIMEOUT)
        hf_raise_for_status(answer)
        return int(answer.headers.get("Content-Length", 0))


def _text(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"it has values of type {type(value).__name__}, which JSON lines cannot hold")


def look(repository: Repository) -> tuple[int, str]:
    """Return the bytes of a pinned repository's download, and the name by which the hub knows it now.

    Raises:
        HubError: The download would fail, so far as that shows without it.
    """
    if repository.elsewhere:
        require_pin(repository)
        return _ask_for(repository), repository.id
    wanted = files(repository)
    with explained(repository):
        api().auth_check(repository.id, repo_type=repository.kind)
        info = api().repo_info(repository.id, repo_type=repository.kind, timeout=TIMEOUT)
    return sum(file.size for file in wanted), str(info.id)
