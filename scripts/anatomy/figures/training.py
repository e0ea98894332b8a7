"""Training curves of every run, moving means over its seeds; a few runs' seeds are thin lines."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

PANELS = (
    ("step", "reward", "mean reward"),
    ("generated", "reward", "mean reward"),
    ("step", "length", "completion length (tokens)"),
    ("step", "entropy", "token entropy (nats)"),
    ("step", "kl", "KL to start model (nats per token)"),
    ("step", "zero_signal", "share of groups without a signal"),
)
AXES = {"step": "step", "generated": "generated tokens (thousands)"}
FEW = 3
"""Up to so many runs, single seeds are drawn too."""


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    columns = ["run", "seed", "step", "generated", "reward", "length", "entropy", "kl", "zero_signal"]
    table = csv.read_csv(inputs.tables[0], columns)
    table["generated"] /= 1000
    runs = [name for name in table["run"].unique() if name in inputs.arms]
    figure, grid = plotting.grid(3, 2, 1.8)
    for axes, (x, name, label) in zip(grid.ravel(), PANELS, strict=True):
        for place, run_name in enumerate(runs):
            style = plotting.look(place + 1)
            rows = table[table["run"] == run_name].dropna(subset=[name])
            for seed, log in rows.groupby("seed"):
                if seed == "all":
                    axes.plot(log[x], log[name], color=style["color"], ls=style["linestyle"], label=run_name)
                elif len(runs) <= FEW:
                    axes.plot(log[x], log[name], color=style["color"], lw=0.4, alpha=0.5)
        axes.set_title(label, loc="left")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(AXES[x])
    plotting.legend(figure, grid, 5)
    return figure
