"""What the study consists of: its settings, and how many problems each benchmark has."""

from pathlib import Path
from typing import Any

from anatomy import reporting, tables, world
from job import run


def main(job: Any, report: Any) -> None:
    rows = [{"item": "setting", "name": name, "value": value} for name, value in job.params.study.items()]
    for path in job.input:
        problems = tables.read(path, "problems", ["difficulty"])
        facts = {"problems": len(problems)}
        if problems["difficulty"].notna().all():
            facts |= {
                "shortest": int(problems["difficulty"].min()),
                "longest": int(problems["difficulty"].max()),
            }
        rows += [{"item": item, "name": Path(path).stem, "value": value} for item, value in facts.items()]
    rows += [
        {"item": "world", "name": "modulus", "value": world.MODULUS},
        {"item": "world", "name": "guess_chance", "value": world.MODULUS**world.ASKED},
    ]
    reporting.write_csv(job.output[0], rows)
    report(f"{len(rows)} facts")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
