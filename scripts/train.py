"""Train one seed of a reinforcement-learning run from its start model."""

from pathlib import Path
from typing import Any

import torch

from anatomy import grading, reinforcement, scaffold, screening, tables, training
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

    def reward(row: Any, completion: str, truncated: bool) -> float:
        opening = template.response if row["condition"] in scaffold.PARTIAL else ""
        return grading.reward(p.grader, row, completion, truncated, p.reward, template.tags, opening)

    value = reinforcement.Value(**p.config["value"]) if "value" in p.config else None
    log = reinforcement.reinforce(
        Path(job.input.start) / p.start_checkpoint,
        rows,
        reward,
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
