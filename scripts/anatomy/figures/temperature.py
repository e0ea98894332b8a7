"""pass@k by temperature, at the best temperature for each k, and the entropies."""

from matplotlib.figure import Figure

from anatomy.figures import overlay, plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    passk = csv.read_csv(
        inputs.tables[0], ["arm", "seed", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    entropies = csv.read_csv(inputs.tables[1], ["arm", "benchmark", "temperature", "entropy", "low", "high"])
    envelope = csv.read_csv(
        inputs.tables[2], ["group", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    benchmark = entropies["benchmark"].iloc[0]
    passk = passk[passk["arm"].isin(arms) & (passk["seed"] == "all") & (passk["target"] == "answer")]
    passk = passk[passk["benchmark"] == benchmark]
    envelope = envelope[(envelope["benchmark"] == benchmark) & (envelope["target"] == "answer")]
    published = overlay.read(inputs.overlay, inputs.tables, ["k", "estimate"])
    figure, grid = plotting.grid(2, 2, 2.1)
    for place, arm in enumerate(arms):
        curve = passk[passk["arm"] == arm]
        grid[0][0].plot(curve["k"], curve["estimate"], label=arms[arm], **plotting.look(place))
    overlay.curves(grid[0][0], published, benchmark, passk["k"].max())
    groups = [name for name in envelope["group"].unique() if " - " not in name]
    for place, group in enumerate(groups):
        curve = envelope[envelope["group"] == group]
        plotting.band(grid[0][1], "k", curve, group, place)
    contrast = envelope[~envelope["group"].isin(groups)]
    if len(contrast):
        plotting.band(grid[1][0], "k", contrast, None, 3, 100)
        grid[1][0].axhline(0, color="#333333", lw=0.7)
        pair = contrast["group"].iloc[0].replace(" - ", " less ")
        grid[1][0].set_title(f"{pair}, each at its best temperature", loc="left")
    grid[1][0].set_ylabel("percentage points")
    for place, arm in enumerate(arms):
        rows = entropies[entropies["arm"] == arm].dropna(subset=["entropy"])
        ends = [rows["entropy"] - rows["low"], rows["high"] - rows["entropy"]]
        style = plotting.look(place)
        grid[1][1].errorbar(
            rows["temperature"], rows["entropy"], yerr=ends, ls="", marker=style["marker"],
            color=style["color"], capsize=2, ms=5,
        )  # fmt: skip
    for axes in (grid[0][0], grid[0][1]):
        axes.set_ylim(0, 1.02)
    for axes in (grid[0][0], grid[0][1], grid[1][0]):
        plotting.samples_axis(axes, passk["k"])
    grid[0][0].set_ylabel("pass@k")
    grid[0][0].set_title(f"{benchmark}: answer right", loc="left")
    grid[0][1].set_title("at each model's best temperature", loc="left")
    grid[1][1].set_title("token entropy", loc="left")
    grid[1][1].set_xlabel("temperature")
    grid[1][1].set_ylabel("nats a token")
    grid[1][1].set_ylim(bottom=0)
    grid[0][1].legend(loc="lower right")
    plotting.legend(figure, grid[:, :1])
    return figure
