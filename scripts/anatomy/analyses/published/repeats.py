"""Published curves that are the same in two panels, to the last digit at every k that both have."""

from itertools import combinations

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import curves

FEWEST = 5
"""Curves with fewer k in common are not compared."""


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for one, other in combinations(curves.curves(inputs.files["record"]), 2):
        if one.benchmark != other.benchmark or (one.figure, one.model) == (other.figure, other.model):
            continue
        ks, first, second = curves.Contrast(one, other).shared()
        largest = float(np.abs(first - second).max()) if len(ks) >= FEWEST else np.inf
        if largest < 3 * curves.ROUNDING:  # the last digit differs by one where it was rounded
            others = {f"other_{name}": value for name, value in other.names.items() if name != "benchmark"}
            result.append({**one.names, **others, "points": len(ks), "largest": largest})
    return result
