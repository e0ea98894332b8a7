"""The best temperature of each model at each k, and how two models compare at their best."""

from typing import Any

from anatomy import envelope
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        curves = inputs.curves(benchmark, target)
        found = {
            name: here
            for name, arms in inputs.options["groups"].items()
            if (here := [arm for arm in arms if arm in curves.values])
        }
        parts: list[tuple[str, list[float | None], Any, Any]] = []
        for group, arms in found.items():
            which, estimate = envelope.best(curves, arms)
            temperatures: list[float | None] = [inputs.temperature(benchmark, arms[at]) for at in which]
            parts.append((group, temperatures, estimate, envelope.interval(curves, arms, inputs.level)))
        first, second = inputs.options["contrast"]
        if first in found and second in found:
            pair = found[first], found[second]
            estimate = envelope.best(curves, pair[0])[1] - envelope.best(curves, pair[1])[1]
            none: list[float | None] = [None] * len(curves.ks)
            parts.append(
                (f"{first} - {second}", none, estimate, envelope.difference(curves, *pair, inputs.level))
            )
        result += [
            {
                "group": group,
                "benchmark": benchmark,
                "target": target,
                "k": int(k),
                "best_temperature": temperatures[at],
                "estimate": estimate[at],
                "low": low[at],
                "high": high[at],
            }
            for group, temperatures, estimate, (low, high) in parts
            for at, k in enumerate(curves.ks)
        ]
    return result
