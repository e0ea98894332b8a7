"""Published panels of base and RL: the gap of solved problems, the crossover, problems solved once."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

FIGURES = ("Fig2", "Fig9", "Fig10", "Fig12", "Fig3", "Fig11", "Fig4")
NAMES = ["figure", "benchmark", "model"]
DARK = "#333333"


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    tests = csv.read_csv(inputs.tables[0], [*NAMES, "estimate", "low", "high", "p", "problems"])
    tests = tests[tests["figure"].isin(FIGURES)]
    tests = tests.sort_values("figure", key=lambda names: names.map(FIGURES.index), kind="stable")
    crossover = csv.read_csv(inputs.tables[1], [*NAMES, "estimate", "low", "high", "largest_k"])
    solved = csv.read_csv(inputs.tables[2], [*NAMES, "series", "singletons"])
    at = np.arange(len(tests))
    figure = Figure(figsize=(plotting.WIDTH, 0.9 + 0.17 * len(tests)))
    grid = figure.subplots(1, 3, squeeze=False, sharey=True, width_ratios=(1.3, 1.3, 1))
    left, middle, right = grid[0]
    _gaps(left, tests, at)
    _crossovers(middle, tests[NAMES].merge(crossover, on=NAMES, how="left"), at)
    for index, series in enumerate(("base", "RL")):
        once = tests[NAMES].merge(solved[solved["series"] == series], on=NAMES, how="left")["singletons"]
        style = plotting.look(index) | {"linestyle": "", "mfc": ("none", None)[index], "ms": (5.5, 3)[index]}
        right.plot(once, at, label=f"{series}: problems solved once of n", **style)
    right.set_xscale("symlog", linthresh=1)
    right.set_xticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    right.set_xlim(-0.3, 150)
    right.set_xlabel("problems solved once")
    left.set_yticks(at, tests["benchmark"] + ", " + tests["model"])
    left.set_ylim(len(tests) - 0.5, -0.5)
    plotting.legend(figure, grid, 2)
    return figure


def _gaps(axes: Any, tests: Any, at: Any) -> None:
    """Draw differences with their intervals; filled where the p of any pairing is below 0.05."""
    sure = (tests["p"] < 0.05).to_numpy()
    ends = [100 * tests[end].to_numpy() for end in ("low", "high")]
    axes.hlines(at, *ends, color=plotting.COLOURS[0], lw=1)
    for chosen, face, label in (
        (sure, plotting.COLOURS[0], "p < 0.05 whatever the pairing"),
        (~sure, "white", "not so, or no whole number of problems"),
    ):
        axes.plot(
            100 * tests["estimate"].to_numpy()[chosen],
            at[chosen],
            ls="",
            marker="o",
            color=plotting.COLOURS[0],
            mfc=face,
            label=label,
        )
    axes.axvline(0, color=DARK, lw=0.7)
    axes.set_xlabel("RL less base at the last k (points)")


def _crossovers(axes: Any, rows: Any, at: Any) -> None:
    """Draw crossovers and between which k they lie; an arrow where that is beyond the largest k."""
    largest = rows["largest_k"].to_numpy(float)
    estimate, low, high = (rows[name].to_numpy(float) for name in ("estimate", "low", "high"))
    color = plotting.COLOURS[1]
    axes.hlines(at, np.clip(low, 0.7, None), np.minimum(high, largest), color=color, lw=1)
    beyond = ~np.isfinite(high)
    axes.plot(
        largest[beyond], at[beyond], ls="", marker=">", color=color, ms=3, label="or beyond the largest k"
    )
    axes.plot(estimate, at, ls="", marker="s", color=color, label="base ahead from this k on")
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 8, 64, 512])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.minorticks_off()
    axes.set_xlabel("crossover k (samples)")
