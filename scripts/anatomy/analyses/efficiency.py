"""The sampling-efficiency gap of each arm: its base's pass@K less its own pass@1, K the largest k.

Intervals are over training seeds and problems; that the base was sampled is part of what differs by problem.
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import pass_at_k, sampling_efficiency, tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm, base in inputs.pairs_on(benchmark):
            (start, *_) = inputs.replicates(benchmark, base, target).values()
            seeds = list(inputs.replicates(benchmark, arm, target).values())
            top_k = pass_at_k.ks(int(start.n.min()))[-1]
            estimate, low, high = tests_and_intervals.crossed_interval(
                sampling_efficiency.by_problem(start, seeds, top_k), inputs.level
            )
            top = {
                name: np.mean([pass_at_k.pass_at_k(one.n, one.c, top_k) for one in found])
                for name, found in (("base", [start]), ("arm", seeds))
            }
            result.append(
                {
                    "arm": arm,
                    "base": base,
                    "benchmark": benchmark,
                    "target": target,
                    "top_k": top_k,
                    "base_top": float(top["base"]),
                    "arm_first": float(np.mean([one.c / one.n for one in seeds])),
                    "arm_top": float(top["arm"]),
                    "estimate": estimate,
                    "low": low,
                    "high": high,
                }
            )
    return result
