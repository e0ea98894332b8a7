"""Mean entropy of the next token, over the full vocabulary and all generated tokens, by arm and temperature.

Empty where the engine does not tell entropies.
"""

import pandas as pd

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, arms in inputs.cells.items():
        for arm, seeds in arms.items():
            columns = ["n", "tokens", "entropy"]
            frame = pd.concat([one[["problem", *columns]] for one in seeds.values()])
            known = frame["entropy"].notna().all()
            sums = frame.groupby("problem", sort=True)[columns].sum()
            entropy: tuple[float | None, ...] = (None, None, None)
            if known:
                entropy = tests_and_intervals.ratio(
                    sums["entropy"], sums["tokens"], inputs.generator(benchmark), inputs.draws, inputs.level
                )
            result.append(
                {
                    "arm": arm,
                    "benchmark": benchmark,
                    "temperature": inputs.temperature(benchmark, arm),
                    **dict(zip(("entropy", "low", "high"), entropy, strict=True)),
                    "tokens_per_completion": float(sums["tokens"].sum() / sums["n"].sum()),
                }
            )
    return result
