"""Draw a figure from its tables: the module of anatomy/figures that config/artifacts.yaml names draws it."""

from importlib import import_module
from typing import Any

from _job import run
from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs


def main(job: Any, report: Any) -> None:
    p = job.params
    inputs = Inputs(list(job.input), p.arms, p.overlay, p.options)
    plotting.save(import_module(f"anatomy.figures.{p.draws}").draw(inputs), job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
