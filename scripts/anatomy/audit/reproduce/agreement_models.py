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
    one, other = (hashing.tree(path) for path in (recorded, again))
    if one == other:
        return Agreement(IDENTICAL)
    if one.keys() != other.keys():
        return Agreement(DIFFERENT, f"{', '.join(sorted(one.keys() ^ other.keys()))} only in one of the two")
    largest = 0.0
    for name in one:
        if one[name] == other[name] or Path(name).name == "manifest.json":  # the digests of the others
            continue
        if name.endswith(".safetensors"):
            found = _weights(recorded / name, again / name)
            if isinstance(found, str):
                return Agreement(DIFFERENT, f"{name}: {found}")
            largest = max(largest, found)
        elif name.endswith(".json"):
            settings = [json.loads((folder / name).read_text()) for folder in (recorded, again)]
            a, b = ({k: v for k, v in found.items() if k != _VERSION} for found in settings)
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
        with safe_open(recorded, framework="pt") as one, safe_open(again, framework="pt") as other:
            if set(one.keys()) != set(other.keys()):
                return "other weights' names"
            for name in one.keys():  # noqa: SIM118 (it is no dictionary)
                a, b = one.get_tensor(name), other.get_tensor(name)
                if a.shape != b.shape:
                    return f"{name}: shapes {tuple(a.shape)} and {tuple(b.shape)}"
                if a.numel():
                    found = float((a.double() - b.double()).abs().max())
                    if math.isnan(found):
                        return f"{name}: not all weights are numbers"
                    largest = max(largest, found)
    except Exception as error:  # the library's own, of no class that it publishes
        raise AnatomyError(f"{recorded} or {again}: weights cannot be read: {error}") from error
    return largest
