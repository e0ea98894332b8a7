"""How likely a scorer finds a text's completions: mean over problems of each measure, with intervals."""

import numpy as np

from anatomy import likelihood
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    completions = likelihood.completions(inputs.files["scores"], inputs.files["verdicts"])
    groups = likelihood.by_problem(completions).groupby(level=likelihood.KEYS, sort=False)
    result: Rows = []
    for (scorer, text, benchmark, subset), problems in groups:
        for measure, possible in likelihood.MEASURES.items():
            estimate, low, high = likelihood.interval(problems[measure], inputs.level)
            result.append(
                {
                    "scorer": scorer,
                    "text": text,
                    "benchmark": benchmark,
                    "subset": subset,
                    "measure": measure,
                    "estimate": estimate,
                    "low": np.clip(low, *possible),
                    "high": np.clip(high, *possible),
                    "problems": len(problems),
                }
            )
    return result
