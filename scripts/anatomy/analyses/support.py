"""How much of what the base solves an arm still solves, and how much of what the arm solves is new."""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import solved_sets


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm, base in inputs.pairs_on(benchmark):
            replicates = [inputs.replicates(benchmark, one, target) for one in (arm, base)]
            pairs = [(ours, theirs) for _, ours, theirs in solved_sets.paired(*replicates)]
            both, base_only, arm_only = (solved_sets.seeds_in(cell, pairs) for cell in solved_sets.SOLVED)
            rng = inputs.generator(benchmark, target, arm, base, "support")
            found = solved_sets.support(both, base_only, arm_only, rng, inputs.draws, inputs.level)
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
