"""Whether published curves and histograms can come from the estimator, and whether tables and text agree.

``amount`` is by how much a number fails at most (negative: with so much to spare), ``tolerance`` what the
rounding of printed and plotted numbers can make, ``at`` the k where it is worst. Without ``passed`` the check
does not apply.
"""

from collections.abc import Iterator

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.arrays import Ints
from anatomy.published import consistency
from anatomy.published import curves as published_curves
from anatomy.published.curves import READING, ROUNDING, Curve

PRINTED = 5e-4
"""Half of the last digit of tables, percentages with one decimal, as a share."""
UNKNOWN = float("nan")
TIE = 1e-9
"""What arithmetic may add to an amount that is just the tolerance."""


def rows(inputs: Inputs) -> Rows:
    files = inputs.files["record"]
    curves = published_curves.curves(files)
    result = [row for curve in curves for row in _curve(curve)]
    of_histogram = {
        (curve.benchmark, curve.model, curve.series): curve
        for curve in curves
        if curve.figure in ("Fig2", "Fig9")
    }
    for names, bins in published_curves.histograms(files):
        curve = of_histogram[names["benchmark"], names["model"], names["series"]]
        result += _histogram(curve, bins)
    return result + list(_tables(inputs, curves)) + list(_text(inputs))


def _row(
    curve: Curve, kind: str, check: str, amount: float, tolerance: float, at: float
) -> dict[str, object]:
    passed = UNKNOWN if np.isnan(amount) else int(amount <= tolerance + TIE)
    names = {**curve.names, "figure": "Fig13"} if kind == "histogram" else curve.names
    found = {"passed": passed, "amount": amount, "tolerance": tolerance, "at": at}
    return {"kind": kind, **names, "check": check, **found}


def _curve(curve: Curve) -> Rows:
    ks, values = curve.ks, curve.values
    fall, dent = (check(ks, values) for check in (consistency.decrease, consistency.dent))
    away = consistency.deviation(curve.n, ks, values)
    whole = curve.off_whole if curve.last == curve.n else UNKNOWN
    return [
        _row(curve, "curve", "never falls", *fall[:1], 2 * ROUNDING, fall.at),
        _row(curve, "curve", "concave", *dent[:1], 2 * ROUNDING, dent.at),
        _row(curve, "curve", "completely monotone", *away[:1], ROUNDING, away.at),
        _row(curve, "curve", "whole at k = n", whole, curve.problems * READING, curve.last),
    ]


def _histogram(curve: Curve, bins: Ints) -> Rows:
    low, high = consistency.mean_range(bins, curve.n)
    outside = max(low - curve.at(1), curve.at(1) - high)
    unsolved = curve.problems * (1 - curve.at(curve.last)) if curve.last == curve.n else UNKNOWN
    together = consistency.deviation(curve.n, curve.ks, curve.values, bins / bins.sum())
    last, slack = curve.last, curve.problems * READING
    return [
        _row(curve, "histogram", "sums to N", abs(int(bins.sum()) - curve.problems), 0, UNKNOWN),
        _row(curve, "histogram", "mean is pass@1", outside, READING, 1),
        _row(curve, "histogram", "0-bin is N (1 - pass@n)", abs(bins[0] - unsolved), slack, last),
        _row(curve, "histogram", "one set of counts for both", together.amount, ROUNDING, together.at),
    ]


def _tables(inputs: Inputs, curves: list[Curve]) -> Iterator[dict[str, object]]:
    """Compare printed tables with the curves of the same runs."""
    printed = published_curves.values(inputs.files["record"])
    of = {("Fig14top", "Table 2"), ("Fig14bot", "Table 3")}
    by_item = {tuple(key): part for key, part in printed.groupby(["table", "benchmark", "item"])}
    for curve in curves:
        for _, place in (pair for pair in of if pair[0] == curve.figure):
            part = by_item.get((place, curve.benchmark, curve.series))
            if part is None:
                continue
            told = dict(zip(part["quantity"], part["value"] / 100, strict=True))
            for quantity, k in (("pass@1", 1), ("pass@256", curve.last)):
                gap = abs(told[quantity] - curve.at(k))
                yield _row(curve, "table", f"printed {quantity}", gap, PRINTED + READING, k)
        if curve.figure == "Fig2" and curve.model == "Qwen2.5-7B":
            part = by_item.get(("Table 2 (v5)", curve.benchmark, "SimpleRL-Zoo-7B"))
            if part is not None:
                told = dict(zip(part["quantity"], part["value"], strict=True))
                own = "base_only" if curve.series == "base" else "arm_only"
                gap = abs(told["both"] + told[own] - curve.problems * curve.at(curve.last))
                yield _row(curve, "table", "printed coverage", gap, curve.problems * READING, curve.last)
    lists = printed[printed["table"] == "Table 4"].pivot_table(
        index="item", columns="quantity", values="value"
    )
    for curve in curves:
        if curve.figure == "Fig2" and (curve.benchmark, curve.model) == ("AIME24", "Qwen2.5-7B"):
            gap = abs(lists[curve.series].sum() - curve.problems * curve.at(curve.last))
            yield _row(curve, "table", "printed list of problems", gap, curve.problems * READING, curve.last)


def _text(inputs: Inputs) -> Iterator[dict[str, object]]:
    """Compare the gaps that text and annotations name with those of the curves."""
    table = inputs.table("published_delta_se", ["benchmark", "arm", "k", "text_gap", "noted_gap"])
    for row in table.to_dict("records"):
        for column, check in (("text_gap", "delta-SE in the text"), ("noted_gap", "delta-SE in Figure 8")):
            if not np.isnan(row[column]):
                amount, tolerance = abs(row[column]), PRINTED + READING
                yield {
                    "kind": "text",
                    "figure": "Fig8",
                    "benchmark": row["benchmark"],
                    "model": "Qwen2.5-7B",
                    "series": row["arm"],
                    "check": check,
                    "passed": int(amount <= tolerance + TIE),
                    "amount": amount,
                    "tolerance": tolerance,
                    "at": row["k"],
                }
