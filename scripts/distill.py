"""Fine-tune a start model on a teacher's right completions of a benchmark's problems."""

from pathlib import Path
from typing import Any

import torch

from anatomy import pretraining, tables, training
from anatomy.errors import AnatomyError
from anatomy.verdicts import RIGHT
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    prompts = {
        row["problem"]: row["prompt"]
        for row in tables.records(job.input.prompts, "prompts")
        if row["condition"] == "plain"
    }
    # Samples and verdicts are in the same order; `count` checks that they belong together.
    pairs = zip(
        tables.records(job.input.samples, "samples"),
        tables.records(job.input.verdicts, "verdicts"),
        strict=True,
    )
    documents = [
        (prompts[sample["problem"]], sample["completion"])
        for sample, verdict in pairs
        if verdict["verdict"] in RIGHT
    ]
    if not documents:
        raise AnatomyError("the teacher has no right completion: nothing can be distilled from it")
    report(f"{len(documents)} right completions of {len({d[0] for d in documents})} problems")
    log = pretraining.finetune(
        Path(job.input.start) / p.start_checkpoint,
        documents,
        pretraining.Optimisation(**p.config),
        p.seed,
        Path(p.work),
        Path(job.output.model),
        report,
    )
    tables.write(job.output.log, "training", training.log_rows(p.name, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
