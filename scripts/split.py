"""Divide a benchmark's problems into a training and a test side that share none."""

from typing import Any

from anatomy import benchmarks, tables
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    whole = list(tables.records(job.input[0], "problems"))
    part = benchmarks.side(whole, p.side, p.problems, [p.seed, "split", p.taken_from])
    tables.write(job.output[0], "problems", [{**row, "benchmark": p.benchmark} for row in part])
    report(f"{len(part)} of {len(whole)} problems")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
