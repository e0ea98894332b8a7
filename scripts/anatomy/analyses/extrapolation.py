"""pass@k predicted by a beta-binomial: from a quarter of the samples, against the rest; and beyond them all.

``low`` and ``high`` are for the model's expected pass@k on problems like these, as the fit tells it; they are
no prediction interval for ``observed``, which comes from the same problems and so errs with the prediction.
``inside`` tells whether the observed pass@k of the held-back samples lies between them.
"""

import numpy as np

from anatomy import betabinomial, passk
from anatomy.analysis import Inputs, Rows
from anatomy.passk import Counts


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm in inputs.cells[benchmark]:
            rng = inputs.generator(benchmark, target, "extrapolation", arm)
            seeds = list(inputs.replicates(benchmark, arm, target).values())
            problems = len(seeds[0].n)
            weights = rng.multinomial(problems, np.full(problems, 1 / problems), size=inputs.draws)
            halves = [betabinomial.split(one, 4, rng) for one in seeds]
            rest = [other for _, other in halves]
            size = int(seeds[0].n.min())
            checks: list[tuple[list[Counts], list[int]]] = [
                ([part for part, _ in halves], passk.ks(int(rest[0].n.min()), half=False)),
                (seeds, [2 * size, 4 * size, 8 * size]),
            ]
            for fitted, ks in checks:
                if fitted[0].n.min() < 2:
                    continue  # single samples do not tell how problems differ
                estimate, draws = betabinomial.forecast(fitted, ks, weights)
                low, high = passk.interval(draws, problems, inputs.level)
                for at, k in enumerate(ks):
                    observed = inside = None
                    if fitted is not seeds:
                        observed = float(np.mean([passk.pass_at_k(one.n, one.c, k) for one in rest]))
                        inside = int(low[at] <= observed <= high[at])
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
                            "inside": inside,
                        }
                    )
    return result
