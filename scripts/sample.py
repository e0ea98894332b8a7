"""Sample a shard of an arm's completions on a benchmark, or more of them where two arms disagree."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _job import run
from anatomy.models.decoding import Sampling
from anatomy.problems import selection
from anatomy.sampling import engine, load
from anatomy.storage import parquet


def main(job: Any, report: Any) -> None:
    p = job.params
    prompts = [
        engine.Prompt(row["problem"], row["prompt"], row["condition"])
        for row in parquet.records(job.input.prompts, "prompts")
        if row["condition"] == p.condition
    ]
    if p.disagreeing:
        chosen = selection.disagreeing(*(parquet.read(path, "counts") for path in job.input.counts))
        prompts = [prompt for prompt in prompts if prompt.problem in chosen]
        report(f"{len(prompts)} problems that one model solved and the other did not")
    settings = dict(p.sampling)
    if job.input.temperature:
        settings["temperature"] = json.loads(Path(job.input.temperature).read_text())["temperature"]
    chunks = engine.shard(engine.chunked(prompts, p.n, p.rows), p.shard, p.shards)
    sampling = Sampling(**settings)
    folder = f"{job.input.model}/{p.checkpoint}"
    sampler = load.load(p.engine, folder, job.threads, job.resources.gpu, p.context or None, p.options)
    if chunks:
        needed = sampler.prepare([prompt for chunk in chunks for prompt in chunk], sampling)
        report(f"{needed} positions for the longest prompt and its completion")
    if p.engine == "vllm":  # which makes its batches itself, best of all prompts together
        chunks = [[prompt for chunk in chunks for prompt in chunk]]
    began, reported, tokens = time.monotonic(), time.monotonic(), 0
    done, count = 0, sum(map(len, chunks))
    with parquet.writing(job.output[0], "samples") as samples:
        for chunk in chunks:
            for completions in sampler.sample(chunk, p.n, sampling, p.key):
                samples.write([asdict(completion) for completion in completions])
                tokens += sum(completion.tokens for completion in completions)
                done += 1
                if time.monotonic() - reported > 10 or done == count:
                    reported = time.monotonic()
                    report(f"{done}/{count} prompts, {tokens / (reported - began):,.0f} tokens/s")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
