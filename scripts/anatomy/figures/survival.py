"""Share of chains whose links up to each one are all right: a panel an arm, a line a length of chain."""

from matplotlib import colormaps
from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    columns = ["arm", "mode", "links", "link", "estimate", "low", "high"]
    table = csv.read_csv(inputs.tables[0], columns)
    lengths = sorted(table["links"].unique())
    shades = colormaps["viridis"]
    figure, grid = plotting.grid(-(-len(arms) // 2), 2, 1.7, sharex=True, sharey=True)
    for axes in grid.ravel()[len(arms) :]:
        axes.set_visible(False)
    for axes, arm in zip(grid.ravel(), arms, strict=False):
        for place, length in enumerate(lengths):
            color = shades(0.9 * place / max(len(lengths) - 1, 1))
            for mode, dash in (("gold", "-"), ("own", ":")):
                curve = table[
                    (table["arm"] == arm) & (table["links"] == length) & (table["mode"] == mode)
                ].sort_values("link")
                label = f"{length} links" if mode == "gold" else None
                axes.plot(curve["link"], curve["estimate"], ls=dash, marker=".", color=color, label=label)
        axes.set_xticks(range(1, int(max(lengths)) + 1))
        axes.set_ylim(0, 1.02)
        axes.set_title(arms[arm], loc="left")
    grid[0][0].plot([], [], ls=":", color="#333333", label="own earlier answers")
    for axes in grid[:, 0]:
        axes.set_ylabel("unbroken chains")
    for axes in grid[-1]:
        axes.set_xlabel("link")
    plotting.legend(figure, grid)
    return figure
