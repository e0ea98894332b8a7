"""Render every condition's prompts for the problems of a benchmark."""

from typing import Any

from _job import run
from anatomy.problems import annotation
from anatomy.prompts import templates
from anatomy.storage import parquet, schemas


def main(job: Any, report: Any) -> None:
    template = templates.load_template(job.input.template)
    problems = parquet.records(job.input.problems, "problems", schemas.WITHOUT_TESTS)
    if job.input.annotations:
        problems = annotation.attach(list(problems), parquet.records(job.input.annotations, "annotations"))
    with parquet.writing(job.output[0], "prompts") as prompts:
        for problem in problems:
            prompts.write(list(templates.prompts(problem, template, job.params.conditions)))
    report(f"{prompts.rows} prompts in {len(job.params.conditions)} conditions")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
