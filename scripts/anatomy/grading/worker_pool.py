r"""Hostile work in processes that can be replaced.

A ``Guard`` calls one function of the library in a few fresh interpreters that import its module and nothing
else: this process is never copied, so it may have threads, models and a GPU. Each call has its own limit of
CPU time, kept by the kernel (``ITIMER_PROF``): a Python handler would wait for a long C call to end, as of
a power of large integers, and wall time would make verdicts depend on what else the machine does. A worker
that outlives its time or memory, hangs or dies is replaced; the item that it was working on gets the value
given for that, and no other item is lost. Workers start when they are first needed, end with this
process, and write nothing to its output.
"""

import importlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any, Self, cast

from anatomy import paths
from anatomy.errors import AnatomyError
from anatomy.grading import math_extraction, math_verdict

_CHUNK = 16
"""Items that a worker is sent at a time: few, so that workers finish together; enough to hide the pipe."""
_WINDOW = 4_096
"""Items that may be under way or waiting for an earlier one."""
_START = 300.0
"""Seconds in which a worker must be ready."""
_REMEMBERED = 65_536
"""Pairs of gold answer and answer whose verdict is kept."""


@dataclass(eq=False)
class _Worker:
    """One process, and the items that it has been sent and not answered, in order."""

    process: subprocess.Popen[bytes]
    pipe: Connection
    errors: Any
    """File that holds what it wrote to its standard error."""
    ready: bool = False
    sent: deque[tuple[int, tuple[Any, ...]]] = field(default_factory=deque)
    heard: float = field(default_factory=time.monotonic)
    """When it last told something or was sent something."""

    def end(self) -> str:
        """End the process; return the end of what it wrote to its standard error."""
        self.pipe.close()
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        with self.errors:
            self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - 2_000))
            return str(self.errors.read().decode(errors="replace").strip())


class Guard:
    """Calls of ``function`` ("module:name") in processes that can be replaced; a context manager.

    Args:
        function: What is called with each item's parts. Its module may have a function ``warm_up``, which a
            worker calls once, with no limit, before it takes items.
        workers: Processes.
        seconds: CPU time of a call.
        memory_mb: Address space of a process, in MiB.
        on_timeout: Result of an item that took too long, took too much memory, or whose process died.
        wall: Seconds after which a worker that tells nothing is ended, for one that hangs without computing;
            default: so long that a busy machine is no reason.
    """

    def __init__(
        self,
        function: str,
        workers: int = 1,
        seconds: float = 5.0,
        memory_mb: int = 2_048,
        on_timeout: Any = None,
        wall: float | None = None,
    ) -> None:
        if workers < 1:
            raise AnatomyError(f"{workers} workers cannot work; take 1 or more")
        self.function, self.size, self.seconds, self.memory_mb = function, workers, seconds, memory_mb
        self.on_timeout, self.wall = on_timeout, 60 + 20 * seconds if wall is None else wall
        self._workers: list[_Worker] = []
        self.replaced = 0
        """Workers that were replaced so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()
        self._workers = []

    def map(self, items: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yield the function's results in the order of the items, which are taken as they are needed.

        Raises what the function raises, at its item; AnatomyError where workers cannot be started.
        """
        source = enumerate(items)
        waiting: deque[tuple[int, tuple[Any, ...]]] = deque()
        done: dict[int, tuple[bool, Any]] = {}
        told = 0
        taken = 0
        exhausted = False
        try:
            while True:
                while told in done:
                    failed, result = done.pop(told)
                    told += 1
                    if failed:
                        raise result
                    yield result
                while not exhausted and len(waiting) < self.size * _CHUNK and taken - told < _WINDOW:
                    more = list(islice(source, _CHUNK))
                    exhausted = len(more) < _CHUNK
                    taken += len(more)
                    waiting.extend(more)
                if not waiting and not any(worker.sent for worker in self._workers):
                    if told == taken:
                        return
                    continue
                self._start(min(self.size, -(-len(waiting) // _CHUNK)))
                self._send(waiting)
                self._hear(waiting, done)
        finally:
            # What an abandoned call still has under way is of no use to the next one.
            for worker in [worker for worker in self._workers if worker.sent]:
                self._workers.remove(worker)
                worker.end()

    def _start(self, wanted: int) -> None:
        while len(self._workers) < wanted:
            ours, theirs = Pipe()
            folder = str(paths.SCRIPTS)
            call = (
                f"import sys; sys.path.insert(0, {folder!r});"
                " from anatomy.grading import worker_pool; worker_pool.serve()"
            )
            errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the worker)
            arguments = [str(theirs.fileno()), self.function, str(self.seconds), str(self.memory_mb)]
            try:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-c", call, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=[theirs.fileno()],
                    # An interrupt from the keyboard is this process's to handle.
                    start_new_session=True,
                )
            except OSError as error:
                raise AnatomyError(f"a worker for {self.function} cannot be started: {error}") from error
            theirs.close()
            self._workers.append(_Worker(process, ours, errors))

    def _send(self, waiting: deque[tuple[int, tuple[Any, ...]]]) -> None:
        """Give each worker that has nothing to do some of what waits."""
        for worker in self._workers:
            if worker.ready and waiting and not worker.sent:
                # Fewer at the end, so that workers finish together.
                share = max(1, min(_CHUNK, len(waiting) // self.size))
                worker.sent.extend(waiting.popleft() for _ in range(share))
                worker.heard = time.monotonic()
                with suppress(OSError):  # it died: found when it is heard
                    worker.pipe.send([item for _, item in worker.sent])

    def _hear(self, waiting: deque[tuple[int, tuple[Any, ...]]], done: dict[int, tuple[bool, Any]]) -> None:
        """Take in what workers tell, and replace those that died or are silent for too long."""
        asked = [worker for worker in self._workers if worker.sent or not worker.ready]
        heard = wait([worker.pipe for worker in asked], timeout=min(1.0, self.wall))
        now = time.monotonic()
        for worker in asked:
            if worker.pipe in heard:
                worker.heard = now
                try:
                    while worker.pipe.poll():
                        message = worker.pipe.recv()
                        if worker.ready:
                            done[worker.sent.popleft()[0]] = message
                        worker.ready = True
                    continue
                except (EOFError, OSError, pickle.UnpicklingError):
                    pass
            elif now - worker.heard <= (self.wall if worker.ready else _START):
                continue
            self._workers.remove(worker)
            said = worker.end()
            if not worker.ready:
                raise AnatomyError(f"a worker for {self.function} did not start: {said or 'it told nothing'}")
            self.replaced += 1
            if worker.sent:
                done[worker.sent.popleft()[0]] = (False, self.on_timeout)
                waiting.extendleft(reversed(worker.sent))


def serve() -> None:
    """Answer items; what a worker does. Its arguments: file descriptor, function, seconds, MiB."""
    descriptor, function, seconds, memory_mb = sys.argv[1:]
    pipe = Connection(int(descriptor))
    module, name = function.split(":")
    loaded = importlib.import_module(module)
    call = getattr(loaded, name)
    getattr(loaded, "warm_up", lambda: None)()
    limit = int(memory_mb) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    # What libraries say of hostile text is of no interest, and could fill the disk.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    pipe.send(None)
    while True:
        try:
            items = pipe.recv()
        except EOFError:
            return
        for item in items:
            signal.setitimer(signal.ITIMER_PROF, float(seconds))
            try:
                told = (False, call(*item))
            except MemoryError:
                os._exit(1)  # what is left of this process is not to be relied on
            except Exception as error:
                told = (True, error)
            signal.setitimer(signal.ITIMER_PROF, 0)
            pipe.send(told)


class Judge:
    """``math_verdict.judge`` for many completions, with comparisons in guarded processes.

    What a completion's answer is, is found here, in time linear in its length. Each pair of gold answer and
    answer is compared once, in a worker, and remembered, so that one that takes too long does so once.
    """

    def __init__(self, workers: int = 1, seconds: float = 5.0, memory_mb: int = 2_048) -> None:
        self.guard = Guard("anatomy.grading.math_verdict:compare", workers, seconds, memory_mb, "timeout")
        self._known: OrderedDict[tuple[tuple[str, ...], str], math_verdict.MathVerdict] = OrderedDict()

    def __enter__(self) -> Self:
        self.guard.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.guard.__exit__(*error)

    def map(self, items: Iterable[tuple[tuple[str, ...], str, str | None]]) -> Iterator[math_verdict.Judged]:
        """Yield the verdict on each (gold answers, completion, tags), in order.

        Raises AnatomyError where there is no gold answer.
        """
        source = iter(items)
        while batch := list(islice(source, _WINDOW)):
            answers: list[tuple[str | None, str | None]] = []
            verdicts: dict[tuple[tuple[str, ...], str], math_verdict.MathVerdict | None] = {}
            for pair, verdict in self._compared(self._unknown(batch, answers, verdicts)):
                verdicts[pair] = self._known[pair] = verdict
            for (golds, _, _), (strict, lenient) in zip(batch, answers, strict=True):
                verdict = (
                    "no_answer" if strict is None else cast(math_verdict.MathVerdict, verdicts[golds, strict])
                )
                right = verdict == "right" or (lenient is not None and verdicts[golds, lenient] == "right")
                yield math_verdict.Judged(verdict, strict, right)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _unknown(
        self,
        batch: list[tuple[tuple[str, ...], str, str | None]],
        answers: list[tuple[str | None, str | None]],
        verdicts: dict[tuple[tuple[str, ...], str], math_verdict.MathVerdict | None],
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Find the answers of completions, and yield the pairs that must be compared."""
        for golds, completion, tags in batch:
            math_verdict.check(golds)
            strict, lenient = math_extraction.readings(completion, tags)
            answers.append((strict, lenient))
            for answer in (strict, lenient):
                if answer is None or (pair := (golds, answer)) in verdicts:
                    continue
                if pair in self._known:
                    self._known.move_to_end(pair)
                    verdicts[pair] = self._known[pair]
                    continue
                verdicts[pair] = math_verdict.quick(golds, answer)
                if verdicts[pair] is None:
                    yield pair

    def _compared(
        self, pairs: Iterator[tuple[tuple[str, ...], str]]
    ) -> Iterator[tuple[tuple[tuple[str, ...], str], math_verdict.MathVerdict]]:
        asked: deque[tuple[tuple[str, ...], str]] = deque()

        def noted() -> Iterator[tuple[tuple[str, ...], str]]:
            for pair in pairs:
                asked.append(pair)
                yield pair

        for verdict in self.guard.map(noted()):
            yield asked.popleft(), verdict
