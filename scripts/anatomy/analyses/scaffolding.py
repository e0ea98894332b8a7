"""Difference of Avg@n of two arms, over training seeds and problems, per band, level and domain.

Where both arms have the same training seeds, each of the one is paired with that of the other: they started
from the same model.
"""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import condition_effects, tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        problems = inputs.problems(benchmark)
        names = list(problems["problem"])
        for arm, base in inputs.pairs_on(benchmark):
            cells = [inputs.cells[benchmark][name] for name in (arm, base)]
            one, two = (
                condition_effects.average(seeds, names, inputs.arms[name]["condition"], target)
                for name, seeds in zip((arm, base), cells, strict=True)
            )
            paired = list(cells[0]) == list(cells[1])
            for stratum, members in condition_effects.strata(problems, inputs.options.get("bands")):
                if members.sum() < 2:
                    continue
                ours, theirs = one[:, members], two[:, members]
                effect = (
                    tests_and_intervals.crossed(ours - theirs, inputs.level)
                    if paired
                    else tests_and_intervals.contrast(ours, theirs, inputs.level)
                )
                result.append(
                    {
                        "arm": arm,
                        "base": base,
                        "benchmark": benchmark,
                        "target": target,
                        "stratum": stratum,
                        "problems": int(members.sum()),
                        "arm_average": float(ours.mean()),
                        "base_average": float(theirs.mean()),
                        **effect._asdict(),
                    }
                )
    return result
