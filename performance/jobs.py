"""What a job's start costs: a process that imports what a script imports, started and forked from a server.

    python performance/jobs.py [SCRIPT ...]

Prints processor seconds a job (user and system, all processes), the median of several, and their ratio. The
first job of a server, which imports for all that follow, is left out and told apart.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import _forkserver  # noqa: E402
from anatomy.workflow import code_digest  # noqa: E402

REPEATS = 7
ENVIRONMENT = {**os.environ, **_forkserver.threads(1)}


def ticks(pid: int) -> float:
    """Return the processor seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    names = sys.argv[1:] or ["count.py", "grade.py", "table.py", "figure_passk.py", "sample.py", "train.py"]
    print(f"{'script':<18}{'started':>9}{'forked':>9}{'ratio':>8}{'first':>8}   processor seconds")
    for name in names:
        imports = sorted(
            {(one.module, one.names) for one in code_digest.foreign(SCRIPTS / name) if one.loads}
        )
        lines = [
            f"from {module} import {', '.join(names)}" if names else f"import {module}"
            for module, names in imports
        ]
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / f"tmp.{name}"
            copy.write_text("\n".join(lines) + "\n")
            command, kept = _forkserver.start([{name: imports}], count=1)
            server = kept[1][0].pid
            started, forked = [], []
            for _ in range(REPEATS + 1):
                before = children()
                subprocess.run([sys.executable, copy], env=ENVIRONMENT, check=True)
                started.append(children() - before)
                before = children() + ticks(server)
                subprocess.run([*command.split(), sys.executable, str(copy)], env=ENVIRONMENT, check=True)
                time.sleep(0.1)  # until the server has waited for its child
                forked.append(children() + ticks(server) - before)
        one, other = statistics.median(started[1:]), statistics.median(forked[1:])
        print(f"{name:<18}{one:>9.2f}{other:>9.2f}{one / other:>8.1f}{forked[0]:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
