"""The k from which the base is ahead of an arm for good, with its interval, and the largest k looked at."""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import crossover


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        curves = inputs.curves(benchmark, target)
        for arm, base in inputs.pairs_on(benchmark):
            estimate, low, high = crossover.crossover_interval(curves, arm, base, inputs.level)
            result.append(
                {
                    "arm": arm,
                    "base": base,
                    "benchmark": benchmark,
                    "target": target,
                    "estimate": estimate,
                    "low": low,
                    "high": high,
                    "largest_k": int(curves.ks[-1]),
                }
            )
    return result
