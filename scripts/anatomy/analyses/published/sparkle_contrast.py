"""Models of Wang et al. 2025 against each other, Avg@8: each benchmark and the mean over those of both.

Intervals hold for every pairing of the problems. The mean's is made of the benchmarks' distances to their
ends, as independent ones (Zou and Donner 2008, Statistics in Medicine 27(10)).
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves


def rows(inputs: Inputs) -> Rows:
    files = inputs.files["record"]
    sizes = {curve.benchmark: curve.problems for curve in curves.curves(files)}
    table = curves.sparkle(files)
    plain = table[(table["condition"] == "plain") & (table["metric"] == "avg@8")]
    averages = {
        model: dict(zip(part["benchmark"], part["value_percent"] / 100, strict=True))
        for model, part in plain.groupby("model")
    }
    result: Rows = []
    for arm, base in inputs.options["contrasts"]:
        shared = [name for name in averages[base] if name in averages[arm]]
        ours, theirs = (np.array([averages[one][name] for name in shared]) for one in (arm, base))
        ends = np.array(
            [
                bounds.change_interval(np.array(a), np.array(b), sizes[name], inputs.level)
                for a, b, name in zip(ours, theirs, shared, strict=True)
            ]
        )
        result += [
            _row(arm, base, name, a, b, low, high, sizes[name])
            for name, a, b, (low, high) in zip(shared, ours, theirs, ends, strict=True)
        ]
        if len(shared) > 1:
            gap = (ours - theirs)[:, None]
            low, high = np.array([-1, 1]) * np.sqrt(((ends - gap) ** 2).sum(axis=0)) / len(shared)
            mean = float(gap.mean())
            total = sum(sizes[name] for name in shared)
            result.append(_row(arm, base, "mean", ours.mean(), theirs.mean(), mean + low, mean + high, total))
    return result


def _row(
    arm: str, base: str, benchmark: str, ours: float, theirs: float, low: float, high: float, problems: int
) -> dict[str, object]:
    names = {"arm": arm, "base": base, "benchmark": benchmark}
    averages = {"arm_average": float(ours), "base_average": float(theirs), "estimate": float(ours - theirs)}
    return {**names, **averages, "low": float(low), "high": float(high), "problems": problems}
