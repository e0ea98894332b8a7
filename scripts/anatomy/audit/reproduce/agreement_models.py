"""Whether two models agree: the same weights, or weights up to rounding."""

import json
import math
from pathlib import Path

from safetensors import safe_open

from anatomy.audit import hashing
from anatomy.audit.reproduce.agreement_result import (
    DIFFERENT,
    IDENTICAL,
    WEIGHTS,
    WITHIN,
    Agreement,
    first_difference,
)
from anatomy.errors import AnatomyError

_VERSION = "transformers_version"
"""The entry of a model's configuration that names who wrote it."""


# Models ----------------------------------------------------------------------------------------------


def compare_models(recorded: Path, again: Path) -> Agreement:
    """Compare two folders: weights up to WEIGHTS, everything else the same."""
    first, second = (hashing.tree(path) for path in (recorded, again))
    if first == second:
        return Agreement(IDENTICAL)
    if first.keys() != second.keys():
        return Agreement(
            DIFFERENT, f"{', '.join(sorted(first.keys() ^ second.keys()))} only in one of the two"
        )
    largest = 0.0
    for name in first:
        if first[name] == second[name] or Path(name).name == "manifest.json":  # the digests of the others
            continue
        if name.endswith(".safetensors"):
            largest_of_file = _weights(recorded / name, again / name)
            if isinstance(largest_of_file, str):
                return Agreement(DIFFERENT, f"{name}: {largest_of_file}")
            largest = max(largest, largest_of_file)
        elif name.endswith(".json"):
            settings = [json.loads((folder / name).read_text()) for folder in (recorded, again)]
            a, b = ({k: v for k, v in content.items() if k != _VERSION} for content in settings)
            said = first_difference(a, b)
            if said:
                return Agreement(DIFFERENT, f"{name}: {said}")
        else:
            return Agreement(DIFFERENT, f"{name}: other bytes")
    outcome = WITHIN if largest <= WEIGHTS else DIFFERENT
    return Agreement(outcome, f"largest difference of a weight {largest:.2g}")


def _weights(recorded: Path, again: Path) -> float | str:
    """Return the largest difference of two files' weights, or in words why there is none."""
    largest = 0.0
    try:
        with safe_open(recorded, framework="pt") as first, safe_open(again, framework="pt") as second:
            if set(first.keys()) != set(second.keys()):
                return "other weights' names"
            for name in first.keys():  # noqa: SIM118 (it is no dictionary)
                a, b = first.get_tensor(name), second.get_tensor(name)
                if a.shape != b.shape:
                    return f"{name}: shapes {tuple(a.shape)} and {tuple(b.shape)}"
                if a.numel():
                    difference = float((a.double() - b.double()).abs().max())
                    if math.isnan(difference):
                        return f"{name}: not all weights are numbers"
                    largest = max(largest, difference)
    except Exception as error:  # the library's own, of no class that it publishes
        raise AnatomyError(f"{recorded} or {again}: weights cannot be read: {error}") from error
    return largest
