"""pass@k of each arm: one row of panels a benchmark; answers beside whole derivations."""

from typing import Any

from matplotlib.figure import Figure

from anatomy import plotting, reporting
from job import run

TITLES = {"answer": "answer right", "derivation": "whole derivation right"}


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    table = reporting.read_csv(
        job.input[0], ["arm", "seed", "benchmark", "target", "k", "estimate", "low", "high"]
    )
    crossover = reporting.read_csv(job.input[1], ["arm", "base", "benchmark", "target", "estimate"])
    crossover = crossover[crossover["arm"].isin(arms) & crossover["base"].isin(arms)]
    table = table[table["arm"].isin(arms)]
    covered = table.groupby("benchmark", sort=False)["arm"].nunique()
    benchmarks, targets = list(covered[covered > 1].index), table["target"].unique()  # some to compare
    figure = Figure(figsize=(plotting.WIDTH, 1.0 + 1.7 * len(benchmarks)))
    grid = figure.subplots(len(benchmarks), len(targets), squeeze=False, sharex=True, sharey="row")
    for row, benchmark in enumerate(benchmarks):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            panel = table[(table["benchmark"] == benchmark) & (table["target"] == target)]
            for place, arm in enumerate(arms):
                style = plotting.look(place)
                for seed, curve in panel[panel["arm"] == arm].groupby("seed"):
                    if seed == "all":
                        axes.plot(curve["k"], curve["estimate"], label=arms[arm], **style)
                        axes.fill_between(
                            curve["k"], curve["low"], curve["high"], color=style["color"], alpha=0.15, lw=0
                        )
                    elif panel[panel["arm"] == arm]["seed"].nunique() > 2:
                        axes.plot(curve["k"], curve["estimate"], color=style["color"], lw=0.5, alpha=0.7)
            _mark(axes, crossover, panel, benchmark, target)
            ks = sorted(panel["k"].unique())
            axes.set_xscale("log", base=2)
            axes.set_xticks(plotting.log2_ticks([int(k) for k in ks]))
            axes.xaxis.set_major_formatter("{x:.0f}")
            axes.minorticks_off()
            axes.set_ylim(0, 1.02)
            axes.set_title(f"{benchmark}: {TITLES[target]}", loc="left")
            if column == 0:
                axes.set_ylabel("pass@k")
            if row == len(benchmarks) - 1:
                axes.set_xlabel("k (samples)")
    plotting.legend(figure, grid)
    plotting.save(figure, job.output)


def _mark(axes: Any, crossover: Any, panel: Any, benchmark: str, target: str) -> None:
    """Mark where the base overtakes an arm, if it does within the panel."""
    here = crossover[(crossover["benchmark"] == benchmark) & (crossover["target"] == target)]
    for row in here.to_dict("records"):
        at = float(row["estimate"])
        if not 1 <= at <= panel["k"].max():
            continue
        axes.axvline(at, color="#555555", lw=0.7, ls="--", zorder=0)
        axes.annotate(
            f"k = {at:.1f}",
            (at, 0.6),  # below the curves where they are at the top
            xycoords=axes.get_xaxis_transform(),
            xytext=(-3, -1),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=7,
            color="#333333",
            bbox={"facecolor": "white", "alpha": 0.8, "pad": 0.5, "lw": 0},
        )


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
