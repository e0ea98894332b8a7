"""Fine-tune one seed of a run on the reference solutions of its problems."""

from pathlib import Path
from typing import Any

import torch

from anatomy import pretraining, screening, tables, training
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    rows = screening.training_set(
        tables.records(job.input.problems, "problems"),
        tables.records(job.input.prompts, "prompts"),
        ["plain"],
        tables.read(job.input.failed, "counts") if job.input.failed else None,
        p.easier,
        [p.run, p.seed],
        report,
    )
    log = pretraining.finetune(
        Path(job.input.start) / p.start_checkpoint,
        [(row["prompt"], row["solution"]) for row in rows if row["solution"] is not None],
        pretraining.Optimisation(**p.config),
        p.seed,
        Path(p.work),
        Path(job.output.model),
        report,
    )
    tables.write(job.output.log, "training", training.log_rows(p.run, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
