"""Whether algorithms are alike in pass@1 up to a margin, and so in delta-SE: two by two, and all together.

The joint row (``first`` and ``second`` all) has the largest difference and the intersection-union test.
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    margin = float(inputs.options["margin"])
    for benchmark, target in inputs.panels():
        arms = list(dict.fromkeys(arm for arm, _ in inputs.pairs_on(benchmark)))
        values = [
            np.stack([one.c / one.n for one in inputs.replicates(benchmark, arm, target).values()])
            for arm in arms
        ]
        where = {"benchmark": benchmark, "target": target}
        if len(arms) > 1:
            largest, p = tests_and_intervals.equivalence(values, margin)
            joint = {"estimate": largest, "low": None, "high": None, "p_equivalent": p, "p_different": None}
            result.append(where | {"first": "all", "second": "all"} | joint | {"margin": margin})
        result += [
            where
            | pair._asdict()
            | {"first": arms[pair.first], "second": arms[pair.second], "margin": margin}
            for pair in tests_and_intervals.pairwise(values, margin, inputs.level)
        ]
    return result
