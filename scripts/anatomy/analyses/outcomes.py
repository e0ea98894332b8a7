"""What completions come to: the share of each outcome, with intervals over problems.

``right`` and ``valid`` are the two targets; ``lucky`` is a right answer without a right derivation.
"""

import numpy as np
import pandas as pd

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import bootstrap
from anatomy.storage import verdicts


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, arms in inputs.cells.items():
        rng = inputs.generator(benchmark, "outcomes")
        for arm, seeds in arms.items():
            frame = pd.concat(seeds.values()).groupby("problem", sort=True).sum(min_count=1)
            shares = {
                "right": frame["answer"] / frame["n"],
                "valid": frame["derivation"] / frame["n"],
                "lucky": (frame["answer"] - frame["derivation"]) / frame["n"],
                **{name: frame[name] / frame["n"] for name in verdicts.COUNTED},
            }
            weights = rng.multinomial(len(frame), np.full(len(frame), 1 / len(frame)), size=inputs.draws)
            for outcome, share in shares.items():
                if share.isna().any():
                    continue  # no checker of derivations for this benchmark
                values = share.to_numpy(np.float64)
                low, high = bootstrap.interval(weights @ values / len(values), len(values), inputs.level)
                result.append(
                    {
                        "arm": arm,
                        "benchmark": benchmark,
                        "outcome": outcome,
                        "estimate": values.mean(),
                        "low": low,
                        "high": high,
                    }
                )
    return result
