"""pass@k of base, RL, teacher and student: one row of panels a benchmark."""

from typing import Any

from anatomy import overlay, plotting, reporting
from job import run


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    table = reporting.read_csv(
        job.input[0], ["arm", "seed", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    table = table[table["arm"].isin(arms) & (table["seed"] == "all")]
    published = overlay.read(job.params.overlay, job.input, ["k", "estimate"])
    # Benchmarks that every arm was sampled on.
    covered = table.groupby("benchmark", sort=False)["arm"].nunique()
    benchmarks, targets = list(covered[covered == covered.max()].index), list(table["target"].unique())
    rows, columns = plotting.shape(len(benchmarks), len(targets))
    figure, grid = plotting.grid(rows, columns, sharex=True, sharey=True)
    for panel in plotting.panels(grid, benchmarks, targets):
        here = table[(table["benchmark"] == panel.benchmark) & (table["target"] == panel.target)]
        for place, arm in enumerate(arms):
            plotting.band(panel.axes, "k", here[here["arm"] == arm], arms[arm], place)
        if panel.target == "answer":
            overlay.curves(panel.axes, published, panel.benchmark, here["k"].max())
        plotting.samples_axis(panel.axes, here["k"], panel.bottom)
        panel.axes.set_ylim(0, 1.02)
        panel.axes.set_title(panel.title, loc="left")
        if panel.left:
            panel.axes.set_ylabel("pass@k")
    plotting.legend(figure, grid)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
