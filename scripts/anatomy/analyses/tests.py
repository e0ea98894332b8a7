"""All primary tests of the study as one family, with Holm's correction.

pass@1 and pass@K (the largest k) of each arm against its base, coverage against the base's for each training
seed, and that all algorithms are alike. A study whose arms differ in n has several tables of differences;
their names begin with ``difference``.
"""

import pandas as pd

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import tests_and_intervals


def rows(inputs: Inputs) -> Rows:
    where = ["benchmark", "target"]
    keys = ["arm", "base", *where, "estimate", "p"]
    found = []
    for file in inputs.files["tables"]:
        if file["table"].startswith("difference"):
            table = inputs.table(file["table"], [*keys, "k"]).assign(seed="all")
            largest = table.groupby(where)["k"].transform("max")
            found.append(table[(table["k"] == 1) | (table["k"] == largest)])
    difference = pd.concat(found)
    first = difference["k"] == 1
    difference["test"] = first.map({True: "pass@1 differs", False: "pass@K differs"})
    coverage = inputs.table("coverage", [*keys, "seed"]).assign(test="coverage differs", k=None)
    alike = inputs.table("equivalence", [*where, "first", "second", "estimate", "p_equivalent"])
    alike = alike[alike["first"] == "all"].rename(columns={"first": "arm", "second": "base"})
    alike = alike.assign(test="algorithms alike", seed="all", k=1, p=alike["p_equivalent"])
    columns = ["test", "arm", "base", "seed", "benchmark", "target", "k", "estimate", "p"]
    family = pd.concat([table[columns].astype(object) for table in (difference, coverage, alike)])
    adjusted = tests_and_intervals.holm(family["p"].astype(float))
    tests = int(family["p"].notna().sum())
    return [
        {
            **{str(name): value for name, value in row.items()},
            "p_holm": p,
            "tests": tests,
            "significant": int(p < 1 - inputs.level),
        }
        for row, p in zip(family.to_dict("records"), adjusted, strict=True)
    ]
