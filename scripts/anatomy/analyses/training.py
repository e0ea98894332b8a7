"""The logs of training runs step by step, and each run's mean over seeds (``seed`` all).

The mean is a centred moving average. Wall-clock time stays out, since it differs from run to run.
"""

import pandas as pd

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.storage import parquet

WINDOW = 9
"""Logged steps that the moving average covers."""
COLUMNS = ["loss", "reward", "length", "entropy", "kl", "zero_signal", "generated", "tokens"]


def rows(inputs: Inputs) -> Rows:
    log = pd.concat([parquet.read(file["path"], "training") for file in inputs.files["training"]])
    single = log[["run", "seed", "step", *COLUMNS]].astype({"seed": str})
    means = []
    for run, of_run in log.groupby("run", sort=False):
        mean = of_run.groupby("step")[COLUMNS].mean()
        mean = mean.rolling(WINDOW, center=True, min_periods=1).mean()
        means.append(mean.reset_index().assign(run=run, seed="all"))
    table = pd.concat([single, *means], ignore_index=True)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
