"""Numbers of Wang et al. 2025: Avg@8 of single benchmarks with the widest interval their mean allows."""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves


def rows(inputs: Inputs) -> Rows:
    files = inputs.files["record"]
    sizes = {curve.benchmark: curve.problems for curve in curves.curves(files)}
    result: Rows = []
    for row in curves.sparkle(files).to_dict("records"):
        share, problems = row["value_percent"] / 100, sizes.get(row["benchmark"])
        low = high = np.array(np.nan)
        if problems and row["metric"] != "delta":
            low, high = bounds.share_interval(np.array(share), problems, inputs.level)
        result.append(
            {
                "model": row["model"],
                "condition": row["condition"],
                "benchmark": row["benchmark"],
                "metric": row["metric"],
                "estimate": share,
                "low": float(low),
                "high": float(high),
                "problems": problems,
            }
        )
    return result
