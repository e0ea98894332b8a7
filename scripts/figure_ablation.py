"""Differences of pass@k between variants of a run, a panel a pair."""

from typing import Any

from anatomy import plotting, reporting
from job import run


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    columns = ["arm", "base", "benchmark", "target", "k", "estimate", "low", "high"]
    table = reporting.read_csv(job.input[0], columns)
    pairs = list(dict.fromkeys(zip(table["arm"], table["base"], strict=True)))
    across = min(3, len(pairs))
    figure, grid = plotting.grid(-(-len(pairs) // across), across, 1.6, sharex=True, sharey=True)
    for axes in grid.ravel()[len(pairs) :]:
        axes.set_visible(False)
    for axes, (arm, base) in zip(grid.ravel(), pairs, strict=False):
        panel = table[(table["arm"] == arm) & (table["base"] == base)]
        for place, (target, curve) in enumerate(panel.groupby("target", sort=False)):
            plotting.band(axes, "k", curve, plotting.TARGETS[str(target)], place, 100)
        axes.axhline(0, color="#333333", lw=0.7)
        plotting.samples_axis(axes, panel["k"])
        axes.tick_params(labelbottom=True)
        axes.set_title(f"{arms[arm]}\nless {arms[base]}", loc="left", fontsize=7)
    for axes in grid[:, 0]:
        axes.set_ylabel("percentage points")
    plotting.legend(figure, grid)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
