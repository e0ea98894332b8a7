"""The k from which the base of a published panel is ahead, and between which k it lies for any pairing."""

from anatomy import record
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for contrast in record.contrasts(record.curves(inputs.files["record"])):
        ks, arm, base = contrast.shared()
        found = record.crossover_interval(ks, arm, base, contrast.arm.problems, inputs.level)
        ends = dict(zip(("estimate", "low", "high"), found, strict=True))
        result.append({**contrast.names, **ends, "largest_k": int(ks[-1])})
    return result
