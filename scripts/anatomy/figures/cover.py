"""Cover@tau: the share of problems whose samples succeed at a rate of tau or more."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    table = csv.read_csv(inputs.tables[0], ["arm", "benchmark", "target", "tau", "estimate", "low", "high"])
    table = table[table["arm"].isin(arms)]
    benchmarks, targets = list(table["benchmark"].unique()), list(table["target"].unique())
    rows, columns = plotting.shape(len(benchmarks), len(targets))
    figure, grid = plotting.grid(rows, columns, 1.5, sharex=True, sharey=True)
    for panel in plotting.panels(grid, benchmarks, targets):
        here = table[(table["benchmark"] == panel.benchmark) & (table["target"] == panel.target)]
        for place, arm in enumerate(arms):
            if (here["arm"] == arm).any():
                plotting.band(panel.axes, "tau", here[here["arm"] == arm], arms[arm], place)
        panel.axes.set_ylim(0, 1.02)
        panel.axes.set_title(panel.title, loc="left")
        if panel.left:
            panel.axes.set_ylabel("share of problems")
        if panel.bottom:
            panel.axes.set_xlabel("tau (share of samples that succeed)")
    plotting.legend(figure, grid)
    return figure
