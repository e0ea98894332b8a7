"""Train a model from scratch on the world's text, problems and programming tasks."""

from pathlib import Path
from typing import Any

import torch

from anatomy import pretraining, tables, tasks, training, world
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    mixture = world.Mixture(**p.mixture)
    problems = world.documents(p.study_seed, mixture, p.steps, list(world.DOMAINS))
    programs = tasks.documents(p.study_seed, mixture.errors)
    log = pretraining.pretrain(
        tasks.mixed(problems, programs, mixture.programs, p.study_seed),
        tasks.VOCABULARY,
        pretraining.Shape(**p.shape),
        pretraining.Optimisation(**p.config),
        p.seed,
        Path(p.work),
        Path(job.output.model),
        report,
    )
    tables.write(job.output.log, "training", training.log_rows(p.name, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
