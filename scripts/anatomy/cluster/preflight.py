"""What can be known to go wrong before anything runs: the cluster, the hub, disk, GPUs and conda.

Each check returns what it found and raises nothing that a user can cause, so that everything is told at once.
"""

import getpass
import shutil
from collections.abc import Iterable
from pathlib import Path

from anatomy.cluster.finding import GIB, Finding, error_of
from anatomy.cluster.slurm import answer_of
from anatomy.errors import AnatomyError
from anatomy.hub import download, errors
from anatomy.hub.repository import Repository
from anatomy.sandbox import bubblewrap

OVERHEAD, RESERVE = 1.2, 4.0
"""GPU memory of a model: this factor over its weights in 16 bits, and GiB for activations and cache."""


def downloads(repositories: Iterable[tuple[Repository, bool]]) -> tuple[list[Finding], int]:
    """Check that models and data sets can be downloaded.

    Args:
        repositories: What is still to be downloaded, and whether its sheet calls it gated.

    Returns:
        Findings, and the bytes of those that can.
    """
    findings: list[Finding] = []
    ready: list[Repository] = []
    for repository, gated in dict.fromkeys(repositories):
        try:
            download.require_pin(repository)
            if gated:
                errors.require_token(repository)
            ready.append(repository)
        except errors.HubError as error:
            findings.append(error_of("download", error.problem, error.remedy))
    if any(not repository.elsewhere for repository in ready):
        try:
            download.reachable()
        except errors.HubError as error:
            findings.append(error_of("hub", error.problem, error.remedy))
            ready = [repository for repository in ready if repository.elsewhere]
    size = 0
    for repository in ready:
        try:
            needed, name = download.look(repository)
        except errors.HubError as error:
            findings.append(error_of("download", error.problem, error.remedy))
            continue
        size += needed
        if name != repository.id:
            problem = f"the hub calls {repository} {name} now"
            remedy = f"it still comes under its old name; write the new one into {repository.sheet}"
            findings.append(Finding("warning", "download", problem, remedy))
    return findings, size


def disk(folder: str | Path, needed: float) -> list[Finding]:
    """Check that a folder's file system, and the user's quota there, have the bytes that are needed."""
    folder = Path(folder).resolve()
    while not folder.exists():
        folder = folder.parent
    remedy = "free some, or make `results` a link to a folder where there is more"
    places = {f"the file system of {folder}": shutil.disk_usage(folder).free}
    quota = quota_left(folder)
    if quota is not None:
        places[f"your quota on {folder}"] = quota
    return [
        error_of(
            "disk",
            f"{download.gigabytes(needed)} are needed, {place} has {download.gigabytes(left)} left",
            remedy,
        )
        for place, left in places.items()
        if left < needed
    ]


def quota_left(folder: Path) -> int | None:
    """Return the bytes that the user may still write; None where there is no quota, or none is told."""
    if shutil.which("lfs"):  # Lustre's own
        answered, said = answer_of("lfs", "quota", "-q", "-u", getpass.getuser(), str(folder))
        if answered:
            return parse_quota(said)
    if shutil.which("quota"):
        device = _device(folder)
        _, said = answer_of("quota", "--no-wrap", "--raw-grace")  # which also fails where a quota is exceeded
        for line in said.splitlines():
            if line.split()[:1] == [device]:
                return parse_quota(line)
    return None


def parse_quota(text: str) -> int | None:
    """Read ``file system, kilobytes used, soft limit, hard limit, ...``; None where there is no limit."""
    words = text.split()[1:4]
    try:
        used, soft, hard = (int(word.rstrip("*")) for word in words)
    except ValueError:
        return None
    limit = hard or soft
    return max(limit - used, 0) * 1024 if limit else None


def _device(folder: Path) -> str:
    """Return what a folder's file system is mounted from; nothing where the system is not Linux."""
    listed = Path("/proc/self/mounts")
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines() if listed.exists() else []
    mounts = [line.split()[:2] for line in lines]
    around = [(len(point), device) for device, point in mounts if folder.is_relative_to(point)]
    return max(around, default=(0, ""))[1]


def needed_memory(billions: float, gpus: int) -> float:
    """Return the GiB that each of the GPUs needs which share a model in 16 bits."""
    return billions * 2e9 / gpus * OVERHEAD / GIB + RESERVE


def programs(elsewhere: bool) -> list[Finding]:
    """Check that programs can run in a sandbox.

    Args:
        elsewhere: Whether they run on other machines than this one.
    """
    try:
        bubblewrap.check_available()
    except AnatomyError as error:
        remedy = "or leave programs out: --config programs=False"
        if elsewhere:
            problem = f"this machine has none, and jobs on nodes need one: {error}"
            return [Finding("warning", "sandbox", problem, remedy)]
        return [error_of("sandbox", str(error), remedy)]
    return []


def gpu_memory(sizes: Iterable[tuple[str, float, int]], memory: float, gpu: str) -> list[Finding]:
    """Check that models fit a GPU.

    Args:
        sizes: Name, parameters in 1e9, and GPUs that share it, of each model.
        memory: GiB of the GPU.
        gpu: Its name.
    """
    findings = []
    for name, billions, given in sizes:
        gpus = max(given, 1)
        needed = needed_memory(billions, gpus)
        if needed <= memory:
            continue
        fitting = [2**power for power in range(7) if needed_memory(billions, 2**power) <= memory]
        remedy = "choose a GPU with more memory"
        if fitting:
            remedy += f", or write {fitting[0]} into the column 'gpus' of config/models.tsv"
        size = f"{billions:g} billion parameters on {gpus} GPUs"
        problem = f"{size} need {needed:.0f} GiB of each, {gpu} has {memory:g}"
        findings.append(error_of(f"model {name}", problem, remedy))
    return findings


def table(findings: Iterable[Finding]) -> list[str]:
    """Return what was found as lines, errors first; what to do stands once under all that ask for it."""
    together: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        texts = together.setdefault((finding.level, finding.remedy), [])
        texts.append(f"{finding.subject}: {finding.problem}")
    lines = []
    for level in ("error", "warning", "note"):
        for (rank, remedy), texts in together.items():
            if rank == level:
                lines += [f"{level:<7}  {text}" for text in texts]
                lines.append(f"{'':<7}  -> {remedy}")
    return lines
