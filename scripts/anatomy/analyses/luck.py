"""The share of solved problems that a valid derivation solves: pass@k of derivations over that of answers.

The rest is solved by right answers without a right derivation only. CoT-pass@k is ``derivation``
(arXiv 2506.14245).
"""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import bootstrap, pass_at_k, proportions


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for benchmark, target in inputs.panels():
        if target != "derivation":
            continue
        for arm in inputs.cells[benchmark]:
            answers = list(inputs.replicates(benchmark, arm, "answer").values())
            derivations = list(inputs.replicates(benchmark, arm, "derivation").values())
            ks = pass_at_k.ks(min(int(counts.n.min()) for counts in answers))
            answer, derivation = bootstrap.curve(answers, ks), bootstrap.curve(derivations, ks)
            found = proportions.share(derivation, answer, inputs.level)
            result += [
                {
                    "arm": arm,
                    "benchmark": benchmark,
                    "k": k,
                    "estimate": found.estimate[at],
                    "low": found.low[at],
                    "high": found.high[at],
                    "answer": answer[:, at].mean(),
                    "derivation": derivation[:, at].mean(),
                }
                for at, k in enumerate(ks)
            ]
    return result
