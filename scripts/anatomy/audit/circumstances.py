"""The circumstances of a job, which no result depends on: commit, machine, time, memory, command."""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any


def git() -> dict[str, Any]:
    """Return the commit that is checked out, and what differs from it; nothing where there is no checkout."""
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "clean": None, "changed": []}
    lines = said.splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), None)
    changed = [line.split("\t")[0].split(" ")[-1] for line in lines if not line.startswith("#")]
    return {"commit": commit, "clean": not changed, "changed": changed[:50]}


def cpu_seconds() -> float:
    """Return the processor time of this process and of all that it has started and waited for, s."""
    mine, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + others.ru_utime + others.ru_stime


def peak_memory() -> int:
    """Return the largest resident memory of this process or of one that it started, KiB."""
    scale = 1024 if sys.platform == "darwin" else 1
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(peaks) // scale


def cpu() -> str:
    """Return the processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def gpus() -> list[str]:
    """Return the models of the GPUs that this process could use."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]


def command() -> str:
    """Return the command line that started the job: Snakemake's, where it is an ancestor of this process."""
    pid = os.getppid()
    try:
        while pid > 1:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if any(Path(word).name == "snakemake" for word in words):
                return " ".join(word for word in words if word)
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        pass  # no /proc
    return " ".join([Path(sys.executable).name, *sys.argv])
