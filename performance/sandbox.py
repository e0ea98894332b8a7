"""Short programs a second in the sandbox, all limits included, on one and two workers, and its parts.

    python performance/sandbox.py [PROGRAMS]

The programs (default: 400, all different) are functions called with eight inputs, as those of HumanEval+ are.
Beside the rate stands the CPU time of a program, children included, which other work on the machine changes
less. The parts are medians of one process after another: one that does nothing, the same in bubblewrap, and
the bare interpreter.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from anatomy.sandbox import bubblewrap  # noqa: E402
from anatomy.sandbox.program import Limits, Program  # noqa: E402

SOURCE = """
def solve(numbers, limit):
    # variant {variant}
    kept = sorted(x for x in numbers if x < limit)
    return [sum(kept), len(kept), {{str(x): x * x for x in kept}}]
"""
INPUTS = tuple([list(range(size)), 5 + size // 2] for size in range(8))
REPEATS = 60


def median(call: Callable[[], object]) -> float:
    """The median time of a call (ms)."""
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return 1000 * statistics.median(took)


def cpu() -> float:
    """CPU time of this process and of its children that have ended (s)."""
    return sum(os.times()[:4])


def process(command: list[str]) -> None:
    """Run a process, which must succeed, with no output."""
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, env={})


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    nothing = [shutil.which("true") or "true"]
    isolated = [bubblewrap.bubblewrap(), "--unshare-user", "--unshare-all", "--die-with-parent"]
    isolated += ["--as-pid-1", "--ro-bind", "/", "/", "--"]
    print(f"a process             {median(lambda: process(nothing)):6.2f} ms")
    print(f"bubblewrap alone      {median(lambda: process(isolated + nothing)):6.2f} ms")
    print(f"interpreter alone     {median(lambda: process([python, '-S', '-s', '-c', 'pass'])):6.2f} ms")
    for workers in (1, 2):
        programs = [Program(SOURCE.format(variant=f"{workers}.{i}"), "solve", INPUTS) for i in range(count)]
        began, used = time.perf_counter(), cpu()
        ended = [outcome.ended for outcome in bubblewrap.run(programs, Limits(), workers)]
        took = time.perf_counter() - began
        assert ended == ["done"] * count
        each = 1000 * (cpu() - used) / count
        print(f"{workers} worker(s): {count / took:.0f} programs a second, {each:.1f} ms of CPU each")


if __name__ == "__main__":
    main()
