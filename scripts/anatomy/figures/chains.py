"""Subproblem success rate against full accuracy, a point an arm and level; the line is equality.

Where problems have no levels, a point an arm.
"""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

MODES = {"gold": "earlier answers given", "own": "the model's own earlier answers"}


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    columns = ["arm", "stratum", "mode", "ssr", "ssr_low", "ssr_high", "accuracy"]
    table = csv.read_csv(inputs.tables[0], columns)
    levels = table["stratum"].str.startswith("level ")
    table = table[levels if levels.any() else table["stratum"] == "all"]
    figure, grid = plotting.grid(1, 2, 2.6, sharex=True, sharey=True)
    for axes, (mode, title) in zip(grid.ravel(), MODES.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="#333333", lw=0.7)
        for place, arm in enumerate(arms):
            panel = table[(table["arm"] == arm) & (table["mode"] == mode)]
            style = plotting.look(place)
            axes.errorbar(
                panel["accuracy"],
                panel["ssr"],
                yerr=[
                    (panel["ssr"] - panel["ssr_low"]).fillna(0).clip(lower=0),
                    (panel["ssr_high"] - panel["ssr"]).fillna(0).clip(lower=0),
                ],
                color=style["color"],
                marker=style["marker"],
                ls="none",
                elinewidth=0.7,
                label=arms[arm],
            )
        axes.set_xlabel("Avg@n of whole problems")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_title(title, loc="left")
    grid[0][0].set_ylabel("subproblem success rate")
    plotting.legend(figure, grid)
    return figure
