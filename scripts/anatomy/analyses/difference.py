"""Difference of pass@k, paired by problem: pointwise intervals, a band over all k, and a sign-flip test."""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics.tests_and_intervals import sign_flip


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        curves = inputs.curves(benchmark, target)
        for arm, base in inputs.pairs_on(benchmark):
            estimate = curves.estimate(arm, base)
            low, high = curves.interval(arm, base, inputs.level)
            band_low, band_high = curves.band(arm, base, inputs.level)
            rng = inputs.generator(benchmark, target, arm, base, "sign flip")
            p = sign_flip(curves.values[arm] - curves.values[base], rng)
            result += [
                {
                    "arm": arm,
                    "base": base,
                    "benchmark": benchmark,
                    "target": target,
                    "k": int(k),
                    "estimate": estimate[at],
                    "low": low[at],
                    "high": high[at],
                    "band_low": band_low[at],
                    "band_high": band_high[at],
                    "p": p[at],
                }
                for at, k in enumerate(curves.ks)
            ]
    return result
