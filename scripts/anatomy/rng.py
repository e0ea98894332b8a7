"""Randomness keyed by names, so that order, shards and processes do not change a result."""

import hashlib

import numpy as np


def key(*names: object) -> int:
    """Return a 128-bit key for a tuple of names (strings, integers); the same names give the same key."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(*names: object) -> np.random.Generator:
    """Return a counter-based generator (Philox 4x64) keyed by names, e.g. (study seed, stage, problem)."""
    return np.random.Generator(np.random.Philox(key=key(*names)))
