"""Count an arm's verdicts on a benchmark, problem by problem."""

from typing import Any

from anatomy import counting, tables
from job import run


def main(job: Any, report: Any) -> None:
    columns = ["problem", "condition", "sample", "tokens", "entropy", "temperature"]
    samples = tables.records(job.input.samples, "samples", columns)
    verdicts = tables.records(
        job.input.verdicts,
        "verdicts",
        ["problem", "condition", "sample", "verdict", "lenient", "derivation_right"],
    )
    counts = counting.count(samples, verdicts, job.params.n)
    tables.write(job.output[0], "counts", counts)
    report(f"{len(counts)} problems")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
