"""Avg@n of each arm under each condition, and the change against the plain prompt and against controls.

Per difficulty band, level and domain, paired by problem. A row with condition ``plain`` is the arm as it is.
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.prompts.templates import GIVEN
from anatomy.statistics import condition_effects, tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        problems = inputs.problems(benchmark)
        names = list(problems["problem"])
        for arm, seeds in inputs.cells[benchmark].items():
            given = inputs.probes.get(benchmark, {}).get(arm, {})
            plain = condition_effects.average(seeds, names, inputs.arms[arm]["condition"], target)
            found = {"plain": plain}
            if given:
                found |= {name: condition_effects.average(given, names, name, target) for name in GIVEN}
            for stratum, members in condition_effects.strata(problems, inputs.options.get("bands")):
                for condition, values in found.items():
                    references = ["", "plain", *condition_effects.CONTROLS.get(condition, ())]
                    for reference in references[: 1 if condition == "plain" else None]:
                        against = found.get(reference, np.zeros_like(values))
                        kept = members & ~np.isnan(values[0]) & ~np.isnan(against[0])
                        if kept.sum() < 2:
                            continue
                        effect = tests_and_intervals.crossed((values - against)[:, kept], inputs.level)
                        result.append(
                            {
                                "arm": arm,
                                "benchmark": benchmark,
                                "target": target,
                                "stratum": stratum,
                                "condition": condition,
                                "reference": reference or "none",
                                "problems": int(kept.sum()),
                                "average": float(values[:, kept].mean()),
                                **effect._asdict(),
                            }
                        )
    return result
