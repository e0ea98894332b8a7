"""pass@k predicted from a quarter of the samples, that of the rest, and the prediction beyond all."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    columns = ["arm", "benchmark", "target", "fitted_n", "k", "estimate", "low", "high", "observed"]
    table = csv.read_csv(inputs.tables[0], columns)
    table = table[table["arm"].isin(arms)]
    benchmarks, targets = list(table["benchmark"].unique()), list(table["target"].unique())
    down, across = plotting.shape(len(benchmarks), len(targets))
    figure, grid = plotting.grid(down, across, 1.8, sharex=True, sharey=True)
    for panel in plotting.panels(grid, benchmarks, targets):
        axes = panel.axes
        here = table[(table["benchmark"] == panel.benchmark) & (table["target"] == panel.target)]
        for place, arm in enumerate(arms):
            style = plotting.look(place)
            for fitted, curve in here[here["arm"] == arm].groupby("fitted_n"):
                whole = fitted == here["fitted_n"].max()
                line = {"color": style["color"], "ls": ":" if whole else "-"}
                axes.plot(curve["k"], curve["estimate"], **line)
                axes.fill_between(
                    curve["k"], curve["low"], curve["high"], color=style["color"], alpha=0.13, lw=0
                )
            seen = here[here["arm"] == arm].dropna(subset=["observed"])
            axes.plot(
                seen["k"], seen["observed"], ls="", marker=style["marker"], color=style["color"],
                label=f"{arms[arm]}, observed",
            )  # fmt: skip
        plotting.samples_axis(axes, here["k"], panel.bottom)
        axes.set_ylim(0, 1.02)
        axes.set_title(panel.title, loc="left")
        if panel.left:
            axes.set_ylabel("pass@k")
    grid[0][0].plot([], [], color="#555555", label="predicted from a quarter")
    grid[0][0].plot([], [], color="#555555", ls=":", label="predicted from all")
    plotting.legend(figure, grid, 3)
    return figure
