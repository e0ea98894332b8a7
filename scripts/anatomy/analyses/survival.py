"""How far chains of subproblems get: the share whose links 1 to i are all right, by difficulty level.

``breaks`` is the share of chains whose first wrong link is this one.
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import condition_effects, tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, arms in inputs.probes.items():
        problems = inputs.problems(benchmark)
        problems = problems[problems["subproblems"].notna()].reset_index(drop=True)
        names, lengths = list(problems["problem"]), [len(chain) for chain in problems["subproblems"]]
        for arm, seeds in arms.items():
            for mode, own in (("gold", False), ("own", True)):
                unbroken = condition_effects.chain(seeds, names, lengths, own)
                for length in sorted(set(lengths)):
                    members = (np.asarray(lengths) == length) & ~np.isnan(unbroken[0, :, 0])
                    if members.sum() < 2:
                        continue
                    before = 1.0
                    for link in range(length):
                        effect = tests_and_intervals.crossed(unbroken[:, members, link], inputs.level)
                        result.append(
                            {
                                "arm": arm,
                                "benchmark": benchmark,
                                "mode": mode,
                                "links": length,
                                "link": link + 1,
                                "problems": int(members.sum()),
                                "estimate": effect.estimate,
                                "low": effect.low,
                                "high": effect.high,
                                "breaks": before - effect.estimate,
                            }
                        )
                        before = effect.estimate
    return result
