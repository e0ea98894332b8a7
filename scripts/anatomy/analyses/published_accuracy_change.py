"""How RL changes each bin of the published accuracy histograms; intervals and p hold for every pairing."""

from anatomy import passk, record
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    found = {tuple(names.values()): counts for names, counts in record.histograms(inputs.files["record"])}
    result: Rows = []
    for (benchmark, model, series), arm in found.items():
        if series == "base":
            continue
        base = found[benchmark, model, "base"]
        total = int(arm.sum())
        low, high = record.change_interval(arm / total, base / total, total, inputs.level)
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
                "p": record.p_range(int(arm[at]), int(base[at]), total)[1],
                "total": total,
            }
            for at, name in enumerate(passk.BINS)
        ]
    return result
