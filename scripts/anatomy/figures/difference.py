"""Differences of pass@k: the interval at each k dark, the band for all k light."""

from matplotlib.figure import Figure

from anatomy.figures import overlay, plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    columns = ["arm", "base", "benchmark", "target", "k", "estimate", "low", "high", "band_low", "band_high"]
    table = csv.read_csv(inputs.tables[0], columns)
    table = table[table["arm"].isin(arms)]
    benchmarks, targets = list(table["benchmark"].unique()), list(table["target"].unique())
    published = overlay.read(inputs.overlay, inputs.tables, ["k", "estimate"])
    down, across = plotting.shape(len(benchmarks), len(targets))
    figure, grid = plotting.grid(down, across, 1.5, sharex=True, sharey="row")
    for panel in plotting.panels(grid, benchmarks, targets):
        axes = panel.axes
        here = table[(table["benchmark"] == panel.benchmark) & (table["target"] == panel.target)]
        for place, arm in enumerate(arms):
            curve = here[here["arm"] == arm]
            style = plotting.look(place + 1)
            axes.plot(curve["k"], 100 * curve["estimate"], label=f"{arms[arm]} less its base", **style)
            for low, high, alpha in (("band_low", "band_high", 0.12), ("low", "high", 0.22)):
                axes.fill_between(
                    curve["k"], 100 * curve[low], 100 * curve[high], color=style["color"], alpha=alpha, lw=0
                )
        if panel.target == "answer":
            overlay.curves(axes, published, panel.benchmark, here["k"].max(), 100)
        axes.axhline(0, color="#333333", lw=0.7)
        plotting.samples_axis(axes, here["k"], panel.bottom)
        axes.set_title(panel.title, loc="left")
        if panel.left:
            axes.set_ylabel("percentage points")
    plotting.legend(figure, grid)
    return figure
