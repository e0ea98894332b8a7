"""pass@k of base, RL, teacher and student: one row of panels a benchmark."""

from typing import Any

from anatomy import plotting, reporting
from job import run


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    table = reporting.read_csv(
        job.input[0], ["arm", "seed", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    table = table[table["arm"].isin(arms) & (table["seed"] == "all")]
    # Benchmarks that every arm was sampled on.
    covered = table.groupby("benchmark", sort=False)["arm"].nunique()
    benchmarks, targets = list(covered[covered == covered.max()].index), table["target"].unique()
    figure, grid = plotting.grid(len(benchmarks), len(targets), sharex=True, sharey=True)
    for row, benchmark in enumerate(benchmarks):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            panel = table[(table["benchmark"] == benchmark) & (table["target"] == target)]
            for place, arm in enumerate(arms):
                plotting.band(axes, "k", panel[panel["arm"] == arm], arms[arm], place)
            plotting.samples_axis(axes, panel["k"], row == len(benchmarks) - 1)
            axes.set_ylim(0, 1.02)
            axes.set_title(f"{benchmark}: {plotting.TARGETS[target]}", loc="left")
        grid[row][0].set_ylabel("pass@k")
    plotting.legend(figure, grid)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
