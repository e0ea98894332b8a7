"""How a rule's script runs: inside Snakemake, or alone from a shell or a test.

Inside Snakemake the script finds ``snakemake`` in its globals. Alone, name the file it should make::

    python scripts/count.py results/embedded/counts/base/seed-0/easy.parquet [--configfile CONFIG]

and Snakemake is asked for that file's rule, inputs and params; nothing else of the workflow runs.
"""

import argparse
import errno
import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from _replay import rebuilt
from anatomy.audit.recorder import Recorder
from anatomy.errors import AnatomyError


class _Tee:
    """Writes to the terminal, each line under the job's name, and to the job's log."""

    def __init__(self, terminal: TextIO, log: TextIO | None, name: str):
        self.terminal, self.log, self.name = terminal, log, name
        self.lock = threading.Lock()

    def line(self, text: str) -> None:
        with self.lock:
            print(f"[{self.name}] {text}", file=self.terminal, flush=True)
            if self.log:
                print(text, file=self.log, flush=True)


def run(main: Callable[[Any, Callable[[str], None]], None], snakemake: Any | None) -> None:
    """Run ``main(snakemake, report)`` and leave the job's record beside its outputs.

    A user's mistake ends in its message and exit status 1.
    """
    if snakemake is None:
        snakemake = _alone()
    warnings.filterwarnings("ignore", category=FutureWarning)
    log = Path(snakemake.log[0]) if snakemake.log else None
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
    rule = getattr(snakemake.rule, "name", snakemake.rule)
    name = " ".join([str(rule), *map(str, dict(snakemake.wildcards).values())])
    with log.open("w", encoding="utf-8") if log else open("/dev/null", "w", encoding="utf-8") as file:
        tee = _Tee(sys.stderr, file, name)
        try:
            recorder = Recorder(snakemake, Path(main.__globals__["__file__"])) if snakemake.output else None
            main(snakemake, tee.line)
            if recorder:
                recorder.write()
        except AnatomyError as error:
            tee.line(f"error: {error}")
            sys.exit(1)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            tee.line(f"error: {error.strerror}: free some space and run again; nothing half-written is kept")
            sys.exit(1)


def _alone() -> Any:
    """Return a job as Snakemake would hand it to the script, for the file named on the command line."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("target", help="the output file to make, as the workflow calls it")
    parser.add_argument("--configfile", type=Path, help="the study's configuration")
    arguments = parser.parse_args()
    if arguments.configfile and not arguments.configfile.is_file():
        sys.exit(f"error: {arguments.configfile}: no such file")
    # Another process asks Snakemake, so that what Snakemake imports is not recorded as the script's.
    asking = [
        sys.executable,
        Path(__file__).with_name("_snakemake.py"),
        arguments.target,
        *([arguments.configfile] if arguments.configfile else []),
    ]
    said = subprocess.run(asking, stdout=subprocess.PIPE, text=True)
    if said.returncode:
        sys.exit(said.returncode)
    job = rebuilt(json.loads(said.stdout.splitlines()[-1]))
    absent = [name for name in job.input if not Path(name).exists()]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        first = absent[0] if len(absent) == 1 else arguments.target
        sys.exit(f"error: {arguments.target} needs {', '.join(absent[:3])}{more}: run `snakemake {first}`")
    return job
