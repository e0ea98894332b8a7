"""Give every reported number an id, its text, its interval and the cell that it was read from."""

import json
from pathlib import Path
from typing import Any

from anatomy import reporting
from anatomy.tables import atomic
from job import run


def main(job: Any, report: Any) -> None:
    numbers: dict[str, Any] = {}
    for path in job.input:
        name = Path(path).stem
        numbers |= reporting.numbers(name, path, job.params.tables[name])
    with atomic(job.output[0]) as partial:
        partial.write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    report(f"{len(numbers)} numbers")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
