"""How many problems have which accuracy, in the 12 published bins."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from anatomy import plotting, reporting
from job import run


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    table = reporting.read_csv(job.input[0], ["arm", "benchmark", "bin", "problems"])
    benchmarks, bins = table["benchmark"].unique(), table["bin"].unique()
    figure = Figure(figsize=(plotting.WIDTH, 1.1 + 1.4 * len(benchmarks)))
    grid = figure.subplots(len(benchmarks), 1, squeeze=False, sharex=True)
    width = 0.8 / len(arms)
    for axes, benchmark in zip(grid[:, 0], benchmarks, strict=True):
        for place, arm in enumerate(arms):
            heights = table[(table["arm"] == arm) & (table["benchmark"] == benchmark)]["problems"]
            at = np.arange(len(bins)) + (place - (len(arms) - 1) / 2) * width
            axes.bar(
                at,
                heights,
                width,
                label=arms[arm],
                color=plotting.COLOURS[place],
                hatch=("", "////", "....")[place % 3],
                edgecolor="white",
                lw=0.4,
            )
        axes.set_title(benchmark, loc="left")
        axes.set_ylabel("problems")
        axes.grid(axis="x", visible=False)
        axes.set_xticks(np.arange(len(bins)), bins, rotation=30, ha="right", rotation_mode="anchor")
    grid[-1, 0].set_xlabel("share of right answers among a problem's samples")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(arms))
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
