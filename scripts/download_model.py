"""Download a model from the hub, at its pinned commit."""

from pathlib import Path
from typing import Any

from _job import run
from anatomy.hub import download


def main(job: Any, report: Any) -> None:
    p = job.params
    download.download_model(p.id, p.revision, Path(job.output[0]) / p.checkpoint, p.work, report)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
