"""Read a real test set, from a file with one JSON object a line, into the table of problems."""

from typing import Any

from anatomy import benchmarks, tables
from anatomy.benchmarks import Fields
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    records = benchmarks.local(job.input[0])
    rows = list(benchmarks.rows(records, p.benchmark, Fields(**p.fields), str(job.input[0])))
    if p.sha256:
        benchmarks.check_content(rows, p.sha256, p.benchmark)
    else:
        digest = benchmarks.content_digest(rows)
        report(f"its content is not pinned in the sheet of benchmarks (column sha256: {digest})")
    tables.write(job.output[0], "problems", rows)
    without = sum(row["solution"] is None for row in rows)
    report(f"{len(rows)} problems" + (f", {without} of them without a solution" if without else ""))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
