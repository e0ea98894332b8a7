"""What Snakemake 9.27 does in a way that no option changes, and that breaks what the study promises.

Each patch says why no supported way does. tests/test_patches.py shows in a small workflow what Snakemake does
without it, and fails as soon as that is no longer so: then the patch goes.
"""

from functools import cache
from typing import Any


@cache  # reset_params is to be wrapped once
def apply() -> None:
    """Patch the Snakemake of this process."""
    from snakemake.io import _IOFile
    from snakemake.jobs import Job

    async def never_newer(file: Any, time: float) -> bool:
        """File times never count: a touched, copied or restored study has times in any order.

        Snakemake compares them whatever ``rerun-triggers`` says. With ``max-checksum-file-size`` set high,
        content decides where an input is newer, but neither for folders (models), nor where results were
        copied without ``.snakemake``, nor where other content comes under an older time, as from a backup.
        And what reads an ``ancient`` input does not run after the job that made it anew. So the content of
        inputs is a part of each job's ``stamp``, and times are none.
        """
        return False

    reset_params = Job.reset_params_and_resources

    def reset_recorded_params(job: Any) -> None:
        """Reset the params that are recorded too, once a job's inputs are there.

        Snakemake records those of before where another node runs the job, and where it has compared them with
        those of an earlier run. The stamp would be that of absent inputs, and the job would run again.
        """
        if not job._params_and_resources_resetted:
            job._non_derived_params = None
            if persistence := getattr(job.dag.workflow, "persistence", None):
                persistence._params.cache_clear()
        reset_params(job)

    _IOFile.is_newer = never_newer
    Job.reset_params_and_resources = reset_recorded_params


def drop_default_rate(workflow: Any) -> None:
    """Drop the limit of 100 jobs a second that Snakemake sets by itself, where jobs run on its own machine.

    With any limit, each job that ends begins an endless chain of timers, of the limit's length: after
    some hundred jobs the scheduler takes a quarter of a core, and Snakemake ends after the last timer.
    Over ten seconds (``max-jobs-per-timespan: 1000/10s``, as in slurm/config.yaml) timers are few, and
    the wait at the end is ten seconds: too long for a figure. The scheduler itself can do without a
    limit, but no option says so.

    To be called when jobs start; a limit that was asked for stays.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if workflow.local_exec and limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
