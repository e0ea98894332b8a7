"""Sample a shard of an arm's completions on a benchmark, or more of them where two arms disagree."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from anatomy import engine, resampling, tables
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    prompts = [
        engine.Prompt(row["problem"], row["prompt"], row["condition"])
        for row in tables.records(job.input.prompts, "prompts")
        if row["condition"] == p.condition
    ]
    if p.disagreeing:
        chosen = resampling.disagreeing(*(tables.read(path, "counts") for path in job.input.counts))
        prompts = [prompt for prompt in prompts if prompt.problem in chosen]
        report(f"{len(prompts)} problems that one model solved and the other did not")
    settings = dict(p.sampling)
    if job.input.temperature:
        settings["temperature"] = json.loads(Path(job.input.temperature).read_text())["temperature"]
    chunks = engine.shard(engine.chunked(prompts, p.n, p.rows), p.shard, p.shards)
    sampler = engine.TransformersEngine(f"{job.input.model}/{p.checkpoint}", job.threads)
    began, told, tokens = time.monotonic(), time.monotonic(), 0
    with tables.writing(job.output[0], "samples") as samples:
        for done, chunk in enumerate(chunks, start=1):
            for completions in sampler.sample(chunk, p.n, engine.Sampling(**settings), p.key):
                samples.write([asdict(completion) for completion in completions])
                tokens += sum(completion.tokens for completion in completions)
            if time.monotonic() - told > 10 or done == len(chunks):
                told = time.monotonic()
                report(f"{done}/{len(chunks)} chunks, {tokens / (told - began):,.0f} tokens/s")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
