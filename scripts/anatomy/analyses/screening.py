"""Hard sets: the problems that an arm fails in all of its attempts, for each training seed and for all.

Intervals are exact binomial ones (Clopper and Pearson 1934) over problems.
"""

import numpy as np
from scipy import stats

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.problems import selection
from anatomy.statistics import condition_effects


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, arms in inputs.cells.items():
        problems = inputs.problems(benchmark)
        for arm, seeds in arms.items():
            sets = {str(seed): selection.failed([counts]) for seed, counts in seeds.items()}
            sets["all"] = selection.failed(seeds.values())
            for seed, hard in sets.items():
                failed = problems["problem"].isin(hard).to_numpy()
                for stratum, members in condition_effects.strata(problems, inputs.options.get("bands")):
                    size, count = int(members.sum()), int((failed & members).sum())
                    if not size:
                        continue
                    test = stats.binomtest(count, size).proportion_ci(inputs.level)
                    result.append(
                        {
                            "arm": arm,
                            "seed": seed,
                            "benchmark": benchmark,
                            "stratum": stratum,
                            "attempts": int(np.min([counts["n"].min() for counts in seeds.values()])),
                            "problems": size,
                            "failed": count,
                            "estimate": count / size,
                            "low": float(test.low),
                            "high": float(test.high),
                        }
                    )
    return result
