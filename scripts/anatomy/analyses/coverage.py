"""Which model solves which problems at all: the 2x2 table of each training seed, with an exact test."""

import numpy as np

from anatomy import coverage
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm, base in inputs.pairs_on(benchmark):
            replicates = [inputs.replicates(benchmark, one, target) for one in (arm, base)]
            for seed, ours, theirs in coverage.paired(*replicates):
                cells = coverage.cells(ours, theirs)
                count = {name: int((cells == at).sum()) for at, name in enumerate(coverage.CELLS)}
                losses, gains = ((cells == coverage.CELLS.index(one)) * 1.0 for one in coverage.DISAGREEMENTS)
                found = coverage.change(gains, losses, np.ones(len(cells)), inputs.level)
                result.append(
                    {
                        "arm": arm,
                        "base": base,
                        "seed": seed,
                        "benchmark": benchmark,
                        "target": target,
                        **{name: count[name] for name in ("both", "base_only", "arm_only", "neither")},
                        "p": coverage.mcnemar(count["base_only"], count["arm_only"]),
                        "estimate": float(found.estimate),
                        "low": float(found.low),
                        "high": float(found.high),
                    }
                )
    return result
