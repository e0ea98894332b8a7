"""Published pass@k curves, with intervals that hold whatever the problems' own values were."""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for curve in curves.curves(inputs.files["record"]):
        low, high = bounds.share_interval(curve.values, curve.problems, inputs.level)
        result += [
            {
                **curve.names,
                "k": int(k),
                "estimate": value,
                "low": low[at],
                "high": high[at],
                "problems": curve.problems,
                "n": curve.n,
            }
            for at, (k, value) in enumerate(zip(curve.ks, curve.values, strict=True))
        ]
    return result
