"""Published sampling-efficiency gaps: from the curves with intervals, from the table, from text and notes."""

import numpy as np
from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

SOURCES = (
    ("from_table", "Tables 2 and 3", "s", 2),
    ("from_text", "text of section 4.3", "D", 1),
    ("noted", "note in Figure 8", "^", 3),
)


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    columns = ["benchmark", "arm", "k", "estimate", "low", "high", *(name for name, *_ in SOURCES)]
    table = csv.read_csv(inputs.tables[0], columns)
    benchmarks, arms = list(table["benchmark"].unique()), list(table["arm"].unique())
    at = np.arange(len(arms))
    figure = Figure(figsize=(plotting.WIDTH, 1.0 + 0.24 * len(arms)))
    grid = figure.subplots(1, len(benchmarks), squeeze=False, sharey=True)
    for axes, benchmark in zip(grid[0], benchmarks, strict=True):
        rows = table[table["benchmark"] == benchmark].set_index("arm").loc[arms]
        ends = [100 * (rows["estimate"] - rows["low"]), 100 * (rows["high"] - rows["estimate"])]
        axes.errorbar(
            100 * rows["estimate"], at, xerr=ends, fmt="o", color=plotting.COLOURS[0], lw=1, label="curves"
        )
        for name, label, marker, colour in SOURCES:
            axes.plot(
                100 * rows[name],
                at + 0.28,
                ls="",
                marker=marker,
                ms=4,
                mfc="none",
                color=plotting.COLOURS[colour],
                label=label,
            )
        axes.set_title(benchmark, loc="left")
        axes.set_xlabel(f"base pass@{rows['k'].iloc[0]} less pass@1 (points)", fontsize=7)
    grid[0][0].set_yticks(at, arms)
    grid[0][0].set_ylim(len(arms) - 0.4, -0.5)
    plotting.legend(figure, grid)
    return figure
