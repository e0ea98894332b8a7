"""pass@k of each arm: one row of panels a benchmark; answers beside whole derivations."""

from typing import Any

from matplotlib.figure import Figure

from anatomy.figures import overlay, plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

FEW = 4
"""Up to so many arms, single training seeds are drawn too."""
OVERTAKES = "base ahead from this k on"


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    table = csv.read_csv(
        inputs.tables[0], ["arm", "seed", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    crossover = csv.read_csv(inputs.tables[1], ["arm", "base", "benchmark", "target", "estimate"])
    crossover = crossover[crossover["arm"].isin(arms) & crossover["base"].isin(arms)]
    table = table[table["arm"].isin(arms)]
    covered = table.groupby("benchmark", sort=False)["arm"].nunique()
    benchmarks = list(covered[covered > 1].index)  # some to compare
    targets = list(table.loc[table["benchmark"].isin(benchmarks), "target"].unique())
    published = overlay.read(inputs.overlay, inputs.tables, ["k", "estimate"])
    rows, columns = plotting.shape(len(benchmarks), len(targets))
    figure = Figure(figsize=(plotting.WIDTH, 1.0 + 1.7 * rows))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey="row")
    for panel in plotting.panels(grid, benchmarks, targets):
        axes = panel.axes
        here = table[(table["benchmark"] == panel.benchmark) & (table["target"] == panel.target)]
        for place, arm in enumerate(arms):
            style = plotting.look(place)
            of_arm = here[here["arm"] == arm]
            for seed, curve in of_arm.groupby("seed"):
                if seed == "all":
                    axes.plot(curve["k"], curve["estimate"], label=arms[arm], **style)
                    axes.fill_between(
                        curve["k"], curve["low"], curve["high"], color=style["color"], alpha=0.15, lw=0
                    )
                elif len(arms) <= FEW and of_arm["seed"].nunique() > 2:
                    axes.plot(curve["k"], curve["estimate"], color=style["color"], lw=0.5, alpha=0.7)
        if panel.target == "answer":
            overlay.curves(axes, published, panel.benchmark, here["k"].max())
        _mark(axes, crossover, here, panel, list(arms))
        plotting.samples_axis(axes, here["k"], panel.bottom)
        axes.set_ylim(0, 1.02)
        axes.set_title(panel.title, loc="left")
        if panel.left:
            axes.set_ylabel("pass@k")
    plotting.legend(figure, grid)
    return figure


def _mark(axes: Any, crossover: Any, curves: Any, panel: plotting.Panel, arms: list[str]) -> None:
    """Mark where the base overtakes each arm, if it does within the panel: a single one in words."""
    of_panel = crossover[(crossover["benchmark"] == panel.benchmark) & (crossover["target"] == panel.target)]
    within = of_panel[of_panel["estimate"].astype(float).between(1, curves["k"].max())]
    for row in within.to_dict("records"):
        at = float(row["estimate"])
        if len(of_panel) > 1:  # labels would stand on each other
            color = plotting.look(arms.index(row["arm"]))["color"]
            axes.plot(at, 0, marker="^", ls="", ms=6, color=color, clip_on=False, zorder=3)
            axes.plot([], [], marker="^", ls="", ms=6, color="#555555", label=OVERTAKES)
            continue
        axes.axvline(at, color="#555555", lw=0.7, ls="--", zorder=0)
        axes.annotate(
            f"k = {at:.1f}",
            (at, 0.6),  # below the curves where they are at the top
            xycoords=axes.get_xaxis_transform(),
            xytext=(-3, -1),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=7,
            color="#333333",
            bbox={"facecolor": "white", "alpha": 0.8, "pad": 0.5, "lw": 0},
        )
