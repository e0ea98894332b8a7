"""pass@k predicted by a beta-binomial: from a quarter of the samples, against the rest; and beyond them all.

``low`` and ``high`` are for the model's expected pass@k on problems like these, as the fit tells it. ``gap``
is the prediction less the pass@k that the held-back samples show, with an interval paired by problem: if it
lies beside 0, the beta-binomial does not describe these problems.
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import beta_binomial, bootstrap, pass_at_k
from anatomy.statistics.pass_at_k import Counts


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm in inputs.cells[benchmark]:
            rng = inputs.generator(benchmark, target, "extrapolation", arm)
            seeds = list(inputs.replicates(benchmark, arm, target).values())
            problems = len(seeds[0].n)
            weights = rng.multinomial(problems, np.full(problems, 1 / problems), size=inputs.draws)
            halves = [beta_binomial.split(one, 4, rng) for one in seeds]
            rest = [other for _, other in halves]
            size = int(seeds[0].n.min())
            checks: list[tuple[list[Counts], list[int]]] = [
                ([part for part, _ in halves], pass_at_k.ks(int(rest[0].n.min()), half=False)),
                (seeds, [2 * size, 4 * size, 8 * size]),
            ]
            for fitted, ks in checks:
                if fitted[0].n.min() < 2:
                    continue  # single samples do not tell how problems differ
                estimate, draws = beta_binomial.forecast(fitted, ks, weights)
                low, high = bootstrap.interval(draws, problems, inputs.level)
                for at, k in enumerate(ks):
                    observed = gap = gap_low = gap_high = None
                    if fitted is not seeds:
                        shown = np.mean([pass_at_k.pass_at_k(one.n, one.c, k) for one in rest], axis=0)
                        observed = float(shown.mean())
                        gap = float(estimate[at]) - observed
                        paired = draws[:, at] - weights @ shown / problems
                        gap_low, gap_high = bootstrap.interval(paired, problems, inputs.level)
                    result.append(
                        {
                            "arm": arm,
                            "benchmark": benchmark,
                            "target": target,
                            "fitted_n": int(fitted[0].n.min()),
                            "k": k,
                            "estimate": estimate[at],
                            "low": low[at],
                            "high": high[at],
                            "observed": observed,
                            "gap": gap,
                            "gap_low": gap_low,
                            "gap_high": gap_high,
                        }
                    )
    return result
