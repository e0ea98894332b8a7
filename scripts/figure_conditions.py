"""Change of Avg@n under each condition against the plain prompt: a panel a band of difficulty and success."""

from typing import Any

from anatomy import plotting, reporting
from job import run

LABELS = {
    "plan": "plan",
    "plan-disordered": "plan, disordered",
    "plan-incomplete": "plan, incomplete",
    "knowledge": "knowledge",
    "knowledge-irrelevant": "irrelevant\nknowledge",
}


def main(job: Any, report: Any) -> None:
    arms = job.params.arms
    columns = ["arm", "target", "stratum", "condition", "reference", "problems", "estimate", "low", "high"]
    table = reporting.read_csv(job.input[0], columns)
    table = table[table["reference"] == "plain"]
    bands = [name for name in table["stratum"].unique() if name.startswith("band ")] or ["all"]
    targets = table["target"].unique()
    figure, grid = plotting.grid(len(bands), len(targets), 1.7, sharex=True, sharey=True)
    for row, band in enumerate(bands):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            panel = table[(table["stratum"] == band) & (table["target"] == target)]
            for place, arm in enumerate(arms):
                of_arm = panel[panel["arm"] == arm].set_index("condition").reindex(LABELS)
                plotting.points(axes, of_arm, arms[arm], place, len(arms))
            axes.axhline(0, color="#333333", lw=0.7)
            axes.set_xticks(range(len(LABELS)), list(LABELS.values()), rotation=25, ha="right")
            name = band.removeprefix("band ")
            axes.set_title(f"{name}: {plotting.TARGETS[target]}", loc="left")
        grid[row][0].set_ylabel("percentage points")
    plotting.legend(figure, grid)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
