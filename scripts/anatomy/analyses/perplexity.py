"""How likely a scorer finds a text's completions: mean over problems of each measure, with intervals."""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import perplexity


def rows(inputs: Inputs) -> Rows:
    completions = perplexity.completions(inputs.files["scores"], inputs.files["verdicts"])
    groups = perplexity.by_problem(completions).groupby(level=perplexity.KEYS, sort=False)
    result: Rows = []
    for (scorer, text, benchmark, subset), problems in groups:
        for measure, possible in perplexity.MEASURES.items():
            estimate, low, high = perplexity.interval(problems[measure], inputs.level)
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
