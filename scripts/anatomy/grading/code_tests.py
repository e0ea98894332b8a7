"""Hidden tests of programming problems: packed, unpacked under limits, and compared."""

import base64
import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from anatomy.errors import AnatomyError

Compare = Literal["equal", "evalplus-humaneval", "evalplus-mbpp", "livecodebench"]

# Tests ------------------------------------------------------------------------------------------------

_LONG = 1 << 16
"""Characters of tests from which on they are kept compressed: LiveCodeBench's have gigabytes."""
_PACKED = '{"zlib":'
_MAX_BYTES = 1 << 29
"""Bytes that compressed tests may have; more is taken for an attack."""
_INT = 1 << 63
"""Integers beyond are written in hexadecimal, since Python refuses to read very long decimal ones."""


def _encode(value: Any) -> Any:
    """Return a plain Python value as JSON can hold it; types that JSON lacks become objects of one key."""
    kind = type(value)
    if value is None or kind in (bool, str) or (kind is int and abs(value) < _INT):
        return value
    if kind is int:
        return {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is complex:
        return {"complex": [_encode(value.real), _encode(value.imag)]}
    if kind in (bytes, bytearray):
        return {kind.__name__: value.hex()}
    if kind is list:
        return [_encode(item) for item in value]
    if kind is tuple:
        return {"tuple": [_encode(item) for item in value]}
    if kind in (set, frozenset):
        return {kind.__name__: sorted((_encode(item) for item in value), key=json.dumps)}
    if kind is dict:
        return {"dict": [[_encode(key), _encode(item)] for key, item in value.items()]}
    raise AnatomyError(f"a test has a value of type {kind.__name__}, which is no plain data: {value!r:.80}")


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "int": lambda held: int(held, 16),
    "float": float,
    "complex": lambda held: complex(*map(_decode, held)),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "tuple": lambda held: tuple(map(_decode, held)),
    "set": lambda held: set(map(_decode, held)),
    "frozenset": lambda held: frozenset(map(_decode, held)),
    "dict": lambda held: {_decode(key): _decode(item) for key, item in held},
}


def _decode(held: Any) -> Any:
    if isinstance(held, list):
        return [_decode(item) for item in held]
    if isinstance(held, dict):
        ((kind, content),) = held.items()
        return _DECODERS[kind](content)
    return held


def inflated(compressed: bytes, limit: int = _MAX_BYTES) -> bytes:
    """Undo zlib's compression. Raises ValueError where it is damaged or gives more than ``limit`` bytes."""
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(compressed, limit)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
    if not reader.eof:
        raise ValueError(f"more than {limit} bytes" if reader.unconsumed_tail else "cut off")
    return found


def unpacked(tests: str) -> str:
    """Return the column ``tests`` as it is before compression, whose bytes depend on zlib's version.

    Raises ValueError, TypeError or KeyError where it is not what ``Tests.to_json`` writes.
    """
    if not tests.startswith(_PACKED):
        return tests
    return inflated(base64.b64decode(json.loads(tests)["zlib"], validate=True)).decode("ascii")


@dataclass(frozen=True)
class Tests:
    """What a program is judged by."""

    entry_point: str | None
    """The function called; None where the program reads standard input and prints."""
    inputs: tuple[Any, ...]
    """A tuple of arguments for each test, or the text on standard input."""
    expected: tuple[Any, ...]
    """A value or a text for each test."""
    atol: float = 0.0
    """Absolute tolerance, as EvalPlus publishes it for a problem."""
    prelude: str = ""
    """Python that stands before the program."""
    compare: Compare = "equal"
    """How an output is held against what is expected; see ``right``."""

    def to_json(self) -> str:
        """Write as ASCII text. Exact: ``from_json`` gives back the same types and values."""
        content = asdict(replace(self, inputs=(), expected=()))
        content |= {"inputs": _encode(list(self.inputs)), "expected": _encode(list(self.expected))}
        text = json.dumps(content, separators=(",", ":"))
        if len(text) < _LONG:
            return text
        return f'{_PACKED}"{base64.b64encode(zlib.compress(text.encode("ascii"))).decode("ascii")}"}}'

    @classmethod
    def from_json(cls, text: str) -> "Tests":
        """Read what ``to_json`` wrote. Raises AnatomyError for anything else."""
        try:
            content = json.loads(unpacked(text))
            if content["compare"] not in get_args(Compare):
                raise ValueError(f"unknown comparison {content['compare']!r}")
            content |= {name: tuple(_decode(content[name])) for name in ("inputs", "expected")}
            return cls(**content)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise AnatomyError(
                f"a problem's tests cannot be read: {type(error).__name__}: {error}"
            ) from error
