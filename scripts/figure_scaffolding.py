"""Stage 2: groups without a signal along training, and pass@k of each variant."""

from typing import Any

from anatomy import plotting, reporting
from job import run


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    training = reporting.read_csv(job.input[0], ["run", "seed", "step", "zero_signal", "length"])
    passk = reporting.read_csv(
        job.input[1], ["arm", "seed", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    passk = passk[passk["arm"].isin(arms) & (passk["seed"] == "all")]
    covered = passk.groupby("benchmark", sort=False)["arm"].nunique()
    benchmarks, targets = list(covered[covered > 1].index), passk["target"].unique()
    figure, grid = plotting.grid(1 + len(benchmarks), 2, 1.7)
    first = next(iter(arms))
    for axes, name, label in (
        (grid[0][0], "zero_signal", "share of groups without a signal"),
        (grid[0][1], "length", "completion length (tokens)"),
    ):
        for place, arm in enumerate(arms):
            log = training[(training["run"] == arm) & (training["seed"] == "all")].dropna(subset=[name])
            if arm != first:  # the others start where the first one ends
                style = plotting.look(place)
                axes.plot(log["step"], log[name], color=style["color"], ls=style["linestyle"])
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("step of stage 2")
        axes.set_title(label, loc="left")
    for row, benchmark in enumerate(benchmarks, start=1):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            panel = passk[(passk["benchmark"] == benchmark) & (passk["target"] == target)]
            for place, arm in enumerate(arms):
                plotting.band(axes, "k", panel[panel["arm"] == arm], arms[arm], place)
            plotting.samples_axis(axes, panel["k"], row == len(benchmarks))
            axes.set_ylim(0, None)
            axes.set_title(f"{benchmark}: {plotting.TARGETS[target]}", loc="left")
        grid[row][0].set_ylabel("pass@k")
    plotting.legend(figure, grid, 3)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
