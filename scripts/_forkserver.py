"""Jobs that start in milliseconds: servers that have imported what scripts import, and fork for each job.

Importing torch, TRL or SciPy takes a job's process seconds, which most jobs of a small study take to do their
work. Where Snakemake runs jobs on its own machine, it starts a server for each family of scripts (``start``),
and its shell commands run through this file as a client::

    python -SE scripts/_forkserver.py FOLDER PYTHON SCRIPT

The client hands its files, folder and environment to the server of SCRIPT, which forks; it passes signals on
and ends as the job ends. Whatever is not as it should be (no server, another environment, a thread in the
server), it runs the command itself. A server imports packages only, never this project's own code, and what a
script needs when it is first asked for it. It ends, and its jobs with it, when Snakemake does.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

# Nothing else here: a client runs for each job, and a millisecond counts.

_ASIDE = frozenset(("TMPDIR", "TMP", "TEMP", "TEMPDIR", "PWD", "OLDPWD", "SHLVL", "_"))
"""Environment variables that a job may have otherwise than its server: they are read when they are used."""
_LENGTH = 8
"""Bytes that tell the length of a request."""
_NOBODY = b"0\n"
"""What a server answers that cannot run a job."""

Imports = Mapping[str, Sequence[tuple[str, Sequence[str]]]]
"""The modules, and their names, that each script imports."""


# Snakemake's side -------------------------------------------------------------------------------------


def available(models: bool) -> bool:
    """Tell whether jobs can be forked here: on Linux; those with models only where there is no GPU.

    A process that has forked after a driver was asked for GPUs cannot use them.
    """
    gpu = any(os.path.exists(device) for device in ("/dev/nvidiactl", "/dev/kfd"))
    return sys.platform == "linux" and not (models and gpu)


def threads(count: int) -> dict[str, str]:
    """Return the environment variables by which Snakemake tells a job how many threads it has."""
    several = {f"{name}_NUM_THREADS": str(count) for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")}
    return {**several, "VECLIB_MAXIMUM_THREADS": str(count)}


def start(families: Sequence[Imports], count: int) -> tuple[str, Any]:
    """Start a server for each family of scripts, for jobs with ``count`` threads.

    Returns the command under which a shell command is to run, and an object that keeps the servers alive.
    """
    import shlex
    import subprocess
    import tempfile

    keeper = tempfile.TemporaryDirectory(prefix="anatomy-jobs-")
    pipes = []
    for number, imports in enumerate(families):
        path = os.path.join(keeper.name, f"{number}.socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(64)
            server = subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), "--serve", str(listener.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                env={**os.environ, **threads(count)},
            )
        assert server.stdin
        server.stdin.write(json.dumps(imports).encode() + b"\n")
        server.stdin.flush()
        pipes.append(server)
        for script in imports:
            os.symlink(path, os.path.join(keeper.name, script))
    client = [sys.executable, "-SE", os.path.abspath(__file__), keeper.name]
    return shlex.join(client), (keeper, pipes)


# The client -------------------------------------------------------------------------------------------


def client(folder: str, command: list[str]) -> None:
    """Have a server run ``command`` and end as it ends, or run it in this process."""
    script = os.path.basename(command[-1]).partition(".")[2]  # Snakemake's copy is called RANDOM.SCRIPT
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(os.path.join(folder, script))
        request = json.dumps([command, os.getcwd(), dict(os.environ)]).encode()
        socket.send_fds(connection, [len(request).to_bytes(_LENGTH)], [0, 1, 2])
        connection.sendall(request)
        answers = connection.makefile("rb")
        pid = int(answers.readline() or _NOBODY)
    except OSError:
        pid = 0
    if not pid:
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the job too
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    _end(int(answers.readline() or 1))  # 1: the server has died, and its jobs with it


def _end(status: int) -> None:
    """End this process with a status; a negative one is the signal to end by."""
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)


# A server ---------------------------------------------------------------------------------------------


def serve(listener: socket.socket, imports: Imports) -> None:
    """Fork for each job that is asked for, until standard input ends."""
    import selectors

    own = _compared(os.environ)
    events = selectors.DefaultSelector()
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # jobs end by it, then Snakemake, then this
    for source in (sys.stdin, listener, woken):
        events.register(source, selectors.EVENT_READ)
    clients: dict[int, socket.socket] = {}
    """The connection of each job, by its process."""
    while True:
        for key, _ in events.select():
            if key.fileobj is sys.stdin:
                for pid in clients:
                    os.kill(pid, signal.SIGTERM)
                return
            if key.fileobj is listener:
                connection, _ = listener.accept()
                pid = _begin(connection, imports, own, events)
                _answer(connection, pid)
                if pid:
                    clients[pid] = connection
                    events.register(connection, selectors.EVENT_READ, pid)
                else:
                    connection.close()
            elif key.fileobj is woken:
                woken.recv(4096)
                for pid in list(clients):
                    ended, status = os.waitpid(pid, os.WNOHANG)
                    if ended:
                        connection = clients.pop(pid)
                        if connection in events.get_map():
                            events.unregister(connection)
                        _answer(connection, os.waitstatus_to_exitcode(status))
                        connection.close()
            else:  # the client was killed, and so is its job
                events.unregister(key.fileobj)
                if key.data in clients:
                    os.kill(key.data, signal.SIGKILL)


def _compared(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _ASIDE}


def _answer(connection: socket.socket, number: int) -> None:
    """Tell a client a number: its job's process, 0 for none; or how the job has ended."""
    with contextlib.suppress(OSError):  # it was killed
        connection.sendall(b"%d\n" % number)


def _begin(connection: socket.socket, imports: Imports, own: Mapping[str, str], events: Any) -> int:
    """Start the job that a client asks for; return its process, or 0 for one that cannot be run here."""
    connection.settimeout(30)
    try:
        length, files, _, _ = socket.recv_fds(connection, _LENGTH, 3)
        with connection.makefile("rb") as reader:
            command, folder, environment = json.loads(reader.read(int.from_bytes(length)))
    except (OSError, ValueError):
        return 0
    try:
        script = command[-1]
        if len(command) != 2 or command[0] != sys.executable or _compared(environment) != own:
            return 0
        _preload(imports[os.path.basename(script).partition(".")[2]])
        if _threads():  # what another thread holds would stay held in the child
            return 0
        pid = os.fork()
        if not pid:
            for key in list(events.get_map().values()):
                if key.fileobj is not sys.stdin:
                    key.fileobj.close()
            events.close()
            _become(script, folder, environment, files)
        return pid
    finally:
        for file in files:
            os.close(file)


def _preload(modules: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Import what a script imports, so that all later jobs find it."""
    from importlib import import_module

    for module, names in modules:
        try:
            imported = import_module(module)
            for name in names:  # some packages load what they hold when it is asked for
                getattr(imported, name, None)
        except Exception:
            pass  # the job will tell


def _threads() -> set[str]:
    """Return the names of this process's other threads, less that of an allocator which is made for forks."""
    own = str(os.getpid())
    tasks = [task for task in os.listdir("/proc/self/task") if task != own]
    names = set()
    for task in tasks:
        with open(f"/proc/self/task/{task}/comm") as file:
            names.add(file.read().strip())
    return names - {"jemalloc_bg_thd"}


def _become(script: str, folder: str, environment: Mapping[str, str], files: Sequence[int]) -> None:
    """Run a script in this process, a server's child, as the interpreter would; never return."""
    import atexit
    import threading
    import types

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in enumerate(files):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0] = [script], os.path.dirname(script)
    main = types.ModuleType("__main__")
    main.__dict__["__file__"] = script
    sys.modules["__main__"] = main
    status = 0
    try:
        with open(script, "rb") as file:
            code = compile(file.read(), script, "exec")
        exec(code, main.__dict__)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        sys.excepthook(*sys.exc_info())
        status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _end(status)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(socket.socket(fileno=int(sys.argv[2])), json.loads(sys.stdin.readline()))
        os._exit(0)
    client(sys.argv[1], sys.argv[2:])
