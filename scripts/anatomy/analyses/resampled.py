"""What becomes of disagreements when both models get the same extra completions of both kinds.

``problems`` are those in the cell, ``resampled`` those of them that both models have extra completions of;
``base_solved`` and ``arm_solved`` are of these, counting extra completions alone, and ``moved`` is the
number that the model now solves which had failed.
"""

from collections import defaultdict

from anatomy.analyses import disagreements
from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import solved_sets


def rows(inputs: Inputs) -> Rows:
    extra = {
        (file["arm"], file["base"], int(file["seed"]), file["benchmark"])
        for file in inputs.files.get("extra", ())
    }
    if not extra:
        return []
    groups: dict[tuple[object, ...], Rows] = defaultdict(list)
    for row in disagreements.rows(inputs):
        groups[tuple(row[name] for name in ("arm", "base", "seed", "benchmark", "target", "cell"))].append(
            row
        )
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm, base in inputs.pairs_on(benchmark):
            for seed in inputs.cells[benchmark][arm]:
                if (arm, base, seed, benchmark) not in extra:
                    continue
                for cell in solved_sets.DISAGREEMENTS:
                    problems = groups[arm, base, seed, benchmark, target, cell]
                    both = [row for row in problems if None not in (row["base_extra"], row["arm_extra"])]
                    solved = {of: sum(row[f"{of}_extra"] > 0 for row in both) for of in ("base", "arm")}
                    result.append(
                        {
                            "arm": arm,
                            "base": base,
                            "seed": seed,
                            "benchmark": benchmark,
                            "target": target,
                            "cell": cell,
                            "problems": len(problems),
                            "resampled": len(both),
                            "extra": both[0]["extra"] if both else None,
                            "base_solved": solved["base"],
                            "arm_solved": solved["arm"],
                            "moved": solved["arm" if cell == "base_only" else "base"],
                        }
                    )
    return result
