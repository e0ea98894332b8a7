"""pass@k predicted from a quarter of the samples, that of the rest, and the prediction beyond all."""

from typing import Any

from anatomy import plotting, reporting
from job import run


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    columns = ["arm", "benchmark", "target", "fitted_n", "k", "estimate", "low", "high", "observed"]
    table = reporting.read_csv(job.input[0], columns)
    table = table[table["arm"].isin(arms)]
    benchmarks, targets = table["benchmark"].unique(), table["target"].unique()
    figure, grid = plotting.grid(len(benchmarks), len(targets), 1.8, sharex=True, sharey=True)
    for row, benchmark in enumerate(benchmarks):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            panel = table[(table["benchmark"] == benchmark) & (table["target"] == target)]
            for place, arm in enumerate(arms):
                style = plotting.look(place)
                for fitted, curve in panel[panel["arm"] == arm].groupby("fitted_n"):
                    whole = fitted == panel["fitted_n"].max()
                    line = {"color": style["color"], "ls": ":" if whole else "-"}
                    axes.plot(curve["k"], curve["estimate"], **line)
                    axes.fill_between(
                        curve["k"], curve["low"], curve["high"], color=style["color"], alpha=0.13, lw=0
                    )
                seen = panel[panel["arm"] == arm].dropna(subset=["observed"])
                axes.plot(
                    seen["k"], seen["observed"], ls="", marker=style["marker"], color=style["color"],
                    label=f"{arms[arm]}, observed",
                )  # fmt: skip
            plotting.samples_axis(axes, panel["k"], row == len(benchmarks) - 1)
            axes.set_ylim(0, 1.02)
            axes.set_title(f"{benchmark}: {plotting.TARGETS[target]}", loc="left")
        grid[row][0].set_ylabel("pass@k")
    grid[0][0].plot([], [], color="#555555", label="predicted from a quarter")
    grid[0][0].plot([], [], color="#555555", ls=":", label="predicted from all")
    plotting.legend(figure, grid, 3)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
