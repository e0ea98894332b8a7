"""Models and data sets of the Hugging Face hub: fetched at pinned commits, verified, whole or not at all.

The hub's own client lists, fetches and verifies: ``HfApi.verify_repo_checksums`` compares all files with the
checksums that the hub keeps of them (SHA-256 of large files, git's SHA-1 of small ones). An interrupted
download goes on within the file it was in, so each is fetched with the client's ``http_get``:
``snapshot_download`` and ``hf_hub_download`` (2.4) remove what came of a file when they are interrupted, and
compare sizes only.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, get_session, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    DEFAULT_IGNORE_PATTERNS,
    build_hf_headers,
    disable_progress_bars,
    filter_repo_objects,
    hf_raise_for_status,
)

from anatomy.errors import AnatomyError
from anatomy.names import MANIFEST
from anatomy.tables import atomic

Kind = Literal["model", "dataset"]
Report = Callable[[str], None]

COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""The revision of a data set that is one file at an address of its own."""
ORIGIN = "origin.json"
"""A downloaded model's id and revision, in its folder."""
_BESIDES_WEIGHTS = {"", ".jinja", ".json", ".md", ".model", ".tiktoken", ".txt"}
"""Suffixes of the files of a model that are no weights: configuration, tokenizer, chat template, licence."""
_DATA = {".arrow", ".csv", ".gz", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".txt", ".zip", ".zst"}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TIMEOUT = 10.0  # seconds
_LOG_IN = "set HF_TOKEN or run `hf auth login`"
_CLIENT_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
"""What the hub's HTTP client raises where there is no answer at all, whichever client it is."""


class HubError(AnatomyError):
    """What is wrong with a model or data set of the hub, and what to do about it."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True)
class Repository:
    """A model or data set of the hub at a commit; the revision is empty where none was pinned yet.

    The id of a data set may also be the https address of a file with one JSON object a line; its revision is
    then ``sha256:`` and the file's digest.
    """

    kind: Kind
    id: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{'data set' if self.kind == 'dataset' else self.kind} '{self.id}'"

    @property
    def elsewhere(self) -> bool:
        """Tell whether it is a file outside the hub."""
        return "://" in self.id

    @property
    def server(self) -> str:
        """Where it lies, without the user and password that a mirror's address may hold."""
        parts = urlsplit(self.id if self.elsewhere else endpoint())
        path = "" if self.elsewhere else parts.path
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"

    @property
    def page(self) -> str:
        return f"{self.server}/{'datasets/' if self.kind == 'dataset' else ''}{self.id}"

    @property
    def sheet(self) -> str:
        return f"config/{'benchmarks' if self.kind == 'dataset' else 'models'}.tsv"


def endpoint() -> str:
    """Return the address of the hub, or of the mirror that ``HF_ENDPOINT`` names."""
    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")


def _api() -> HfApi:
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


def require_token(repository: Repository) -> None:
    """Check that there is a token, which a gated repository asks for.

    Raises:
        HubError: There is none.
    """
    if not get_token():
        raise HubError(
            f"{repository} is gated and there is no token",
            f"accept its licence on {repository.page}, then {_LOG_IN}",
        )


def reachable() -> None:
    """Check that the hub answers at all, asked once and without a long wait.

    Raises:
        HubError: It does not.
    """
    with _explained(Repository("model", "")):
        get_session().head(endpoint(), headers=_headers(), timeout=_TIMEOUT)


def _headers() -> dict[str, str]:
    # Compressed content has other lengths and cannot be gone on with in the middle.
    headers: dict[str, str] = build_hf_headers(headers={"Accept-Encoding": "identity"})
    return headers


@contextmanager
def _explained(repository: Repository) -> Iterator[None]:
    """Turn every error of the hub, its client and the disk into a HubError; none shows a token."""
    try:
        yield
    except (OSError, _CLIENT_ERROR) as error:
        raise HubError(*_explain(error, repository)) from error


def _explain(error: Exception, repository: Repository) -> tuple[str, str]:
    """Return what is wrong and what to do."""
    hub, page = repository.server, repository.page
    match error:
        case OfflineModeIsEnabled():
            return (
                "the hub is not asked, because HF_HUB_OFFLINE is set",
                "unset it, and run this on a node with access to the internet (usually the login node)",
            )
        case GatedRepoError():
            try:
                require_token(repository)
            except HubError as missing:
                return missing.problem, missing.remedy
            return (
                f"{repository} is gated and the token's account has no access",
                f"accept its licence on {page} with that account and wait for approval, or {_LOG_IN} with"
                " another's; a fine-grained token needs the permission to read gated repositories",
            )
        case RevisionNotFoundError():
            return (
                f"{repository} has no revision {repository.revision} (any more)",
                f"choose a commit from {page}/commits/main, or write '-' into the column 'revision' of"
                f" {repository.sheet} and run `python scripts/pin.py`; results may then differ",
            )
        case HfHubHTTPError() if repository.elsewhere:
            return (
                f"{repository}: {hub} answered {error.response.status_code}",
                f"look whether the file has moved, and correct the column 'hub_id' of {repository.sheet}",
            )
        case HfHubHTTPError() if error.response.status_code in (401, 403) and (
            get_token() and not isinstance(error, RepositoryNotFoundError)
        ):
            return (
                f"{repository}: the hub refuses the token ({error.response.status_code})",
                f"it is wrong, expired or too weak: make one on {hub}/settings/tokens, then {_LOG_IN}",
            )
        case RepositoryNotFoundError():
            return (
                f"{repository} is not on the hub: renamed, deleted or private",
                f"look for it on {hub} and correct the column 'hub_id' of {repository.sheet}; for a private"
                f" one {_LOG_IN}",
            )
        case HfHubHTTPError() if error.response.status_code == 429:
            return (
                f"{repository}: too many requests to {hub}",
                f"wait some minutes and run again; with a token ({_LOG_IN}) more are allowed",
            )
        case HfHubHTTPError():
            return (
                f"{repository}: {hub} answered {error.response.status_code}",
                "run again later; what is already here is kept",
            )
        case _CLIENT_ERROR() | ConnectionError() | TimeoutError():
            reason = _without_token(str(error) or type(error).__name__)
            return (
                f"{'the file' if repository.elsewhere else 'the hub'} cannot be reached at {hub} ({reason})",
                "run this on a node with access to the internet (usually the login node); behind a proxy set"
                " HTTPS_PROXY, for a mirror HF_ENDPOINT",
            )
        case OSError() if error.errno in _FULL:
            return (
                f"{repository}: {os.strerror(error.errno)}",
                "free some space, or put `results` on a larger file system, and run again: the download goes"
                " on where it stopped",
            )
    reason = _without_token(str(error) or type(error).__name__).splitlines()[0]
    return f"{repository}: {reason}", "see to that, and run again: the download goes on where it stopped"


def _without_token(text: str) -> str:
    token = get_token()
    return text.replace(token, "***") if token else text


def files(repository: Repository) -> list[RepoFile]:
    """Return the files of a repository that a download takes, at its pinned commit.

    Of a model: weights as safetensors, else as PyTorch's .bin; configuration, tokenizer, chat template and
    licence; nothing in subfolders, where other formats lie. Of a data set: its data and its card.

    Raises:
        HubError: There are none, or the hub does not list them.
    """
    require_pin(repository)
    whole = repository.kind == "dataset"
    with _explained(repository):
        tree = _api().list_repo_tree(
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


def _model(found: list[RepoFile]) -> list[RepoFile]:
    tensors = [f for f in found if f.path.endswith(".safetensors") and not f.path.startswith("consolidated")]
    weights = tensors or [f for f in found if re.fullmatch(r"pytorch_model.*\.bin", f.path)]
    others = [
        entry
        for entry in found
        if Path(entry.path).suffix in _BESIDES_WEIGHTS
        and not entry.path.startswith(".")
        and entry.path not in (MANIFEST, ORIGIN)
    ]
    return [*others, *weights] if weights else []


def _data(found: list[RepoFile]) -> list[RepoFile]:
    data = [entry for entry in found if Path(entry.path).suffix in _DATA]
    cards = [entry for entry in found if entry.path in ("README.md", ".huggingface.yaml")]
    return [*cards, *data] if data else []


def _fetch(repository: Repository, wanted: list[RepoFile], work: Path, report: Report) -> None:
    """Fetch files into ``work``, go on with those that are there in part, and verify all of them."""
    disable_progress_bars()
    with _explained(repository):
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
        with _explained(repository):
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
    with _explained(repository):
        found = _api().verify_repo_checksums(
            repository.id, repo_type=repository.kind, revision=repository.revision, local_dir=work
        )
        wrong = found.mismatches
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
    with _explained(repository):
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
        if isinstance(first, OSError) and first.errno in _FULL:
            raise HubError(*_explain(first, repository)) from error
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
    with _explained(repository), atomic(path) as partial:
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
    with _explained(repository):
        answer = get_session().head(repository.id, timeout=_TIMEOUT)
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
    with _explained(repository):
        _api().auth_check(repository.id, repo_type=repository.kind)
        info = _api().repo_info(repository.id, repo_type=repository.kind, timeout=_TIMEOUT)
    return sum(file.size for file in wanted), str(info.id)


def newest(repository: Repository) -> str:
    """Return the newest commit of a repository's main branch; of a file elsewhere, its digest.

    Raises:
        HubError: It cannot be told.
    """
    if repository.elsewhere:
        with _explained(repository):
            answer = get_session().get(repository.id, timeout=_TIMEOUT)
            hf_raise_for_status(answer)
        return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    with _explained(repository):
        info = _api().repo_info(repository.id, repo_type=repository.kind, timeout=_TIMEOUT)
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
