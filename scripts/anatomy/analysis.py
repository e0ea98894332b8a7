"""Statistics of a study: from the counts of its arms to the rows of its tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anatomy import passk, tables
from anatomy.errors import AnatomyError
from anatomy.passk import Counts, Curves
from anatomy.rng import generator

TARGETS = ("answer", "derivation")
"""What counts as a success: the answer is right; or it is, and so is every line of the derivation."""

Cells = Mapping[str, Mapping[str, Mapping[int, pd.DataFrame]]]
"""benchmark -> arm -> training seed -> counts, a benchmark's all with the same problems in the same order."""


def cells(files: Sequence[str | Path], names: Sequence[tuple[str, int, str]]) -> Cells:
    """Read counts files into cells; ``names`` gives (arm, seed, benchmark) of each file.

    Raises AnatomyError where arms of a benchmark differ in problems or n: nothing is paired then.
    """
    found: dict[str, dict[str, dict[int, pd.DataFrame]]] = {}
    for file, (arm, seed, benchmark) in zip(files, names, strict=True):
        frame = tables.read(file, "counts").sort_values("problem", ignore_index=True)
        found.setdefault(benchmark, {}).setdefault(arm, {})[seed] = frame
        first = next(iter(next(iter(found[benchmark].values())).values()))
        if not frame[["problem", "n"]].equals(first[["problem", "n"]]):
            raise AnatomyError(f"{file}: not the same problems and n as the benchmark's other arms")
    return found


def _counts(frame: pd.DataFrame, target: str) -> Counts:
    return Counts(frame["n"].to_numpy(np.int64), frame[target].to_numpy(np.int64))


def _targets(arms: Mapping[str, Mapping[int, pd.DataFrame]]) -> list[str]:
    """Return the targets that every arm was checked for."""
    frames = [frame for seeds in arms.values() for frame in seeds.values()]
    return [target for target in TARGETS if not any(frame[target].isna().any() for frame in frames)]


def curves(
    found: Cells, benchmark: str, target: str, seed: int, draws: int, each_seed: bool = False
) -> Curves:
    """Return pass@k of every arm on a benchmark, bootstrapped together; the same draws for every table.

    With ``each_seed`` an arm's single training seeds are arms too, named ``arm/seed``.
    """
    arms = {
        arm: [_counts(frame, target) for frame in seeds.values()] for arm, seeds in found[benchmark].items()
    }
    if each_seed:
        arms |= {
            f"{arm}/{number}": [_counts(frame, target)]
            for arm, seeds in found[benchmark].items()
            for number, frame in seeds.items()
        }
    n = min(int(counts.n.min()) for replicates in arms.values() for counts in replicates)
    rng = generator(seed, "bootstrap", benchmark, target)
    return passk.bootstrap(arms, passk.ks(n), rng, draws)


def passk_rows(found: Cells, seed: int, draws: int, level: float) -> list[dict[str, Any]]:
    """Return pass@k of each arm (``seed`` all: the mean over its training seeds) with intervals."""
    rows = []
    for benchmark, arms in found.items():
        for target in _targets(arms):
            result = curves(found, benchmark, target, seed, draws, each_seed=True)
            for name in result.values:
                arm, _, number = name.partition("/")
                low, high = result.interval(name, level=level)
                rows += [
                    {
                        "arm": arm,
                        "seed": number or "all",
                        "benchmark": benchmark,
                        "target": target,
                        "k": int(k),
                        "estimate": estimate,
                        "low": low[at],
                        "high": high[at],
                        "problems": result.values[name].shape[0],
                    }
                    for at, (k, estimate) in enumerate(zip(result.ks, result.estimate(name), strict=True))
                ]
    return rows


def difference_rows(
    found: Cells, pairs: Sequence[Sequence[str]], seed: int, draws: int, level: float
) -> list[dict[str, Any]]:
    """Return ``arm - base`` of pass@k for each pair, paired by problem, with intervals."""
    rows = []
    for benchmark, arms in found.items():
        for target in _targets(arms):
            result = curves(found, benchmark, target, seed, draws)
            for arm, base in pairs:
                low, high = result.interval(arm, base, level)
                rows += [
                    {
                        "arm": arm,
                        "base": base,
                        "benchmark": benchmark,
                        "target": target,
                        "k": int(k),
                        "estimate": estimate,
                        "low": low[at],
                        "high": high[at],
                    }
                    for at, (k, estimate) in enumerate(
                        zip(result.ks, result.estimate(arm, base), strict=True)
                    )
                ]
    return rows


def crossover_rows(
    found: Cells, pairs: Sequence[Sequence[str]], seed: int, draws: int, level: float
) -> list[dict[str, Any]]:
    """Return the crossover k of each pair with its interval, and the largest k that was looked at."""
    rows = []
    for benchmark, arms in found.items():
        for target in _targets(arms):
            result = curves(found, benchmark, target, seed, draws)
            for arm, base in pairs:
                estimate, low, high = passk.crossover_interval(result, arm, base, level)
                rows.append(
                    {
                        "arm": arm,
                        "base": base,
                        "benchmark": benchmark,
                        "target": target,
                        "estimate": estimate,
                        "low": low,
                        "high": high,
                        "largest_k": int(result.ks[-1]),
                    }
                )
    return rows


def accuracy_rows(found: Cells) -> list[dict[str, Any]]:
    """Return how many problems fall into each accuracy bin, the mean over an arm's training seeds."""
    return [
        {"arm": arm, "benchmark": benchmark, "bin": name, "problems": float(problems)}
        for benchmark, arms in found.items()
        for arm, seeds in arms.items()
        for name, problems in zip(
            passk.BINS,
            np.mean([passk.accuracy_histogram(_counts(f, "answer")) for f in seeds.values()], axis=0),
            strict=True,
        )
    ]


def outcome_rows(found: Cells, seed: int, draws: int, level: float) -> list[dict[str, Any]]:
    """Return the share of completions of each outcome, with intervals over problems.

    ``right`` and ``valid`` are the two targets; ``lucky`` is a right answer without a right derivation.
    """
    rows = []
    for benchmark, arms in found.items():
        rng = generator(seed, "bootstrap", benchmark, "outcomes")
        for arm, seeds in arms.items():
            frame = pd.concat(seeds.values()).groupby("problem", sort=True).sum(min_count=1)
            shares = {
                "right": frame["answer"] / frame["n"],
                "valid": frame["derivation"] / frame["n"],
                "lucky": (frame["answer"] - frame["derivation"]) / frame["n"],
                "malformed": frame["malformed"] / frame["n"],
                "truncated": frame["truncated"] / frame["n"],
            }
            weights = rng.multinomial(len(frame), np.full(len(frame), 1 / len(frame)), size=draws)
            for outcome, share in shares.items():
                if share.isna().any():
                    continue  # no checker of derivations for this benchmark
                values = share.to_numpy(np.float64)
                low, high = passk.interval(weights @ values / len(values), len(values), level)
                rows.append(
                    {
                        "arm": arm,
                        "benchmark": benchmark,
                        "outcome": outcome,
                        "estimate": values.mean(),
                        "low": low,
                        "high": high,
                    }
                )
    return rows


def training_rows(logs: Sequence[pd.DataFrame], window: int = 9) -> list[dict[str, Any]]:
    """Return the logs of training runs step by step, and each run's mean over seeds (``seed`` all).

    The mean is a centred moving average over ``window`` steps. Wall-clock time stays out, since it differs
    from run to run.
    """
    columns = ["loss", "reward", "length", "entropy", "kl", "zero_signal", "tokens"]
    log = pd.concat(logs, ignore_index=True)
    rows = log[["run", "seed", "step", *columns]].astype({"seed": str})
    means = []
    for run, of_run in log.groupby("run", sort=False):
        mean = of_run.groupby("step")[columns].mean()
        mean = mean.rolling(window, center=True, min_periods=1).mean()
        means.append(mean.reset_index().assign(run=run, seed="all"))
    table = pd.concat([rows, *means], ignore_index=True)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
