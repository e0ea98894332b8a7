"""Published accuracy histograms, with an interval of each bin's number of problems."""

import numpy as np

from anatomy import passk, record
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for names, counts in record.histograms(inputs.files["record"]):
        total = int(counts.sum())
        low, high = record.share_interval(counts / total, total, inputs.level)
        result += [
            {
                **names,
                "bin": name,
                "problems": int(counts[at]),
                "low": total * low[at],
                "high": total * high[at],
                "total": total,
            }
            for at, name in enumerate(passk.BINS)
        ]
    return [{key: np.asarray(value).item() for key, value in row.items()} for row in result]
