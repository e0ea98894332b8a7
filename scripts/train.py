"""Train one seed of a reinforcement-learning run from its start model, in one process or in many."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from anatomy import distributed, rl_trainer, scaffold, screening, tables, training
from anatomy.rl_config import Reinforcement
from anatomy.rl_rollouts import Graded
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    template = scaffold.load_template(job.input.template)
    rows = screening.training_set(
        tables.records(job.input.problems, "problems"),
        tables.records(job.input.prompts, "prompts"),
        p.conditions,
        tables.read(job.input.failed, "counts") if job.input.failed else None,
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
    log = distributed.run(
        f"{rl_trainer.__name__}:train",
        arguments,
        config.scale,
        Path(f"{p.work}.workers"),
        job.threads,
        report,
    )
    tables.write(job.output.log, "training", training.log_rows(p.run, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
