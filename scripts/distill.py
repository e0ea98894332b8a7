"""Fine-tune a start model on a teacher's right completions of a benchmark's problems."""

from pathlib import Path
from typing import Any

import torch

from _job import run
from anatomy.errors import AnatomyError
from anatomy.storage import parquet
from anatomy.storage.verdicts import RIGHT
from anatomy.training import checkpoints, supervised


def main(job: Any, report: Any) -> None:
    p = job.params
    torch.set_num_threads(job.threads)
    prompts = {
        row["problem"]: row["prompt"]
        for row in parquet.records(job.input.prompts, "prompts")
        if row["condition"] == "plain"
    }
    # Samples and verdicts are in the same order; `count` checks that they belong together.
    pairs = zip(
        parquet.records(job.input.samples, "samples"),
        parquet.records(job.input.verdicts, "verdicts"),
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
    log = supervised.finetune(
        Path(job.input.start) / p.start_checkpoint,
        documents,
        supervised.Optimisation(**p.config),
        p.seed,
        Path(p.work),
        Path(job.output.model),
        report,
    )
    parquet.write(job.output.log, "training", checkpoints.log_rows(p.name, p.seed, log))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
