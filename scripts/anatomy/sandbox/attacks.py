"""What a sandbox must withstand before a bubblewrap that came with a package is trusted with programs.

One program tries it all, in short what the tests of the sandbox try at length; `bubblewrap` runs it
and compares what came of each attack with what must come of it. Like `runner`, it needs nothing but the
standard library inside.
"""

from collections.abc import Mapping
from typing import Any

_WRITES = ("/x", "/dev/x", "/lib/x", "/python/x")
_READ_ONLY = ("OSError", "PermissionError")

ATTACKS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "sees files of the host": (
        "sorted(set(os.listdir('/')) - {'dev', 'lib', 'lib64', 'python', 'tmp'})",
        ([],),
    ),
    "opens a file of the host": ("tried(open, given['file'])", ("FileNotFoundError",)),
    "sees devices": ("os.listdir('/dev')", (["null"],)),
    "finds something in its scratch folder": ("os.listdir('/tmp')", ([],)),
    "fills the disk": ("tried(fill)", ("OSError",)),
    "takes any memory": ("tried(bytes, 1 << 30)", ("MemoryError",)),
    **{f"writes {path}": (f"tried(open, '{path}', 'w')", _READ_ONLY) for path in _WRITES},
    "writes to its interpreter": ("tried(open, sys.executable, 'r+b')", _READ_ONLY),
    "is not alone among processes": ("(os.getpid(), os.getppid())", ((1, 0),)),
    "starts a process": ("tried(fork)", ("PermissionError",)),
    "starts a shell": ("tried(os.execv, '/bin/sh', ['sh'])", ("FileNotFoundError",)),
    "opens a socket of the network": ("tried(socket.socket)", ("PermissionError",)),
    "reaches a socket of the host": ("tried(connect, given['socket'])", ("ConnectionRefusedError",)),
    "makes a namespace": ("tried(call, 'unshare', 0x10000000)", ("PermissionError",)),
    "mounts": ("tried(call, 'mount', None, b'/tmp', b'tmpfs', 0, None)", ("PermissionError",)),
    "becomes root": ("tried(os.setuid, 0)", _READ_ONLY),
    "has a user's number": ("(os.getuid(), os.getgid())", ((65534, 65534),)),
    "has capabilities": ("capabilities()", ([0] * 6,)),
    "may gain privileges by exec": ("libc.prctl(39, 0, 0, 0, 0)", (1,)),
    "has no filter of system calls": ("libc.prctl(21, 0, 0, 0, 0)", (2,)),
    "knows the host's name": ("os.uname().nodename", ("sandbox",)),
    "has an environment": (
        "sorted(os.environ)",
        (["LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "PWD", "PYTHONHASHSEED", "PYTHONUTF8"],),
    ),
    "has descriptors of the host": ("descriptors()", ([0, 1, 2, 63],)),
}
"""By what a program does where the sandbox is none: the attack, and what may come of it in a sandbox."""

PROGRAM = f"""
import ctypes, os, socket, sys

libc = ctypes.CDLL(None, use_errno=True)

def tried(attack, *arguments):
    try:
        attack(*arguments)
    except Exception as error:
        return type(error).__name__
    return "it worked"

def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)

def fork():
    os.fork() or os._exit(0)

def fill():
    for name in "abc":  # a file is limited too, and together they are larger than the folder
        with open(name, "wb") as file:
            file.write(bytes(700_000))

def connect(name):
    socket.socket(socket.AF_UNIX).connect(name)

def descriptors():
    found = []
    for number in range(256):
        try:
            os.fstat(number)
            found.append(number)
        except OSError:
            pass
    return found

def capabilities():
    sets = (ctypes.c_uint32 * 6)()
    call("capget", (ctypes.c_uint32 * 2)(0x20080522, 0), sets)
    return list(sets)

def f(given):
    return {{{", ".join(f"{name!r}: {attack}" for name, (attack, _) in ATTACKS.items())}}}
"""


def succeeded(results: Mapping[str, Any]) -> list[str]:
    """Return the attacks that a sandbox did not withstand, each with what came of it.

    Args:
        results: What the program's function returned, called with the path of a ``file`` of the host and the
            name of a ``socket`` that listens there, in the kernel's own names of Unix sockets.
    """
    return [
        f"a program {name} ({results.get(name)!r})"
        for name, (_, withstood) in ATTACKS.items()
        if results.get(name) not in withstood
    ]
