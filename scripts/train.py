"""Train one seed of a reinforcement-learning run from its start model."""

from pathlib import Path
from typing import Any

import torch

from anatomy import grading, reinforcement, tables, training
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    prompts = {
        row["problem"]: row["prompt"]
        for row in tables.records(job.input.prompts, "prompts")
        if row["condition"] == "plain"
    }
    rows = [
        {**row, "prompt": prompts[row["problem"]]} for row in tables.records(job.input.problems, "problems")
    ]
    value = reinforcement.Value(**p.config["value"]) if "value" in p.config else None
    log = reinforcement.reinforce(
        Path(job.input.start) / p.start_checkpoint,
        rows,
        lambda row, completion, truncated: grading.reward(p.grader, row, completion, truncated),
        reinforcement.Reinforcement(**{**p.config, "value": value}),
        p.exports,
        p.tokens,
        p.seed,
        Path(p.work),
        Path(job.output.model),
        report,
    )
    tables.write(job.output.log, "training", training.log_rows(p.run, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
