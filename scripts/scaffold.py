"""Render every condition's prompts for the problems of a benchmark."""

from typing import Any

from anatomy import annotation, scaffold, tables
from job import run


def main(job: Any, report: Any) -> None:
    template = scaffold.load_template(job.input.template)
    problems = tables.records(job.input.problems, "problems", tables.WITHOUT_TESTS)
    if job.input.annotations:
        problems = annotation.attach(list(problems), tables.records(job.input.annotations, "annotations"))
    with tables.writing(job.output[0], "prompts") as prompts:
        for problem in problems:
            prompts.write(list(scaffold.prompts(problem, template, job.params.conditions)))
    report(f"{prompts.rows} prompts in {len(job.params.conditions)} conditions")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
