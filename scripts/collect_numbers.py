"""Give every reported number an id, its text, its interval and the cell that it was read from."""

import json
from pathlib import Path
from typing import Any

from _job import run
from anatomy.errors import AnatomyError
from anatomy.reporting import latex
from anatomy.reporting import numbers as reporting_numbers
from anatomy.storage.atomic import atomic


def main(job: Any, report: Any) -> None:
    numbers: dict[str, Any] = {}
    for path in job.input:
        name = Path(path).stem
        numbers |= reporting_numbers.numbers(name, path, job.params.tables[name])
    pages = {number["page"].lower() for number in numbers.values()}
    if len(pages) < len(numbers):
        raise AnatomyError("two numbers would share a page of the audit site; rename an arm or a key")
    texts = json.dumps(numbers, indent=1, allow_nan=False) + "\n", latex.latex(numbers)
    for path, text in zip(job.output, texts, strict=True):
        with atomic(path) as partial:
            partial.write_text(text, encoding="utf-8")
    report(f"{len(numbers)} numbers")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
