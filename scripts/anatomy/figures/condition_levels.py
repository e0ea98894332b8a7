"""Change of Avg@n under plan and knowledge, and under their controls, against the number of steps."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

PANELS = {
    "plan": "plan",
    "plan-disordered": "plan, steps out of order",
    "knowledge": "knowledge",
    "knowledge-irrelevant": "irrelevant knowledge",
}


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    columns = ["arm", "target", "stratum", "condition", "reference", "estimate", "low", "high"]
    table = csv.read_csv(inputs.tables[0], columns)
    table = table[(table["reference"] == "plain") & table["stratum"].str.startswith("level ")]
    table = table[table["target"] == "answer"]
    table = table.assign(level=table["stratum"].str.removeprefix("level ").astype(float))
    figure, grid = plotting.grid(2, 2, 1.7, sharex=True, sharey=True)
    for axes, (condition, title) in zip(grid.ravel(), PANELS.items(), strict=True):
        panel = table[table["condition"] == condition]
        for place, arm in enumerate(arms):
            of_arm = panel[panel["arm"] == arm].sort_values("level")
            plotting.points(axes, of_arm, arms[arm], place, len(arms), x=of_arm["level"], joined=True)
        axes.axhline(0, color="#333333", lw=0.7)
        axes.set_xticks(sorted(table["level"].unique()))
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_title(title, loc="left")
    for axes in grid[:, 0]:
        axes.set_ylabel("percentage points")
    for axes in grid[-1]:
        axes.set_xlabel("difficulty (steps)")
    plotting.legend(figure, grid)
    return figure
