"""Grade one shard of completions."""

from dataclasses import asdict
from typing import Any

from anatomy import grading, tables
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    problems = {row["problem"]: row for row in tables.records(job.input.problems, "problems")}
    prefixes = {
        (row["problem"], row["condition"]): row["prefix"]
        for row in tables.records(job.input.prompts, "prompts")
        if row["prefix"]
    }
    with tables.writing(job.output[0], "verdicts") as verdicts:
        batch: list[dict[str, Any]] = []
        columns = ["problem", "condition", "sample", "completion", "finish_reason"]
        for row in tables.records(job.input.samples, "samples", columns):
            name, condition = row["problem"], row["condition"]
            verdict = grading.grade(
                p.grader,
                problems[name],
                row["completion"],
                row["finish_reason"],
                prefixes.get((name, condition), ""),
                condition,
            )
            where = {"problem": name, "condition": condition, "sample": row["sample"]}
            batch.append({**where, **asdict(verdict)})
            if len(batch) == 8192:
                verdicts.write(batch)
                batch = []
        verdicts.write(batch)
    report(f"{verdicts.rows} verdicts")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
