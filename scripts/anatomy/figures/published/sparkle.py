"""Published averages of Wang et al.: differences of models on each benchmark and in the mean."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    table = csv.read_csv(inputs.tables[0], ["arm", "base", "benchmark", "estimate", "low", "high"])
    benchmarks = list(table["benchmark"].unique())
    pairs = list(table.groupby(["arm", "base"], sort=False))
    figure, grid = plotting.grid(1, len(benchmarks), 0.4 + 0.25 * len(pairs), sharey=True)
    for axes, benchmark in zip(grid[0], benchmarks, strict=True):
        for at, (_, part) in enumerate(pairs):
            for row in part[part["benchmark"] == benchmark].to_dict("records"):
                ends = [[100 * (row["estimate"] - row["low"])], [100 * (row["high"] - row["estimate"])]]
                axes.errorbar(
                    [100 * row["estimate"]], [at], xerr=ends, fmt="o", color=plotting.COLOURS[0], lw=1
                )
        axes.axvline(0, color="#333333", lw=0.7)
        axes.set_title(benchmark, loc="left")
    short = [
        f"{arm} less {base}".replace("SparkleRL-", "").replace("Qwen2.5-Math-7B", "base")
        for (arm, base), _ in pairs
    ]
    grid[0][0].set_yticks(range(len(pairs)), short)
    grid[0][0].set_ylim(len(pairs) - 0.5, -0.5)
    figure.supxlabel("difference of Avg@8 (points)", fontsize=8)
    return figure
