"""Published pass@k curves, redrawn: one panel for each of theirs, with intervals that they did not have."""

from typing import Any

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

FEW = 2
"""Up to so many curves, all have their interval; of more, only the base has."""
NAMES = ["figure", "benchmark", "model"]
# What several papers' panels call differently is one line of the legend.
LABELS = {"base T0.6": "base", "RL T0.6": "RL", "RL entropy-matched": "RL, temperature of matched entropy"}


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    options = inputs.options
    curves = csv.read_csv(inputs.tables[0], [*NAMES, "series", "k", "estimate", "low", "high"])
    crossover = csv.read_csv(inputs.tables[1], [*NAMES, "estimate"])
    curves = curves[curves["figure"].isin(options["figures"])]
    panels = list(curves.groupby(NAMES, sort=False))
    columns = options["columns"]
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(plotting.WIDTH, 0.6 + 1.35 * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    series = _order(curves["series"].map(_label).unique())
    for axes in grid.ravel()[len(panels) :]:
        axes.set_visible(False)
    for place, (names, part) in enumerate(panels):
        axes = grid[place // columns][place % columns]
        several = part["series"].nunique() > FEW
        labels = part["series"].map(_label)
        for index, label in enumerate(series):
            curve = part[labels == label]
            style = _look(index) | {"lw": 1.1, "ms": 2.5, "markevery": 3}
            if curve.empty:
                continue
            axes.plot(curve["k"], curve["estimate"], label=label, **style)
            if not several or label == "base":
                axes.fill_between(
                    curve["k"], curve["low"], curve["high"], color=style["color"], alpha=0.15, lw=0
                )
        _mark(axes, crossover[(crossover[NAMES] == names).all(axis=1)], part["k"].max())
        _ticks(axes, int(part["k"].max()))
        what = options.get("titles", {}).get(names[0], names[2])
        axes.set_title(f"{names[1]}, {what}", loc="left", fontsize=7)
        if place % columns == 0:
            axes.set_ylabel("pass@k")
        if place // columns == rows - 1:
            axes.set_xlabel("k (samples)")
    plotting.legend(figure, grid)
    return figure


def _label(series: str) -> str:
    return LABELS.get(series, series)


def _order(labels: Any) -> list[str]:
    """The base first, then in the order of the panels."""
    return sorted(labels, key=lambda label: label != "base")


def _look(index: int) -> dict[str, Any]:
    """As ``plotting.look``, with the base's colour for the base alone."""
    return plotting.look(index + (index - 1) // (len(plotting.COLOURS) - 1) if index else 0)


def _ticks(axes: Any, largest: int) -> None:
    axes.set_xscale("log", base=2)
    step = 8 if largest > 256 else 4  # labels would touch
    axes.set_xticks([step**power for power in range(6) if step**power <= largest])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.minorticks_off()


def _mark(axes: Any, crossover: Any, largest: int) -> None:
    """Mark the k from which the base is ahead, where it is within the panel of two curves."""
    at = crossover["estimate"].astype(float)
    if len(at) == 1 and 1 < at.iloc[0] <= largest:
        axes.axvline(
            at.iloc[0], color="#555555", lw=0.7, ls="--", zorder=0, label="base ahead from this k on"
        )
