"""Differences of pass@k between variants of a run, a panel a pair and benchmark."""

from typing import Any

from matplotlib.figure import Figure

from anatomy.figures import overlay, plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    columns = ["arm", "base", "benchmark", "target", "k", "estimate", "low", "high"]
    table = csv.read_csv(inputs.tables[0], columns)
    published = overlay.read(inputs.overlay, inputs.tables, ["k", "estimate"])
    benchmarks = table["benchmark"].nunique()
    panels: Any = table.groupby(["arm", "base", "benchmark"], sort=False)
    pairs = list(dict.fromkeys(zip(table["arm"], table["base"], strict=True)))
    wanted = sorted(panels.groups, key=lambda names: pairs.index(names[:2]))
    across = benchmarks if benchmarks > 1 else min(3, len(wanted))
    figure, grid = plotting.grid(-(-len(wanted) // across), across, 1.6, sharex=True, sharey=True)
    for axes in grid.ravel()[len(wanted) :]:
        axes.set_visible(False)
    for axes, names in zip(grid.ravel(), wanted, strict=False):
        panel, (arm, base, benchmark) = panels.get_group(names), names
        for place, (target, curve) in enumerate(panel.groupby("target", sort=False)):
            plotting.band(axes, "k", curve, plotting.TARGETS[str(target)], place, 100)
        if base == next(of for variant, of in pairs if variant == arm):  # the run that the arm varies
            theirs = published[published["arm"] == arm]
            overlay.curves(axes, theirs, benchmark, panel["k"].max(), 100)
        axes.axhline(0, color="#333333", lw=0.7)
        plotting.samples_axis(axes, panel["k"])
        axes.tick_params(labelbottom=True)
        where = f"{benchmark}: " if benchmarks > 1 else ""
        axes.set_title(f"{where}{arms[arm]}\nless {arms[base]}", loc="left", fontsize=7)
    for axes in grid[:, 0]:
        axes.set_ylabel("percentage points")
    plotting.legend(figure, grid)
    return figure
