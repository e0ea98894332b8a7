"""Code benchmarks: hand-written files of each format, extraction, comparison, and all in the sandbox."""

import base64
import json
import math
import pickle
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace
from typing import Any, get_args

import needs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import benchmark
from anatomy.errors import AnatomyError
from anatomy.grading import code, code_tests
from anatomy.grading.code import compare, extract, program, right
from anatomy.problems import code_sets, evalplus, livecodebench, math_sets
from anatomy.prompts.templates import load_template
from anatomy.sandbox import bubblewrap
from anatomy.sandbox.program import Limits
from anatomy.storage import parquet
from anatomy.world import programs

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests/programs"
FILES = {
    "humanevalplus": "evalplus-humaneval",
    "mbppplus": "evalplus-mbpp",
    "livecodebench": "livecodebench",
}
needs_sandbox = pytest.mark.needs("sandbox")
QUICK = Limits(seconds=1, wall=120)


def records(name: str) -> list[dict[str, Any]]:
    return list(math_sets.local(FOLDER / f"{name}.jsonl"))


@cache
def problems(name: str) -> list[dict[str, Any]]:
    """A file's rows, canonical solutions run where the format publishes no results."""
    return list(code_sets.rows(records(name), name, FILES[name], str(FOLDER / f"{name}.jsonl")))


def judging(name: str, problem: str) -> code_tests.Tests:
    row = next(row for row in problems(name) if row["problem"] == problem)
    return code_tests.Tests.from_json(row["tests"])


def verdicts(tests: code_tests.Tests, sources: Sequence[str], limits: Limits = QUICK) -> list[str]:
    """The whole way from programs to verdicts."""
    run = (program(tests, source) for source in sources)
    return [compare(tests, outcome) for outcome in bubblewrap.run(run, limits, 1)]


SOLUTIONS = {
    "abc900_a": "for _ in range(int(input())):\n    print(sum(map(int, input().split())))\n",
    "3900": (
        "class Solution:\n    def closestPair(self, nums: List[int], k: int) -> List[int]:\n"
        "        return list(min(combinations(sorted(nums), 2), key=lambda pair: abs(sum(pair) - k)))\n"
    ),
    "abc901_b": "print(*[int(word) / 2 for word in stdin.read().split()])\n",
    "1900_C": "if __name__ == '__main__':\n    print(*stdin.read().split()[::-1], sep='\\n')\n",
}
"""Programs for the problems of LiveCodeBench's format, which publishes none."""


def solution(row: Mapping[str, Any]) -> str:
    return row["solution"] or SOLUTIONS[row["problem"]]


# Files ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("name", FILES)
def test_every_canonical_solution_passes_and_a_wrong_program_fails(name: str, tmp_path: Path) -> None:
    found = problems(name)
    assert len(found) == len(records(name))
    parquet.write(tmp_path / "problems.parquet", "problems", found)
    assert list(parquet.records(tmp_path / "problems.parquet", "problems")) == found
    for row in found:
        tests = code_tests.Tests.from_json(row["tests"])
        assert tests.to_json() == row["tests"] and len(tests.inputs) == len(tests.expected) > 0
        wrong = "print('wrong')" if tests.entry_point is None else wrapper(tests.entry_point, "'wrong'")
        if row["problem"] == "Mbpp/434":  # asks only for something that is not None
            wrong = wrapper("text_match_three", "None")
        assert verdicts(tests, [solution(row), wrong]) == ["passed", "failed"], row["problem"]


def wrapper(name: str, value: str) -> str:
    """A function, and a class with such a method, that give a value whatever the arguments."""
    return (
        f"def {name}(*given):\n    return {value}\n\n"
        f"class Solution:\n    def {name}(self, *given):\n        return {value}\n"
    )


@needs_sandbox
def test_columns_of_each_format() -> None:
    first = problems("humanevalplus")[0]
    assert first["text"].startswith("from typing import List") and first["text"].endswith('"""')
    assert first["answers"] == [] and first["difficulty"] is None and first["domain"] is None
    assert (
        first["solution"]
        == records("humanevalplus")[0]["prompt"] + records("humanevalplus")[0]["canonical_solution"]
    )
    assert judging("humanevalplus", "HumanEval/900").prelude == "from typing import List\n"
    assert judging("humanevalplus", "HumanEval/901").prelude == ""
    assert judging("humanevalplus", "HumanEval/902").atol == 1e-4
    named = {row["problem"]: row for row in problems("mbppplus")}
    assert list(named) == [f"Mbpp/{n}" for n in (2, 115, 124, 295, 434, 558, 722, 579, 88)]
    assert named["Mbpp/579"]["text"] == (
        '"""\nWrite a function that gives what only one of two tuples has.\n'
        'assert set(find_dissimilar((1, 2), (2, 3))) == {1, 3}\n"""'
    )
    coding = {row["problem"]: row for row in problems("livecodebench")}
    assert [(row["difficulty"], row["domain"]) for row in coding.values()] == [
        (1.0, "atcoder"), (2.0, "leetcode"), (3.0, "atcoder"), (1.0, "codeforces"),
    ]  # fmt: skip
    assert coding["3900"]["text"].endswith(
        "```python\nclass Solution:\n    def closestPair(self, nums: List[int], k: int) -> List[int]:\n"
        "        \n```"
    )
    assert "Read the inputs from stdin" in coding["abc900_a"]["text"]
    assert all(row["solution"] is None for row in coding.values())


@needs_sandbox
def test_results_that_are_not_published_are_those_of_the_canonical_solution() -> None:
    assert judging("humanevalplus", "HumanEval/905").expected == ([], ["#"], ["#" * n for n in range(1, 41)])
    assert judging("humanevalplus", "HumanEval/904").expected == (
        [2, 3, 1],
        [],
        [(1, 2), math.inf, -math.inf],
    )
    assert judging("mbppplus", "Mbpp/434").expected == (True, False)
    assert judging("mbppplus", "Mbpp/88").expected == ({1: 2, 2: 1}, {}, {(1, 2): 1, math.inf: 1})


@needs_sandbox
def test_arguments_that_json_cannot_hold_are_restored() -> None:
    assert judging("mbppplus", "Mbpp/2").inputs == (((1, 2, 3), (3, 1)), ((), (1,)), ((5, 5, 6), (6, 5, 5)))
    assert judging("mbppplus", "Mbpp/115").inputs == (([{1}, {}],), ([{}, {}],), ([{3, 4}],))
    assert judging("mbppplus", "Mbpp/124").inputs == ((3.0, 4j), (0.0, 1 + 1j), (-2.5, 0j))
    assert judging("mbppplus", "Mbpp/722").inputs[0][0] == {"a": (6.2, 70), "b": (5.9, 80)}


@pytest.mark.parametrize(
    ("number", "held", "restored"),
    [
        (63, [[[1, 2], [3]]], [[(1, 2), (3,)]]),
        (75, [[[1], [2]], 5], [[(1,), (2,)], 5]),
        (106, [[1], [2]], [[1], (2,)]),
        (307, [[1, []], 0, 2], [(1, []), 0, 2]),
        (252, ["1-2j"], [1 - 2j]),
        (259, [[[1, 2]], [[3]]], [((1, 2),), ((3,),)]),
        (278, [[1, [2], "x"]], [(1, (2,), "x")]),
        (580, [[1, [2, [3]]]], [(1, (2, (3,)))]),
        (1, [[1], "x"], ([1], "x")),
    ],
)
def test_arguments_of_mbpp(number: int, held: list[Any], restored: Any) -> None:
    assert evalplus._RESTORED.get(number, tuple)(held) == restored


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        (None, ["abc900_a", "3900", "abc901_b", "1900_C"]),
        (("2024-08-01", "2025-01-31"), ["3900", "abc901_b"]),  # both days, the last to its end
        (("2024-08-01", "2025-02-01"), ["3900", "abc901_b", "1900_C"]),
        (("2024-07-31", "2024-07-31"), ["abc900_a"]),
        (("2024-08-02", "2025-01-30"), None),
    ],
)
def test_windows_take_contests_of_both_end_days(window: Any, wanted: list[str] | None) -> None:
    read = code_sets.rows(records("livecodebench"), "lcb", "livecodebench", window=window)
    if wanted is None:
        with pytest.raises(AnatomyError, match="no problem from 2024-08-02 to 2025-01-30"):
            list(read)
    else:
        assert [row["problem"] for row in read] == wanted


@needs_sandbox
@pytest.mark.parametrize("name", FILES)
def test_the_rule_s_script_writes_the_rows_and_checks_their_content(name: str, tmp_path: Path) -> None:
    window = "2024-08-01..2025-01-31" if name == "livecodebench" else ""
    fields = {"answer_from": FILES[name], "question": "", "answer": "", "window": window}
    params = SimpleNamespace(benchmark=name, sha256="", fields=fields)
    path, said = tmp_path / "problems.parquet", list[str]()
    job = SimpleNamespace(input=[FOLDER / f"{name}.jsonl"], output=[path], threads=2, params=params)
    benchmark.main(job, said.append)
    wanted = [row for row in problems(name) if not window or row["problem"] in ("3900", "abc901_b")]
    assert list(parquet.records(path, "problems")) == wanted
    assert said[-1].startswith(f"{len(wanted)} problems")
    path.unlink()
    params.sha256 = "0" * 64
    with pytest.raises(AnatomyError, match=f"benchmark '{name}': its problems or answers are not the pinned"):
        benchmark.main(job, said.append)
    assert list(tmp_path.iterdir()) == []


# What a record may have wrong, and how it is named -----------------------------------------------------


def changed(name: str, at: int, **fields: Any) -> list[dict[str, Any]]:
    """A file's records, one of them changed; a field that is ... goes."""
    found = records(name)
    found[at] |= fields
    found[at] = {field: value for field, value in found[at].items() if value is not ...}
    return found


def wrapped(pickled: bytes) -> str:
    return base64.b64encode(zlib.compress(pickled)).decode()


BAD: list[tuple[str, int, dict[str, Any], str]] = [
    ("humanevalplus", 1, {"prompt": ...}, "there is no field 'prompt'; it has"),
    ("humanevalplus", 1, {"prompt": 5}, "field 'prompt' is no text but 5"),
    ("humanevalplus", 1, {"prompt": " \n"}, "field 'prompt' is empty"),
    ("humanevalplus", 1, {"entry_point": ...}, "there is no field 'entry_point'"),
    ("humanevalplus", 1, {"atol": "small"}, "field 'atol' is no tolerance but 'small'"),
    ("humanevalplus", 1, {"atol": -1}, "field 'atol' is no tolerance but -1"),
    ("humanevalplus", 1, {"base_input": [], "plus_input": []}, "there are no tests"),
    ("humanevalplus", 1, {"plus_input": ["ab"]}, "field 'base_input' holds no lists of arguments"),
    (
        "humanevalplus",
        1,
        {"canonical_solution": "    return ("},
        "field 'canonical_solution' after the prompt is no",
    ),
    ("humanevalplus", 1, {"task_id": "HumanEval/900"}, "'HumanEval/900' is the id of an earlier problem"),
    ("humanevalplus", 4, {"test": "results = [1]"}, "field 'test' assigns no 'inputs'"),
    ("humanevalplus", 4, {"test": "inputs = [["}, "field 'test' is not written as EvalPlus's tests are"),
    ("humanevalplus", 4, {"test": "inputs = [[f()]]"}, "field 'test' is not written as EvalPlus's tests are"),
    ("humanevalplus", 4, {"test": "inputs = [[1], [2]]\nresults = [1]"}, "has 2 inputs and 1 results"),
    ("mbppplus", 1, {"task_id": "Mbpp/two"}, "field 'task_id' has no number"),
    ("mbppplus", 1, {"base_input": [[5]]}, "field 'base_input' or 'plus_input' has other arguments"),
    ("mbppplus", 7, {"test_list": []}, "field 'test_list' has no assertion"),
    ("livecodebench", 1, {"metadata": "{"}, "field 'metadata' is not JSON"),
    ("livecodebench", 1, {"metadata": "[]"}, "field 'metadata' holds no JSON object"),
    ("livecodebench", 1, {"metadata": "{}"}, r"makes tests stdin, but they are \['functional'\]"),
    ("livecodebench", 1, {"difficulty": "insane"}, "field 'difficulty' is 'insane'; allowed are"),
    ("livecodebench", 1, {"contest_date": "August"}, "field 'contest_date' is no date"),
    ("livecodebench", 1, {"public_test_cases": "[5]"}, "field 'public_test_cases' has a test without"),
    ("livecodebench", 1, {"public_test_cases": "[]", "private_test_cases": "[]"}, "there are no tests"),
    (
        "livecodebench",
        1,
        {"public_test_cases": '[{"input": "x", "output": "1", "testtype": "functional"}]'},
        "hold no JSON",
    ),
    (
        "livecodebench",
        1,
        {"public_test_cases": '[{"input": 1, "output": "1", "testtype": "functional"}]'},
        "has a test whose input or output is no text",
    ),
    (
        "livecodebench",
        1,
        {"private_test_cases": "no base64!"},
        "field 'private_test_cases' cannot be unwrapped",
    ),
    ("livecodebench", 1, {"private_test_cases": "AAAA"}, "cannot be unwrapped: damaged"),
    ("livecodebench", 1, {"private_test_cases": wrapped(pickle.dumps("[]"))[:-8]}, "cannot be unwrapped"),
    (
        "livecodebench",
        1,
        {"private_test_cases": wrapped(pickle.dumps(["a", "b"]))},
        "a pickle of more than a text",
    ),
    ("livecodebench", 1, {"private_test_cases": wrapped(pickle.dumps(5))}, "a pickle of more than a text"),
    ("livecodebench", 1, {"private_test_cases": wrapped(b"no pickle")}, "cannot be unwrapped"),
    ("livecodebench", 1, {"private_test_cases": wrapped(pickle.dumps("no JSON"))}, "is not JSON"),
]


@pytest.mark.parametrize(("name", "at", "fields", "message"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_record_is_named(name: str, at: int, fields: dict[str, Any], message: str) -> None:
    window = ("2024-01-01", "2026-01-01") if name == "livecodebench" else None
    if "earlier problem" in message:
        needs.require("sandbox")  # all else is found before anything runs
    with pytest.raises(AnatomyError, match=message) as caught:
        list(code_sets.rows(changed(name, at, **fields), "made", FILES[name], "made.jsonl", window))
    assert str(caught.value).startswith(f"made.jsonl, record {at + 1}: ")


@needs_sandbox
@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ("    return 1 / 0\n", "error after 0 of 4 inputs: .*ZeroDivisionError"),
        ("    import os; os._exit(0)\n", "after 0 of 4"),
    ],
)
def test_a_canonical_solution_that_does_not_come_to_its_end_is_named(body: str, ending: str) -> None:
    made = changed("humanevalplus", 1, canonical_solution=body)
    with pytest.raises(
        AnatomyError, match=f"made, record 2: field 'canonical_solution' ends in {ending}|{ending}"
    ):
        list(code_sets.rows(made, "made", "evalplus-humaneval"))


def test_formats_and_windows_are_checked() -> None:
    with pytest.raises(AnatomyError, match="unknown format of programs 'apps'; allowed are"):
        list(code_sets.rows([], "made", "apps"))
    with pytest.raises(AnatomyError, match="a window is for the format livecodebench"):
        list(code_sets.rows([], "made", "evalplus-mbpp", window=("2024-08-01", "2025-01-31")))
    for window in (("2024-08", "2025-01-31"), ("2025-02-01", "2025-01-31"), ("", "")):
        with pytest.raises(AnatomyError, match="window"):
            list(code_sets.rows([], "made", "livecodebench", window=window))


# Hostile private tests --------------------------------------------------------------------------------


class Payload:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


def test_a_pickle_with_a_payload_is_refused_and_nothing_runs(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for pickled in (
        pickle.dumps(Payload()),
        b"cos\nsystem\n(S'touch ran'\ntR.",
        pickle.dumps(["[]", Payload()]),
    ):
        made = changed("livecodebench", 1, private_test_cases=wrapped(pickled))
        with pytest.raises(AnatomyError, match="a pickle of more than a text"):
            list(code_sets.rows(made, "made", "livecodebench"))
    assert list(tmp_path.iterdir()) == []
    pickle.loads(pickle.dumps(Payload()))
    assert (tmp_path / "ran").exists(), "the payload would have run"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_texts_of_every_protocol_are_read(protocol: int) -> None:
    for text in ("", "[]", "a" * 300, "ä\n\\ \U0001f600" * 50):
        assert livecodebench._unpickled(pickle.dumps(text, protocol)) == text


def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(1 << 24))
    with pytest.raises(ValueError, match="more than 1048576 bytes"):
        code_tests.inflated(bomb, 1 << 20)
    assert code_tests.inflated(bomb, 1 << 24) == bytes(1 << 24)
    with pytest.raises(ValueError, match="cut off"):
        code_tests.inflated(bomb[:-9], 1 << 25)


# Tests as JSON ----------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
    | st.sampled_from([-0.0, math.inf, 10**4000, -(1 << 63), bytearray(b"x"), "\ud800", float("nan")]),
    lambda inner: st.lists(inner, max_size=3)
    | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers(), st.text()), inner, max_size=3)
    | st.sets(st.integers() | st.text() | st.tuples(st.integers()), max_size=3)
    | st.frozensets(st.floats() | st.none(), max_size=3),
    max_leaves=8,
)  # fmt: skip


def alike(one: Any, other: Any) -> bool:
    """Same types and values throughout; nan is itself, and a zero has its sign."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return alike(list(one.items()), list(other.items()))
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, complex):
        return alike([one.real, one.imag], [other.real, other.imag])
    if isinstance(one, set | frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return bool(one == other)


@given(st.lists(PLAIN, max_size=3).map(tuple), st.lists(PLAIN, max_size=3).map(tuple), st.floats(0, 1))
def test_json_gives_back_the_same_types_and_values(inputs: Any, expected: Any, atol: float) -> None:
    tests = code_tests.Tests("f", inputs, expected, atol, "import math\n", "evalplus-mbpp")
    text = tests.to_json()
    assert text.isascii()
    found = code_tests.Tests.from_json(text)
    assert alike(found.inputs, inputs) and alike(found.expected, expected)
    assert (found.entry_point, found.atol, found.prelude, found.compare) == (
        "f",
        atol,
        "import math\n",
        "evalplus-mbpp",
    )


def test_integers_beyond_python_s_own_limit_of_digits_are_kept() -> None:
    tests = code_tests.Tests("f", ((10**5000,), (-(10**5000),)), (1 - 10**9999, 2**63))
    assert code_tests.Tests.from_json(tests.to_json()) == tests


def test_long_tests_are_kept_compressed() -> None:
    tests = code_tests.Tests(None, ("1 2\n" * 100_000,), ("3\n",), compare="livecodebench")
    assert len(tests.to_json()) < 5_000 and code_tests.Tests.from_json(tests.to_json()) == tests


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "5", '{"zlib": "!"}', '{"zlib": "AAAA"}',
        code_tests.Tests("f", (), ()).to_json().replace("equal", "telepathy"),
        code_tests.Tests("f", (), ()).to_json().replace('"atol"', '"btol"'),
        code_tests.Tests("f", (), ()).to_json().replace('"inputs":[]', '"inputs":[{"code":"1"}]'),
    ],
)  # fmt: skip
def test_what_is_no_tests_is_refused(text: str) -> None:
    with pytest.raises(AnatomyError, match="a problem's tests cannot be read"):
        code_tests.Tests.from_json(text)


def test_values_that_are_no_plain_data_are_refused() -> None:
    with pytest.raises(AnatomyError, match="of type function, which is no plain data"):
        code_tests.Tests("f", ((alike,),), (1,)).to_json()


# Extraction -------------------------------------------------------------------------------------------

BODY = "def f(x):\n    return x\n"
FENCED = f"```python\n{BODY}```"


@pytest.mark.parametrize(
    ("completion", "program_"),
    [
        (FENCED, BODY),
        (f"Here it is:\n\n{FENCED}\nThat is all.", BODY),
        (f"```python\nold = 1\n```\nNo, wait.\n{FENCED}\n", BODY),
        (f"{FENCED}\nOutput:\n```\n3\n```\nand\n```text\n4\n```", BODY),  # an output is no program
        (f"```py\n{BODY}```", BODY),
        (f"```Python3 title=x\n{BODY}```", BODY),
        (f"```\n{BODY}```", BODY),
        (f"```\nold\n```\n```\n{BODY}```", BODY),
        (f"~~~python\n{BODY}~~~", BODY),
        (f"````python\n{BODY}```\n````", BODY + "```\n"),  # a longer fence holds a shorter one
        (f"~~~python\n{BODY}```\n~~~", BODY + "```\n"),
        (
            f'```python\nx = """\n```python\ny\n"""\n{BODY}```',
            f'x = """\n```python\ny\n"""\n{BODY}',
        ),  # with a word: none
        (f"1. So:\n   ```python\n   {BODY.replace(chr(10), chr(10) + '   ')}```", BODY),
        (f"\t```python\n\t{BODY.splitlines()[0]}\n\t    return x\n\t```", BODY),
        (f"```python\n{BODY}", BODY),  # never closed: to the end of the text
        (f"```python\n{BODY}```\n```", BODY),  # an empty one opened after it
        ("```python\r\ndef f(x):\r\n    return x\r\n```\r\n", BODY),
        (f"<think>\n{FENCED}\n</think>\n```python\ny = 2\n```", "y = 2\n"),
        (f"thoughts </think>\n{FENCED}", BODY),
        (f"<think>\n{FENCED}\n</think>\nThe answer is above.", None),
        (f"<think>\n{FENCED}\nand so on", None),
        (f"</think>{FENCED}</think>", None),
        (f"```cpp\n{BODY}```", None),
        ("```python\n \n```", None),
        (f"``python\n{BODY}``", None),
        (f"`x` ```y``` is inline\n```a`b\n{BODY}", None),
        (BODY, None),
        ("", None),
    ],
)
def test_fenced_programs(completion: str, program_: str | None) -> None:
    assert extract(completion) == program_


LINES = [
    "```",
    "```python",
    "``` py x",
    "````",
    "~~~",
    "~~~python",
    "~~~~",
    "``` `",
    "  ```",
    "   ~~~ y",
    "x = 1",
    "  y",
    "",
]


@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_fenced_blocks_are_those_of_commonmark(lines: list[str]) -> None:
    text = "\n".join(lines)
    ours = [(word, content.rstrip("\n")) for word, content in code._blocks(text)]
    tokens = [token for token in MarkdownIt().parse(text) if token.type == "fence"]
    assert ours == [((t.info.split() or [""])[0], t.content.rstrip("\n")) for t in tokens]


PROMPT = 'def f(x):\n    """Give x back."""'


@pytest.mark.parametrize(
    ("completion", "program_"),
    [
        (f"{BODY}```", BODY),
        (f"{BODY}```\n\nThis function ...\n```python\nf(1)\n```", BODY),
        (BODY, BODY),
        (f"\n{BODY}  ```\n", f"\n{BODY}"),
        ("    return x\n", f"{PROMPT}\n    return x\n"),
        ("\n  \n    return x\n```", f"{PROMPT}\n\n  \n    return x\n"),
        ("\treturn x", f"{PROMPT}\n\treturn x"),
        ("  \ny = 1", "  \ny = 1"),  # blanks are no indentation
        (f"\n{FENCED}\n", BODY),  # fenced nevertheless
        ("```", None),
        ("  \n", None),
        ("", None),
    ],
)
def test_continued_programs(completion: str, program_: str | None) -> None:
    assert extract(completion, PROMPT, "continuation") == program_


def test_other_styles_are_refused() -> None:
    with pytest.raises(AnatomyError, match="unknown style of programs 'boxed'"):
        extract(FENCED, style="boxed")


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "```python\n" * 300_000,
        "`" * 3_000_000,
        ("```\n" * 500_000) + FENCED,
        " " * 3_000_000 + "```python\nx",
        "\n" * 3_000_000,
        ("<think></think>" * 200_000),
        ("~~~\n```\n" * 300_000),
        "x = 1\n" * 500_000 + "```",
    ],
    ids=range(8),
)
def test_megabytes_are_read_in_linear_time(text: str) -> None:
    for style in ("fence", "continuation"):
        start = time.process_time()
        extract(text, PROMPT, style)
        assert time.process_time() - start < 5


@given(st.text(alphabet="`~ \npython</think>x\t"))
def test_any_text_gives_a_program_or_none(text: str) -> None:
    for style in ("fence", "continuation"):
        found = extract(text, PROMPT, style)
        assert found is None or found.strip()


# Comparison -------------------------------------------------------------------------------------------


def judged(kind: str, found: Any, expected: Any, atol: float = 0, name: str = "f", given: Any = ()) -> bool:
    return right(code_tests.Tests(name, (given,), (expected,), atol, "", kind), given, found, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "expected", "atol", "alike"),
    [
        (1, 1.0, 0, True), (True, 1, 0, True), (1, True, 0, True), (0, -0.0, 0, True), (-0.0, 0.0, 0, True),
        (3, 3.1, 0, False), (3, 3.0000001, 0, False), (3.0, 3.0000001, 0, True),
        (1.0, 1.0 + 9e-7, 0, True), (1.0, 1.0 + 1.3e-6, 0, False), (1e9, 1e9 + 99, 0, True),
        (1e9, 1e9 + 101, 0, False),
        (0.0, 1e-6, 0, True), (0.0, 1.1e-6, 0, False), (0.0, 0.009, 0.01, True), (0.0, 0.011, 0.01, False),
        ([1.0, 2.0], [1.0, 2.0 + 1e-7], 0, True), ((1.0, 2.0), [1.0, 2.0], 0, False),
        ([1.0], [1.0, 2.0], 0, False),
        ([1.0, 2], [1.0, 2.0000001], 0, True), ([1.0, 2.0], [1.0, 2], 0, True),
        ([1.0, 2.0], [1.0000001, 2], 0, False),
        ([[1.0]], [[1.0000001]], 0, False), ([[1.0]], [[1.0000001]], 1e-6, True),
        ([[1.0], []], [[1.0000001], []], 1e-6, False),
        (math.nan, math.nan, 0, False), ([float("nan")], [float("nan")], 0, False),
        (math.inf, math.inf, 0, True),
        (math.inf, -math.inf, 0, False), (math.inf, 1e308, 0, False), ([], [], 0, True), ((), [], 0, False),
        (None, None, 0, True),
        (None, 0, 0, False), ("a", "a", 0, True), ("a", "b", 1e-6, False), ("1.0", 1.0, 0, False),
        ([1], (1,), 0, False),
        ({1, 2}, {2, 1}, 0, True), ({1}, [1], 0, False), ({"a": 1}, {"a": 1.0}, 0, True),
        ({"a": 1.0}, {"a": 1.0000001}, 0, False),
        (1 + 1j, 1 + 1j, 0, True), (10**400, 10**400, 0, True), (10**400, 1.0, 0, False),
        (b"a", "a", 0, False),
    ],
)  # fmt: skip
def test_evalplus_equality(found: Any, expected: Any, atol: float, alike: bool) -> None:
    assert judged("evalplus-humaneval", found, expected, atol) is alike
    assert judged("evalplus-humaneval", found, expected, atol) is reference(found, expected, atol)


def reference(out: Any, exp: Any, atol: float) -> bool:
    """What the test code of EvalPlus's sets asserts, written down from its description by itself."""
    exact = out == exp
    single = isinstance(exp, float)
    if atol == 0 and (single or (isinstance(exp, list | tuple) and all(isinstance(e, float) for e in exp))):
        atol = 1e-6
    if exact or atol == 0:
        return bool(exact)
    try:
        assert type(out) is type(exp) and (single or not hasattr(exp, "__len__") or len(out) == len(exp))
        np.testing.assert_allclose(out, exp, rtol=1e-7, atol=atol, equal_nan=False)
    except (AssertionError, TypeError, ValueError):
        return False
    return True


VALUES = [
    0, 1, True, 1.0, 1.0000005, 1.00001, -0.0, float("nan"), math.inf, "a", "", None, [], (), [1.0], (1.0,),
    [1.0000001], [1], [1, 1.0], {1}, {1.0: 2}, 1j, b"a", 10**30, 1e30, [float("nan")], [math.inf, 1.0],
]  # fmt: skip
"""No lists of lists: with a tolerance numpy, so EvalPlus, compares [[1.0]] with [1.0] by broadcasting."""


@pytest.mark.parametrize("atol", [0, 1e-6, 1e-3])
def test_evalplus_equality_is_that_of_its_test_code(atol: float) -> None:
    for found, expected in product(VALUES, VALUES):
        assert judged("evalplus-mbpp", found, expected, atol) is reference(found, expected, atol), (
            found,
            expected,
        )


@pytest.mark.parametrize(
    ("name", "given", "found", "expected", "atol", "alike"),
    [
        ("similar_elements", (), (4, 5), [5, 4, 4], 0, True),
        ("similar_elements", (), (4,), (5, 4), 0, False),
        ("similar_elements", (), [[4]], (4,), 0, False),
        ("similar_elements", (), 4, (4,), 0, False),
        ("are_equivalent", (), "anything", False, 0, True),
        ("sum_div", (), 0, 16, 0, True),
        ("sum_div", (), 15, 16, 0, False),
        ("surface_Area", (3, 4), 33, 35, 0, False),
        ("surface_Area", (3, 4), 35, 33, 0, True),  # the other reading of the height
        ("digit_distance_nums", (123, 256), 7, 6, 0, True),
        ("digit_distance_nums", (9, 10), 10, 1, 0, True),
        ("digit_distance_nums", (9, 10), 9, 1, 0, False),
    ],
)
def test_oracles_of_mbpp(name: str, given: Any, found: Any, expected: Any, atol: float, alike: bool) -> None:
    assert judged("evalplus-mbpp", found, expected, atol, name, given) is alike
    if alike:
        assert not judged("evalplus-humaneval", found, expected, atol, name, given), "MBPP's alone"


@pytest.mark.parametrize(
    ("found", "alike"),
    [
        (-0.5, True),
        (-0.50004, True),
        (-0.51, False),
        (1, False),
        ("x", False),
        (None, False),
        (1e308, False),
        (math.nan, False),
    ],
)
def test_a_zero_is_any_that_is_one(found: Any, alike: bool) -> None:
    assert judged("evalplus-humaneval", found, 123.0, 1e-4, "find_zero", ([1, 2],)) is alike


@pytest.mark.parametrize(
    ("found", "expected", "alike"),
    [
        ([1, 2], [1, 2], True), ((1, 2), [1, 2], True), ([(1,)], [[1]], False), (1.0, 1, True),
        (1.0, 1.0000000001, False),
        (True, 1, True), ("a", "a", True), (None, None, True), ({"1": 2}, {"1": 2}, True),
        ({1: 2}, {"1": 2}, False),
    ],
)  # fmt: skip
def test_functions_of_livecodebench(found: Any, expected: Any, alike: bool) -> None:
    assert judged("livecodebench", found, expected) is alike


@pytest.mark.parametrize(
    ("found", "expected", "alike"),
    [
        ("3\n", "3", True), ("  3  ", "3\n\n", True), ("1 \n 2\n", "1\n2", True), ("1\n\n2", "1\n2", False),
        ("\n\n1\n", "1", True),
        ("1\r\n2\r\n", "1\n2\n", True), ("1  2", "1 2", True), ("a  b", "a b", False), ("1.0", "1", True),
        ("1e3 2", "1000 2.00", True),
        ("50000000000000001", "50000000000000000", False), ("0.1", "0.10000000001", False),
        ("Yes", "YES", False), ("", "", True),
        ("", "0", False), ("1 2", "1\n2", False), ("nan", "NaN", False), ("nan", "nan", True),
        ("sNaN 1", "sNaN 2", False),
        ("1 x", "1 x ", True), ("-0", "0", True), ("1_0", "10", True), ("inf", "Infinity", True),
        ("½", "0.5", False),
    ],
)  # fmt: skip
def test_printed_text_of_livecodebench(found: str, expected: str, alike: bool) -> None:
    tests = code_tests.Tests(None, ("",), (expected,), compare="livecodebench")
    assert right(tests, "", found, expected) is alike


@pytest.mark.slow
def test_no_output_that_a_program_can_make_breaks_the_comparison() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for kind, name in product(
        ("equal", "evalplus-humaneval", "evalplus-mbpp", "livecodebench"), ("f", "Diff", "find_zero")
    ):
        for found in (deep, "x" * 10**6, 10**100_000, [[1.0], [1.0, 2.0]], {(): {}}, "9" * 5000):
            for expected in ([1.0], 1.0, "a", [[1.0]]):
                assert not judged(kind, found, expected, 1e-6, name, ([1, 2],))
    tests = code_tests.Tests(None, ("",), ("1",), compare="livecodebench")
    for printed in ("9" * 10**6, "1e999999999999", "1 " * 10**5, "\n" * 10**6, "\0"):
        assert not right(tests, "", printed, "1")


# Verdicts, through the sandbox ------------------------------------------------------------------------

DOUBLE = code_tests.Tests("double", ((1,), (2,), (3,)), (2, 4, 6))
ENDINGS = {
    "passed": "def double(x):\n    return 2 * x\n",
    "failed": "def double(x):\n    return x + 2\n",
    "error": "def double(x):\n    return 2 * x if x < 3 else 1 / 0\n",
    "timeout": "def double(x):\n    while x > 1:\n        pass\n    return 2\n",
    "memory": "def double(x):\n    return 2 * x if x < 2 else len(bytearray(1 << 40))\n",
    "killed": "import ctypes\ndef double(x):\n    return 2 * x if x < 3 else ctypes.string_at(0)\n",
    "syntax": "def double(x)\n    return 2 * x\n",
}


@pytest.mark.parametrize("kind", code.LIMITS)
@pytest.mark.parametrize("entry_point", ["f", None])
def test_a_program_is_not_told_what_is_expected_of_it(
    kind: code_tests.Compare, entry_point: str | None
) -> None:
    inputs: tuple[Any, ...] = ("1\n",) if entry_point is None else ((1,),)
    tests = code_tests.Tests(entry_point, inputs, ("kept from it",), prelude="import math\n", compare=kind)
    made = code.program(tests, "def f(x):\n    return x\n")
    assert "kept from it" not in repr(made)
    assert b"kept from it" not in bubblewrap._payload(made, code.LIMITS[kind])


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("verdict", ENDINGS)
def test_every_verdict_arises(verdict: str) -> None:
    assert verdicts(DOUBLE, [ENDINGS[verdict]]) == [verdict]


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("def double(x):\n    return 5 if x == 1 else 1 / 0\n", "failed"),  # wrong before it crashes
        ("def double(x):\n    return 2 * x if x == 1 else 1 / 0\n", "error"),
        ("def double(x):\n    while x > 1: pass\n    return 5\n", "failed"),  # wrong before it hangs
        ("def other(x):\n    return 2 * x\n", "error"),
        ("", "error"),
        ("def double(x):\n    print('passed')\n    return 2 * x\n", "passed"),
        ("def double(x):\n    return 2 * x\nimport sys\nsys.exit(0)\n", None),
        ("import os\ndef double(x):\n    os._exit(0)\n", None),
        (
            "class Always:\n    def __eq__(self, other): return True\ndef double(x):\n    return Always()\n",
            None,
        ),
        (
            "class A(int):\n    def __eq__(self, other): return True\ndef double(x):\n    return A(7)\n",
            None,
        ),
        ("double = 5\n", "error"),
    ],
)
def test_the_first_test_that_is_not_passed_decides(source: str, verdict: str | None) -> None:
    (found,) = verdicts(DOUBLE, [source])
    assert found != "passed" if verdict is None else found == verdict


@needs_sandbox
def test_each_test_gets_arguments_of_its_own() -> None:
    tests = code_tests.Tests("grown", (([1],), ([1],)), ([1, 0], [1, 0]))
    assert verdicts(tests, ["def grown(x):\n    x.append(0)\n    return x\n"]) == ["passed"]


@needs_sandbox
@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations\ndef root(x: Whatever) -> float:\n    return sqrt(x)\n",
        '"""Roots."""\n\n# of numbers\nfrom __future__ import annotations\nfrom __future__ import division\n'
        "def root(x: Whatever):\n    return sqrt(x)\n",
        "#!/usr/bin/python\ndef root(x):\n    return sqrt(x)\n",
        '"""from __future__ import nothing\n"""\ndef root(x):\n    return sqrt(x)',
        "class Solution:\n    def root(self, x: List[int]) -> float:\n        return sqrt(x)\n",
        "class Solution:\n    @staticmethod\n    def root(x):\n        return math.sqrt(x)\n",
        "root = sqrt",
    ],
)
def test_the_prelude_stands_where_it_may(source: str) -> None:
    tests = code_tests.Tests("root", ((4,), (9,)), (2.0, 3.0), 0.0, livecodebench._PRELUDE, "livecodebench")
    assert verdicts(tests, [source]) == ["passed"]


@needs_sandbox
@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        (SOLUTIONS["abc900_a"], "passed"),

        ("if __name__ == '__main__':\n" + indent(SOLUTIONS["abc900_a"], "    "), "passed"),
        (SOLUTIONS["abc900_a"] + "import sys\nsys.exit(0)\n", "passed"),

        ("input()\nfor line in stdin:\n    a, b = map(int, line.split())\n    print(a + b)\n", "passed"),

        ("for line in [*open(0)][1:]:\n    print(sum(map(int, line.split())), '')\n", "passed"),
        ("import sys\nrows = sys.stdin.buffer.read().split()[1:]\nfor a, b in zip(rows[::2], rows[1::2]):\n"
         "    sys.stdout.write(f'{int(a) + int(b)}\\n')\n", "passed"),
        (SOLUTIONS["abc900_a"] + "print()\nprint(' ')\n", "passed"),
        (SOLUTIONS["abc900_a"] + "print(0)\n", "failed"),
        (SOLUTIONS["abc900_a"] + "1 / 0\n", "error"),
        ("print(3)\nprint(1)\n", "failed"),
        ("import sys\nsys.exit(1)\n", None),
    ],
)  # fmt: skip
def test_programs_on_standard_input(source: str, verdict: str | None) -> None:
    (found,) = verdicts(judging("livecodebench", "abc900_a"), [source])
    assert found != "passed" if verdict is None else found == verdict


@needs_sandbox
def test_matches_and_what_stands_for_them_are_told_from_none() -> None:
    tests = judging("mbppplus", "Mbpp/434")
    body = "def text_match_three(text):\n    return {}\n"
    values = (
        "'abbb' in text",
        "'Found' if 'abbb' in text else None",
        "[text] if 'abbb' in text else None",
        "'no'",
        "0",
        "None",
    )
    assert verdicts(tests, [body.format(value) for value in values]) == ["passed"] * 3 + ["failed"] * 3


@needs_sandbox
def test_from_completion_to_verdict() -> None:
    row = problems("humanevalplus")[0]
    tests = code_tests.Tests.from_json(row["tests"])
    body = records("humanevalplus")[0]["canonical_solution"]
    function = row["solution"].replace("from typing import List\n", "")  # the prompt's imports are given
    said = {
        f"Sure!\n```python\n{row['solution']}```\n": ("fence", "passed"),
        f"<think>```python\nwrong\n```</think>Here:\n```python\n{function}```\n": ("fence", "passed"),
        f"{row['solution']}```\nIt sorts.\n": ("continuation", "passed"),
        body: ("continuation", "passed"),
        body.replace("/ len(gaps)", "/ len(ordered)"): ("continuation", "failed"),
        f"```python\n{row['solution']}": ("fence", "passed"),
        f"```python\n{row['solution']}\nThat is it.": ("fence", "syntax"),
    }
    sources = [extract(text, row["text"], style) for text, (style, _) in said.items()]
    assert all(source is not None for source in sources)
    assert verdicts(tests, [source or "" for source in sources]) == [verdict for _, verdict in said.values()]


@needs_sandbox
@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("humanevalplus", "code-evalplus"), ("humanevalplus", "code-direct"), ("mbppplus", "code-evalplus"),
        ("mbppplus", "code-direct"), ("livecodebench", "code-lcb"), ("livecodebench", "code-lcb-think"),
    ],
)  # fmt: skip
def test_what_goes_on_from_a_template_s_prompt_is_read_as_it_says(name: str, template: str) -> None:
    loaded = load_template(ROOT / f"config/templates/{template}.yaml")
    begun = loaded.prompt.endswith("```python\n")
    for row in problems(name)[:2]:
        assert loaded.render(row["text"]).count(row["text"]) == 1
        body = solution(row)
        said = f"{body}```\nThis is all." if begun else body
        if loaded.answer == "fence":
            said = f"I think of\n```python\npass\n```\n</think>\n\n```python\n{body}```"
        found = extract(said, row["text"], loaded.answer)
        assert found is not None and verdicts(code_tests.Tests.from_json(row["tests"]), [found]) == ["passed"]


# Against running assertions directly, as the hand-written files may be ------------------------------------


def run_directly(name: str, row: Mapping[str, Any], source: str) -> bool:
    """Run a trusted program and assert its results in this process, without anything of the library's."""
    tests = code_tests.Tests.from_json(row["tests"])
    space: dict[str, Any] = {"__name__": "made"}
    exec(tests.prelude + source, space)
    for arguments, expected in zip(tests.inputs, tests.expected, strict=True):
        try:
            call = space["Solution"]().closestPair if "Solution" in space else space[tests.entry_point]
            found = call(*json.loads(json.dumps(arguments)) if name == "livecodebench" else arguments)
            if row["problem"] == "HumanEval/902":
                assert abs(np.polynomial.Polynomial(arguments[0])(found)) <= 1e-4
            elif row["problem"] in ("Mbpp/2", "Mbpp/579"):
                assert sorted(map(repr, found)) == sorted(map(repr, expected))
            elif row["problem"] == "Mbpp/434":
                assert (found is None) != expected
            elif isinstance(expected, float):
                assert found == pytest.approx(expected, rel=1e-7, abs=tests.atol or 1e-6)
            else:
                assert found == expected
        except Exception:
            return False
    return True


ALTERED: Mapping[str, tuple[str, str]] = {
    "HumanEval/900": ("else 0.0", "else 1.0"),
    "HumanEval/901": (".lower()", ""),
    "HumanEval/902": ("1e-10", "1e-2"),
    "HumanEval/903": ("range(terms)", "range(terms - 1)"),
    "HumanEval/904": ("items[by:] + items[:by]", "items[:by] + items[by:]"),
    "HumanEval/905": ("range(1,", "range(0,"),
    "Mbpp/2": ("set(one) & set(other)", "set(one) | set(other)"),
    "Mbpp/115": ("not any(sets)", "any(sets)"),
    "Mbpp/124": ("abs(complex(a, 0) + b)", "abs(b)"),
    "Mbpp/295": ("range(1, n)", "range(1, n + 1)"),
    "Mbpp/434": ("ab{3}", "ab{4}"),
    "Mbpp/558": ("abs(a - b)", "abs(a + b)"),
    "Mbpp/722": ("v[1] >= weight", "v[1] > weight"),
    "Mbpp/579": ("set(one) ^ set(other)", "set(one) - set(other)"),
    "Mbpp/88": ("Counter(items)", "Counter(items[1:])"),
    "3900": ("sum(pair) - k", "sum(pair) + k"),
}


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("name", FILES)
def test_verdicts_are_those_of_assertions_run_directly(name: str) -> None:
    judged_so = set()
    for row in problems(name):
        tests = code_tests.Tests.from_json(row["tests"])
        if tests.entry_point is None:
            continue
        old, new = ALTERED[row["problem"]]
        sources = [solution(row), solution(row).replace(old, new)]
        assert sources[0] != sources[1]
        directly = [run_directly(name, row, source) for source in sources]
        assert [verdict == "passed" for verdict in verdicts(tests, sources)] == directly, row["problem"]
        judged_so |= set(directly)
    assert judged_so == {True, False}


@needs_sandbox
def test_the_world_s_tasks_are_judged_by_their_hidden_lists() -> None:
    for task in programs.tasks(0, "made", 6, (1, 2, 3), "test"):
        tests = code_sets.of_task(task)
        assert code_tests.Tests.from_json(tests.to_json()) == tests
        assert all(type(x) is list for (x,) in tests.inputs) and len(tests.inputs) == len(tests.expected)
        same, other = programs.source(task.solution) or "", programs.source("return [ 7 ]") or ""
        assert verdicts(tests, [same, other, f"{same} ("]) == ["passed", "failed", "syntax"]


def test_there_are_limits_for_every_kind_of_tests() -> None:
    assert set(code.LIMITS) == set(get_args(code_tests.Compare))
