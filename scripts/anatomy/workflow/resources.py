"""What a study's jobs ask for: cores, GPUs, nodes, memory and time.

Small models take what their rule says, those of the hub what their size asks for (``planning``). Memory and
time are those of a first attempt; the workflow multiplies them by the number of the attempt.
"""

from typing import Any

from anatomy.planning import sizing, work
from anatomy.study.study import Study


def _cores(study: Study, gpus: int) -> int:
    """Return the cores of a job on one node with so many GPUs; one core without."""
    scale = study.settings.scale
    return max(1, gpus * scale.cores_per_gpu) if scale else 1


def arm_gpus(study: Study, arm: str) -> int:
    """Return the GPUs of a job that samples or scores with an arm's model."""
    return study.root(study.arms[arm].model).gpus


def arm_cores(study: Study, arm: str) -> int:
    """Return the cores of a job that samples or scores with an arm's model."""
    return _cores(study, arm_gpus(study, arm))


def arm_memory(study: Study, arm: str) -> int:
    """Return the MB of a job that holds an arm's model."""
    return sizing.model_memory(study, study.arms[arm].model)


def run_nodes(study: Study, run: str) -> int:
    """Return the nodes of a training run."""
    return max(study.runs[run].nodes, 1)


def run_own_steps(study: Study, run: str) -> int | None:
    """Return 0, which has a job of several nodes start its own steps on them; None for one node."""
    return 0 if run_nodes(study, run) > 1 else None


def run_gpus(study: Study, run: str) -> int:
    """Return the GPUs of a training run, on all of its nodes together."""
    return study.runs[run].gpus * run_nodes(study, run)


def run_cores(study: Study, run: str) -> int:
    """Return the cores of a training run on each of its nodes."""
    return _cores(study, study.runs[run].gpus)


def grading_memory(study: Study, benchmark: str) -> int:
    """Return the MB of a job that grades: beside a program of the hub's sets runs what it may use."""
    row = study.benchmarks[benchmark]
    return 8000 if row.grader == "program" and row.source == "hub" else 2000


def largest_jobs(study: Study) -> list[dict[str, Any]]:
    """Return the most that jobs with a model of the hub ask Slurm for: one job an arm, one a run."""
    jobs: list[dict[str, Any]] = [
        {
            "rule": "sample",
            "minutes": max(
                work.shard_minutes(study, arm.arm, benchmark) for benchmark in study.tests_of(arm.arm)
            ),
            "memory": arm_memory(study, arm.arm),
            "gpus": arm_gpus(study, arm.arm),
            "cpus": arm_cores(study, arm.arm),
        }
        for arm in study.arms.values()
    ]
    return jobs + [
        {
            "rule": "train" if study.reinforced(run.run) else "finetune",
            "minutes": work.training_minutes(study, run.run),
            "memory": sizing.training_memory(study, run.run),
            "gpus": run_gpus(study, run.run),
            "cpus": run_cores(study, run.run),
            "nodes": run_nodes(study, run.run),
        }
        for run in study.runs.values()
    ]


def gpu(study: Study) -> dict[str, Any] | None:
    """Return name and memory (GiB) of the GPU that jobs are sized for; None without one."""
    scale = study.settings.scale
    rows = [row for row in study.throughputs if scale and row.gpu == scale.gpu]
    return {"name": rows[0].gpu, "memory": rows[0].memory} if rows else None
