"""Sample one shard of an arm's completions on a benchmark."""

import time
from dataclasses import asdict
from typing import Any

from anatomy import engine, tables
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    prompts = [
        engine.Prompt(row["problem"], row["prompt"])
        for row in tables.records(job.input.prompts, "prompts")
        if row["condition"] == p.condition
    ]
    chunks = engine.shard(engine.chunked(prompts, p.n, p.rows), p.shard, p.shards)
    sampler = engine.TransformersEngine(f"{job.input.model}/step-{p.step}", job.threads)
    began, told, tokens = time.monotonic(), time.monotonic(), 0
    with tables.writing(job.output[0], "samples") as samples:
        for done, chunk in enumerate(chunks, start=1):
            for completions in sampler.sample(chunk, p.n, engine.Sampling(**p.sampling), p.key):
                samples.write([asdict(completion) for completion in completions])
                tokens += sum(completion.tokens for completion in completions)
            if time.monotonic() - told > 10 or done == len(chunks):
                told = time.monotonic()
                report(f"{done}/{len(chunks)} chunks, {tokens / (told - began):,.0f} tokens/s")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
