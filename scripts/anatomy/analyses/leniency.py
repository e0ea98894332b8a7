"""How much of pass@k comes from leniency: the same completions read strictly and leniently.

Strictly, only a marked answer of a completion that came to its end counts, as for the reward; leniently,
whatever looks like an answer does (``anatomy.grading.graders``). The completions are the same, so that the
interval of the difference is over problems alone.
"""

import numpy as np

from anatomy.analyses.inputs import Inputs, Rows, counts
from anatomy.statistics import bootstrap, pass_at_k


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, arms in inputs.cells.items():
        rng = inputs.generator(benchmark, "leniency")
        for arm, seeds in arms.items():
            frames = list(seeds.values())
            if any(frame["lenient"].isna().any() for frame in frames):
                continue  # programs have no lenient reading
            ks = pass_at_k.ks(min(int(frame["n"].min()) for frame in frames))
            strict, lenient = (
                bootstrap.curve([counts(frame, column) for frame in frames], ks)
                for column in ("answer", "lenient")
            )
            problems = len(strict)
            weights = rng.multinomial(problems, np.full(problems, 1 / problems), size=inputs.draws)
            draws = weights @ (lenient - strict) / problems
            low, high = bootstrap.interval(draws, problems, inputs.level)
            result += [
                {
                    "arm": arm,
                    "benchmark": benchmark,
                    "k": k,
                    "strict": strict[:, at].mean(),
                    "lenient": lenient[:, at].mean(),
                    "estimate": (lenient - strict)[:, at].mean(),
                    "low": low[at],
                    "high": high[at],
                    "problems": problems,
                }
                for at, k in enumerate(ks)
            ]
    return result
