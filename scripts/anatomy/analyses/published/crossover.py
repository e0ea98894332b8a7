"""The k from which the base of a published panel is ahead, and between which k it lies for any pairing."""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import bounds, curves


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for contrast in curves.contrasts(curves.curves(inputs.files["record"])):
        ks, arm, base = contrast.shared()
        found = bounds.crossover_interval(ks, arm, base, contrast.arm.problems, inputs.level)
        ends = dict(zip(("estimate", "low", "high"), found, strict=True))
        result.append({**contrast.names, **ends, "largest_k": int(ks[-1])})
    return result
