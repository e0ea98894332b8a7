"""Render every condition's prompts for the problems of a benchmark."""

from typing import Any

from anatomy import scaffold, tables
from job import run


def main(job: Any, report: Any) -> None:
    template = scaffold.load_template(job.input.template)
    with tables.writing(job.output[0], "prompts") as prompts:
        for problem in tables.records(job.input.problems, "problems"):
            prompts.write(list(scaffold.prompts(problem, template, job.params.conditions)))
    report(f"{prompts.rows} prompts in {len(job.params.conditions)} conditions")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
