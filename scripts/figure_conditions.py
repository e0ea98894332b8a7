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
    columns = ["arm", "benchmark", "target", "stratum", "condition", "reference", "estimate", "low", "high"]
    table = reporting.read_csv(job.input[0], columns)
    table = table[table["reference"] == "plain"]
    labels = {name: label for name, label in LABELS.items() if (table["condition"] == name).any()}
    names = {
        name: name.removeprefix("band ") for name in table["stratum"].unique() if name.startswith("band ")
    }
    bands = names or {"all": ", ".join(table["benchmark"].unique())}  # of problems without a difficulty
    targets = table["target"].unique()
    figure, grid = plotting.grid(len(bands), len(targets), 1.7, sharex=True, sharey=True)
    for row, (band, name) in enumerate(bands.items()):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            panel = table[(table["stratum"] == band) & (table["target"] == target)]
            for place, arm in enumerate(arms):
                of_arm = panel[panel["arm"] == arm].set_index("condition").reindex(labels)
                plotting.points(axes, of_arm, arms[arm], place, len(arms))
            axes.axhline(0, color="#333333", lw=0.7)
            axes.set_xticks(range(len(labels)), list(labels.values()), rotation=25, ha="right")
            axes.set_title(f"{name}: {plotting.TARGETS[target]}", loc="left")
        grid[row][0].set_ylabel("percentage points")
    plotting.legend(figure, grid)
    plotting.save(figure, job.output)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
