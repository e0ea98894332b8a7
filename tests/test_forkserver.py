"""Jobs that are forked from a server are as jobs that are started: files, environment, ends, signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import _forkserver

pytestmark = pytest.mark.skipif(not _forkserver.available(models=False), reason="jobs are forked on Linux")

TELL = """
import json, os, sys, threading
print(json.dumps({
    "argv": sys.argv, "path": sys.path[0], "file": __file__, "name": __name__, "folder": os.getcwd(),
    "loaded": sorted(set(sys.modules) & {"wave", "sqlite3"}), "parent": os.getppid(),
    "variable": os.environ.get("VARIABLE"), "input": sys.stdin.read(),
    "threads": os.environ["OMP_NUM_THREADS"],
}))
print("an error", file=sys.stderr)
"""


class Jobs:
    """A folder with copies of scripts, as Snakemake makes them, and the servers that run them."""

    def __init__(self, folder: Path, *families: _forkserver.Imports):
        self.folder = folder
        self.environment = {**os.environ, **_forkserver.threads(1)}
        self.command, self.servers = _forkserver.start(families, count=1)

    def start(self, source: str, script: str = "some.py", **options: Any) -> subprocess.Popen[str]:
        copy = self.folder / f"tmp1.{script}"
        copy.write_text(source)
        return subprocess.Popen(
            f"set -e; exec {self.command} {sys.executable} {copy}",
            shell=True,
            executable="/bin/bash",
            cwd=self.folder,
            text=True,
            **{
                "env": self.environment,
                "stdin": subprocess.PIPE,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **options,
            },
        )

    def run(self, source: str, script: str = "some.py", **options: Any) -> tuple[int, str, str]:
        process = self.start(source, script, **options)
        out, error = process.communicate("what is written")
        return process.returncode, out, error


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    found = Jobs(tmp_path, {"some.py": [("wave", []), ("absent_module", [])], "other.py": []})
    yield found
    del found.servers


def test_a_forked_job_is_told_what_a_started_one_is(jobs: Jobs) -> None:
    told = {}
    for script in ("some.py", "unknown.py"):
        status, out, error = jobs.run(TELL, script, env={**jobs.environment, "TMPDIR": "/tmp/elsewhere"})
        assert status == 0 and error == "an error\n", error
        told[script] = json.loads(out)
    forked, started = told["some.py"], told["unknown.py"]
    assert forked["loaded"] == ["wave"] and started["loaded"] == []
    assert forked["parent"] != os.getpid() and started["parent"] == os.getpid()
    copy = str(jobs.folder / "tmp1.some.py")
    assert forked["argv"] == [copy] and forked["file"] == copy
    for name in ("path", "name", "folder", "variable", "input", "threads"):
        assert forked[name] == started[name], name


def test_a_module_is_loaded_once_for_all_jobs_and_only_where_it_is_imported(jobs: Jobs) -> None:
    source = "import os, sys; print('wave' in sys.modules, os.getppid())"
    told = [jobs.run(source, script)[1].split() for script in ("other.py", "some.py", "some.py")]
    assert [loaded for loaded, _ in told] == ["False", "True", "True"]
    assert len({parent for _, parent in told}) == 1


@pytest.mark.parametrize(
    ("source", "status", "error"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('what is wrong')", 1, "what is wrong\n"),
        ("raise ValueError('a fault')", 1, "ValueError: a fault\n"),
        ("if", 1, "SyntaxError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ""),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
    ],
)
def test_a_job_ends_as_it_would_by_itself(jobs: Jobs, source: str, status: int, error: str) -> None:
    for script in ("some.py", "unknown.py"):
        ended, _, said = jobs.run(source, script)
        assert ended == status and error in said and (error or not said), (script, said)


def test_what_is_left_to_do_at_the_end_is_done(jobs: Jobs) -> None:
    source = """
import atexit, threading, time
atexit.register(lambda: print("at exit"))
threading.Thread(target=lambda: (time.sleep(0.3), print("a thread"))).start()
print("no newline", end="; ")
"""
    assert jobs.run(source) == (0, "no newline; a thread\nat exit\n", "")


def test_another_environment_is_not_a_servers(jobs: Jobs) -> None:
    source = "import os, sys; print('wave' in sys.modules, os.environ['OMP_NUM_THREADS'])"
    assert jobs.run(source)[1] == "True 1\n"
    assert jobs.run(source, env={**jobs.environment, "OMP_NUM_THREADS": "2"})[1] == "False 2\n"


def test_a_server_with_a_thread_forks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    jobs = Jobs(tmp_path, {"some.py": [("threaded", [])]})
    assert jobs.run("import sys; print('threaded' in sys.modules)")[:2] == (0, "False\n")


def waiting(jobs: Jobs) -> tuple[subprocess.Popen[str], int]:
    """Start a job that waits, and return its client and its process."""
    client = jobs.start("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(300)")
    assert client.stdout
    return client, int(client.stdout.readline())


def ended(pid: int) -> bool:
    """Wait until a process has ended, as it does in a moment."""
    for _ in range(600):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def test_a_job_ends_with_its_client(jobs: Jobs) -> None:
    client, pid = waiting(jobs)
    client.terminate()
    assert client.wait() == -signal.SIGTERM and ended(pid)
    client, pid = waiting(jobs)
    client.kill()
    assert client.wait() == -signal.SIGKILL and ended(pid)
    assert jobs.run("print('the next one')")[1] == "the next one\n"


def test_servers_and_their_jobs_end_with_who_started_them(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(
        "import _forkserver as forkserver, sys, time\n"
        "command, kept = forkserver.start([{'some.py': []}], count=1)\n"
        "print(command, flush=True)\ntime.sleep(300)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, tmp_path / "starts.py"],
        env={**os.environ, **_forkserver.threads(1), "PYTHONPATH": str(Path(_forkserver.__file__).parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout
    jobs = Jobs(tmp_path)
    jobs.command = owner.stdout.readline().strip()
    jobs.environment["PYTHONPATH"] = str(Path(_forkserver.__file__).parent)
    client, pid = waiting(jobs)
    server = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert server != client.pid
    owner.kill()
    owner.wait()
    assert ended(server) and ended(pid) and client.wait() != 0


def test_without_a_server_a_job_runs_by_itself(jobs: Jobs) -> None:
    command = jobs.command.split()
    gone = [*command[:-1], str(jobs.folder / "nowhere")]
    (jobs.folder / "tmp1.some.py").write_text("print('alone')")
    done = subprocess.run(
        [*gone, sys.executable, jobs.folder / "tmp1.some.py"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "alone\n"
