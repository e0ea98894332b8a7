"""Score completions, or the benchmark's reference solutions, under one model."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from _job import run
from anatomy.sampling import log_likelihood
from anatomy.storage import parquet


def texts(job: Any) -> Iterator[tuple[str, int, str, bool]]:
    """Yield problem, sample, text, and whether the text was cut off at the token limit."""
    if job.params.gold:
        for row in parquet.records(job.input.problems, "problems", ["problem", "solution"]):
            if row["solution"] is not None:
                yield row["problem"], 0, row["solution"], False
    else:
        columns = ["problem", "sample", "completion", "finish_reason"]
        for row in parquet.records(job.input.texts, "samples", columns):
            if row["sample"] < job.params.samples:
                yield row["problem"], row["sample"], row["completion"], row["finish_reason"] == "length"


def main(job: Any, report: Any) -> None:
    p = job.params
    prompts = {
        row["problem"]: row["prompt"]
        for row in parquet.records(job.input.prompts, "prompts")
        if row["condition"] == p.condition
    }
    scorer = log_likelihood.Scorer(f"{job.input.model}/{p.checkpoint}", job.threads)
    wanted = texts(job)
    began, tokens = time.monotonic(), 0
    with parquet.writing(job.output[0], "scores") as scores:
        while piece := list(islice(wanted, 4096)):
            problems, samples, completions, truncated = zip(*piece, strict=True)
            likelihoods = scorer.score([prompts[name] for name in problems], completions, truncated)
            scores.write(
                [
                    {"problem": problem, "sample": sample, **asdict(score)}
                    for problem, sample, score in zip(problems, samples, likelihoods, strict=True)
                ]
            )
            tokens += sum(score.tokens for score in likelihoods)
            report(f"{scores.rows} texts, {tokens / (time.monotonic() - began):,.0f} tokens/s")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
