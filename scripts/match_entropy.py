"""Find the temperature at which an arm's mean token entropy equals another arm's on a benchmark."""

import json
from typing import Any

from _job import run
from anatomy.models.decoding import Sampling
from anatomy.sampling import engine, entropy_matching, transformers_engine
from anatomy.storage import parquet
from anatomy.storage.atomic import atomic


def main(job: Any, report: Any) -> None:
    p = job.params
    prompts = [
        engine.Prompt(row["problem"], row["prompt"], row["condition"])
        for row in parquet.records(job.input.prompts, "prompts")
        if row["condition"] == p.condition
    ]
    target = entropy_matching.mean_entropy([parquet.read(job.input.counts, "counts")])
    sampler = transformers_engine.TransformersEngine(f"{job.input.model}/{p.checkpoint}", job.threads)
    settings = Sampling(**p.sampling)
    matched = entropy_matching.match(sampler, prompts, target, p.n, p.rows, settings, p.key, report)
    with atomic(job.output[0]) as partial:
        partial.write_text(json.dumps(matched, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
