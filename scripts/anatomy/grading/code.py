r"""Code benchmarks: programs as answers, the tests that judge them, and verdicts by comparison.

Three formats are read into rows of the table ``problems``, whose column ``tests`` holds ``Tests``:

- ``evalplus-humaneval``, ``evalplus-mbpp``: HumanEval+ and MBPP+ of EvalPlus (Liu et al. 2023, arXiv
  2305.01210), as its releases have them (``base_input``, ``plus_input``) or its sets on the hub (``test``).
- ``livecodebench``: LiveCodeBench (Jain et al. 2024, arXiv 2403.07974), programs on standard input and
  functions, public and private tests.

A program meets nothing of its tests but their inputs: ``program`` makes what the sandbox runs, and
``compare`` holds the outputs that come back against the expected ones, outside.
"""

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

import numpy as np

from anatomy.errors import AnatomyError
from anatomy.grading.code_tests import Compare, Tests
from anatomy.sandbox.program import Limits, Outcome, Program

Style = Literal["fence", "continuation"]
Verdict = Literal["passed", "failed", "error", "timeout", "memory", "killed", "syntax"]


# From completions to programs -------------------------------------------------------------------------

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_PYTHON = ("python", "py", "python3")


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the fenced blocks of a text, as (first word after the fence in small letters, content).

    As CommonMark has it: a fence is closed by one of the same character, as long or longer, with nothing
    after it, and otherwise by the end of the text; the fence's indentation is taken off its lines. Here a
    fence may be indented by any amount, as those in nested lists are. Linear in the text.
    """
    opened: tuple[str, str, str, int] | None = None
    for line in _FENCE.finditer(text):
        indent, fence, info = line[1], line[2], line[3].strip()
        if opened is None:
            if not (fence[0] == "`" and "`" in info):
                opened = indent, fence, info, line.end() + 1
        elif fence[0] == opened[1][0] and len(fence) >= len(opened[1]) and not info:
            yield _block(opened, text[opened[3] : line.start()])
            opened = None
    if opened is not None:
        yield _block(opened, text[opened[3] :])


def _block(opened: tuple[str, str, str, int], content: str) -> tuple[str, str]:
    if opened[0]:
        content = re.sub(rf"^[ \t]{{1,{len(opened[0])}}}", "", content, flags=re.MULTILINE)
    return (opened[2].split() or [""])[0].lower(), content


def extract(completion: str, prompt: str = "", style: str = "fence") -> str | None:
    """Return the program that stands in a completion; None if none does (the verdict is ``no_answer``).

    ``fence``: the last block fenced as Python (```` ```python ````, ``py`` or ``python3``) of the final
    answer region, which begins after the last ``</think>``; if none is Python's, the last one fenced without
    a word. Nothing outside fences is a program, nor is a block of another language, a blank one, or anything
    in a thought that never ends.

    ``continuation``: the completion goes on where the prompt stops, inside a fence that the prompt opened or
    in the function that it began; it is the program up to the first line that is a fence. Where its first
    line is indented it is a function's body, and ``prompt`` (the problem's text) stands before it. Where
    nothing stands before the first fence, the model fenced its answer nevertheless: it is read as ``fence``.

    Raises AnatomyError for another style.
    """
    if style not in get_args(Style):
        raise AnatomyError(f"unknown style of programs {style!r}; allowed are {list(get_args(Style))}")
    completion = completion.replace("\r\n", "\n")
    if style == "continuation":
        fence = _FENCE.search(completion)
        source = completion[: fence.start()] if fence else completion
        if source.strip():
            first = next(line for line in source.split("\n") if line.strip())
            return f"{prompt.rstrip()}\n{source}" if first[0] in " \t" else source
    region = completion.rpartition("</think>")[2]
    if "<think>" in region:
        return None
    found: dict[bool, str] = {}
    for language, content in _blocks(region):
        if content.strip() and (language in _PYTHON or not language):
            found[bool(language)] = content
    return found.get(True, found.get(False))


# From programs to verdicts ----------------------------------------------------------------------------

_BEFORE = re.compile(
    r"[ \t]*(?:#[^\n]*)?\n"
    r"|(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3})[ \t]*\n"
    r"|from[ \t]+__future__[ \t]+import[^\n(]*\n"
)
"""A blank line, a comment, a docstring or a ``from __future__`` import at a program's beginning."""
_NOT_NONE = ("check_str", "text_match_three", "text_starta_endb")
"""Functions of MBPP+ that give a match or None; EvalPlus asks only which of the two."""
_TOLD = "_told"
_TELL = f"""

def {_TOLD}(*given):
    found = {{entry_point}}(*given)
    return found if isinstance(found, bool) else found is not None
"""


def _after(prelude: str, source: str) -> str:
    """Put the prelude before a program, but after its ``from __future__`` imports, which must come first."""
    end = at = 0
    while prelude and (before := _BEFORE.match(source, at)):
        at = before.end()
        if before[0].startswith("from"):
            end = at
    return f"{source[:end]}{prelude}{source[end:]}"


LIMITS: Mapping[Compare, Limits] = {
    "equal": Limits(),
    "evalplus-humaneval": Limits(seconds=10, wall=30, memory_mb=4096, output_kb=16_384),
    "evalplus-mbpp": Limits(seconds=10, wall=30, memory_mb=4096, output_kb=16_384),
    "livecodebench": Limits(seconds=60, wall=120, memory_mb=4096, file_mb=128, output_kb=65_536),
}
"""What programs may use, for all tests of a problem together. The publishers limit each test instead: to 6 s
(LiveCodeBench), to 1 s or four times what the canonical solution takes (EvalPlus); and memory to 4 GiB."""


def program(tests: Tests, source: str) -> Program:
    """Return what the sandbox runs for a program: no expected value is in it."""
    source, entry_point = _after(tests.prelude, source), tests.entry_point
    if tests.compare == "livecodebench" and entry_point and "class Solution" in source:
        entry_point = f"Solution.{entry_point}"
    if tests.compare == "evalplus-mbpp" and entry_point in _NOT_NONE:
        source, entry_point = source + _TELL.format(entry_point=entry_point), _TOLD
    inputs = tests.inputs if entry_point is None else tuple(map(list, tests.inputs))
    return Program(source, entry_point, inputs)


def compare(tests: Tests, outcome: Outcome) -> Verdict:
    """Return the verdict on a program that the sandbox ran.

    ``passed`` only where it came to its end and every output is right. Otherwise the first test that is not
    passed decides: a wrong output is ``failed``, whatever happens after it; where all outputs up to the end
    are right, the verdict is how the program ended (``error``, ``timeout``, ``memory``, ``killed``,
    ``syntax``), and ``failed`` where it ended well but early.
    """
    pairs = zip(tests.inputs, outcome.outputs, tests.expected, strict=False)
    if not all(right(tests, given, found, expected) for given, found, expected in pairs):
        return "failed"
    if outcome.ended != "done":
        return outcome.ended
    return "passed" if len(outcome.outputs) == len(tests.expected) else "failed"


def right(tests: Tests, given: Any, found: Any, expected: Any) -> bool:
    """Tell whether one output is right.

    ``equal``: equal in Python, where ``True == 1 == 1.0``, but ``(1,) != [1]`` and nan equals nothing.

    ``evalplus-...``: equal, or, where floats are expected (one, or a list or tuple of them alone) or the
    problem has a tolerance, of the same type and length and within ``atol`` (1e-6 where the problem has none)
    + 1e-7 |expected|, entry by entry; and EvalPlus's oracles for ten problems. As evalplus 0.3.1, but each
    test by itself: there a tolerance, once called for, stays for the problem's later tests.

    ``livecodebench``: a function's value is equal, where a tuple counts as a list. Printed text is compared
    line by line, without white space around it and around each line; lines are equal as text, or number by
    number as decimals, exactly.
    """
    try:
        if tests.compare == "livecodebench":
            if tests.entry_point is None:
                return _printed_alike(found, expected)
            return bool((list(found) if isinstance(found, tuple) else found) == expected)
        if tests.compare == "equal":
            return bool(found == expected)
        return _as_evalplus(tests, given, found, expected)
    except Exception:  # what a comparison raises on a strange output is no match, as in EvalPlus
        return False


def _printed_alike(found: str, expected: str) -> bool:
    ours, theirs = (text.strip().split("\n") for text in (found, expected))
    return len(ours) == len(theirs) and all(map(_same_line, ours, theirs))


def _same_line(found: str, expected: str) -> bool:
    if found.strip() == expected.strip():
        return True
    try:
        return [Decimal(word) for word in found.split()] == [Decimal(word) for word in expected.split()]
    except InvalidOperation:
        return False


_AS_SETS = (
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum",
    "intersection_array", "find_dissimilar", "Diff",
)  # fmt: skip
"""Functions of MBPP+ whose outputs are compared as sets."""


def _surface(base: float, height: float) -> int:
    """Surface of a square pyramid whose height is that of its apex (Mbpp/581 asks for either reading)."""
    return round(base * base + 2 * base * math.sqrt((base / 2) ** 2 + height**2))


def _digits_apart(one: int, other: int) -> int:
    """Sum of differences digit by digit, numbers aligned at their last digits (Mbpp/558)."""
    width = max(len(str(one)), len(str(other)))
    pairs = zip(str(one).zfill(width), str(other).zfill(width), strict=True)
    return sum(abs(int(a) - int(b)) for a, b in pairs)


def _as_evalplus(tests: Tests, given: Any, found: Any, expected: Any) -> bool:
    name, atol = tests.entry_point, tests.atol
    if tests.compare == "evalplus-humaneval" and name == "find_zero":
        return bool(abs(sum(c * math.pow(found, power) for power, c in enumerate(given[0]))) <= atol)
    same = bool(found == expected)
    if tests.compare == "evalplus-mbpp":
        if name == "are_equivalent":
            return True  # Mbpp/164 is ambiguous: EvalPlus takes any output
        if name == "sum_div":
            same = same or bool(found == 0)
        elif name == "surface_Area":
            same = same or abs(found - _surface(*given)) <= atol
        elif name == "digit_distance_nums":
            same = same or bool(found == _digits_apart(*given))
        elif name in _AS_SETS:
            same = set(found) == set(expected)
    floats = expected if isinstance(expected, list | tuple) else [expected]
    if atol == 0 and all(isinstance(value, float) for value in floats):
        atol = 1e-6
    if same or atol == 0 or type(found) is not type(expected):
        return same
    if isinstance(expected, list | tuple) and len(found) != len(expected):
        return False
    with np.errstate(all="ignore"):
        return bool(np.allclose(found, expected, rtol=1e-7, atol=atol))
