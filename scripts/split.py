"""Divide a benchmark's problems into a training and a test side that share none."""

from typing import Any

from _job import run
from anatomy.problems import math_sets
from anatomy.storage import parquet


def main(job: Any, report: Any) -> None:
    p = job.params
    whole = list(parquet.records(job.input[0], "problems"))
    part = math_sets.side(whole, p.side, p.problems, [p.seed, "split", p.taken_from])
    parquet.write(job.output[0], "problems", [{**row, "benchmark": p.benchmark} for row in part])
    report(f"{len(part)} of {len(whole)} problems")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
