"""Change of Avg@n under plan and knowledge, and under their controls, against the number of steps."""

from typing import Any

from anatomy import plotting, reporting
from job import run

PANELS = {
    "plan": "plan",
    "plan-disordered": "plan, steps out of order",
    "knowledge": "knowledge",
    "knowledge-irrelevant": "irrelevant knowledge",
}


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    columns = ["arm", "target", "stratum", "condition", "reference", "estimate", "low", "high"]
    table = reporting.read_csv(job.input[0], columns)
    table = table[(table["reference"] == "plain") & table["stratum"].str.startswith("level ")]
    table = table[table["target"] == "answer"]
    table = table.assign(level=table["stratum"].str.removeprefix("level ").astype(float))
    figure, grid = plotting.grid(2, 2, 1.7, sharex=True, sharey=True)
    for axes, (condition, title) in zip(grid.ravel(), PANELS.items(), strict=True):
        panel = table[table["condition"] == condition]
        for place, arm in enumerate(arms):
            of_arm = panel[panel["arm"] == arm].sort_values("level")
            plotting.points(axes, of_arm, arms[arm], place, len(arms), x=of_arm["level"], joined=True)
        axes.axhline(0, color="#333333", lw=0.7)
        axes.set_xticks(sorted(table["level"].unique()))
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_title(title, loc="left")
    for axes in grid[:, 0]:
        axes.set_ylabel("percentage points")
    for axes in grid[-1]:
        axes.set_xlabel("difficulty (steps)")
    plotting.legend(figure, grid)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
