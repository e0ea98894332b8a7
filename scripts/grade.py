"""Grade one shard of completions."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from _job import run
from anatomy.grading import graders
from anatomy.prompts import templates
from anatomy.storage import parquet


def main(job: Any, report: Any) -> None:
    p = job.params
    template = templates.load_template(job.input.template)
    here = {row["problem"] for row in parquet.records(job.input.samples, "samples", ["problem"])}
    problems = {
        row["problem"]: row
        for row in parquet.records(job.input.problems, "problems")
        if row["problem"] in here  # tests of all of a benchmark's programs may be gigabytes
    }
    prefixes = {
        (row["problem"], row["condition"]): row["prefix"]
        for row in parquet.records(job.input.prompts, "prompts")
        if row["prefix"]
    }
    columns = ["problem", "condition", "sample", "completion", "finish_reason"]

    def items() -> Iterator[graders.Item]:
        for row in parquet.records(job.input.samples, "samples", columns):
            name, condition = row["problem"], row["condition"]
            prefix = prefixes.get((name, condition), "")
            truncated = row["finish_reason"] == "length"
            yield graders.Item(problems[name], row["completion"], truncated, prefix, condition)

    marks = graders.Marks(template.answer, template.tags)
    judged = zip(
        parquet.records(job.input.samples, "samples", columns[:3]),
        graders.grade(p.grader, items(), marks, job.threads),
        strict=True,
    )
    with parquet.writing(job.output[0], "verdicts") as verdicts:
        while batch := [{**where, **asdict(verdict)} for where, verdict in islice(judged, 8192)]:
            verdicts.write(batch)
    report(f"{verdicts.rows} verdicts")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
