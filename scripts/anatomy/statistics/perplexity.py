"""Perplexity and other likelihoods of completions under a model, by problem, with intervals.

Source: Yue et al. 2025, section 4.1 and figure 6 (appendix C.4 in version 5). The perplexity there is a mean
over tokens, which also falls where texts are longer or more repetitive; hence the other measures, and
contrasts between texts of equal length.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from anatomy.arrays import Floats
from anatomy.errors import AnatomyError
from anatomy.storage import parquet
from anatomy.storage.verdicts import RIGHT

KEYS = ["scorer", "text", "benchmark", "subset"]
GOLD = "gold"
"""The text that is not an arm's: the benchmark's reference solutions, all of them right."""
MEASURES: Mapping[str, tuple[float, float]] = {
    "ppl": (1.0, np.inf),
    "nll_token": (0.0, np.inf),
    "logprob_sum": (-np.inf, 0.0),
    "surprisal_max": (0.0, np.inf),
    "tokens": (1.0, np.inf),
}
"""Each measure's possible range; see ``by_problem``."""
CONTRASTS = ("log_ppl", "nll_token", "logprob_sum", "nll_token_matched")
"""What texts are compared in; see ``differences``."""


def completions(scores: Sequence[Mapping[str, Any]], verdicts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Read tables 'scores' and tell right completions from wrong ones: one row a completion and subset.

    scores: ``path``, ``scorer``, ``text`` (an arm, or gold), ``seed`` and ``benchmark`` of each file;
    verdicts: ``path``, ``arm``, ``seed`` and ``benchmark``. Columns: KEYS, seed, and those of the table. The
    subset all has every completion, and right or wrong has it once more; malformed and truncated ones are
    wrong. A completion without a token has no perplexity and is left out.
    Raises AnatomyError where a completion has no verdict.
    """
    judged: dict[tuple[str, int, str], list[str]] = {}
    for file in verdicts:
        judged.setdefault((file["arm"], int(file["seed"]), file["benchmark"]), []).append(file["path"])
    pieces = []
    for file in scores:
        piece = parquet.read(file["path"], "scores")
        if file["text"] == GOLD:
            right = np.ones(len(piece), dtype=np.bool_)
        else:
            shards = judged.get((file["text"], int(file["seed"]), file["benchmark"]), [])
            verdict = parquet.read(shards, "verdicts", ["problem", "sample", "verdict"])
            found = piece[["problem", "sample"]].merge(verdict, how="left", validate="many_to_one")["verdict"]
            if found.isna().any():
                raise AnatomyError(f"{file['path']}: completions of {file['text']} without a verdict")
            right = found.isin(RIGHT).to_numpy(np.bool_)
        names = {name: file[name] for name in ("scorer", "text", "benchmark", "seed")}
        pieces.append(piece.assign(**names, subset=np.where(right, "right", "wrong")))
    frame = pd.concat(pieces, ignore_index=True)
    frame = frame[frame["tokens"] > 0]
    parts = [frame[frame["subset"] == subset] for subset in ("right", "wrong")]
    return pd.concat([frame.assign(subset="all"), *parts], ignore_index=True)


def by_problem(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the measures of each problem's completions: index KEYS and problem, in order of appearance.

    ppl: median over completions of exp(-logprob / tokens), as published; log_ppl: median of its logarithm;
    and means over completions: nll_token, -logprob / tokens in nats; logprob_sum, the log-probability in
    nats; surprisal_max, the largest -log p of one token in nats; tokens. Each is computed for every training
    seed, then averaged over the seeds that have such completions of the problem.
    frame: as from ``completions``.
    """
    nll = -frame["logprob"] / frame["tokens"]
    values = frame.assign(nll=nll, perplexity=np.exp(nll))
    of_seed = values.groupby([*KEYS, "problem", "seed"], sort=False).agg(
        ppl=("perplexity", "median"),
        log_ppl=("nll", "median"),
        nll_token=("nll", "mean"),
        logprob_sum=("logprob", "mean"),
        surprisal_max=("surprisal", "mean"),
        tokens=("tokens", "mean"),
    )
    return of_seed.groupby([*KEYS, "problem"], sort=False).mean()


def matched(text: pd.DataFrame, reference: pd.DataFrame) -> pd.Series:
    """Return by how much nll_token of two texts differs at equal length: index benchmark, subset, problem.

    Within a problem the reference's completions are weighted so that their lengths in tokens are distributed
    as the text's; lengths that only one of the two has are dropped, and so are problems without a common
    one. Training seeds are pooled, since a single one shares few lengths with the other text.
    text, reference: rows of ``completions``, each of one text under one scorer.
    """
    keys = ["benchmark", "subset", "problem"]
    sides = []
    for side in (text, reference):
        nll = (-side["logprob"] / side["tokens"]).rename("nll")
        lengths = nll.groupby([side[key] for key in (*keys, "tokens")], sort=False)
        sides.append(lengths.agg(["mean", "size"]))
    common = sides[0].join(sides[1].add_suffix("_reference"), how="inner")
    gap = (common["mean"] - common["mean_reference"]) * common["size"]
    of_problem = pd.DataFrame({"gap": gap, "size": common["size"]}).groupby(keys, sort=False).sum()
    return of_problem["gap"] / of_problem["size"]


def differences(frame: pd.DataFrame, scorer: str, text: str, reference: str) -> pd.DataFrame:
    """Return the CONTRASTS, ``text - reference`` under one scorer: index benchmark, subset, problem.

    Paired by problem: it must have completions of both in the subset. nll_token_matched is nan where these
    have no length in common (see ``matched``); the others are differences of ``by_problem``.
    frame: as from ``completions``. Raises AnatomyError where the two share no problem.
    """
    sides = [frame[(frame["scorer"] == scorer) & (frame["text"] == name)] for name in (text, reference)]
    ours, theirs = (by_problem(side).droplevel(["scorer", "text"]) for side in sides)
    paired = ours.index[ours.index.isin(theirs.index)]
    if paired.empty:
        raise AnatomyError(f"{scorer} has scored no problem of both {text} and {reference}")
    result = ours.loc[paired] - theirs.loc[paired]
    return result.assign(nll_token_matched=matched(*sides))[list(CONTRASTS)]


def interval(values: ArrayLike, level: float = 0.95) -> Floats:
    """Return the mean over problems and its interval: (3, ...) from (N, ...), estimate, low and high.

    Each end is the further out of two: that of the t interval, which is too short where values are skewed,
    and that of Hall's interval with its correction for skewness, which is too short where they have heavy
    tails on both sides. Measured coverage at level 0.95 over normal, uniform, Laplace, t (3 degrees of
    freedom), exponential, gamma (shape 0.5) and log-normal (sigma 0.5 and 1) values: 0.93 to 0.97 for N = 20
    and more, 0.92 to 0.97 for N = 10, 0.90 (the last) to 0.98 for N = 5. No interval covers a mean that hangs
    on one problem in 60, which most samples lack: there 0.4 to 0.9 was measured, the least for ppl. A single
    problem has no interval: nan.
    Raises ValueError without values.
    Source: Hall 1992, On the removal of skewness by transformation, with t quantiles.
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    if not n:
        raise ValueError("an interval needs one problem or more")
    mean = x.mean(axis=0)
    if n == 1:
        return np.stack([mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)])
    spread = x.std(axis=0)
    standard = np.divide(x - mean, spread, out=np.zeros_like(x), where=spread > 0)
    skewness = (standard**3).mean(axis=0) * np.sqrt(n * (n - 1)) / max(n - 2, 1)
    straight = np.abs(skewness) < 1e-6  # no correction, and only rounding errors to compute one from
    safe = np.where(straight, 1.0, skewness)
    quantile = stats.t.ppf((1 + level) / 2, n - 1) / np.sqrt(n)

    def corrected(z: float) -> Floats:
        bent = 3 / safe * (np.cbrt(1 + safe * (z - safe / (6 * n))) - 1)
        return np.where(straight, z, bent)

    error = x.std(axis=0, ddof=1)
    low = mean - error * np.maximum(quantile, corrected(quantile))
    high = mean - error * np.minimum(-quantile, corrected(-quantile))
    return np.stack([mean, low, high])
