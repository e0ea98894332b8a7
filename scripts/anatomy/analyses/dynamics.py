"""pass@1 and pass@K of the checkpoints of each training run; step 0 is the model that it started from."""

from anatomy.analyses.inputs import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        curves = inputs.curves(benchmark, target)
        ends = sorted({0, len(curves.ks) - 1})
        # A run's start has a row with its first checkpoint, not with each.
        points: dict[tuple[str, str], object] = {}
        for arm, base in inputs.pairs_on(benchmark):
            run = inputs.arms[arm]["model"]
            points.setdefault((run, base), 0)
            points[run, arm] = inputs.arms[arm]["step"]
        for (run, arm), step in points.items():
            low, high = curves.interval(arm, level=inputs.level)
            estimate = curves.estimate(arm)
            result += [
                {
                    "run": run,
                    "step": step,
                    "arm": arm,
                    "benchmark": benchmark,
                    "target": target,
                    "k": int(curves.ks[at]),
                    "estimate": estimate[at],
                    "low": low[at],
                    "high": high[at],
                }
                for at in ends
            ]
    return result
