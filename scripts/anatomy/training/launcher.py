"""A training in several processes: how large it is, how its processes are started, and how they end.

``run`` is called once, on the first node of a job. Beyond one process it starts an agent on each node (by
``srun`` where there are several), which starts that node's workers; each of them calls the same function with
the same arguments, read from a file. The first process's report lines are passed on. SIGTERM reaches every
worker. Where one process fails the others are ended, and the error says which failed and what it wrote last.
Where the caller dies, so does everything that it started.
"""

import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from anatomy import paths
from anatomy.errors import AnatomyError
from anatomy.study.training_rules import Scale as Scale

_MODULE = "anatomy.training.launcher"
_GRACE = 5.0
"""Seconds that the other processes have to end by themselves after one has failed."""
_TAIL = 15
"""Lines of a failed process's log that are shown."""
_RENDEZVOUS = 120.0
"""Seconds that a node waits for the first one to say where the processes meet."""


def run(
    function: str,
    arguments: Mapping[str, Any],
    scale: Scale | None,
    folder: Path,
    threads: int,
    report: Callable[[str], None],
) -> Any:
    """Call ``module:function`` with (arguments, report) in every process; return what the first one returned.

    With one process the call is made in this one.

    Args:
        function: ``module:function``.
        arguments: Plain JSON, as the result is.
        scale: How many processes, on how many nodes; None for one process.
        folder: Holds the processes' logs, and is removed if all goes well; all nodes must see it.
        threads: Of a node.
        report: Takes a line for people.

    Raises:
        AnatomyError: A worker raised it, with its message, or failed otherwise.
    """
    if scale is None or scale.world == 1:
        return _function(function)(dict(arguments), report)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = {
        "function": function,
        "arguments": dict(arguments),
        "processes": scale.processes,
        "nodes": scale.nodes,
        "threads": max(1, threads // scale.processes),
    }
    _write(folder / "job.json", job)
    command = [sys.executable, "-m", _MODULE, str(folder.resolve())]
    if scale.nodes > 1:
        command = [*_srun(scale.nodes), *command]
    with (folder / "agents.log").open("w", encoding="utf-8") as log:
        agent = subprocess.Popen(
            command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with agent, _PassedOn(lambda number: agent.send_signal(number)):
        assert agent.stdout
        for line in agent.stdout:
            report(line.rstrip("\n"))
        status = agent.wait()
    if status:
        raise AnatomyError(_reason(folder, scale.world, status))
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    return result


def _srun(nodes: int) -> list[str]:
    """Return what starts one agent on each node of the allocation that this process is in."""
    if not os.environ.get("SLURM_JOB_ID"):
        raise AnatomyError(
            f"scale: {nodes} nodes are wanted outside a Slurm job: run it through `--profile slurm`, or set"
            " nodes to 1"
        )
    # Within the step that runs this process, whose resources the new one is to have too.
    return [
        "srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--overlap",
        "--cpu-bind=none", "--kill-on-bad-exit=1", "--export=ALL",
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    """Return the environment of agents and workers: this library first on the path."""
    library = str(paths.SCRIPTS)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([library, os.environ.get("PYTHONPATH", "")])}


def _reason(folder: Path, world: int, status: int) -> str:
    message = folder / "error.txt"
    if message.exists():
        return message.read_text(encoding="utf-8")
    failed = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("failed-*.json")]
    if not failed:
        said = _last(folder / "agents.log")
        return f"the training's processes could not be started (status {status}):\n{said}"
    # Those that lost a process fail too: the lost one is meant, or else the first to fail.
    first = min(failed, key=lambda process: (process["status"] >= 0, process["at"]))
    rank, ended, log = first["rank"], first["status"], folder / f"rank-{first['rank']}.log"
    how = f"failed with status {ended}"
    if ended < 0:
        how = f"was ended by {signal.Signals(-ended).name}"
        how += ": most likely for want of memory" if -ended == signal.SIGKILL else ""
    return f"process {rank} of {world} {how}; its log ({log}) ends:\n{_last(log)}"


def _last(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(line for line in lines[-_TAIL:]) or "(nothing was written)"


def _function(name: str) -> Callable[[dict[str, Any], Callable[[str], None]], Any]:
    module, _, attribute = name.partition(":")
    function: Callable[[dict[str, Any], Callable[[str], None]], Any]
    function = getattr(importlib.import_module(module), attribute)
    return function


def _write(path: Path, value: Any) -> None:
    """Write JSON so that a reader on another node sees all of it or nothing."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(path)


class _PassedOn:
    """While it lasts, SIGTERM is handed to ``to`` instead of ending this process."""

    def __init__(self, to: Callable[[int], None]):
        self.to = to

    def __enter__(self) -> None:
        self.before = (
            signal.signal(signal.SIGTERM, lambda number, _: self.to(number)) if _in_main_thread() else None
        )

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGTERM, self.before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _end_with_parent(then: Callable[[], None] = lambda: None) -> None:
    """End this process when whoever holds the other end of its standard input dies."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        then()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _agent(folder: Path) -> int:
    """Start this node's workers, wait for them, and return 0 if all ended well."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    node, processes = int(os.environ.get("SLURM_NODEID", 0)) if job["nodes"] > 1 else 0, job["processes"]
    meeting = _meet(folder, node, job["nodes"])
    workers: dict[int, subprocess.Popen[bytes]] = {}
    for local in range(processes):
        rank = node * processes + local
        environment = {
            **os.environ,
            "RANK": str(rank),
            "LOCAL_RANK": str(local),
            "WORLD_SIZE": str(processes * job["nodes"]),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": meeting["host"],
            "MASTER_PORT": str(meeting["port"]),
            "OMP_NUM_THREADS": str(job["threads"]),
        }
        if job["nodes"] == 1:
            environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
        with (folder / f"rank-{rank}.log").open("wb") as log:
            workers[rank] = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(folder), "worker"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=None if rank == 0 else log,
                stderr=log,
            )

    def kill() -> None:
        for worker in workers.values():
            worker.kill()

    def tell(number: int) -> None:
        for worker in workers.values():
            worker.send_signal(number)

    _end_with_parent(kill)
    with _PassedOn(tell):
        return int(_watch(folder, workers, kill))


def _watch(folder: Path, workers: Mapping[int, "subprocess.Popen[bytes]"], kill: Callable[[], None]) -> bool:
    """Wait until all workers have ended, but not for long once one has failed; tell whether one has."""
    until = float("inf")
    while any(worker.poll() is None for worker in workers.values()):
        lost = [rank for rank, worker in workers.items() if worker.returncode]
        if lost and until == float("inf"):
            until = time.monotonic() + _GRACE
            for rank in lost:
                _note(folder, rank, workers[rank].returncode)
        if time.monotonic() > until:
            kill()
        time.sleep(0.05)
    for rank, worker in workers.items():
        if worker.returncode and until == float("inf"):
            _note(folder, rank, worker.returncode)
    return any(worker.returncode for worker in workers.values())


def _note(folder: Path, rank: int, status: int) -> None:
    """Write down that a process has failed, unless it did so itself."""
    path = folder / f"failed-{rank}.json"
    if not path.exists():
        _write(path, {"rank": rank, "status": status, "at": time.time()})


def _meet(folder: Path, node: int, nodes: int) -> dict[str, Any]:
    """Return where the processes meet: a free port of the first node, which tells the others."""
    path = folder / "meeting.json"
    if node == 0:
        host = socket.gethostname() if nodes > 1 else "127.0.0.1"
        with socket.socket() as free:
            free.bind(("", 0))
            _write(path, {"host": host, "port": free.getsockname()[1]})
    until = time.monotonic() + _RENDEZVOUS
    while not path.exists():
        if time.monotonic() > until:
            raise SystemExit(f"{path} did not appear: do all nodes see this folder?")
        time.sleep(0.2)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _worker(folder: Path) -> int:
    """Call the job's function as one of its processes."""
    _end_with_parent()
    rank = int(os.environ["RANK"])
    # Libraries print; what is reported keeps the standard output for itself.
    reports: IO[str] = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    import torch

    torch.set_num_threads(job["threads"])
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        result = _function(job["function"])(
            job["arguments"], (lambda text: print(text, file=reports)) if rank == 0 else lambda _: None
        )
    except AnatomyError as error:
        (folder / "error.txt").write_text(str(error), encoding="utf-8")
        return 1
    if rank == 0:
        _write(folder / "result.json", result)
    return 0


def _main() -> None:
    try:
        status = (_worker if sys.argv[2:] == ["worker"] else _agent)(Path(sys.argv[1]))
    except BaseException:
        if "RANK" in os.environ:  # at once: others will fail because of it
            _note(Path(sys.argv[1]), int(os.environ["RANK"]), 1)
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads and process groups that libraries leave behind must not keep a finished process alive.
    os._exit(status)


if __name__ == "__main__":
    _main()
