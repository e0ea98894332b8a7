"""The sampling-efficiency gap of the published algorithms: from the curves, from the table, from the text.

The gaps of table and text are theirs less the curves', in shares.
"""

import numpy as np
import pandas as pd

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves
from anatomy.statistics import sampling_efficiency

FIGURES = {"Fig14top": "Table 2", "Fig14bot": "Table 3"}
"""The figures of the runs and the tables that give the same numbers."""
SMALLEST = "smallest"
"""How the data calls the gap that Figure 8 notes for the best algorithm, without its name."""


def rows(inputs: Inputs) -> Rows:
    files = inputs.files["record"]
    printed = curves.values(files).set_index(["table", "item", "benchmark", "quantity"])["value"]
    result: Rows = []
    for contrast in curves.contrasts(curves.curves(files)):
        arm, base = contrast.arm, contrast.base
        if arm.figure not in FIGURES:
            continue
        place, benchmark = FIGURES[arm.figure], arm.benchmark
        top, first = base.at(base.last), arm.at(1)
        low, high = bounds.change_interval(np.array(top), np.array(first), arm.problems, inputs.level)
        from_table = printed["Table 2", "base", benchmark, "pass@256"]
        from_table = (from_table - printed[place, arm.series, benchmark, "pass@1"]) / 100
        result.append(
            {
                "benchmark": benchmark,
                "arm": arm.series,
                "k": base.last,
                "base_top": top,
                "arm_first": first,
                "estimate": float(sampling_efficiency.delta_se(top, first)),
                "low": float(low),
                "high": float(high),
                "from_table": from_table,
                "from_text": printed.get(("Section 4.3", arm.series, benchmark, "delta-SE"), np.nan) / 100,
                "figure": arm.figure,
            }
        )
    table = pd.DataFrame(result)
    algorithms = table[table["figure"] == "Fig14top"]
    for of, part in algorithms.groupby("benchmark"):
        table.loc[part["estimate"].idxmin(), "noted"] = printed["Figure 8", SMALLEST, of, "delta-SE"]
    for source, column in (("table", "from_table"), ("text", "from_text"), ("noted", "noted")):
        table[f"{source}_gap"] = table[column] - table["estimate"]
    found = table.drop(columns="figure").to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in found]
