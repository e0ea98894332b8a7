"""Every check that a published number fails, with the amount.

Where a curve is no mixture, also how far it is from one without the point at k = 1, and the pass@1 that the
other points imply if they come from the estimator (nan: they do not either).
"""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import consistency
from anatomy.published import curves as published_curves

NAMES = ["figure", "benchmark", "model", "series"]


def rows(inputs: Inputs) -> Rows:
    checks = inputs.table(
        "published_checks", ["kind", *NAMES, "check", "passed", "amount", "tolerance", "at"]
    )
    curves = {tuple(curve.names.values()): curve for curve in published_curves.curves(inputs.files["record"])}
    result: Rows = []
    for row in checks[checks["passed"] == 0].to_dict("records"):
        curve = curves.get(tuple(row[name] for name in NAMES))
        implied: dict[str, float] = dict.fromkeys(
            ["without_first", "first", "first_low", "first_high"], float("nan")
        )
        if row["check"] == "completely monotone" and curve is not None:
            n, ks, values = curve.n, curve.ks[1:], curve.values[1:]
            first = consistency.mixed(n, [1])[0]
            low, high = consistency.reach(n, ks, values, first, published_curves.ROUNDING)
            implied = {
                "without_first": consistency.deviation(n, ks, values).amount,
                "first": curve.at(1),
                "first_low": low,
                "first_high": high,
            }
        result.append({str(name): value for name, value in row.items()} | implied)
    return [{key: value for key, value in row.items() if key != "passed"} for row in result]
