"""Problems that one model solves and the other does not, and what more samples make of them."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.reporting import numbers
from anatomy.storage import csv

AGAIN = "of these, solved by the other with more samples"
RATES = {"srr": "retained (SRR)", "ndr": "discovered (NDR)"}


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arm, base = list(inputs.arms)[-1], next(iter(inputs.arms))
    keys = ["arm", "base", "seed", "benchmark", "target"]
    coverage = csv.read_csv(inputs.tables[0], [*keys, "base_only", "arm_only", "p"])
    resampled = csv.read_csv(inputs.tables[1], [*keys, "cell", "resampled", "moved"])
    support = csv.read_csv(
        inputs.tables[2], ["arm", "benchmark", "target", "rate", "estimate", "low", "high"]
    )
    coverage = coverage[(coverage["arm"] == arm) & (coverage["base"] == base)]
    support = support[(support["arm"] == arm) & support["rate"].isin(RATES)]
    targets = coverage["target"].unique()
    panels = list(dict.fromkeys(zip(coverage["benchmark"], coverage["seed"], strict=True)))
    figure, grid = plotting.grid(len(targets), 2, 0.7 + 0.17 * len(panels), width_ratios=[2, 1], sharex="col")
    for row, target in enumerate(targets):
        left, right = grid[row]
        shown = coverage[coverage["target"] == target].set_index(["benchmark", "seed"])
        again = resampled[resampled["target"] == target].set_index(["benchmark", "seed", "cell"])
        for at, panel in enumerate(panels):
            for cell, sign, colour in (("base_only", -1, 0), ("arm_only", 1, 1)):
                count = int(shown.loc[panel, cell])
                label = None if at else f"{inputs.arms[base if sign < 0 else arm]} only"
                left.barh(at, sign * count, color=plotting.COLOURS[colour], height=0.7, label=label)
                if (*panel, cell) in again.index:
                    moved = int(again.loc[(*panel, cell), "moved"])
                    left.barh(
                        at, sign * moved, color="white", height=0.35, hatch="//////",
                        edgecolor=plotting.COLOURS[colour], lw=0.5,
                    )  # fmt: skip
            left.annotate(
                f"p = {numbers.shown(float(shown.loc[panel, 'p']), 'p')}".replace("= <", "< "),
                (1.0, at), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=6.5,
            )  # fmt: skip
        left.axvline(0, color="#333333", lw=0.7)
        left.add_patch(
            Rectangle((0, 0), 0, 0, facecolor="white", hatch="//////", edgecolor="#555555", label=AGAIN)
        )
        left.set_yticks(range(len(panels)), [f"{benchmark}, seed {seed}" for benchmark, seed in panels])
        left.set_ylim(len(panels) - 0.4, -0.6)
        left.set_title(f"{plotting.TARGETS[target]}", loc="left")
        left.xaxis.set_major_formatter(lambda x, _: f"{abs(x):.0f}")
        rows = support[support["target"] == target]
        names = list(rows["benchmark"].unique())
        for place, (rate, label) in enumerate(RATES.items()):
            of_rate = rows[rows["rate"] == rate].set_index("benchmark").loc[names]
            ends = [of_rate["estimate"] - of_rate["low"], of_rate["high"] - of_rate["estimate"]]
            style = plotting.look(place + 2)
            places = np.arange(len(names)) + 0.16 * (2 * place - 1)
            right.errorbar(
                of_rate["estimate"], places, xerr=np.clip(ends, 0, None),
                ls="", marker=style["marker"], color=style["color"], capsize=2, label=label,
            )  # fmt: skip
        right.set_yticks(range(len(names)), names)
        right.set_ylim(len(names) - 0.5, -0.5)
        right.set_xlim(-0.02, 1.02)
    low, high = grid[0][0].get_xlim()
    grid[0][0].set_xlim(low - 0.5, high + 0.35 * (high - low))
    grid[-1][0].set_xlabel("problems that only one of the two solves; p of McNemar's exact test")
    grid[-1][1].set_xlabel("share of solved problems")
    plotting.legend(figure, grid, 3)
    return figure
