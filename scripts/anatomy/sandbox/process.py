"""The process of a sandbox: started, read under limits, and ended with all that it started."""

import os
import re
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any, cast

from anatomy.sandbox import runner
from anatomy.sandbox.codec import MalformedError, decode
from anatomy.sandbox.program import ENDED, Ended

START = 60.0  # s that an interpreter may take to be there, on a machine that is busy with other things
EXIT = 1.0  # s that a process which closed its pipe may take to end
_HEAD = 9  # bytes before the content of a frame


class Live:
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


def readable(descriptors: list[int], seconds: float) -> list[int]:
    """Those of the descriptors that can be read, waited for so long."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000)]


def read(pipe: int, ended: int, room: int, wall: float) -> tuple[bytes, str]:
    """What comes through the pipe; and `timeout` or `killed` if its end was waited for in vain.

    Its end is there, too, when it is empty and bubblewrap has ended (by its descriptor).
    """
    received = bytearray()
    deadline = time.monotonic() + START
    while ready := readable([pipe, ended], deadline - time.monotonic()):
        if pipe not in ready and not readable([pipe], 0):
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


def receive(data: bytes, inputs: int) -> _Received:
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
            got.readable = ended in ENDED and (ended != "done" or len(outputs) == inputs)
            got.ended, got.message = cast(Ended, ended), message[: runner.MESSAGE]
    got.readable &= len(outputs) <= inputs
    got.outputs = tuple(outputs[:inputs])
    return got
