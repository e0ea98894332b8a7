"""Slurm jobs that a killed Snakemake left behind."""

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from anatomy.errors import AnatomyError

PREFIX = "anatomy"
"""What the names of our Slurm jobs begin with: `slurm-jobname-prefix` of the profile."""


def orphans(lines: Iterable[str], folder: Path) -> list[str]:
    """Return the ids of the jobs of a listing that Snakemake submitted from a folder.

    Args:
        lines: One a job, ``id|name|working folder``, as `squeue --format=%i|%j|%Z` prints them.
        folder: The folder.
    """
    jobs = (line.split("|", 2) for line in lines if line.strip())
    return [job for job, name, where in jobs if name.startswith(f"{PREFIX}_") and Path(where) == folder]


def _listed() -> list[str]:
    listing = ["squeue", "--me", "--noheader", "--format=%i|%j|%Z"]
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()


def cancel_orphans(folder: Path, patience: float = 120) -> list[str]:
    """Cancel the Slurm jobs that a Snakemake which is no more submitted from a folder; return their ids.

    They will be submitted again, and two must not write the same files, so this returns when they have ended.
    Training goes on from its last checkpoint.

    Args:
        folder: The folder.
        patience: Seconds.

    Raises:
        AnatomyError: A job does not end in that time, or Slurm does not answer.
    """
    try:
        jobs = orphans(_listed(), folder)
        if jobs:
            subprocess.run(["scancel", *jobs], capture_output=True, text=True, check=True)
        deadline = time.monotonic() + patience
        while remaining := set(jobs) & set(orphans(_listed(), folder)):
            if time.monotonic() > deadline:
                raise AnatomyError(
                    f"Slurm job {', '.join(sorted(remaining))}: still there {patience:.0f} s after scancel;"
                    " start again when squeue no longer shows it"
                )
            time.sleep(1)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip()
        raise AnatomyError(f"Slurm does not answer: {said}; is this a login node of the cluster?") from error
    return jobs
