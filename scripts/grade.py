"""Grade one shard of completions."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from anatomy import grading, scaffold, tables
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    template = scaffold.load_template(job.input.template)
    here = {row["problem"] for row in tables.records(job.input.samples, "samples", ["problem"])}
    problems = {
        row["problem"]: row
        for row in tables.records(job.input.problems, "problems")
        if row["problem"] in here  # tests of all of a benchmark's programs may be gigabytes
    }
    prefixes = {
        (row["problem"], row["condition"]): row["prefix"]
        for row in tables.records(job.input.prompts, "prompts")
        if row["prefix"]
    }
    columns = ["problem", "condition", "sample", "completion", "finish_reason"]

    def items() -> Iterator[grading.Item]:
        for row in tables.records(job.input.samples, "samples", columns):
            name, condition = row["problem"], row["condition"]
            prefix = prefixes.get((name, condition), "")
            truncated = row["finish_reason"] == "length"
            yield grading.Item(problems[name], row["completion"], truncated, prefix, condition)

    marks = grading.Marks(template.answer, template.tags)
    judged = zip(
        tables.records(job.input.samples, "samples", columns[:3]),
        grading.grade(p.grader, items(), marks, job.threads),
        strict=True,
    )
    with tables.writing(job.output[0], "verdicts") as verdicts:
        while batch := [{**where, **asdict(verdict)} for where, verdict in islice(judged, 8192)]:
            verdicts.write(batch)
    report(f"{verdicts.rows} verdicts")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
