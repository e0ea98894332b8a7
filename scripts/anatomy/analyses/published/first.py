"""pass@1 of published curves against their base's, with intervals that hold for every pairing."""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for contrast in curves.contrasts(curves.curves(inputs.files["record"])):
        arm, base = contrast.arm.at(1), contrast.base.at(1)
        problems = contrast.arm.problems
        low, high = bounds.change_interval(np.array(arm), np.array(base), problems, inputs.level)
        result.append(
            {
                **contrast.names,
                "arm_first": arm,
                "base_first": base,
                "estimate": arm - base,
                "low": float(low),
                "high": float(high),
                "problems": problems,
            }
        )
    return result
