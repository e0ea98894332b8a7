"""Work in processes that can be replaced: what hangs, dies or takes too much costs its own item alone."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from test_benchmarks import COUNTS, problems
from test_mathematics import HOSTILE, SLOW

from anatomy.errors import AnatomyError
from anatomy.grading import math_verdict, worker_pool
from anatomy.grading.worker_pool import Guard, Judge

ROOT = Path(__file__).resolve().parents[1]
# Python's own ``eval`` makes a worker do whatever a test wants.
EVAL = "builtins:eval"
OS, TIME = "__import__('os')", "__import__('time')"


def evaluated(texts: list[str], **options: object) -> list[object]:
    with Guard(EVAL, **options) as guard:  # type: ignore[arg-type]
        return list(guard.map((text,) for text in texts))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("items", [0, 1, 17, 500])
def test_results_come_in_order(workers: int, items: int) -> None:
    with Guard("builtins:pow", workers) as guard:
        assert list(guard.map((number, 2) for number in range(items))) == [n * n for n in range(items)]
        assert list(guard.map((number, 3) for number in range(9))) == [n**3 for n in range(9)]
        assert guard.replaced == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm",
    [
        "7 ** 10 ** 9",  # one long call in C
        "[None for _ in iter(int, 1)]",
        f"{OS}._exit(0)",
        f"{OS}.kill({OS}.getpid(), 9)",
        "bytearray(1 << 40)",
        "'x' * (1 << 31)",
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_harm_costs_its_own_item_alone(harm: str, workers: int) -> None:
    texts = ["1", harm, "3", *map(str, range(40)), harm, "5"]
    began = time.perf_counter()
    found = evaluated(texts, workers=workers, seconds=0.5, memory_mb=1_024, on_timeout="lost")
    assert found == [1, "lost", 3, *range(40), "lost", 5]
    assert time.perf_counter() - began < 300  # no second of them is waited out


def test_waiting_is_no_computing_but_silence_ends() -> None:
    assert evaluated([f"({TIME}.sleep(1), 5)[1]"], seconds=0.2) == [5]
    assert evaluated(["1", f"{TIME}.sleep(1e6)", "2"], wall=3.0, on_timeout="lost") == [1, "lost", 2]


@pytest.mark.slow
def test_each_item_has_its_own_time() -> None:
    late = f"lambda: {TIME}.process_time() - start > 0.3"
    spin = f"[start for start in [{TIME}.process_time()] for _ in iter({late}, True)][:0]"
    assert evaluated([spin] * 5, seconds=0.8, on_timeout="lost") == [[]] * 5


def test_errors_are_raised_at_their_item_and_the_next_call_works() -> None:
    with Guard(EVAL) as guard:
        found = guard.map((text,) for text in ["1", "1 / 0", "3"])
        assert next(found) == 1
        with pytest.raises(ZeroDivisionError):
            next(found)
        assert list(guard.map([("2",)])) == [2]


def test_an_abandoned_call_leaves_nothing_behind() -> None:
    with Guard(EVAL, 2) as guard:
        found = guard.map((str(number),) for number in range(1_000))
        assert [next(found) for _ in range(3)] == [0, 1, 2]
        found.close()
        assert list(guard.map((str(number),) for number in range(100, 150))) == list(range(100, 150))


def test_items_are_taken_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "_WINDOW", 100)
    taken = 0

    def items() -> Iterator[tuple[str]]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield (f"{TIME}.sleep(2)" if number == 0 else str(number),)

    with Guard(EVAL, 2) as guard:
        assert next(guard.map(items())) is None
    assert taken < 150


def test_a_worker_is_a_fresh_interpreter_that_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    system = "__import__('sys')"
    code = f"{system}.stdout.write('x') and {system}.stderr.write('y') and 'pytest' in {system}.modules"
    assert evaluated([code]) == [False]
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(
        AnatomyError, match=r"a worker for nowhere:f did not start: (.|\n)*No module named 'nowhere'"
    ):
        list(Guard("nowhere:f").map([(1,)]))
    with pytest.raises(AnatomyError, match="0 workers cannot work"):
        Guard(EVAL, 0)


def test_a_guard_works_outside_the_main_thread() -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(evaluated(["7 ** 10 ** 9", "2"], seconds=0.5)))
    thread.start()
    thread.join(300)
    assert found == [None, 2]


def test_workers_end_with_the_guard_and_with_its_process() -> None:
    with Guard(EVAL, 2) as guard:
        list(guard.map(("1",) for _ in range(100)))
        workers = [psutil.Process(worker.process.pid) for worker in guard._workers]
        assert len(workers) == 2 and all(worker.is_running() for worker in workers)
    assert not any(worker.is_running() for worker in workers)
    code = (
        "from anatomy.grading.worker_pool import Guard\n"
        f"guard = Guard({EVAL!r})\n"
        f"print(*guard.map([({OS + '.getpid()'!r},)]), flush=True)\n"
        "import time; time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 120
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker goes on without its process"
        time.sleep(0.05)


# Judging ------------------------------------------------------------------------------------------------


def completions() -> list[tuple[tuple[str, ...], str, str | None]]:
    rows = [row for name in COUNTS for row in problems(name)[::50]]
    made = []
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        gold = tuple(row["answers"])
        made += [
            (gold, rf"Therefore \boxed{{{', '.join(row['answers'])}}}.", None),
            (gold, rf"Therefore \boxed{{x = {row['answers'][0]}}}.", None),
            (gold, rf"<answer> \boxed{{{other['answers'][0]}}} </answer>", "think answer"),
            (gold, f"The answer is {row['answers'][0]}.", None),
        ]
    return made


@pytest.mark.slow
def test_many_are_judged_as_one_by_one() -> None:
    items = completions()
    with Judge(2) as judge:
        found = list(judge.map(items * 2))
        assert found == [math_verdict.judge(*item) for item in items] * 2
        assert judge.guard.replaced == 0
    assert {one.verdict for one in found} >= {"right", "wrong", "no_answer"}


def test_what_is_seen_at_once_needs_no_worker() -> None:
    with Judge() as judge:
        found = list(judge.map([(("7",), rf"\boxed{{{number}}}", None) for number in range(20)]))
        assert [one.verdict == "right" for one in found] == [number == 7 for number in range(20)]
        assert not judge.guard._workers


@pytest.mark.slow
def test_hostile_text_is_judged_in_workers_and_repeated_at_no_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # All of them: tests/test_mathematics.py.
    hostile = [(("42",), text, None) for text in list(HOSTILE.values())[::4]]
    slow = [(golds, text, None) for golds, text in SLOW.values()]
    with Judge(2, seconds=2.0) as judge:
        found = list(judge.map([*hostile, *slow, *slow, *slow]))
        assert judge.guard.replaced == len(slow)
        assert list(judge.map(slow)) == found[-len(slow) :]
        assert judge.guard.replaced == len(slow)  # remembered: no worker was lost to it again
    assert found[: len(hostile)] == [math_verdict.judge(*item) for item in hostile]
    assert {one.verdict for one in found[len(hostile) :]} == {"timeout"}
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_a_missing_gold_answer_is_an_error() -> None:
    with Judge() as judge, pytest.raises(AnatomyError, match="cannot be read; correct it"):
        list(judge.map([(("1",), r"\boxed{1}", None), (("",), r"\boxed{1}", None)]))
