"""What a study costs before it runs: shards, and the time, memory and disk of its jobs.

Throughputs are statements of a sheet (``config/throughputs.tsv``), each with its source. A study without them
is one of small models, for which only the records of finished jobs tell times.

Hours of a job = start + loading of the model (2 GB a billion parameters, at ``LOADING``) + for each task, its
amount (``work``) / (throughput of the task x GPUs). Records of a rule's jobs correct this (``Estimates``).
"""

import math

from anatomy.errors import AnatomyError
from anatomy.study.rows import Throughput
from anatomy.study.settings import Scale
from anatomy.study.study import Study

SMALL_MINUTES = 60
SMALL_MEMORY = 3000
"""Time and memory (MB) that a job of a small model is given."""


def scale(study: Study) -> Scale:
    """Return how large a study's jobs are cut; for studies that say so alone."""
    assert study.settings.scale is not None, "without scale there are no throughputs, and shards are stated"
    return study.settings.scale


def throughput(study: Study, task: str, billions: float, gpu: str | None = None) -> Throughput:
    """Return the row of the throughput sheet for a task and a model's size, on a GPU.

    Args:
        study: The study.
        task: As the sheet names it.
        billions: Parameters in 1e9.
        gpu: By default the study's own, ``scale.gpu``.

    Raises:
        AnatomyError: The sheet has no row for it.
    """
    gpu = gpu or scale(study).gpu
    rows = [
        row for row in study.throughputs if row.gpu == gpu and row.task == task and row.billions >= billions
    ]
    if not rows:
        known = sorted({row.gpu for row in study.throughputs})
        raise AnatomyError(
            f"{study.settings.sheets.throughputs}: no row for gpu '{gpu}', task '{task}' and a model of"
            f" {billions} billion parameters; add one, or choose one of its GPUs: {', '.join(known)}"
        )
    return min(rows, key=lambda row: row.billions)


def completion_tokens(study: Study, arm: str) -> float:
    """Return the expected tokens of one of an arm's completions, as its sampling preset states them."""
    expected = study.preset(arm).expected_tokens or study.settings.sampling.expected_tokens
    return float(expected or study.sampling(arm)["max_new_tokens"])


def sampling_hours(study: Study, arm: str, completions: float) -> float:
    """Return the hours in which all the GPUs of an arm's model draw so many of its completions."""
    model = study.root(study.arms[arm].model)
    speed = throughput(study, "sample", model.billions).tokens_per_second * max(model.gpus, 1)
    return completions * completion_tokens(study, arm) / speed / 3600


def shards(study: Study, arm: str, benchmark: str) -> int:
    """Return into how many shards an arm's completions on a benchmark are divided.

    The number that the configuration states, or, at ``scale.shard_hours``, as many as the time asks for: each
    problem's completions stay together.
    """
    stated = study.settings.sampling.shards
    if stated:
        return stated
    problems = study.benchmarks[benchmark].problems
    hours = sampling_hours(study, arm, problems * study.samples(benchmark, arm))
    wanted: int = math.ceil(hours / scale(study).shard_hours)
    return max(1, min(wanted, problems))


def model_memory(study: Study, model: str) -> int:
    """Return the MB of main memory of a job that loads a model: its weights in 16 bits, and as much again."""
    return SMALL_MEMORY + math.ceil(4000 * study.root(model).billions)


def training_memory(study: Study, run: str) -> int:
    """Return the MB of main memory, on each node, of a job that trains.

    Each process of a node reads the weights in 32 bits before they are divided; twice with a KL term, for the
    model that it is measured against. By arithmetic, not measured.
    """
    row = study.runs[run]
    presets = study.settings.presets.reinforcement
    models = 1 + (study.reinforced(run) and bool(presets[row.preset].options.get("beta")))
    return SMALL_MEMORY + math.ceil(4000 * study.root(run).billions * max(row.gpus, 1) * models)
