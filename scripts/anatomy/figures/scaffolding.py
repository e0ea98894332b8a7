"""Stage 2: groups without a signal along training, and pass@k of each variant."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    training = csv.read_csv(inputs.tables[0], ["run", "seed", "step", "zero_signal", "length"])
    passk = csv.read_csv(
        inputs.tables[1], ["arm", "seed", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    passk = passk[passk["arm"].isin(arms) & (passk["seed"] == "all")]
    covered = passk.groupby("benchmark", sort=False)["arm"].nunique()
    benchmarks, targets = list(covered[covered > 1].index), list(passk["target"].unique())
    figure, grid = plotting.grid(1 + plotting.shape(len(benchmarks), len(targets))[0], 2, 1.7)
    first = next(iter(arms))
    for axes, name, label in (
        (grid[0][0], "zero_signal", "share of groups without a signal"),
        (grid[0][1], "length", "completion length (tokens)"),
    ):
        for place, arm in enumerate(arms):
            log = training[(training["run"] == arm) & (training["seed"] == "all")].dropna(subset=[name])
            if arm != first:  # the others start where the first one ends
                style = plotting.look(place)
                axes.plot(log["step"], log[name], color=style["color"], ls=style["linestyle"])
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("step of stage 2")
        axes.set_title(label, loc="left")
    for panel in plotting.panels(grid[1:], benchmarks, targets):
        here = passk[(passk["benchmark"] == panel.benchmark) & (passk["target"] == panel.target)]
        for place, arm in enumerate(arms):
            plotting.band(panel.axes, "k", here[here["arm"] == arm], arms[arm], place)
        plotting.samples_axis(panel.axes, here["k"], panel.bottom)
        panel.axes.set_ylim(0, None)
        panel.axes.set_title(panel.title, loc="left")
        if panel.left:
            panel.axes.set_ylabel("pass@k")
    plotting.legend(figure, grid, 3)
    return figure
