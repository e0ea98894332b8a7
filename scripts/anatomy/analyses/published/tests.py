"""Solved problems of published curves at their last k against their base's: exact tests over all pairings.

``p`` is the largest and ``p_least`` the smallest p of the exact McNemar test over all pairings of the two
counts; both are empty where a curve does not tell how many problems were solved.
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves
from anatomy.statistics import tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for contrast in curves.contrasts(curves.curves(inputs.files["record"])):
        arm, base, problems = contrast.arm, contrast.base, contrast.arm.problems
        ends = contrast.ends()
        whole = ends == (arm.last, base.last) and arm.solved is not None and base.solved is not None
        shares = arm.at(ends[0]), base.at(ends[1])
        low, high = bounds.change_interval(np.array(shares[0]), np.array(shares[1]), problems, inputs.level)
        least, most = float("nan"), float("nan")
        if whole:
            least, most = bounds.p_range(int(arm.solved or 0), int(base.solved or 0), problems)
        result.append(
            {
                **contrast.names,
                "k_arm": ends[0],
                "k_base": ends[1],
                "solved_arm": problems * shares[0] if not whole else arm.solved,
                "solved_base": problems * shares[1] if not whole else base.solved,
                "estimate": shares[0] - shares[1],
                "low": float(low),
                "high": float(high),
                "p": most,
                "p_least": least,
                "problems": problems,
            }
        )
    for row, p in zip(result, tests_and_intervals.holm([row["p"] for row in result]), strict=True):
        row["p_holm"] = p
    return result
