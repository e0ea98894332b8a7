"""Set the paper with Typst; every number in it comes from numbers.json by its id."""

from pathlib import Path
from typing import Any

import typst

from anatomy.errors import AnatomyError
from anatomy.tables import atomic
from job import run


def main(job: Any, report: Any) -> None:
    source = Path(job.input.source[0])
    with atomic(job.output[0]) as partial:
        try:
            typst.compile(
                source,
                output=partial,
                root=Path(),
                sys_inputs={
                    "numbers": f"/{job.input.numbers}",
                    "figures": f"/figures/{job.params.study}",
                },
                ignore_system_fonts=True,
                # No date in the file: the same numbers give the same bytes.
                timestamp=0,
            )
        except typst.TypstError as error:
            raise AnatomyError(f"{source}: {error.diagnostic}") from error
    report(f"{Path(job.output[0]).stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
