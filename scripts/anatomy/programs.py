r"""Code benchmarks: programs as answers, the tests that judge them, and verdicts by comparison.

Three formats are read into rows of the table ``problems``, whose column ``tests`` holds ``Tests``:

- ``evalplus-humaneval``, ``evalplus-mbpp``: HumanEval+ and MBPP+ of EvalPlus (Liu et al. 2023, arXiv
  2305.01210), as its releases have them (``base_input``, ``plus_input``) or its sets on the hub (``test``).
- ``livecodebench``: LiveCodeBench (Jain et al. 2024, arXiv 2403.07974), programs on standard input and
  functions, public and private tests.

A program meets nothing of its tests but their inputs: ``program`` makes what the sandbox runs, and
``compare`` holds the outputs that come back against the expected ones, outside.
"""

import ast
import base64
import binascii
import json
import math
import pickletools
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

import numpy as np

from anatomy import sandbox, tasks
from anatomy.errors import AnatomyError

Format = Literal["evalplus-humaneval", "evalplus-mbpp", "livecodebench"]
Compare = Literal["equal", "evalplus-humaneval", "evalplus-mbpp", "livecodebench"]
Style = Literal["fence", "continuation"]
Verdict = Literal["passed", "failed", "error", "timeout", "memory", "killed", "syntax"]
FORMATS: tuple[str, ...] = get_args(Format)

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


def _inflated(compressed: bytes, limit: int = _MAX_BYTES) -> bytes:
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
    return _inflated(base64.b64decode(json.loads(tests)["zlib"], validate=True)).decode("ascii")


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


def of_task(task: tasks.Task) -> Tests:
    """Return the hidden tests of one of the embedded world's tasks."""
    expected = tuple(list(result) for result in task.expected)
    return Tests("f", tuple((list(x),) for x in task.hidden), expected)


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


LIMITS: Mapping[Compare, sandbox.Limits] = {
    "equal": sandbox.Limits(),
    "evalplus-humaneval": sandbox.Limits(seconds=10, wall=30, memory_mb=4096, output_kb=16_384),
    "evalplus-mbpp": sandbox.Limits(seconds=10, wall=30, memory_mb=4096, output_kb=16_384),
    "livecodebench": sandbox.Limits(seconds=60, wall=120, memory_mb=4096, file_mb=128, output_kb=65_536),
}
"""What programs may use, for all tests of a problem together. The publishers limit each test instead: to 6 s
(LiveCodeBench), to 1 s or four times what the canonical solution takes (EvalPlus); and memory to 4 GiB."""


def program(tests: Tests, source: str) -> sandbox.Program:
    """Return what the sandbox runs for a program: no expected value is in it."""
    source, entry_point = _after(tests.prelude, source), tests.entry_point
    if tests.compare == "livecodebench" and entry_point and "class Solution" in source:
        entry_point = f"Solution.{entry_point}"
    if tests.compare == "evalplus-mbpp" and entry_point in _NOT_NONE:
        source, entry_point = source + _TELL.format(entry_point=entry_point), _TOLD
    inputs = tests.inputs if entry_point is None else tuple(map(list, tests.inputs))
    return sandbox.Program(source, entry_point, inputs)


def compare(tests: Tests, outcome: sandbox.Outcome) -> Verdict:
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


# Records of the formats -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Record:
    """A publisher's record, and how to name it in errors."""

    fields: Mapping[str, Any]
    where: str

    def error(self, name: str, problem: str) -> AnatomyError:
        return AnatomyError(f"{self.where}: field '{name}' {problem}")

    def get(self, name: str) -> Any:
        if name not in self.fields:
            raise AnatomyError(f"{self.where}: there is no field '{name}'; it has {sorted(self.fields)}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """Return a field that is a text, perhaps an empty one."""
        value = self.get(name)
        if not isinstance(value, str):
            raise self.error(name, f"is no text but {value!r:.80}")
        return value

    def filled(self, name: str) -> str:
        value = self.text(name)
        if not value.strip():
            raise self.error(name, "is empty")
        return value

    def json(self, name: str, kind: type) -> Any:
        """Return what a text holds as JSON, a list or an object."""
        try:
            found = json.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            raise self.error(name, f"is not JSON: {error}") from error
        if not isinstance(found, kind):
            raise self.error(name, f"holds no JSON {'list' if kind is list else 'object'}: {found!r:.80}")
        return found


@dataclass(frozen=True)
class _Problem:
    """A record as it was read; ``tests.expected`` is empty where the canonical solution has yet to be run."""

    record: _Record
    name: str
    text: str
    solution: str | None
    tests: Tests
    difficulty: float | None = None
    domain: str | None = None
    canonical: str | None = None


def rows(
    records: Iterable[Mapping[str, Any]],
    benchmark: str,
    format: str,
    origin: str = "",
    window: tuple[str, str] | None = None,
    workers: int = 1,
) -> Iterator[dict[str, Any]]:
    """Yield one row of the table ``problems`` a record; ``answers`` is empty, ``tests`` holds ``Tests``.

    ``text`` is what a template takes as the question: EvalPlus's prompt without the white space around it, or
    LiveCodeBench's question with how the program is to be given. ``solution`` is the canonical one, a whole
    program; LiveCodeBench has none. Its difficulty is 1 (easy), 2 or 3 (hard), its domain the platform.

    origin: named in errors (such as a file), with the record's number from 1, which is its line in a file.
    window: first and last day of LiveCodeBench's contests to take, both included (``2024-08-01``).
    workers: sandboxes in which canonical solutions run at a time.

    Where EvalPlus publishes inputs without results, the results are those of the canonical solution, as with
    EvalPlus itself; it runs in the sandbox as any program does.

    Raises:
        AnatomyError: unknown format; a window that is none, or without a problem in it; a field missing or
            not as the format has it; an id that is not unique; a canonical solution that does not come to its
            end; no sandbox, where one is needed.
    """
    if format not in FORMATS:
        raise AnatomyError(f"unknown format of programs {format!r}; allowed are {list(FORMATS)}")
    if window and format != "livecodebench":
        raise AnatomyError(f"benchmark '{benchmark}': a window is for the format livecodebench, not {format}")
    dates = _window(window, benchmark)
    found = (
        _Record(record, f"{origin or benchmark}, record {number}") for number, record in enumerate(records, 1)
    )
    if format == "livecodebench":
        problems: Iterable[_Problem] = (
            _livecodebench(r) for r in found if dates is None or _within(r, dates)
        )
    else:
        read = _humaneval if format == "evalplus-humaneval" else _mbpp
        problems = _completed([read(record) for record in found], workers)
    seen: set[str] = set()
    for problem in problems:
        if problem.name in seen:
            raise AnatomyError(f"{problem.record.where}: '{problem.name}' is the id of an earlier problem")
        seen.add(problem.name)
        yield {
            "problem": problem.name,
            "benchmark": benchmark,
            "text": problem.text,
            "answers": [],
            "solution": problem.solution,
            "difficulty": problem.difficulty,
            "domain": problem.domain,
            "plan": None,
            "plan_disordered": None,
            "plan_incomplete": None,
            "knowledge": None,
            "knowledge_irrelevant": None,
            "subproblems": None,
            "chunks": None,
            "tests": problem.tests.to_json(),
        }
    if not seen:
        which = "" if window is None else f" from {window[0]} to {window[1]}"
        raise AnatomyError(
            f"{origin or benchmark}: there is no problem{which}; correct the file or the window"
        )


def _completed(problems: Sequence[_Problem], workers: int) -> Iterator[_Problem]:
    """Yield problems with what their canonical solutions return, where that is not published."""
    unknown = [problem for problem in problems if problem.canonical is not None]
    run = (program(problem.tests, problem.canonical or "") for problem in unknown)
    outcomes = zip(unknown, sandbox.run(run, _CANONICAL, workers), strict=True) if unknown else ()
    found = {id(problem): outcome for problem, outcome in outcomes}
    for problem in problems:
        outcome = found.get(id(problem))
        if outcome is None:
            yield problem
            continue
        if outcome.ended != "done" or len(outcome.outputs) != len(problem.tests.inputs):
            reached = f"{len(outcome.outputs)} of {len(problem.tests.inputs)} inputs"
            raise problem.record.error(
                "canonical_solution" if "canonical_solution" in problem.record.fields else "code",
                f"ends in {outcome.ended} after {reached}: {outcome.message:.200}",
            )
        yield replace(problem, tests=replace(problem.tests, expected=outcome.outputs))


_CANONICAL = sandbox.Limits(seconds=60, wall=120, memory_mb=4096, output_kb=65_536)
"""EvalPlus sets no limit to canonical solutions but memory; a minute is far beyond what any needs."""

# EvalPlus ---------------------------------------------------------------------------------------------


def _evalplus(
    record: _Record, compare: Compare, canonical: str, restore: Callable[[list[Any]], Any] = tuple
) -> tuple[Tests, str | None]:
    """Return a record's tests, and the program that gives their results where these are not published."""
    if "test" in record.fields and "base_input" not in record.fields:
        entry_point, inputs, expected, atol = _test_code(record)
        entry_point = entry_point or record.filled("entry_point")
    else:
        entry_point, expected, atol = record.filled("entry_point"), None, record.get("atol")
        inputs = [*record.get("base_input"), *record.get("plus_input")]  # an empty one may be an object
        if not isinstance(atol, int | float) or not 0 <= atol < math.inf:
            raise record.error("atol", f"is no tolerance but {atol!r:.80}")
        try:
            inputs = [restore(given) if isinstance(given, list) else given for given in inputs]
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise record.error("base_input", f"or 'plus_input' has other arguments: {error}") from error
    if not inputs:
        raise AnatomyError(f"{record.where}: there are no tests")
    if not all(isinstance(given, list | tuple) for given in inputs):
        raise record.error("test" if "test" in record.fields else "base_input", "holds no lists of arguments")
    tests = Tests(entry_point, tuple(map(tuple, inputs)), tuple(expected or ()), float(atol), compare=compare)
    return tests, canonical if expected is None else None


def _humaneval(record: _Record) -> _Problem:
    prompt = record.filled("prompt")
    solution = prompt + record.filled("canonical_solution")
    try:
        body = ast.parse(solution).body
    except (SyntaxError, ValueError) as error:
        raise record.error("canonical_solution", f"after the prompt is no Python: {error}") from error
    imports = [ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    tests, canonical = _evalplus(record, "evalplus-humaneval", solution)
    # The prompt's imports are no part of what a model has to give; EvalPlus wants them said again.
    tests = replace(tests, prelude="".join(f"{line}\n" for line in imports))
    return _Problem(record, record.filled("task_id"), prompt.strip(), solution, tests, canonical=canonical)


def _mbpp(record: _Record) -> _Problem:
    number = str(record.get("task_id")).rpartition("/")[2]
    if not number.isdecimal():
        raise record.error("task_id", f"has no number: {record.get('task_id')!r:.80}")
    prompt = record.filled("prompt").strip()
    if "canonical_solution" in record.fields:
        solution = record.filled("canonical_solution")
    else:  # on the hub: MBPP's own text, of which EvalPlus makes a docstring with the first assertion
        solution, asserts = record.filled("code"), record.get("test_list")
        if not isinstance(asserts, list) or not asserts:
            raise record.error("test_list", f"has no assertion: {asserts!r:.80}")
        prompt = f'"""\n{prompt}\n{asserts[0]}\n"""'
    tests, canonical = _evalplus(record, "evalplus-mbpp", solution, _RESTORED.get(int(number), tuple))
    return _Problem(record, f"Mbpp/{number}", prompt, solution, tests, canonical=canonical)


def _tuples(value: Any, depth: int) -> Any:
    """Make tuples of the lists ``depth`` levels down."""
    return tuple(value) if depth == 0 else [_tuples(item, depth - 1) for item in value]


def _all_tuples(value: Any) -> Any:
    return tuple(map(_all_tuples, value)) if isinstance(value, list) else value


# JSON has made lists of MBPP's tuples and sets, and texts of its complex numbers: what each problem's
# arguments were, by its number (as evalplus 0.3.1 restores them).
_RESTORED: Mapping[int, Callable[[list[Any]], Any]] = {
    number: restore
    for numbers, restore in (
        (
            "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809",
            lambda given: _tuples(given, 1),
        ),
        ("63 64 70 94 120 237 272 299 400 409 417 438 473 614 780", lambda given: _tuples(given, 2)),
        ("75 413 444 753", lambda given: [_tuples(given[0], 1), given[1]]),
        ("106 750", lambda given: [given[0], tuple(given[1])]),
        ("115", lambda given: [[set(item) if isinstance(item, list) and item else {} for item in given[0]]]),
        ("124", lambda given: [float(given[0]), complex(given[1])]),
        ("250 307 405 446 617 720 763 808", lambda given: [tuple(given[0]), *given[1:]]),
        ("252", lambda given: [complex(given[0])]),
        ("259 401 445", lambda given: [tuple(_tuples(argument, 1)) for argument in given]),
        (
            "278",
            lambda given: [tuple(tuple(item) if isinstance(item, list) else item for item in given[0])],
        ),
        ("580 615 791", lambda given: list(map(_all_tuples, given))),
        ("722", lambda given: [{key: tuple(item) for key, item in given[0].items()}, *given[1:]]),
    )
    for number in map(int, numbers.split())
}


class _Literals(ast.NodeTransformer):
    """Makes literals of what Python writes for values that have none: infinities, nan and counters."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Name("Counter"), [], []):
                return ast.Dict([], [])
            case ast.Call(ast.Name("Counter"), [ast.Dict() as counted], []):
                return counted
            case ast.Call(ast.Name("float"), [ast.Constant(str(number))], []):
                return ast.Constant(float(number))
        return node


def _test_code(record: _Record) -> tuple[str | None, list[Any], list[Any] | None, float]:
    """Read the code in which EvalPlus's sets on the hub hold their tests, without running it.

    Returns the function under test where the code names it, inputs, results where they stand there, and the
    tolerance.
    """
    values: dict[str, Any] = {}
    entry_point, atol = None, 0.0
    try:
        for node in ast.walk(ast.parse(record.filled("test"))):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if node.targets[0].id in ("inputs", "results"):
                    values[node.targets[0].id] = ast.literal_eval(_Literals().visit(node.value))
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "assertion":
                called, _, tolerance = node.args
                atol = float(ast.literal_eval(tolerance))
                inner = next(
                    n.func.id for n in ast.walk(called)
                    if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id != "set"
                )  # fmt: skip
                entry_point = None if inner == "candidate" else inner
            elif isinstance(node, ast.Assert) and "_poly" in ast.unparse(node.test):  # find_zero's oracle
                atol = float(ast.literal_eval(getattr(node.test, "comparators", [None])[0]))
        inputs, results = values["inputs"], values.get("results")
    except KeyError as error:
        raise record.error("test", "assigns no 'inputs'") from error
    except (SyntaxError, ValueError, TypeError, StopIteration, RecursionError, MemoryError) as error:
        raise record.error("test", f"is not written as EvalPlus's tests are: {error}") from error
    if results is not None and len(results) != len(inputs):
        raise record.error("test", f"has {len(inputs)} inputs and {len(results)} results")
    return entry_point, inputs, results, atol


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


def _window(window: tuple[str, str] | None, benchmark: str) -> tuple[date, date] | None:
    if window is None:
        return None
    try:
        first, last = (date.fromisoformat(day) for day in window)
    except ValueError as error:
        raise AnatomyError(f"benchmark '{benchmark}': window {window}: {error}; write 2024-08-01") from error
    if first > last:
        raise AnatomyError(
            f"benchmark '{benchmark}': the window's first day {first} is after its last, {last}"
        )
    return first, last


def _within(record: _Record, dates: tuple[date, date]) -> bool:
    try:
        return dates[0] <= datetime.fromisoformat(record.filled("contest_date")).date() <= dates[1]
    except ValueError as error:
        raise record.error("contest_date", f"is no date: {error}") from error


def _livecodebench(record: _Record) -> _Problem:
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
    told = (
        f"{_STARTER}\n```python\n{starter}\n```" if starter else f"{_STDIN}\n```python\n# YOUR CODE HERE\n```"
    )
    return _Problem(
        record,
        record.filled("question_id"),
        f"{record.filled('question_content')}\n\n### Format: {told}",
        None,
        Tests(entry_point, tuple(inputs), tuple(expected), prelude=_PRELUDE, compare="livecodebench"),
        _DIFFICULTY[difficulty],
        record.filled("platform"),
    )


def _cases(record: _Record, name: str) -> list[tuple[Any, str, str]]:
    """Return (type, input, output) of a field's tests: JSON, bare or in LiveCodeBench's wrapping."""
    text = record.text(name)
    if not text.lstrip().startswith("["):
        try:
            text = _unpickled(_inflated(base64.b64decode(text, validate=True)))
        except (ValueError, binascii.Error) as error:
            raise record.error(name, f"cannot be unwrapped: {error}") from error
    cases = replace(record, fields={name: text}).json(name, list)
    try:
        found = [(case["testtype"], case["input"], case["output"]) for case in cases]
    except (TypeError, KeyError) as error:
        raise record.error(name, f"has a test without type, input or output: {error}") from error
    if not all(isinstance(value, str) for case in found for value in case[1:]):
        raise record.error(name, "has a test whose input or output is no text")
    return found


_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")
_AROUND = ("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP")


def _unpickled(pickled: bytes) -> str:
    """Return the text that a pickle holds, by reading its opcodes: nothing is ever unpickled.

    Raises ValueError where it holds anything but one text.
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
