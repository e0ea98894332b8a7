"""How many unsolved problems as many completions again would solve; half of them predict the other half.

``bound`` is the number of problems solved exactly once: the expected number of new ones is at most its mean.
"""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import solved_sets


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm in inputs.cells[benchmark]:
            for seed, counts in inputs.replicates(benchmark, arm, target).items():
                found = solved_sets.unseen(counts, inputs.level)
                result.append(
                    {
                        "arm": arm,
                        "seed": seed,
                        "benchmark": benchmark,
                        "target": target,
                        "problems": len(counts.n),
                        "solved": found.solved,
                        "singletons": found.singletons,
                        "doubletons": found.doubletons,
                        "bound": found.singletons,
                        "estimate": found.estimate,
                        "low": found.low,
                        "high": found.high,
                        "held_out_predicted": found.held_out_predicted,
                        "held_out_observed": found.held_out_observed,
                    }
                )
    return result
