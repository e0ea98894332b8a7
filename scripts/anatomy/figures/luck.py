"""The share of solved problems that a valid derivation solves, against the number of samples."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    table = csv.read_csv(inputs.tables[0], ["arm", "benchmark", "k", "estimate", "low", "high"])
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
    return figure
