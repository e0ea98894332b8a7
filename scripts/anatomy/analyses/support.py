"""How much of what the base solves an arm still solves, and how much of what the arm solves is new."""

from anatomy import coverage
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm, base in inputs.pairs_on(benchmark):
            replicates = [inputs.replicates(benchmark, one, target) for one in (arm, base)]
            pairs = [(ours, theirs) for _, ours, theirs in coverage.paired(*replicates)]
            both, base_only, arm_only = (coverage.seeds_in(cell, pairs) for cell in coverage.SOLVED)
            rng = inputs.generator(benchmark, target, arm, base, "support")
            found = coverage.support(both, base_only, arm_only, rng, inputs.draws, inputs.level)
            result += [
                {
                    "arm": arm,
                    "base": base,
                    "benchmark": benchmark,
                    "target": target,
                    "rate": rate,
                    "estimate": float(value.estimate),
                    "low": float(value.low),
                    "high": float(value.high),
                }
                for rate, value in found.items()
            ]
    return result
