"""Cover@tau: the share of problems whose samples succeed at a rate of tau or more."""

from typing import Any

from anatomy import plotting, reporting
from job import run


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    table = reporting.read_csv(job.input[0], ["arm", "benchmark", "target", "tau", "estimate", "low", "high"])
    benchmarks, targets = table["benchmark"].unique(), table["target"].unique()
    figure, grid = plotting.grid(len(benchmarks), len(targets), 1.5, sharex=True, sharey=True)
    for row, benchmark in enumerate(benchmarks):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            panel = table[(table["benchmark"] == benchmark) & (table["target"] == target)]
            for place, arm in enumerate(arms):
                if (panel["arm"] == arm).any():
                    plotting.band(axes, "tau", panel[panel["arm"] == arm], arms[arm], place)
            axes.set_ylim(0, 1.02)
            axes.set_title(f"{benchmark}: {plotting.TARGETS[target]}", loc="left")
        grid[row][0].set_ylabel("share of problems")
    for axes in grid[-1]:
        axes.set_xlabel("tau (share of samples that succeed)")
    plotting.legend(figure, grid)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
