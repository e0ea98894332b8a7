"""The problems that only one of two models solves, and how both fare on extra completions of them.

``singleton`` is 1 where the solver solved the problem exactly once; ``extra`` is the number of extra
completions. What is not known of a problem is empty.
"""

from anatomy.analyses.inputs import TARGETS, Inputs, Rows
from anatomy.errors import AnatomyError
from anatomy.statistics import solved_sets
from anatomy.storage import parquet


def rows(inputs: Inputs) -> Rows:
    budgets, successes = _extra(inputs)
    result: Rows = []
    for benchmark, target in inputs.panels():
        for arm, base in inputs.pairs_on(benchmark):
            replicates = [inputs.replicates(benchmark, one, target) for one in (arm, base)]
            problems = next(iter(inputs.cells[benchmark][arm].values()))["problem"]
            for seed, ours, theirs in solved_sets.paired(*replicates):
                cells = solved_sets.cells(ours, theirs)
                for at, problem in enumerate(problems):
                    cell = solved_sets.CELLS[cells[at]]
                    if cell not in solved_sets.DISAGREEMENTS:
                        continue
                    key = (arm, base, seed, benchmark)
                    again = {of: successes.get((*key, of, target, problem)) for of in ("base", "arm")}
                    known = any(value is not None for value in again.values())
                    result.append(
                        {
                            "arm": arm,
                            "base": base,
                            "seed": seed,
                            "benchmark": benchmark,
                            "target": target,
                            "problem": problem,
                            "cell": cell,
                            "n": int(ours.n[at]),
                            "base_successes": int(theirs.c[at]),
                            "arm_successes": int(ours.c[at]),
                            "singleton": int(ours.c[at] + theirs.c[at] == 1),
                            "extra": budgets[key] if known else None,
                            "base_extra": again["base"],
                            "arm_extra": again["arm"],
                        }
                    )
    return result


def _extra(inputs: Inputs) -> tuple[dict[tuple[object, ...], int], dict[tuple[object, ...], int]]:
    """Return how many extra completions there are, by pair, and their successes, by pair, model and problem.

    Raises AnatomyError where two models, or problems, do not have as many: one would be looked at harder.
    """
    budgets: dict[tuple[object, ...], int] = {}
    successes: dict[tuple[object, ...], int] = {}
    for file in inputs.files.get("extra", ()):
        key = (file["arm"], file["base"], int(file["seed"]), file["benchmark"])
        frame = parquet.read(file["path"], "counts")
        if any(budgets.setdefault(key, int(n)) != n for n in frame["n"]):
            raise AnatomyError(f"{file['path']}: not as many extra completions of each problem and model")
        for target in TARGETS:
            known = frame[frame[target].notna()]
            for problem, count in zip(known["problem"], known[target], strict=True):
                successes[*key, file["of"], target, problem] = int(count)
    return budgets, successes
