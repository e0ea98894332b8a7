"""What can be known to go wrong before anything runs: the cluster, the hub, disk, GPUs and conda.

Each check returns what it found and raises nothing that a user can cause, so that everything is told at once.
"""

import ast
import getpass
import math
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from anatomy import hub, sandbox
from anatomy.errors import AnatomyError

GIB = 2**30
SINFO = "%P|%a|%l|%D|%c|%m|%G"
"""Of ``sinfo``: partition, state, time limit, nodes, cores, MB, generic resources."""
OVERHEAD, RESERVE = 1.2, 4.0
"""GPU memory of a model: this factor over its weights in 16 bits, and GiB for activations and cache."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with what, and what to do; only errors stop a study."""

    level: Literal["error", "warning", "note"]
    subject: str
    problem: str
    remedy: str


def _error(subject: str, problem: str, remedy: str) -> Finding:
    return Finding("error", subject, problem, remedy)


@dataclass(frozen=True)
class Nodes:
    """Nodes of a Slurm partition that are alike; ``minutes`` is the partition's time limit."""

    partition: str
    default: bool
    up: bool
    minutes: float
    count: int
    cpus: int
    memory: int
    """MB of a node."""
    gpus: Mapping[str, int]
    """Of a node, by type; an empty type where the cluster names none."""


@dataclass(frozen=True)
class Request:
    """The most that jobs of a rule ask for."""

    rule: str
    minutes: float = 0
    memory: float = 0
    """MB of a node."""
    cpus: int = 1
    gpus: int = 0
    """Of all nodes together."""
    model: str = ""
    """Type of GPU, as the cluster calls it."""
    nodes: int = 1
    partition: str = ""
    """Empty where any partition of the site will do."""


@dataclass(frozen=True)
class Site:
    """What a site's profile says of its cluster; a limit that it does not state is infinite."""

    file: str
    partitions: Mapping[str, float]
    """Their time limits, in minutes."""
    account: str
    gpu_models: Mapping[str, str]
    """By rule."""
    minutes: float
    memory: float
    """No job asks for more than these minutes and MB."""
    conda: bool
    """Whether jobs cannot run without conda."""


def minutes(text: str | float) -> float:
    """Read a time as Slurm writes it (``2-00:00:00``, ``infinite``) or a number of minutes.

    Raises ValueError for anything else.
    """
    if isinstance(text, int | float):
        return float(text)
    if text.strip().lower() in ("infinite", "unlimited"):
        return math.inf
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if not found:
        raise ValueError(f"'{text}' is not a time such as 2-00:00:00")
    days, *parts = found.groups()
    times = [int(part) for part in parts if part is not None]
    if days is None and len(times) < 3:  # MM or MM:SS; with days the first is hours
        times = [0, *times]
    hours, mins, seconds = (*times, 0, 0)[:3]
    return int(days or 0) * 1440 + hours * 60 + mins + seconds / 60


def read_site(path: str | Path) -> Site:
    """Read what a Snakemake profile for Slurm says of the site.

    Raises AnatomyError where it cannot be read, or is not what Snakemake would take.
    """
    try:
        profile = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        defaults, caps, rules, named = (
            profile.get(key) or {}
            for key in ("default-resources", "resources", "set-resources", "partitions")
        )
        only = _plain(defaults.get("slurm_partition", ""))
        return Site(
            file=str(path),
            partitions={
                str(name): minutes((limits or {}).get("max_runtime", math.inf))
                for name, limits in (named or ({only: {}} if only else {})).items()
            },
            account=_plain(defaults.get("slurm_account", "")),
            gpu_models={
                rule: _plain(given["gpu_model"]) for rule, given in rules.items() if "gpu_model" in given
            },
            minutes=minutes(caps.get("runtime", math.inf)),
            memory=float(caps.get("mem_mb", math.inf)),
            conda="conda" in str(profile.get("software-deployment-method", "")),
        )
    except OSError as error:
        raise AnatomyError(f"{path}: cannot read the profile: {error.strerror}") from error
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise AnatomyError(
            f"{path}: not a profile for Slurm: {error}; compare it with slurm/config.yaml"
        ) from error


def _plain(value: Any) -> str:
    """Return a resource as Slurm gets it: Snakemake evaluates texts, so names stand in quotes of theirs."""
    try:
        return str(ast.literal_eval(str(value)))
    except (SyntaxError, ValueError):
        return str(value)


def _answer(*command: str) -> tuple[bool, str]:
    """Return whether a command ended well, and what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    said = done.stdout if done.returncode == 0 else done.stderr or done.stdout
    return done.returncode == 0, said.strip()


def _last(said: str) -> str:
    return said.splitlines()[-1] if said else "it says nothing"


def slurm(requests: Sequence[Request], site: Site) -> list[Finding]:
    """Check that Slurm is there and can run the jobs, in the site's partitions and under its account."""
    missing = [name for name in ("sbatch", "sinfo", "scontrol", "sacctmgr") if not shutil.which(name)]
    if missing:
        remedy = (
            "run this on a login node of the cluster (perhaps after `module load slurm`); without a cluster"
            " leave out `--profile slurm`"
        )
        return [_error("Slurm", f"there is no command {', '.join(missing)}", remedy)]
    answered, said = _answer("sinfo", "--all", "--noheader", f"--format={SINFO}")
    if not answered:
        remedy = "see what `scontrol ping` says, and ask the cluster's administrators"
        return [_error("Slurm", f"its controller does not answer: {_last(said)}", remedy)]
    nodes = parse_nodes(said)
    return [*partitions(nodes, site), *jobs(nodes, requests, site), *account(site)]


def parse_nodes(text: str) -> list[Nodes]:
    """Read what ``sinfo`` says in the format ``SINFO``."""
    found = []
    for line in text.splitlines():
        name, state, limit, count, cpus, memory, resources = line.strip().split("|", 6)
        gpus: Counter[str] = Counter()
        for item in re.split(r",(?![^(]*\))", resources):  # gpu:a100:4(S:0,1),gpu:2,shard:8
            kind, *named = re.sub(r"\(.*\)$", "", item).split(":")
            if kind == "gpu":
                number = int(named.pop()) if named and named[-1].isdigit() else 1
                gpus[named[0] if named else ""] += number
        found.append(
            Nodes(
                partition=name.rstrip("*"),
                default=name.endswith("*"),
                up=state == "up",
                minutes=minutes(limit),
                count=int(count),
                cpus=int(cpus.rstrip("+")),
                memory=int(memory.rstrip("+")),
                gpus=gpus,
            )
        )
    return found


def partitions(nodes: Sequence[Nodes], site: Site) -> list[Finding]:
    """Check the partitions that a site's profile names against those of the cluster."""
    there = {group.partition: group for group in nodes}
    found = []
    for name, limit in site.partitions.items():
        group, subject = there.get(name), f"partition {name}"
        if group is None:
            problem = f"the cluster has none of this name; it has {', '.join(there) or 'none at all'}"
            found.append(_error(subject, problem, f"correct `partitions` in {site.file}"))
        elif not group.up:
            problem = "it starts no jobs now: `sinfo` does not call it up"
            found.append(_error(subject, problem, f"wait, or name another one in {site.file}"))
        elif group.minutes < limit < math.inf:
            problem = f"its time limit is {_time(group.minutes)}, less than max_runtime {_time(limit)}"
            remedy = f"write max_runtime: {_time(group.minutes)} in {site.file}"
            found.append(_error(subject, problem, remedy))
    return found


def _time(value: float) -> str:
    """Write minutes as Slurm does."""
    if math.isinf(value):
        return "infinite"
    days, rest = divmod(round(value * 60), 86400)
    return f"{days}-{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"


def jobs(nodes: Sequence[Nodes], requests: Iterable[Request], site: Site) -> list[Finding]:
    """Check that some partition runs the largest job of each rule; equal findings become one."""
    usual = list(site.partitions) or list(dict.fromkeys(group.partition for group in nodes if group.default))
    nodes = sorted(nodes, key=lambda group: (group.cpus, group.memory), reverse=True)
    found: dict[str, list[str]] = {}
    for request in requests:
        reasons = []
        for name in [request.partition] if request.partition else usual:
            obstacles = [_obstacle(group, request, site) for group in nodes if group.partition == name]
            if None in obstacles:
                break
            # Of several kinds of nodes, the one that comes closest says what is missing.
            known = max(
                filter(None, obstacles), key=lambda obstacle: obstacle[0], default=(0, "is not there")
            )
            reasons.append(f"{name} {known[1]}")
        else:
            problem = "; ".join(reasons) or "no partition is named, and the cluster has no default one"
            found.setdefault(problem, []).append(request.rule)
    remedy = f"correct `partitions`, `resources` or gpu_model in {site.file}, or name a partition that fits"
    return [
        _error(f"rule {', '.join(dict.fromkeys(rules))}", f"jobs fit no partition: {problem}", remedy)
        for problem, rules in found.items()
    ]


def _obstacle(group: Nodes, request: Request, site: Site) -> tuple[int, str] | None:
    """Return the first reason for which nodes cannot run a job, and its rank; None where they can."""
    model = request.model or site.gpu_models.get(request.rule, "")
    gpus = math.ceil(request.gpus / max(request.nodes, 1))
    # Without a type any will do; a type must be one that the cluster knows.
    has = group.gpus.get(model, 0) if model else max(group.gpus.values(), default=0)
    kinds = ", ".join(f"{count} x {kind or 'unnamed'}" for kind, count in group.gpus.items()) or "none"
    memory, time = min(request.memory, site.memory), min(request.minutes, site.minutes)
    limit = min(group.minutes, site.partitions.get(group.partition, math.inf))
    reasons = [
        (has < gpus, f"has not {gpus} GPUs {f'of type {model} ' if model else ''}a node (of each: {kinds})"),
        (group.cpus < request.cpus, f"has {group.cpus} cores a node, asked are {request.cpus}"),
        (group.memory < memory, f"has {group.memory} MB a node, asked are {memory:.0f}"),
        (group.count < request.nodes, f"has {group.count} such nodes, asked are {request.nodes}"),
        (limit < time, f"has a time limit of {_time(limit)}, asked is {_time(time)}"),
    ]
    return next(((rank, text) for rank, (wrong, text) in enumerate(reasons) if wrong), None)


def account(site: Site) -> list[Finding]:
    """Check the account that jobs are charged to, where the cluster keeps accounts."""
    user = getpass.getuser()
    subject = f"account {site.account}".rstrip()
    told, said = _answer("scontrol", "show", "config")
    kind = re.search(r"^AccountingStorageType\s*=\s*(\S+)", said, re.MULTILINE) if told else None
    if kind and kind[1] != "accounting_storage/slurmdbd":
        return [Finding("note", subject, "not checked, since the cluster keeps no accounts", "nothing")]
    told, said = _answer(
        "sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={user}", "format=Account"
    )
    if not told:
        return [
            Finding("warning", subject, f"not checked: {_last(said)}", "see what `sacctmgr show assoc` says")
        ]
    accounts = sorted({line.strip() for line in said.splitlines() if line.strip()})
    if not accounts:
        remedy = "ask the cluster's administrators for one"
        return [_error(subject, f"user {user} belongs to no account, so jobs may be refused", remedy)]
    if site.account and site.account not in accounts:
        problem = f"user {user} may not use it, but {', '.join(accounts)}"
        return [_error(subject, problem, f"correct `slurm_account` in {site.file}")]
    return []


def downloads(repositories: Iterable[tuple[hub.Repository, bool]]) -> tuple[list[Finding], int]:
    """Check that models and data sets can be downloaded; return findings, and the bytes of those that can.

    repositories: what is still to be downloaded, and whether its sheet calls it gated.
    """
    found: list[Finding] = []
    ready: list[hub.Repository] = []
    for repository, gated in dict.fromkeys(repositories):
        try:
            hub.require_pin(repository)
            if gated:
                hub.require_token(repository)
            ready.append(repository)
        except hub.HubError as error:
            found.append(_error("download", error.problem, error.remedy))
    if any(not repository.elsewhere for repository in ready):
        try:
            hub.reachable()
        except hub.HubError as error:
            found.append(_error("hub", error.problem, error.remedy))
            ready = [repository for repository in ready if repository.elsewhere]
    size = 0
    for repository in ready:
        try:
            needed, name = hub.look(repository)
        except hub.HubError as error:
            found.append(_error("download", error.problem, error.remedy))
            continue
        size += needed
        if name != repository.id:
            problem = f"the hub calls {repository} {name} now"
            remedy = f"it still comes under its old name; write the new one into {repository.sheet}"
            found.append(Finding("warning", "download", problem, remedy))
    return found, size


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
        _error("disk", f"{hub.gigabytes(needed)} are needed, {place} has {hub.gigabytes(left)} left", remedy)
        for place, left in places.items()
        if left < needed
    ]


def quota_left(folder: Path) -> int | None:
    """Return the bytes that the user may still write; None where there is no quota, or none is told."""
    if shutil.which("lfs"):  # Lustre's own
        told, said = _answer("lfs", "quota", "-q", "-u", getpass.getuser(), str(folder))
        if told:
            return parse_quota(said)
    if shutil.which("quota"):
        device = _device(folder)
        _, said = _answer("quota", "--no-wrap", "--raw-grace")  # which also fails where a quota is exceeded
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
    told = Path("/proc/self/mounts")
    lines = told.read_text(encoding="utf-8", errors="replace").splitlines() if told.exists() else []
    mounts = [line.split()[:2] for line in lines]
    around = [(len(point), device) for device, point in mounts if folder.is_relative_to(point)]
    return max(around, default=(0, ""))[1]


def needed_memory(billions: float, gpus: int) -> float:
    """Return the GiB that each of the GPUs needs which share a model in 16 bits."""
    return billions * 2e9 / gpus * OVERHEAD / GIB + RESERVE


def programs(elsewhere: bool) -> list[Finding]:
    """Check that programs can run in a sandbox; ``elsewhere``: on other machines than this one."""
    try:
        sandbox.check_available()
    except AnatomyError as error:
        remedy = "or leave programs out: --config programs=False"
        if elsewhere:
            problem = f"this machine has none, and jobs on nodes need one: {error}"
            return [Finding("warning", "sandbox", problem, remedy)]
        return [_error("sandbox", str(error), remedy)]
    return []


def gpu_memory(sizes: Iterable[tuple[str, float, int]], memory: float, gpu: str) -> list[Finding]:
    """Check that models fit a GPU.

    sizes: name, parameters in 1e9, and GPUs that share it, of each model; memory: GiB of the GPU.
    """
    found = []
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
        found.append(_error(f"model {name}", problem, remedy))
    return found


def conda(site: Site) -> list[Finding]:
    """Check that conda is there where jobs run in its environments."""
    if shutil.which("conda"):
        return []
    problem = "there is no command conda"
    install = "install Miniforge, or load the cluster's module"
    if site.conda:
        return [_error("conda", problem, install)]
    problem += ", so jobs use the environment of this Snakemake"
    return [Finding("note", "conda", problem, f"see that it has all that they need, or {install}")]


def table(findings: Iterable[Finding]) -> list[str]:
    """Return what was found as lines, errors first; what to do stands once under all that ask for it."""
    together: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        told = together.setdefault((finding.level, finding.remedy), [])
        told.append(f"{finding.subject}: {finding.problem}")
    lines = []
    for level in ("error", "warning", "note"):
        for (found, remedy), told in together.items():
            if found == level:
                lines += [f"{level:<7}  {text}" for text in told]
                lines.append(f"{'':<7}  -> {remedy}")
    return lines
