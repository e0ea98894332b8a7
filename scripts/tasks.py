"""Draw a split of the embedded world's programming tasks."""

from typing import Any

from anatomy import programs, tables, tasks
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    drawn = tasks.tasks(p.seed, p.benchmark, p.problems, p.statements, p.side)
    tables.write(
        job.output[0],
        "problems",
        [
            {
                **dict.fromkeys(tables.SCHEMAS["problems"].names),  # no plans, links and so on
                "problem": task.name,
                "benchmark": p.benchmark,
                "text": task.text,
                "answers": [],
                "solution": task.solution,
                "difficulty": float(task.difficulty),
                "domain": "lists",
                "tests": programs.of_task(task).to_json(),
            }
            for task in drawn
        ],
    )
    report(f"{len(drawn)} tasks")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
