"""How many problems fall into each accuracy bin, the mean over an arm's training seeds, with intervals."""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import accuracy_bins, proportions


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, arms in inputs.cells.items():
        for arm in arms:
            replicates = inputs.replicates(benchmark, arm, "answer").values()
            problems = np.mean([accuracy_bins.accuracy_histogram(counts) for counts in replicates], axis=0)
            inside = np.mean([accuracy_bins.in_bins(counts) for counts in replicates], axis=0)
            found = proportions.share(inside, np.ones_like(inside), inputs.level)
            result += [
                {
                    "arm": arm,
                    "benchmark": benchmark,
                    "bin": name,
                    "problems": problems[at],
                    "low": len(inside) * found.low[at],
                    "high": len(inside) * found.high[at],
                }
                for at, name in enumerate(accuracy_bins.BINS)
            ]
    return result
