"""The share of solved problems that a valid derivation solves, against the number of samples."""

from typing import Any

from anatomy import plotting, reporting
from job import run


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    table = reporting.read_csv(job.input[0], ["arm", "benchmark", "k", "estimate", "low", "high"])
    benchmarks = table["benchmark"].unique()
    across = min(2, len(benchmarks))
    figure, grid = plotting.grid(-(-len(benchmarks) // across), across, sharex=True, sharey=True)
    for axes in grid.ravel()[len(benchmarks) :]:
        axes.set_visible(False)
    for axes, benchmark in zip(grid.ravel(), benchmarks, strict=False):
        panel = table[table["benchmark"] == benchmark]
        for place, arm in enumerate(arms):
            if (panel["arm"] == arm).any():
                plotting.band(axes, "k", panel[panel["arm"] == arm], arms[arm], place)
        plotting.samples_axis(axes, panel["k"])
        axes.set_ylim(0, 1.02)
        axes.set_title(benchmark, loc="left")
    for axes in grid[:, 0]:
        axes.set_ylabel("share with a valid derivation")
    plotting.legend(figure, grid, 3)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
