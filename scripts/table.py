"""Make a table of results: the analysis of the table's name, on what config/artifacts.yaml says it needs."""

from importlib import import_module
from typing import Any

from _job import run
from anatomy.analyses.inputs import gather
from anatomy.storage import csv


def main(job: Any, report: Any) -> None:
    p = job.params
    inputs = gather(p.sources, p.pairs, p.arms, p.facts, p.options, p.seed, **p.statistics)
    rows = import_module(f"anatomy.analyses.{p.analysis}").rows(inputs)
    csv.write_csv(job.output[0], rows)
    report(f"{len(rows)} rows")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
