"""Fine-tune one seed of a run on the reference solutions of its problems, in one process or in many."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from anatomy import distributed, pretraining, screening, tables, training
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    rows = screening.training_set(
        tables.records(job.input.problems, "problems", tables.WITHOUT_TESTS),
        tables.records(job.input.prompts, "prompts"),
        ["plain"],
        tables.read(job.input.failed, "counts") if job.input.failed else None,
        p.easier,
        [p.run, p.seed],
        report,
    )
    config = pretraining.Optimisation.of(p.config)
    arguments = {
        "start": str(Path(job.input.start) / p.start_checkpoint),
        "documents": [(row["prompt"], row["solution"]) for row in rows if row["solution"] is not None],
        "config": asdict(config),
        "seed": p.seed,
        "work": p.work,
        "output": str(job.output.model),
    }
    log = distributed.run(
        "anatomy.pretraining:tune", arguments, config.scale, Path(f"{p.work}.workers"), job.threads, report
    )
    tables.write(job.output.log, "training", training.log_rows(p.run, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
