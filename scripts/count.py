"""Count an arm's verdicts on a benchmark, problem by problem."""

from typing import Any

from _job import run
from anatomy.grading.counts import count
from anatomy.storage import parquet


def main(job: Any, report: Any) -> None:
    columns = ["problem", "condition", "sample", "tokens", "entropy", "temperature"]
    samples = parquet.records(job.input.samples, "samples", columns)
    verdicts = parquet.records(
        job.input.verdicts,
        "verdicts",
        ["problem", "condition", "sample", "verdict", "lenient", "derivation_right"],
    )
    counts = count(samples, verdicts, job.params.n)
    parquet.write(job.output[0], "counts", counts)
    report(f"{len(counts)} problems")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
