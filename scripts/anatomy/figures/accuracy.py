"""How many problems have which accuracy, in the 12 published bins, and how RL changes it."""

import numpy as np
from matplotlib.figure import Figure

from anatomy.figures import overlay, plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    table = csv.read_csv(inputs.tables[0], ["arm", "benchmark", "bin", "problems", "low", "high"])
    change = csv.read_csv(inputs.tables[1], ["arm", "base", "benchmark", "bin", "estimate", "low", "high"])
    table = table[table["arm"].isin(arms)]
    change = change[change["arm"].isin(arms) & change["base"].isin(arms)]
    published = overlay.read(inputs.overlay, inputs.tables, ["problems", "total"])
    benchmarks, bins = list(table["benchmark"].unique()), list(table["bin"].unique())
    figure, grid = plotting.grid(len(benchmarks), 2, 1.5, sharex=True)
    width = 0.8 / len(arms)
    for (left, right), benchmark in zip(grid, benchmarks, strict=True):
        for place, arm in enumerate(arms):
            rows = table[(table["arm"] == arm) & (table["benchmark"] == benchmark)]
            left.bar(
                np.arange(len(bins)) + (place - (len(arms) - 1) / 2) * width,
                rows["problems"],
                width,
                yerr=[rows["problems"] - rows["low"], rows["high"] - rows["problems"]],
                error_kw={"lw": 0.7, "capsize": 1.2},
                label=arms[arm],
                color=plotting.COLOURS[place],
                hatch=("", "////", "....")[place % 3],
                edgecolor="white",
                lw=0.4,
            )
            theirs = published[(published["arm"] == arm) & (published["benchmark"] == benchmark)]
            if len(theirs):
                overlay.points(
                    left,
                    np.arange(len(bins)) + (place - (len(arms) - 1) / 2) * width,
                    theirs["problems"] / theirs["total"] * rows["problems"].sum(),
                    theirs["label"].iloc[0] + ", as share",
                    marker=("_", "x")[place % 2],
                    ms=5,
                )
        left.set_title(f"{benchmark}: problems", loc="left")
        left.set_ylabel("problems")
        for place, ((arm, base), rows) in enumerate(
            change[change["benchmark"] == benchmark].groupby(["arm", "base"], sort=False)
        ):
            right.errorbar(
                np.arange(len(bins)),
                rows["estimate"],
                yerr=[rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]],
                ls="",
                marker="o",
                color=plotting.COLOURS[2 + place],
                capsize=1.5,
                lw=0.9,
                label=f"{arms[arm]} less {arms[base]}",
            )
        right.axhline(0, color="#333333", lw=0.7)
        right.set_title(f"{benchmark}: change", loc="left")
        for axes in (left, right):
            axes.grid(axis="x", visible=False)
            axes.set_xticks(np.arange(len(bins)), bins, rotation=60, ha="right", rotation_mode="anchor")
    for axes in grid[-1]:
        axes.set_xlabel("share of right answers among a problem's samples")
    plotting.legend(figure, grid)
    return figure
