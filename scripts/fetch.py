"""Fetch a split of a data set from the hub, at its pinned commit, as JSON lines."""

from typing import Any

from anatomy import hub
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    hub.fetch_dataset(**p.hub, path=job.output[0], work=p.work, report=report)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
