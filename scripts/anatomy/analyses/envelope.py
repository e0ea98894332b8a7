"""The best temperature of each model at each k, and how two models compare at their best."""

from typing import Any

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import best_temperature


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
            which, estimate = best_temperature.best(curves, arms)
            temperatures: list[float | None] = [inputs.temperature(benchmark, arms[at]) for at in which]
            parts.append(
                (group, temperatures, estimate, best_temperature.interval(curves, arms, inputs.level))
            )
        first, second = inputs.options["contrast"]
        if first in found and second in found:
            pair = found[first], found[second]
            estimate = best_temperature.best(curves, pair[0])[1] - best_temperature.best(curves, pair[1])[1]
            none: list[float | None] = [None] * len(curves.ks)
            parts.append(
                (
                    f"{first} - {second}",
                    none,
                    estimate,
                    best_temperature.difference(curves, *pair, inputs.level),
                )
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
