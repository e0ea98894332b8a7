"""Sample an arm under the study's other conditions on a benchmark, all with one start of the engine."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _job import run
from anatomy.grading import graders
from anatomy.models.decoding import Sampling
from anatomy.prompts import templates
from anatomy.sampling import engine, load, own_chains
from anatomy.storage import parquet


def main(job: Any, report: Any) -> None:
    p = job.params
    problems = list(parquet.records(job.input.problems, "problems"))
    linked = templates.SUBPROBLEMS in p.conditions
    prompts = [
        engine.Prompt(row["problem"], row["prompt"], row["condition"])
        for row in parquet.records(job.input.prompts, "prompts")
        if row["condition"] in p.conditions or (linked and templates.link_number(row["condition"]))
    ]
    settings = dict(p.sampling)
    if job.input.temperature:
        settings["temperature"] = json.loads(Path(job.input.temperature).read_text())["temperature"]
    sampling = Sampling(**settings)
    folder = f"{job.input.model}/{p.checkpoint}"
    sampler = load.load(p.engine, folder, job.threads, job.resources.gpu, p.context or None, p.options)
    report(f"{sampler.prepare(prompts, sampling)} positions for the longest prompt and its completion")
    rows = p.rows if p.engine == "transformers" else len(prompts) * p.n  # vLLM makes its batches itself
    with parquet.writing(job.output[0], "samples") as samples:
        for chunk in engine.chunked(prompts, p.n, rows):
            for completions in sampler.sample(chunk, p.n, sampling, p.key):
                samples.write([asdict(completion) for completion in completions])
        report(f"{len(prompts)} prompts in {len({prompt.condition for prompt in prompts})} conditions")
        if templates.OWN in p.conditions:
            template = templates.load_template(job.input.template)
            marks = graders.Marks(template.answer, template.tags)

            def answer(problem: Any, condition: str, drawn: engine.Completion) -> str | None:
                cut = drawn.finish_reason == "length"
                item = graders.Item(problem, drawn.completion, cut, condition=condition)
                return next(graders.grade(p.grader, [item], marks)).answer

            chained = [problem for problem in problems if problem["subproblems"]]
            for completions in own_chains.own_chains(
                sampler, chained, template, answer, p.n, rows, sampling, p.key
            ):
                samples.write([asdict(completion) for completion in completions])
            report(f"{len(chained)} chains with the model's own answers")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
