"""Annotate a benchmark's problems: what people wrote, and the rest by a language model."""

import json
from pathlib import Path
from typing import Any

from _job import run
from anatomy.problems import annotation
from anatomy.storage import atomic, parquet, schemas
from anatomy.study.endpoint import Endpoint


def main(job: Any, report: Any) -> None:
    p = job.params
    problems = list(parquet.records(job.input.problems, "problems", schemas.WITHOUT_TESTS))
    given = annotation.given(job.input.given, problems) if job.input.get("given") else {}
    endpoint = Endpoint(**p.endpoint) if p.endpoint else None
    rows = list(annotation.annotate(problems, endpoint, Path(p.cache), report, given))
    summary = annotation.summary(rows)
    report(", ".join(f"{summary[status]} {status}" for status in annotation.STATUSES))
    with atomic.atomic(job.output.summary) as partial:
        partial.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    parquet.write(job.output.annotations, "annotations", rows)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
