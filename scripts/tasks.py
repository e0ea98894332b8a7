"""Draw a split of the embedded world's programming tasks."""

from typing import Any

from _job import run
from anatomy.problems import code_sets
from anatomy.storage import parquet, schemas
from anatomy.world import programs


def main(job: Any, report: Any) -> None:
    p = job.params
    drawn = programs.tasks(p.seed, p.benchmark, p.problems, p.statements, p.side)
    parquet.write(
        job.output[0],
        "problems",
        [
            {
                **dict.fromkeys(schemas.SCHEMAS["problems"].names),  # no plans, links and so on
                "problem": task.name,
                "benchmark": p.benchmark,
                "text": task.text,
                "answers": [],
                "solution": task.solution,
                "difficulty": float(task.difficulty),
                "domain": "lists",
                "tests": code_sets.of_task(task).to_json(),
            }
            for task in drawn
        ],
    )
    report(f"{len(drawn)} tasks")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
