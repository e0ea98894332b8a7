"""The filter of system calls that a sandboxed program is under (seccomp(2))."""

import functools
import platform
import struct
from typing import cast

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
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above; the kernel's name for it


@functools.cache
def system_call_filter() -> bytes:
    """The filter of system calls, as a classic BPF program (seccomp(2))."""
    column, architecture = MACHINES[platform.machine()]
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
