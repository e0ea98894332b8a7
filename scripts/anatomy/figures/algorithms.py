"""The sampling-efficiency gap of each algorithm, and its pass@1 and pass@K beside the base's."""

import numpy as np
from matplotlib.figure import Figure

from anatomy.figures import overlay, plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    columns = ["arm", "target", "top_k", "base_top", "arm_first", "arm_top", "estimate", "low", "high"]
    table = csv.read_csv(inputs.tables[0], columns)
    table = table[table["arm"].isin(arms)]
    passk = csv.read_csv(inputs.tables[1], ["arm", "seed", "benchmark", "target", "k", "estimate"])
    published = overlay.read(inputs.overlay, inputs.tables, ["estimate"]).set_index("arm")
    targets, names = table["target"].unique(), [arm for arm in arms if (table["arm"] == arm).any()]
    figure, grid = plotting.grid(len(targets), 2, 0.5 + 0.2 * len(names), sharey=True, sharex="col")
    at = np.arange(len(names))
    for row, target in enumerate(targets):
        rows = table[table["target"] == target].set_index("arm").loc[names]
        left, right = grid[row]
        ends = [100 * (rows["estimate"] - rows["low"]), 100 * (rows["high"] - rows["estimate"])]
        left.errorbar(100 * rows["estimate"], at, xerr=ends, fmt="o", color=plotting.COLOURS[0], capsize=2)
        theirs = [name for name in names if name in published.index] if target == "answer" else []
        if theirs:
            places = [names.index(name) for name in theirs]
            shown = inputs.overlay
            label = f"published: {shown['model']}, {', '.join(shown['benchmarks'].values())}"
            overlay.points(left, 100 * published.loc[theirs, "estimate"], places, label, marker="x", ms=5)
        left.set_yticks(at, [arms[arm] for arm in names])
        left.set_title(f"gap: {plotting.TARGETS[target]}", loc="left")
        top = int(rows["top_k"].iloc[0])
        for column, name, marker, colour in (
            ("arm_first", "pass@1", "s", 1),
            ("arm_top", f"pass@{top}", "^", 2),
        ):
            right.plot(rows[column], at, ls="", marker=marker, color=plotting.COLOURS[colour], label=name)
        start = passk[(passk["arm"] == rows["base"].iloc[0]) & (passk["target"] == target)]
        start = start[(start["seed"] == "all") & (start["benchmark"] == rows["benchmark"].iloc[0])]
        for k, colour, style in ((1, 1, "--"), (top, 2, ":")):
            base = float(start[start["k"] == k]["estimate"].iloc[0])
            right.axvline(base, color=plotting.COLOURS[colour], lw=1, ls=style, label=f"base, pass@{k}")
        right.set_xlim(0, 1.02)
        right.set_title(f"pass@k: {plotting.TARGETS[target]}", loc="left")
    grid[0][0].invert_yaxis()
    grid[-1][0].set_xlabel("base pass@K less pass@1 (percentage points)")
    grid[-1][1].set_xlabel("share of problems")
    plotting.legend(figure, grid)
    return figure
