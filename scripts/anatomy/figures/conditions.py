"""Change of Avg@n under each condition against the plain prompt: a panel a band of difficulty and success."""

from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

LABELS = {
    "plan": "plan",
    "plan-disordered": "plan, disordered",
    "plan-incomplete": "plan, incomplete",
    "knowledge": "knowledge",
    "knowledge-irrelevant": "irrelevant\nknowledge",
}


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = inputs.arms
    columns = ["arm", "benchmark", "target", "stratum", "condition", "reference", "estimate", "low", "high"]
    table = csv.read_csv(inputs.tables[0], columns)
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
    return figure
