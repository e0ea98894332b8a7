"""Cover@tau: the share of problems whose completions succeed at least at the rate tau, with intervals."""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import accuracy_bins, proportions

TAUS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def rows(inputs: Inputs) -> Rows:
    taus = inputs.options.get("taus", TAUS)
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm in inputs.cells[benchmark]:
            replicates = inputs.replicates(benchmark, arm, target).values()
            reached = np.mean([accuracy_bins.reached(counts, taus) for counts in replicates], axis=0)
            found = proportions.share(reached, np.ones_like(reached), inputs.level)
            result += [
                {
                    "arm": arm,
                    "benchmark": benchmark,
                    "target": target,
                    "tau": tau,
                    "estimate": found.estimate[at],
                    "low": found.low[at],
                    "high": found.high[at],
                }
                for at, tau in enumerate(taus)
            ]
    return result
