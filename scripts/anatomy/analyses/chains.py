"""The subproblem success rate (SSR), the share of chains solved link by link, against full accuracy.

``gold``: each link is given the right earlier answers; ``own``: the model's own ones. ``last`` is the share
of chains whose last link is right, whatever came before.
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
            full = condition_effects.average(
                inputs.cells[benchmark][arm], names, inputs.arms[arm]["condition"]
            )
            for mode, own, kind in (("gold", False, "subproblem"), ("own", True, "own")):
                solved = condition_effects.solved(
                    condition_effects.chain(seeds, names, lengths, own), lengths
                )
                last = np.zeros_like(solved)
                for length in set(lengths):
                    here = np.asarray(lengths) == length
                    shares = np.nan_to_num(condition_effects.average(seeds, names, f"{kind}-{length}"))
                    last[:, here] = shares[:, here]
                for stratum, members in condition_effects.strata(problems, inputs.options.get("bands")):
                    kept = members & ~np.isnan(solved[0])
                    if kept.sum() < 2:
                        continue
                    rate = tests_and_intervals.crossed(solved[:, kept], inputs.level)
                    effect = tests_and_intervals.crossed((solved - full)[:, kept], inputs.level)
                    result.append(
                        {
                            "arm": arm,
                            "benchmark": benchmark,
                            "stratum": stratum,
                            "mode": mode,
                            "problems": int(kept.sum()),
                            "ssr": rate.estimate,
                            "ssr_low": rate.low,
                            "ssr_high": rate.high,
                            "accuracy": float(full[:, kept].mean()),
                            "last": float(last[:, kept].mean()),
                            **effect._asdict(),
                        }
                    )
    return result
