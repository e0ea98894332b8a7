"""How RL changes each bin of the published accuracy histograms; intervals and p hold for every pairing."""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves
from anatomy.statistics import accuracy_bins


def rows(inputs: Inputs) -> Rows:
    found = {tuple(names.values()): counts for names, counts in curves.histograms(inputs.files["record"])}
    result: Rows = []
    for (benchmark, model, series), arm in found.items():
        if series == "base":
            continue
        base = found[benchmark, model, "base"]
        total = int(arm.sum())
        low, high = bounds.change_interval(arm / total, base / total, total, inputs.level)
        result += [
            {
                "benchmark": benchmark,
                "model": model,
                "arm": series,
                "base": "base",
                "bin": name,
                "estimate": int(arm[at] - base[at]),
                "low": total * float(low[at]),
                "high": total * float(high[at]),
                "p": bounds.p_range(int(arm[at]), int(base[at]), total)[1],
                "total": total,
            }
            for at, name in enumerate(accuracy_bins.BINS)
        ]
    return result
