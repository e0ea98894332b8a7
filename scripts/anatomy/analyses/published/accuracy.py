"""Published accuracy histograms, with an interval of each bin's number of problems."""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves
from anatomy.statistics import accuracy_bins


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for names, counts in curves.histograms(inputs.files["record"]):
        total = int(counts.sum())
        low, high = bounds.share_interval(counts / total, total, inputs.level)
        result += [
            {
                **names,
                "bin": name,
                "problems": int(counts[at]),
                "low": total * low[at],
                "high": total * high[at],
                "total": total,
            }
            for at, name in enumerate(accuracy_bins.BINS)
        ]
    return [{key: np.asarray(value).item() for key, value in row.items()} for row in result]
