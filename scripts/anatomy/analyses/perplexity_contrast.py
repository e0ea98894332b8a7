"""By how much two texts differ in likelihood under one scorer, paired by problem, with intervals."""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import perplexity


def rows(inputs: Inputs) -> Rows:
    completions = perplexity.completions(inputs.files["scores"], inputs.files["verdicts"])
    result: Rows = []
    for scorer, text, reference in inputs.options["contrasts"]:
        differences = perplexity.differences(completions, scorer, text, reference)
        for (benchmark, subset), problems in differences.groupby(level=["benchmark", "subset"], sort=False):
            for measure in perplexity.CONTRASTS:
                values = problems[measure].dropna()
                if values.empty:
                    continue  # no problem has completions of equal length
                estimate, low, high = perplexity.interval(values, inputs.level)
                result.append(
                    {
                        "scorer": scorer,
                        "text": text,
                        "reference": reference,
                        "benchmark": benchmark,
                        "subset": subset,
                        "measure": measure,
                        "estimate": estimate,
                        "low": low,
                        "high": high,
                        "problems": len(values),
                    }
                )
    return result
