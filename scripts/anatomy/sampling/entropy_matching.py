"""Entropy matching: the temperature at which one arm's mean token entropy equals another's.

The entropy is that of the sampling distribution over the full vocabulary, before any cut of its tail,
averaged over all generated tokens. Source: Yue et al. 2025, appendix (entropy-matched comparison), which
leaves open over what its entropy is taken.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from scipy.optimize import brentq

from anatomy.errors import AnatomyError
from anatomy.models.decoding import Sampling
from anatomy.sampling.engine import Engine, Prompt, chunked

RANGE = (0.2, 3.0)
"""Temperatures between which the match is looked for."""
TOLERANCE = 0.005
"""Width of temperature at which the search ends."""


def mean_entropy(counts: Iterable[pd.DataFrame]) -> float:
    """Return the mean token entropy, nats, of tables 'counts'. AnatomyError where the engine told none."""
    frame = pd.concat(counts)
    if frame["entropy"].isna().any():
        raise AnatomyError("the arm to match was sampled by an engine that tells no entropies")
    return float(frame["entropy"].sum() / frame["tokens"].sum())


def match(
    engine: Engine,
    prompts: Sequence[Prompt],
    target: float,
    n: int,
    rows: int,
    sampling: Sampling,
    seed: Sequence[object],
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Return the temperature that gives ``target`` nats a token, and every temperature that was tried.

    Each trial samples ``n`` completions a prompt with the same random numbers, so that the entropy hardly
    jumps between temperatures; it is solved by Brent's method. AnatomyError if the target lies outside what
    the temperatures of ``RANGE`` give.
    """
    tried: dict[float, float] = {}

    def excess(temperature: float) -> float:
        if temperature not in tried:
            entropy = tokens = 0.0
            for chunk in chunked(prompts, n, rows):
                for completions in engine.sample(chunk, n, replace(sampling, temperature=temperature), seed):
                    for completion in completions:
                        if completion.entropy is None:
                            raise AnatomyError("the engine tells no entropies; none can be matched")
                        entropy += completion.entropy
                        tokens += completion.tokens
            tried[temperature] = entropy / tokens
            report(f"temperature {temperature:.3f}: {tried[temperature]:.4f} nats a token; aim {target:.4f}")
        return tried[temperature] - target

    # From the arm's own temperature outwards: models drift apart far less than the whole range.
    low = high = min(max(sampling.temperature, RANGE[0]), RANGE[1])
    while excess(low) > 0 and low > RANGE[0]:
        low = max(low / 1.3, RANGE[0])
    while excess(high) < 0 and high < RANGE[1]:
        high = min(high * 1.3, RANGE[1])
    if excess(low) > 0 or excess(high) < 0:
        raise AnatomyError(
            f"no temperature from {RANGE[0]} to {RANGE[1]} gives {target:.4f} nats a token; found {tried}"
        )
    temperature = low if low == high else float(brentq(excess, low, high, xtol=TOLERANCE, rtol=1e-3))
    excess(temperature)
    return {
        "temperature": round(temperature, 4),
        "target": target,
        "entropy": tried[temperature],
        "tried": {f"{t:.4f}": entropy for t, entropy in sorted(tried.items())},
    }
