"""Slurm as it is here, and whether what a study asks for can be had of it."""

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
from typing import Any

import yaml

from anatomy.cluster.finding import Finding, error_of
from anatomy.errors import AnatomyError

SINFO = "%P|%a|%l|%D|%c|%m|%G"
"""Of ``sinfo``: partition, state, time limit, nodes, cores, MB, generic resources."""


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

    Raises:
        ValueError: Anything else.
    """
    if isinstance(text, int | float):
        return float(text)
    if text.strip().lower() in ("infinite", "unlimited"):
        return math.inf
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if not match:
        raise ValueError(f"'{text}' is not a time such as 2-00:00:00")
    days, *parts = match.groups()
    times = [int(part) for part in parts if part is not None]
    if days is None and len(times) < 3:  # MM or MM:SS; with days the first is hours
        times = [0, *times]
    hours, mins, seconds = (*times, 0, 0)[:3]
    return int(days or 0) * 1440 + hours * 60 + mins + seconds / 60


def read_site(path: str | Path) -> Site:
    """Read what a Snakemake profile for Slurm says of the site.

    Raises:
        AnatomyError: It cannot be read, or is not what Snakemake would take.
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


def answer_of(*command: str) -> tuple[bool, str]:
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
        return [error_of("Slurm", f"there is no command {', '.join(missing)}", remedy)]
    answered, said = answer_of("sinfo", "--all", "--noheader", f"--format={SINFO}")
    if not answered:
        remedy = "see what `scontrol ping` says, and ask the cluster's administrators"
        return [error_of("Slurm", f"its controller does not answer: {_last(said)}", remedy)]
    nodes = parse_nodes(said)
    return [*partitions(nodes, site), *jobs(nodes, requests, site), *account(site)]


def parse_nodes(text: str) -> list[Nodes]:
    """Read what ``sinfo`` says in the format ``SINFO``."""
    nodes = []
    for line in text.splitlines():
        name, state, limit, count, cpus, memory, resources = line.strip().split("|", 6)
        gpus: Counter[str] = Counter()
        for item in re.split(r",(?![^(]*\))", resources):  # gpu:a100:4(S:0,1),gpu:2,shard:8
            kind, *named = re.sub(r"\(.*\)$", "", item).split(":")
            if kind == "gpu":
                number = int(named.pop()) if named and named[-1].isdigit() else 1
                gpus[named[0] if named else ""] += number
        nodes.append(
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
    return nodes


def partitions(nodes: Sequence[Nodes], site: Site) -> list[Finding]:
    """Check the partitions that a site's profile names against those of the cluster."""
    there = {group.partition: group for group in nodes}
    partitions = []
    for name, limit in site.partitions.items():
        group, subject = there.get(name), f"partition {name}"
        if group is None:
            problem = f"the cluster has none of this name; it has {', '.join(there) or 'none at all'}"
            partitions.append(error_of(subject, problem, f"correct `partitions` in {site.file}"))
        elif not group.up:
            problem = "it starts no jobs now: `sinfo` does not call it up"
            partitions.append(error_of(subject, problem, f"wait, or name another one in {site.file}"))
        elif group.minutes < limit < math.inf:
            problem = f"its time limit is {_time(group.minutes)}, less than max_runtime {_time(limit)}"
            remedy = f"write max_runtime: {_time(group.minutes)} in {site.file}"
            partitions.append(error_of(subject, problem, remedy))
    return partitions


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
    jobs: dict[str, list[str]] = {}
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
            jobs.setdefault(problem, []).append(request.rule)
    remedy = f"correct `partitions`, `resources` or gpu_model in {site.file}, or name a partition that fits"
    return [
        error_of(f"rule {', '.join(dict.fromkeys(rules))}", f"jobs fit no partition: {problem}", remedy)
        for problem, rules in jobs.items()
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
    answered, said = answer_of("scontrol", "show", "config")
    kind = re.search(r"^AccountingStorageType\s*=\s*(\S+)", said, re.MULTILINE) if answered else None
    if kind and kind[1] != "accounting_storage/slurmdbd":
        return [Finding("note", subject, "not checked, since the cluster keeps no accounts", "nothing")]
    answered, said = answer_of(
        "sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={user}", "format=Account"
    )
    if not answered:
        return [
            Finding("warning", subject, f"not checked: {_last(said)}", "see what `sacctmgr show assoc` says")
        ]
    accounts = sorted({line.strip() for line in said.splitlines() if line.strip()})
    if not accounts:
        remedy = "ask the cluster's administrators for one"
        return [error_of(subject, f"user {user} belongs to no account, so jobs may be refused", remedy)]
    if site.account and site.account not in accounts:
        problem = f"user {user} may not use it, but {', '.join(accounts)}"
        return [error_of(subject, problem, f"correct `slurm_account` in {site.file}")]
    return []


def conda(site: Site) -> list[Finding]:
    """Check that conda is there where jobs run in its environments."""
    if shutil.which("conda"):
        return []
    problem = "there is no command conda"
    install = "install Miniforge, or load the cluster's module"
    if site.conda:
        return [error_of("conda", problem, install)]
    problem += ", so jobs use the environment of this Snakemake"
    return [Finding("note", "conda", problem, f"see that it has all that they need, or {install}")]
