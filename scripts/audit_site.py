"""Make the audit site: a page for each number, figure, table, job and source file, and all completions."""

from typing import Any

from _job import run
from anatomy.audit.provenance import Trail
from anatomy.audit.site import site, spec
from anatomy.storage import atomic


def main(job: Any, report: Any) -> None:
    p = job.params
    with atomic.atomic_folder(job.output[0]) as partial:
        pages = site.build(Trail(p.study), spec.Spec(p.artifacts, p.claims, p.completions), partial)
    report(f"{sum(pages.values())} pages, {pages.get('number.html', 0)} of them of numbers")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
