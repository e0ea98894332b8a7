"""Published curves less their panel's base, at every k of both, with intervals for every pairing."""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for contrast in curves.contrasts(curves.curves(inputs.files["record"])):
        ks, arm, base = contrast.shared()
        problems = contrast.arm.problems
        low, high = bounds.change_interval(arm, base, problems, inputs.level)
        result += [
            {
                **contrast.names,
                "k": int(k),
                "estimate": gap,
                "low": low[at],
                "high": high[at],
                "problems": problems,
            }
            for at, (k, gap) in enumerate(zip(ks, arm - base, strict=True))
        ]
    return result
