"""Published accuracy histograms, base beside RL, with an interval of each bin's number of problems."""

import numpy as np
from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

WIDTH = 0.4


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    columns = ["benchmark", "model", "series", "bin", "problems", "low", "high"]
    table = csv.read_csv(inputs.tables[0], columns)
    benchmarks, models = list(table["benchmark"].unique()), list(table["model"].unique())
    bins = list(table["bin"].unique())
    figure = Figure(figsize=(plotting.WIDTH, 0.9 + 1.25 * len(benchmarks)))
    grid = figure.subplots(len(benchmarks), len(models), squeeze=False, sharex=True)
    for row, benchmark in enumerate(benchmarks):
        for column, model in enumerate(models):
            axes = grid[row][column]
            here = table[(table["benchmark"] == benchmark) & (table["model"] == model)]
            for place, (series, part) in enumerate(here.groupby("series", sort=False)):
                axes.bar(
                    np.arange(len(bins)) + (place - 0.5) * WIDTH,
                    part["problems"],
                    WIDTH,
                    yerr=[part["problems"] - part["low"], part["high"] - part["problems"]],
                    error_kw={"lw": 0.6, "ecolor": "#333333"},
                    color=plotting.COLOURS[place],
                    hatch=("", "/////")[place],
                    edgecolor="white",
                    lw=0.2,
                    label=series,
                )
            axes.set_title(f"{benchmark}, {model}", loc="left", fontsize=7)
            axes.grid(axis="x", visible=False)
            axes.set_xticks([0, 5.5, 11], ["0", "0.5", "1"])
            if column == 0:
                axes.set_ylabel("problems")
            if row == len(benchmarks) - 1:
                axes.set_xlabel("share right, in 12 bins")
    plotting.legend(figure, grid)
    return figure
