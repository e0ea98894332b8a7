"""The logs of all training runs, and their means over seeds."""

from typing import Any

from anatomy import analysis, reporting, tables
from job import run


def main(job: Any, report: Any) -> None:
    rows = analysis.training_rows([tables.read(path, "training") for path in job.input])
    reporting.write_csv(job.output[0], rows)
    report(f"{len(rows)} rows")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
