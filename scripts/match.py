"""Find the temperature at which an arm's mean token entropy equals another arm's on a benchmark."""

import json
from typing import Any

from anatomy import engine, matching, tables
from anatomy.tables import atomic
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    prompts = [
        engine.Prompt(row["problem"], row["prompt"], row["condition"])
        for row in tables.records(job.input.prompts, "prompts")
        if row["condition"] == p.condition
    ]
    target = matching.mean_entropy([tables.read(job.input.counts, "counts")])
    sampler = engine.TransformersEngine(f"{job.input.model}/{p.checkpoint}", job.threads)
    settings = engine.Sampling(**p.sampling)
    found = matching.match(sampler, prompts, target, p.n, p.rows, settings, p.key, report)
    with atomic(job.output[0]) as partial:
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
