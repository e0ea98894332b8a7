"""Whether one arm's change under a condition differs from another's, paired by problem.

The stratum ``trend`` is the slope of that difference in difficulty: change a step (or a level).
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.prompts.templates import GIVEN
from anatomy.statistics import condition_effects, tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        problems = inputs.problems(benchmark)
        names, difficulty = list(problems["problem"]), problems["difficulty"].to_numpy(np.float64)
        probed = inputs.probes.get(benchmark, {})
        for arm, base in inputs.pairs_on(benchmark):
            if arm not in probed or base not in probed:
                continue
            for condition in GIVEN:
                changes = [
                    condition_effects.average(probed[one], names, condition, target)
                    - condition_effects.average(
                        inputs.cells[benchmark][one], names, inputs.arms[one]["condition"], target
                    )
                    for one in (arm, base)
                ]
                has = ~np.isnan(changes[0][0]) & ~np.isnan(changes[1][0])
                sides = {
                    stratum: [change[:, has & members] for change in changes]
                    for stratum, members in condition_effects.strata(problems, inputs.options.get("bands"))
                }
                if len(np.unique(difficulty[has])) > 1 and not np.isnan(difficulty).any():
                    sides["trend"] = [
                        condition_effects.trend(change[:, has], difficulty[has]) for change in changes
                    ]
                result += [
                    {
                        "arm": arm,
                        "base": base,
                        "benchmark": benchmark,
                        "target": target,
                        "stratum": stratum,
                        "condition": condition,
                        "problems": one.shape[1],
                        **tests_and_intervals.contrast(one, two, inputs.level)._asdict(),
                    }
                    for stratum, (one, two) in sides.items()
                    if one.shape[1] > 1
                ]
    return result
