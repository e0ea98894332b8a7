"""pass@1 and pass@K along a training run, on problems that it trained on and on others."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    columns = ["run", "step", "benchmark", "target", "k", "estimate", "low", "high"]
    table = csv.read_csv(inputs.tables[0], columns)
    targets, ks = table["target"].unique(), sorted(table["k"].unique())
    figure, grid = plotting.grid(len(ks), len(targets), 1.6, sharex=True, sharey="row")
    for row, k in enumerate(ks):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            panel = table[(table["k"] == k) & (table["target"] == target)]
            for place, ((name, benchmark), curve) in enumerate(
                panel.groupby(["run", "benchmark"], sort=False)
            ):
                plotting.band(axes, "step", curve.sort_values("step"), f"{name}: {benchmark}", place)
            axes.set_ylim(0, None)
            axes.set_title(f"pass@{k}: {plotting.TARGETS[target]}", loc="left")
        grid[row][0].set_ylabel(f"pass@{k}")
    for axes in grid[-1]:
        axes.set_xlabel("training step")
    plotting.legend(figure, grid)
    return figure
