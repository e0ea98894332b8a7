"""Train one seed of a reinforcement-learning run from its start model, in one process or in many."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from _job import run
from anatomy.problems import selection
from anatomy.prompts import templates
from anatomy.storage import parquet
from anatomy.training import checkpoints, launcher, rl_trainer
from anatomy.training.rl_config import Reinforcement
from anatomy.training.rl_rollouts import Graded


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    template = templates.load_template(job.input.template)
    rows = selection.training_set(
        parquet.records(job.input.problems, "problems"),
        parquet.records(job.input.prompts, "prompts"),
        p.conditions,
        parquet.read(job.input.failed, "counts") if job.input.failed else None,
        p.easier,
        [p.run, p.seed],
        report,
    )
    config = Reinforcement.of(p.config)
    workers = max(1, job.threads // (config.scale.processes if config.scale else 1))
    arguments = {
        "start": str(Path(job.input.start) / p.start_checkpoint),
        "problems": rows,
        "reward": asdict(
            Graded(p.grader, p.reward, template.answer, template.tags, template.response, workers)
        ),
        "config": asdict(config),
        "exports": list(p.exports),
        "tokens": p.tokens,
        "seed": p.seed,
        "work": p.work,
        "output": str(job.output.model),
    }
    log = launcher.run(
        f"{rl_trainer.__name__}:train",
        arguments,
        config.scale,
        Path(f"{p.work}.workers"),
        job.threads,
        report,
    )
    rows = checkpoints.log_rows(p.run, p.seed, log, signed=p.reward == "signed")
    parquet.write(job.output.log, "training", rows)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
