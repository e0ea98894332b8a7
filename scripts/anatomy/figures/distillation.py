"""pass@k of base, RL, teacher and student: one row of panels a benchmark."""

from matplotlib.figure import Figure

from anatomy.figures import overlay, plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    table = csv.read_csv(
        inputs.tables[0], ["arm", "seed", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    table = table[table["arm"].isin(arms) & (table["seed"] == "all")]
    published = overlay.read(inputs.overlay, inputs.tables, ["k", "estimate"])
    # Benchmarks that every arm was sampled on.
    covered = table.groupby("benchmark", sort=False)["arm"].nunique()
    benchmarks, targets = list(covered[covered == covered.max()].index), list(table["target"].unique())
    rows, columns = plotting.shape(len(benchmarks), len(targets))
    figure, grid = plotting.grid(rows, columns, sharex=True, sharey=True)
    for panel in plotting.panels(grid, benchmarks, targets):
        here = table[(table["benchmark"] == panel.benchmark) & (table["target"] == panel.target)]
        for place, arm in enumerate(arms):
            plotting.band(panel.axes, "k", here[here["arm"] == arm], arms[arm], place)
        if panel.target == "answer":
            overlay.curves(panel.axes, published, panel.benchmark, here["k"].max())
        plotting.samples_axis(panel.axes, here["k"], panel.bottom)
        panel.axes.set_ylim(0, 1.02)
        panel.axes.set_title(panel.title, loc="left")
        if panel.left:
            panel.axes.set_ylabel("pass@k")
    plotting.legend(figure, grid)
    return figure
