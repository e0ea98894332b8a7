"""pass@k of each arm and of each of its training seeds (``seed`` all: their mean), with intervals."""

from anatomy.analyses.inputs import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        curves = inputs.curves(benchmark, target, each_seed=True)
        for name in curves.values:
            arm, _, seed = name.partition("/")
            low, high = curves.interval(name, level=inputs.level)
            result += [
                {
                    "arm": arm,
                    "seed": seed or "all",
                    "benchmark": benchmark,
                    "target": target,
                    "k": int(k),
                    "estimate": estimate,
                    "low": low[at],
                    "high": high[at],
                    "problems": curves.values[name].shape[0],
                }
                for at, (k, estimate) in enumerate(zip(curves.ks, curves.estimate(name), strict=True))
            ]
    return result
