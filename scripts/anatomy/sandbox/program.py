"""A program to run in the sandbox, its limits, and how it ended."""

from dataclasses import dataclass
from typing import Any, Literal

Ended = Literal["done", "error", "timeout", "memory", "killed", "syntax"]

ENDED = ("done", "error", "timeout", "memory", "killed", "syntax")


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
