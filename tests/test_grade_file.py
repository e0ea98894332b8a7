"""scripts/grade_file.py: lines in, the same lines with verdicts out."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from anatomy.statistics import pass_at_k

SCRIPT = Path(__file__).resolve().parents[1] / "scripts/grade_file.py"
LINES: list[dict[str, Any]] = [
    {"id": 1, "answer": "2", "completion": [r"\boxed{2}", "so 2", r"\boxed{3}", r"\boxed{\frac{}}"]},
    {"id": "zwei", "answer": ["1", "2"], "completion": r"Lösung: \boxed{2, 1}"},
    {"id": 3, "answer": r"\frac12", "completion": [r"\boxed{0.5}"] * 4},
    {"id": 4, "answer": "5", "completion": []},
    {"id": 5, "answer": "5", "completion": [r"\boxed{5}", r"\boxed{5}"], "truncated": [False, True]},
    {"id": 6, "answer": "5", "completion": r"\boxed{5}", "finish_reason": "length"},
    {
        "id": 7,
        "answer": "5",
        "completion": [r"\boxed{9^{9^{9^9}}}", "\\boxed{\ud8005}"],
        "finish_reason": "stop",
    },
]
VERDICTS = [
    ["right", "no_answer", "wrong", "unparsable"],
    ["right"],
    ["right"] * 4,
    [],
    ["right", "truncated"],
    ["truncated"],
    ["timeout", "right"],
]


def text(lines: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def run(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, SCRIPT, *arguments, "--workers", "1"]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


@pytest.mark.slow
def test_lines_are_repeated_in_order_with_verdicts(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "new/out.jsonl"
    source.write_bytes(text(LINES))
    done = run(source, "-o", out, "--k", "1,2,4,8")
    assert (done.returncode, done.stdout) == (0, b"")
    written = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["verdicts"] for line in written] == VERDICTS
    assert [{name: line[name] for name in given} for line, given in zip(written, LINES, strict=True)] == LINES
    assert written[0]["extracted"] == ["2", None, "3", r"\frac{}"]
    assert written[0]["lenient"] == [True, True, False, False]
    assert (written[4]["extracted"], written[4]["lenient"]) == (["5", None], [True, True])
    assert "Lösung" in out.read_text(encoding="utf-8")
    summary = done.stderr.decode()
    assert "7 lines, 14 completions" in summary
    counts = {line.split()[0]: line.split()[1] for line in summary.splitlines()[1:7]}
    assert counts == {
        "right": "8",
        "wrong": "1",
        "no_answer": "1",
        "truncated": "2",
        "unparsable": "1",
        "timeout": "1",
    }
    n, right = [4, 1, 4, 2, 1, 2], [1, 1, 4, 1, 0, 1]
    assert f"pass@1    {pass_at_k.pass_at_k(n, right, 1).mean():8.4f}" in summary
    pairs = pass_at_k.pass_at_k([4, 4, 2, 2], [1, 4, 1, 1], 2).mean()
    assert f"pass@2    {pairs:8.4f}" in summary and "over the 4 lines with so many" in summary
    assert "pass@8: no line has so many completions" in summary


@pytest.mark.slow
def test_a_pipe_gives_the_same(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(text(LINES))
    assert run(source, "-o", out).returncode == 0
    done = run("-", stdin=text(LINES))
    assert (done.returncode, done.stdout) == (0, out.read_bytes())
    assert run("/dev/stdin", "-o", "/dev/stdout", stdin=text(LINES)).stdout == done.stdout
    assert run(out, "-o", out).returncode == 0  # over its own input
    assert out.read_bytes() == done.stdout


@pytest.mark.slow
def test_tags_are_the_templates(tmp_path: Path) -> None:
    line = {"answer": "2", "completion": r"<think> \boxed{2} </think> <answer> two </answer>"}
    for tags, verdict in (
        ([], "no_answer"),
        (["--tags", "think answer"], "no_answer"),
        (["--tags", "think"], "right"),
    ):
        done = run("-", *tags, stdin=text([line]))
        assert json.loads(done.stdout)["verdicts"] == [verdict], tags


def test_bad_lines_are_told_by_number_and_do_not_stop_the_rest() -> None:
    good = {"answer": "2", "completion": r"\boxed{2}"}
    bad: list[tuple[bytes, str]] = [
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"answer": "2"}', "there is no field 'completion'; it has ['answer']"),
        (b'{"completion": "2"}', "there is no field 'answer'"),
        (b'{"answer": 2, "completion": "2"}', "field 'answer' is neither a text nor a list of texts: '2'"),
        (b'{"answer": "2", "completion": ["2", null]}', "field 'completion' is neither"),
        (b'{"answer": " ", "completion": "2"}', "the gold answer [' '] cannot be read"),
        (b'{"answer": [], "completion": "2"}', "the gold answer [] cannot be read"),
        (
            b'{"answer": "2", "completion": ["2"], "truncated": []}',
            "'truncated' has 0 entries for 1 completions",
        ),
        (b'{"answer": "2", "completion": "2", "truncated": "no"}', "field 'truncated' is no bool"),
        (b'{"answer": "2", "completion": "2", "finish_reason": 3}', "field 'finish_reason' is no str"),
    ]
    parts = [text([good]), b"\n", *(raw + b"\n" + text([good]) for raw, _ in bad)]
    done = run("-", stdin=b"".join(parts))
    assert done.returncode == 1
    assert done.stdout.count(b"\n") == done.stdout.count(b'["right"]') == len(bad) + 1
    told = done.stderr.decode().splitlines()
    for place, (_, message) in enumerate(bad):
        assert told[place].startswith(f"line {3 + 2 * place}: ") and message in told[place]
    assert told[-1] == f"{len(bad)} bad lines, left out"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jsonl"], "error: [Errno 2] No such file or directory: 'absent.jsonl'"),
        (["-", "--k", "0"], "argument --k: invalid numbers value: '0'"),
        (["-", "-o", "/proc/nowhere/out.jsonl"], "error: "),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(arguments: list[str], message: str) -> None:
    done = run(*arguments, stdin=text(LINES[:1]))
    assert done.returncode == 2
    assert message in done.stderr.decode() and b"Traceback" not in done.stderr


def test_no_lines_no_numbers() -> None:
    done = run("-", stdin=b"")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"0 lines, 0 completions\n")


def test_a_reader_that_has_seen_enough_is_no_mistake() -> None:
    many = text([{"answer": "2", "completion": rf"{'long ' * 200} \boxed{{2}}"}] * 2_000)
    done = subprocess.run(
        f"{sys.executable} {SCRIPT} - | head -1", shell=True, input=many, capture_output=True, check=False
    )
    assert done.returncode == 0 and done.stdout.count(b"\n") == 1
    assert b"Traceback" not in done.stderr and b"Broken" not in done.stderr


def test_an_interrupted_run_says_so_and_leaves_the_output_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("before\n", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "-", "-o", out], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stderr
    process.stdin.write(text(LINES[:1]))
    process.stdin.flush()
    limit = time.monotonic() + 120
    while not list(tmp_path.glob(".partial-*")) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told = process.stderr.read()
    assert process.wait(120) == 130
    process.stdin.close()
    process.stderr.close()
    assert told == f"interrupted after 0 lines; {out} is as it was\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert out.read_text(encoding="utf-8") == "before\n"


@pytest.mark.slow
def test_progress_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(text(LINES[:1]))
    terminal, other = pty.openpty()
    termios.tcsetwinsize(other, (24, 80))
    command = [sys.executable, SCRIPT, source, "-o", tmp_path / "out.jsonl"]
    assert subprocess.run(command, stderr=other, check=False).returncode == 0
    os.close(other)
    assert b"100%" in os.read(terminal, 65_536)
    os.close(terminal)
    assert b"%|" not in run(source, "-o", tmp_path / "out.jsonl").stderr
