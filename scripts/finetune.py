"""Fine-tune one seed of a run on the reference solutions of its problems, in one process or in many."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from _job import run
from anatomy.problems import selection
from anatomy.storage import parquet, schemas
from anatomy.training import checkpoints, launcher, supervised


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    rows = selection.training_set(
        parquet.records(job.input.problems, "problems", schemas.WITHOUT_TESTS),
        parquet.records(job.input.prompts, "prompts"),
        ["plain"],
        parquet.read(job.input.failed, "counts") if job.input.failed else None,
        p.easier,
        [p.run, p.seed],
        report,
    )
    config = supervised.Optimisation.of(p.config)
    arguments = {
        "start": str(Path(job.input.start) / p.start_checkpoint),
        "documents": [(row["prompt"], row["solution"]) for row in rows if row["solution"] is not None],
        "config": asdict(config),
        "seed": p.seed,
        "work": p.work,
        "output": str(job.output.model),
    }
    log = launcher.run(
        "anatomy.training.supervised:tune",
        arguments,
        config.scale,
        Path(f"{p.work}.workers"),
        job.threads,
        report,
    )
    parquet.write(job.output.log, "training", checkpoints.log_rows(p.run, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
