"""How many problems fall into each accuracy bin, the mean over an arm's training seeds, with intervals."""

import numpy as np

from anatomy import coverage, passk
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, arms in inputs.cells.items():
        for arm in arms:
            replicates = inputs.replicates(benchmark, arm, "answer").values()
            problems = np.mean([passk.accuracy_histogram(counts) for counts in replicates], axis=0)
            inside = np.mean([passk.in_bins(counts) for counts in replicates], axis=0)
            found = coverage.share(inside, np.ones_like(inside), inputs.level)
            result += [
                {
                    "arm": arm,
                    "benchmark": benchmark,
                    "bin": name,
                    "problems": problems[at],
                    "low": len(inside) * found.low[at],
                    "high": len(inside) * found.high[at],
                }
                for at, name in enumerate(passk.BINS)
            ]
    return result
