"""LiveCodeBench as problems with tests."""

import base64
import binascii
import json
import pickletools
from dataclasses import replace
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.grading.code_tests import Tests, inflated
from anatomy.problems.code_record import Problem, Record

# LiveCodeBench ----------------------------------------------------------------------------------------

_STARRED = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics",
    "itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
_PRELUDE = (
    "".join(f"from {module} import *\n" for module in _STARRED)
    + f"import {', '.join(_STARRED[:-2])}\n"
    + "sys.setrecursionlimit(50000)\n"
)
"""What LiveCodeBench gives programs beforehand, since those for its sites count on it."""
_DIFFICULTY = {"easy": 1.0, "medium": 2.0, "hard": 3.0}
_STARTER = (
    "You will use the following starter code to write the solution to the problem and enclose your code"
    " within delimiters."
)
_STDIN = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the"
    " sample inputs). Enclose your code within delimiters as follows."
)


def of_livecodebench(record: Record) -> Problem:
    """Return a record of LiveCodeBench as a problem.

    Raises:
        AnatomyError: A field is missing or not as LiveCodeBench has it, or there are no tests of one kind.
    """
    tests = [*_cases(record, "public_test_cases"), *_cases(record, "private_test_cases")]
    if not tests:
        raise AnatomyError(f"{record.where}: there are no tests")
    entry_point = record.json("metadata", dict).get("func_name")
    kinds, kind = {kind for kind, _, _ in tests}, "stdin" if entry_point is None else "functional"
    if kinds != {kind}:
        raise record.error("metadata", f"makes tests {kind}, but they are {sorted(map(str, kinds))}")
    inputs: list[Any] = [given for _, given, _ in tests]
    expected: list[Any] = [result for _, _, result in tests]
    if entry_point is not None:
        try:
            inputs = [tuple(map(json.loads, given.strip().split("\n"))) for given in inputs]
            expected = list(map(json.loads, expected))
        except (ValueError, RecursionError) as error:
            raise record.error("public_test_cases", f"or private ones hold no JSON: {error}") from error
    difficulty = record.text("difficulty")
    if difficulty not in _DIFFICULTY:
        raise record.error("difficulty", f"is {difficulty!r:.80}; allowed are {list(_DIFFICULTY)}")
    starter = record.text("starter_code")
    instructions = (
        f"{_STARTER}\n```python\n{starter}\n```" if starter else f"{_STDIN}\n```python\n# YOUR CODE HERE\n```"
    )
    return Problem(
        record,
        record.filled("question_id"),
        f"{record.filled('question_content')}\n\n### Format: {instructions}",
        None,
        Tests(entry_point, tuple(inputs), tuple(expected), prelude=_PRELUDE, compare="livecodebench"),
        _DIFFICULTY[difficulty],
        record.filled("platform"),
    )


def _cases(record: Record, name: str) -> list[tuple[Any, str, str]]:
    """Return (type, input, output) of a field's tests: JSON, bare or in LiveCodeBench's wrapping."""
    text = record.text(name)
    if not text.lstrip().startswith("["):
        try:
            text = _unpickled(inflated(base64.b64decode(text, validate=True)))
        except (ValueError, binascii.Error) as error:
            raise record.error(name, f"cannot be unwrapped: {error}") from error
    cases = replace(record, fields={name: text}).json(name, list)
    try:
        tests = [(case["testtype"], case["input"], case["output"]) for case in cases]
    except (TypeError, KeyError) as error:
        raise record.error(name, f"has a test without type, input or output: {error}") from error
    if not all(isinstance(value, str) for case in tests for value in case[1:]):
        raise record.error(name, "has a test whose input or output is no text")
    return tests


_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")
_AROUND = ("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP")


def _unpickled(pickled: bytes) -> str:
    """Return the text that a pickle holds, by reading its opcodes: nothing is ever unpickled.

    Raises:
        ValueError: It holds anything but one text.
    """
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in _TEXTS:
            texts.append(str(argument))
        elif opcode.name not in _AROUND:
            raise ValueError(f"a pickle of more than a text (opcode {opcode.name})")
    if len(texts) != 1:
        raise ValueError(f"a pickle of {len(texts)} texts")
    return texts[0]
