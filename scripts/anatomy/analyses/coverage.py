"""Which model solves which problems at all: the 2x2 table of each training seed, with an exact test."""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import proportions, solved_sets


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm, base in inputs.pairs_on(benchmark):
            replicates = [inputs.replicates(benchmark, one, target) for one in (arm, base)]
            for seed, ours, theirs in solved_sets.paired(*replicates):
                inside = {cell: solved_sets.seeds_in(cell, [(ours, theirs)]) for cell in solved_sets.CELLS}
                solved = {cell: int(inside[cell].sum()) for cell in solved_sets.CELLS}
                one = np.ones(len(ours.n))
                found = proportions.change(inside["arm_only"], inside["base_only"], one, inputs.level)
                result.append(
                    {
                        "arm": arm,
                        "base": base,
                        "seed": seed,
                        "benchmark": benchmark,
                        "target": target,
                        **solved,
                        "p": proportions.mcnemar(solved["base_only"], solved["arm_only"]),
                        "estimate": float(found.estimate),
                        "low": float(found.low),
                        "high": float(found.high),
                    }
                )
    return result
