"""Read a real test set, from a file with one JSON object a line, into the table of problems."""

from collections.abc import Iterator
from typing import Any

from _job import run
from anatomy.problems import code_sets, math_sets
from anatomy.problems.math_sets import Fields
from anatomy.storage import parquet


def main(job: Any, report: Any) -> None:
    p = job.params
    records, origin, fields = math_sets.local(job.input[0]), str(job.input[0]), dict(p.fields)
    window, form = fields.pop("window", ""), fields["answer_from"]
    if form in code_sets.FORMATS:
        days = tuple(window.split("..")) if window else None
        rows = code_sets.rows(records, p.benchmark, form, origin, days, job.threads)
    else:
        rows = math_sets.rows(records, p.benchmark, Fields(**fields), origin)
    count = without = 0
    with parquet.writing(job.output[0], "problems") as table:

        def written() -> Iterator[dict[str, Any]]:
            """One row at a time: LiveCodeBench's tests are gigabytes."""
            nonlocal count, without
            for row in rows:
                table.write([row])
                count, without = count + 1, without + (row["solution"] is None)
                yield row

        if p.sha256:
            math_sets.check_content(written(), p.sha256, p.benchmark)
        else:
            digest = math_sets.content_digest(written())
            report(f"its content is not pinned in the sheet of benchmarks (column sha256: {digest})")
    report(f"{count} problems" + (f", {without} of them without a solution" if without else ""))


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
