"""Fetch a split of a data set from the hub, at its pinned commit, as JSON lines."""

from typing import Any

from _job import run
from anatomy.hub import download


def main(job: Any, report: Any) -> None:
    p = job.params
    download.fetch_dataset(**p.hub, path=job.output[0], work=p.work, report=report)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
