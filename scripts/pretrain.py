"""Train a model from scratch on the world's text, problems and programming tasks."""

from pathlib import Path
from typing import Any

import torch

from _job import run
from anatomy.storage import parquet
from anatomy.training import checkpoints, supervised
from anatomy.world import documents as world_documents
from anatomy.world.problems import DOMAINS
from anatomy.world.programs import VOCABULARY, documents, mixed


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    mixture = world_documents.Mixture(**p.mixture)
    problems = world_documents.documents(p.study_seed, mixture, p.steps, list(DOMAINS))
    programs = documents(p.study_seed, mixture.errors)
    log = supervised.pretrain(
        mixed(problems, programs, mixture.programs, p.study_seed),
        VOCABULARY,
        supervised.Shape(**p.shape),
        supervised.Optimisation(**p.config),
        p.seed,
        Path(p.work),
        Path(job.output.model),
        report,
    )
    parquet.write(job.output.log, "training", checkpoints.log_rows(p.name, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
