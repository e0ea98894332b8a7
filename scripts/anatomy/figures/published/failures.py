"""Published curves that no counts give, at small k, and the pass@1 that their other points imply."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

LARGEST = 8
NAMES = ["figure", "benchmark", "model", "series"]


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    curves = csv.read_csv(inputs.tables[0], [*NAMES, "k", "estimate"])
    failures = csv.read_csv(
        inputs.tables[1], [*NAMES, "check", "amount", "tolerance", "without_first", "first_low", "first_high"]
    )
    failures = failures[failures["check"] == "completely monotone"]
    figure = Figure(figsize=(plotting.WIDTH, 2.4))
    grid = figure.subplots(1, len(failures), squeeze=False)
    for axes, row in zip(grid[0], failures.to_dict("records"), strict=True):
        curve = curves[(curves[NAMES] == [row[name] for name in NAMES]).all(axis=1)]
        curve = curve[curve["k"] <= LARGEST]
        axes.plot(curve["k"], curve["estimate"], label="published", **plotting.look(0))
        implied = [row["first_low"], row["first_high"]]
        axes.plot(
            [1, 1],
            implied,
            color=plotting.COLOURS[1],
            lw=5,
            alpha=0.6,
            solid_capstyle="butt",
            label="pass@1 that the other points imply",
        )
        without = row["without_first"]
        implied_by = "without k = 1 too" if without > row["tolerance"] else "not without k = 1"
        title = f"{row['benchmark']}, {row['series']}\noff by {row['amount']:.4f}\n{implied_by}"
        axes.set_title(title, loc="left", fontsize=7)
        axes.set_xticks([1, 2, 4, 8])
        axes.set_xlabel("k (samples)")
    grid[0][0].set_ylabel("pass@k")
    plotting.legend(figure, grid)
    return figure
