"""How many more problems of an arm than of its base fall into each accuracy bin, with paired intervals."""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import accuracy_bins, proportions


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark in inputs.cells:
        for arm, base in inputs.pairs_on(benchmark):
            ours, theirs = (
                np.mean([accuracy_bins.in_bins(counts) for counts in replicates.values()], axis=0)
                for replicates in (inputs.replicates(benchmark, one, "answer") for one in (arm, base))
            )
            gains, losses = np.maximum(ours - theirs, 0), np.maximum(theirs - ours, 0)
            found = proportions.change(gains, losses, np.ones_like(ours), inputs.level)
            result += [
                {
                    "arm": arm,
                    "base": base,
                    "benchmark": benchmark,
                    "bin": name,
                    "estimate": len(ours) * found.estimate[at],
                    "low": len(ours) * found.low[at],
                    "high": len(ours) * found.high[at],
                }
                for at, name in enumerate(accuracy_bins.BINS)
            ]
    return result
