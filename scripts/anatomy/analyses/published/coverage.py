"""Published tables of which model solves which problems, where both are told of the same problems: paired."""

import numpy as np
import pandas as pd

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import curves
from anatomy.statistics import proportions, solved_sets, tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    table = curves.values(inputs.files["record"])
    result: Rows = []
    for (place, benchmark, arm), part in table.groupby(["table", "benchmark", "item"], sort=False):
        told = dict(zip(part["quantity"], part["value"], strict=True))
        if not set(solved_sets.CELLS) <= set(told):
            continue
        cells = {cell: int(told[cell]) for cell in solved_sets.CELLS}
        found = _change(cells, inputs.level)
        result.append(
            {
                "place": place,
                "benchmark": benchmark,
                "arm": arm,
                "base": "base",
                **cells,
                "problems": sum(cells.values()),
                "n": told.get("n", float("nan")),
                "estimate": float(found.estimate),
                "low": float(found.low),
                "high": float(found.high),
                "p": proportions.mcnemar(cells["base_only"], cells["arm_only"]),
            }
        )
    for row, p in zip(result, tests_and_intervals.holm(pd.DataFrame(result)["p"]), strict=True):
        row["p_holm"] = p
    return result


def _change(cells: dict[str, int], level: float) -> proportions.Estimate:
    """Return the difference of solved shares with the interval of paired proportions."""
    at = np.repeat(solved_sets.CELLS, [cells[cell] for cell in solved_sets.CELLS])
    gains, losses = ((at == cell).astype(np.float64) for cell in ("arm_only", "base_only"))
    return proportions.change(gains, losses, np.ones(len(at)), level)
