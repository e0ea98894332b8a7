"""Every number of the two papers' tables and text that the record has, as printed."""

import pandas as pd

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.published import curves


def rows(inputs: Inputs) -> Rows:
    files = inputs.files["record"]
    ours = curves.values(files).rename(columns={"table": "place"}).assign(paper="Yue et al. 2025")
    theirs = curves.sparkle(files).assign(paper="Wang et al. 2025", unit="percent")
    theirs["quantity"] = theirs["condition"] + " " + theirs["metric"]
    theirs = theirs.rename(columns={"table": "place", "model": "item", "value_percent": "value"})
    columns = ["paper", "place", "item", "benchmark", "quantity", "value", "unit"]
    found = pd.concat([ours[columns], theirs[columns]])
    return [{str(name): value for name, value in row.items()} for row in found.to_dict("records")]
