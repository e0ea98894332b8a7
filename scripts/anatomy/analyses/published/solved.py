"""How many problems the published curves solve, how many of them once or twice, and what more samples add.

``singletons`` and ``doubletons`` are what non-negative least squares find; the range of the former is what
the rounding of the plotted points leaves open. ``more``: problems that n more samples of each would add.
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import consistency, curves
from anatomy.statistics import solved_sets
from anatomy.statistics.pass_at_k import Counts


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for curve in curves.curves(inputs.files["record"]):
        n, problems = curve.n, curve.problems
        fit = consistency.fit(n, curve.ks, curve.values, problems)
        once = np.zeros(n + 1)
        once[1] = problems
        low, high = consistency.reach(n, curve.ks, curve.values, once, curves.ROUNDING)
        solved = problems - fit.problems[0] if curve.solved is None else curve.solved
        more = solved_sets.unseen(_near_zero(fit, n, problems, round(solved)), inputs.level)
        result.append(
            {
                **curve.names,
                "problems": problems,
                "n": n,
                "solved": solved,
                "unsolved": problems - solved,
                "singletons": fit.problems[1],
                "singletons_low": low,
                "singletons_high": high,
                "doubletons": fit.problems[2],
                "residual": fit.residual,
                "more": more.estimate,
                "more_low": more.low,
                "more_high": more.high,
            }
        )
    return result


def _near_zero(fit: consistency.Fit, n: int, problems: int, solved: int) -> Counts:
    """Return counts with the fit's problems of 0, 1 and 2 successes; all others count as always solved."""
    few = np.repeat([0, 1, 2], [problems - solved, *np.rint(fit.problems[1:3]).astype(int)])
    return Counts(np.full(problems, n), np.append(few, np.full(max(problems - len(few), 0), n))[:problems])
