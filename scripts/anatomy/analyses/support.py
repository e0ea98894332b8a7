"""How much of what the base solves an arm still solves, and how much of what the arm solves is new."""

from anatomy import coverage
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm, base in inputs.pairs_on(benchmark):
            replicates = [inputs.replicates(benchmark, one, target) for one in (arm, base)]
            _, arms, bases = zip(*coverage.paired(*replicates), strict=True)
            rng = inputs.generator(benchmark, target, arm, base, "support")
            found = coverage.support(arms, bases, rng, inputs.draws, inputs.level)
            result += [
                {
                    "arm": arm,
                    "base": base,
                    "benchmark": benchmark,
                    "target": target,
                    "rate": rate,
                    "estimate": estimate,
                    "low": low,
                    "high": high,
                }
                for rate, (estimate, low, high) in found.items()
            ]
    return result
