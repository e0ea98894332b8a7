"""Published numbers in a figure of our own, where the study's `overlay` is on: grey, and called published."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from anatomy.errors import AnatomyError
from anatomy.storage import csv

GREY = "#666666"
DASHES = ("--", ":", "-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))


def read(spec: Mapping[str, Any], inputs: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Return the rows of a published table that belong into a figure, by the study's own arms and benchmarks.

    Args:
        spec: A figure's ``overlay`` in artifacts.yaml, empty where it is off: then there are no rows.
        inputs: The figure's, the last of which is that table.
        columns: Columns of the table to read.

    Returns:
        Rows with ``arm``, ``benchmark``, ``label`` and the columns asked for.

    Raises:
        AnatomyError: An arm on a benchmark has none.
    """
    if not spec:
        return pd.DataFrame(columns=["arm", "benchmark", "label", *columns])
    path = inputs[-1]
    table = csv.read_csv(path, ["benchmark", *columns])
    which = "series" if "series" in table else "arm"
    for column, wanted in (("model", [spec["model"]]), ("figure", spec.get("figures"))):
        if column in table and wanted:
            table = table[table[column].isin(wanted)]
    frames = []
    for own, benchmark in spec["benchmarks"].items():
        for arm, series in spec["arms"].items():
            points = table[(table["benchmark"] == benchmark) & (table[which] == series)]
            if points.empty:
                raise AnatomyError(
                    f"{path}: no numbers of '{series}' on '{benchmark}' for the overlay; change the figure's"
                    " `overlay` in the artifacts file"
                )
            on = f" on {benchmark}" if len(spec["benchmarks"]) == 1 else ""
            label = f"published: {spec['model']}, {series}{on}"
            frames.append(points.assign(arm=arm, benchmark=own, label=label))
    chosen: pd.DataFrame = pd.concat(frames)[["arm", "benchmark", "label", *columns]]
    return chosen


def curves(axes: Any, published: pd.DataFrame, benchmark: str, largest: float, scale: float = 1.0) -> None:
    """Draw ``estimate`` against k on a benchmark's panel, as far as its own curves go."""
    here = published[(published["benchmark"] == benchmark) & (published["k"] <= largest)]
    for place, (_, curve) in enumerate(here.groupby("arm", sort=False)):
        axes.plot(
            curve["k"],
            scale * curve["estimate"],
            color=GREY,
            lw=0.9,
            ls=DASHES[place % len(DASHES)],
            label=curve["label"].iloc[0],
            zorder=1,
        )


def points(axes: Any, x: Any, y: Any, label: str, **style: Any) -> None:
    """Draw published values as grey marks."""
    axes.plot(x, y, ls="", color=GREY, label=label, zorder=4, **style)
