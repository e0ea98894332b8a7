"""Set the paper with Typst; every number in it comes from numbers.json and links to its audit page."""

import json
from pathlib import Path
from typing import Any

from _job import run
from anatomy.audit import ledger
from anatomy.reporting import typst
from anatomy.storage.atomic import atomic


def main(job: Any, report: Any) -> None:
    paper = typst.Paper(
        Path(job.input.source[0]),
        job.input.numbers,
        ledger.read(Path(job.input.ledger))["root"],
        job.params.study,
        job.params.site,
    )
    pdf, places = typst.compile(paper)
    for path, content in zip(job.output, (pdf, json.dumps(places, indent=1).encode() + b"\n"), strict=True):
        with atomic(path) as partial:
            partial.write_bytes(content)
    report(f"{len(pdf) / 1024:.0f} KiB, {len(places['numbers'])} numbers")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
