"""What runs inside the sandbox around one program: sets limits, calls it, sends back its outputs.

`bubblewrap` compiles this module and hands its code, with the program and its inputs, to a bare
interpreter on descriptor 0. Only the standard library is there, and imports cost start-up time, so that
there are few. Nothing here protects a verdict: the program may read and change all of it, as it shares its
process. What it can gain is outputs of its own choice, which it may return anyway; expected values are never
inside.

What is sent is a row of frames: a letter, the length of the content in eight hexadecimal digits, the content.
`R`: the interpreter is there; `C`: the program is compiled; `O`: an output (see `encode`); `T`: what a
program printed; `E`: how it ended, a line feed, and a message.
"""

from __future__ import annotations

import atexit
import posix
import resource
import sys

TYPE_CHECKING = False  # as typing's, whose import takes as long as the interpreter's start
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

DEPTH = 100  # levels of lists, tuples, dicts and sets in an output
MESSAGE = 500  # characters of a message
OPEN_FILES = 64
THREADS = 256  # where the kernel counts them by user namespace (see `_limit`)
STACK = 64 << 20  # bytes
_CHANNEL = OPEN_FILES - 1  # the descriptor that frames are written to


class TooLargeError(Exception):
    """There is more output than the limit allows."""


class UnplainError(Exception):
    """An output is not plain data."""


def encode(value: Any, room: int) -> bytes:
    """Plain data as bytes; `anatomy.sandbox.bubblewrap.decode` reads them.

    A value is a letter, and for all but None, True and False (`N`, `1`, `0`) a length in decimal digits, a
    colon and the content: `i` integer in hexadecimal, `f` float as by `float.hex`, `c` complex (two of these
    with a comma), `s` text (UTF-8, surrogates let through), `b` bytes; or the number of items and then the
    items: `l` list, `t` tuple, `S` set, `F` frozenset, `d` dict (each key and each value is an item).
    An instance of a subclass of these becomes one of the type itself, whatever the subclass has overridden.

    Raises:
        UnplainError: it is or contains something else, or is nested deeper than `DEPTH` levels (cycles are).
        TooLargeError: it takes more than `room` bytes.
    """
    parts: list[bytes] = []
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        kind = type(item)
        items: Any = None
        content = b""
        if item is None or kind is bool:
            letter = b"N" if item is None else b"1" if item else b"0"
        elif issubclass(kind, int):
            if int.bit_length(item) > 4 * room:
                raise TooLargeError
            letter, content = b"i", b"%x" % int.__pos__(item)
        elif issubclass(kind, float):
            letter, content = b"f", float.hex(item).encode()
        elif issubclass(kind, complex):
            number = complex.__pos__(item)
            letter, content = b"c", f"{number.real.hex()},{number.imag.hex()}".encode()
        elif issubclass(kind, str):
            letter, content = b"s", str.encode(item, "utf-8", "surrogatepass")
        elif issubclass(kind, bytes):
            letter, content = b"b", bytes.__getitem__(item, slice(None))
        elif issubclass(kind, list):
            letter, items = b"l", list.__getitem__(item, slice(None))
        elif issubclass(kind, tuple):
            letter, items = b"t", tuple.__getitem__(item, slice(None))
        elif issubclass(kind, dict):
            letter, items = b"d", [part for pair in dict.items(item) for part in pair]
        elif issubclass(kind, set):
            letter, items = b"S", list(set.__iter__(item))
        elif issubclass(kind, frozenset):
            letter, items = b"F", list(frozenset.__iter__(item))
        else:
            raise UnplainError(f"the output is or contains something that is not plain data: {kind.__name__}")
        if items is not None:
            if depth == DEPTH:
                raise UnplainError(f"the output is nested deeper than {DEPTH} levels")
            room -= len(items)
            if room < 0:
                raise TooLargeError
            parts.append(letter + b"%d:" % len(items))
            waiting += [(part, depth + 1) for part in reversed(items)]
        else:
            parts.append(letter if letter in b"N10" else letter + b"%d:%s" % (len(content), content))
        room -= len(parts[-1])
        if room < 0:
            raise TooLargeError
    return b"".join(parts)


def _send(letter: bytes, content: bytes = b"") -> None:
    frame = memoryview(letter + b"%08x" % len(content) + content)
    while frame:
        frame = frame[posix.write(_CHANNEL, frame) :]


def _end(ended: str, message: str = "") -> None:
    _send(b"E", f"{ended}\n{message[:MESSAGE]}".encode("utf-8", "replace"))
    posix._exit(0)


def _line(error: BaseException) -> str:
    """The last line of what Python would print about the error."""
    try:
        name, lines = type(error).__name__, str(error).strip().splitlines()
        return f"{name}: {lines[-1]}" if lines else name
    except BaseException:  # its __str__ is the program's
        return "an error that cannot be printed"


def _limit(seconds: int, memory: int, file: int) -> None:
    """Set the limits of this process (s, bytes, bytes), which it cannot raise again."""
    stack = resource.getrlimit(resource.RLIMIT_STACK)[1]
    stack = STACK if stack == resource.RLIM_INFINITY else min(STACK, stack)
    limits = [
        (resource.RLIMIT_CPU, seconds),  # hard and soft are the same: the kernel kills, no signal to ignore
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_STACK, stack),
    ]
    release = posix.uname().release.split(".")
    if (int(release[0]), int(release[1])) >= (5, 14):  # before, all processes of the user were counted
        limits.append((resource.RLIMIT_NPROC, THREADS))
    for kind, most in limits:
        resource.setrlimit(kind, (most, most))


def _seed() -> None:
    if random := sys.modules.get("random"):
        random.seed(0)


def _module(name: str) -> ModuleType:
    module = type(sys)(name)
    sys.modules[name] = module  # dataclasses, pickle and typing look there
    return module


def _call(code: CodeType, entry_point: str, inputs: tuple[Any, ...], room: int) -> None:
    """Run the program once, then call its entry point with each of the inputs."""
    module = _module("program")
    exec(code, module.__dict__)
    owner, _, name = entry_point.rpartition(".")
    for arguments in inputs:
        target = getattr(module, owner)() if owner else module
        output = encode(getattr(target, name)(*arguments), room)
        room -= len(output)
        _send(b"O", output)


def _file(content: bytes, descriptor: int) -> None:
    """Make the descriptor an unnamed file of the scratch folder with this content."""
    file = posix.open(".", posix.O_TMPFILE | posix.O_RDWR, 0o600)
    view = memoryview(content)
    while view:
        view = view[posix.write(file, view) :]
    posix.lseek(file, 0, 0)
    if file != descriptor:  # it may have been closed by the program
        posix.dup2(file, descriptor)
        posix.close(file)


def _text(descriptor: int, mode: str) -> Any:
    return open(descriptor, mode, encoding="utf-8", errors="surrogateescape", closefd=False)


def _print(code: CodeType, inputs: tuple[str, ...], room: int) -> None:
    """Run the program anew for each of the inputs, which it reads on standard input."""
    for text in inputs:
        posix.chdir("/tmp")
        _file(text.encode("utf-8", "surrogatepass"), 0)
        _file(b"", 1)
        sys.stdin, output = _text(0, "r"), _text(1, "w")
        sys.stdout = output
        vars(sys).update(__stdin__=sys.stdin, __stdout__=output)
        kept = posix.dup(1)
        _seed()
        failure: BaseException | None = None
        try:
            exec(code, _module("__main__").__dict__)
        except SystemExit:  # a program may end so; its exit status is not looked at
            pass
        except BaseException as error:
            failure = error
        if failure is None and (threading := sys.modules.get("threading")):
            for thread in threading.enumerate():
                if not thread.daemon and thread is not threading.current_thread():
                    thread.join()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, output):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue  # closed or replaced by the program, or too much
        size = posix.fstat(kept).st_size
        if size > room:
            raise TooLargeError
        if failure is not None:
            raise failure
        room -= size
        _send(b"T", posix.pread(kept, size, 0) if size else b"")
        posix.close(kept)


def main(
    source: str, entry_point: str | None, inputs: tuple[Any, ...], limits: tuple[int, int, int], room: int
) -> None:
    """Run the program on its inputs, within limits (s; bytes of memory, a file, all outputs) and exit."""
    null = posix.open("/dev/null", posix.O_RDWR)
    posix.dup2(1, _CHANNEL)
    for standard in (0, 1, 2):
        posix.dup2(null, standard)
    posix.closerange(3, _CHANNEL)
    _send(b"R")
    _limit(*limits)
    sys.argv = ["program.py"]
    reserve = bytearray(1 << 20)  # given back when memory runs out, for what is still to be done
    try:
        code = compile(source, "program.py", "exec", dont_inherit=True)
    except BaseException as error:
        _end("syntax", _line(error))
    if "random" in source:
        import random  # noqa: F401
    _seed()
    _send(b"C")
    ended, message = "done", ""
    try:
        if entry_point is None:
            _print(code, inputs, room)
        else:
            _call(code, entry_point, inputs, room)
    except TooLargeError:
        ended, message = "killed", "the program put out more than it may"
    except UnplainError as error:
        ended, message = "error", str(error)
    except MemoryError as error:
        del reserve
        ended, message = "memory", _line(error)
    except BaseException as error:
        ended, message = "error", _line(error)
    _end(ended, message)
