"""Problems by accuracy, in 12 bins."""

from typing import Any

from anatomy import analysis, reporting
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    found = analysis.cells(job.input, p.cells)
    rows = analysis.accuracy_rows(found)
    reporting.write_csv(job.output[0], rows)
    report(f"{len(rows)} rows")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
