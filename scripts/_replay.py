"""Run one job's script as its record tells it, without Snakemake (``anatomy.audit.reproduce.run`` calls it).

The job is the first line of standard input, as JSON; its folder is the working folder. The process ends when
standard input is closed, so that nothing goes on running for a caller that has died.
"""

import json
import os
import runpy
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Only the standard library: the code that is run may be older than this, and so may its environment.


class Values(dict[str, Any]):
    """Params, wildcards or resources, which are attributes too."""

    def __init__(self, values: Mapping[str, Any]):
        super().__init__(values)
        self.__dict__ = self


class Files(list[str]):
    """Inputs or outputs: in order, and by name as attributes."""

    def __init__(self, files: Sequence[str], named: Mapping[str, Any]):
        super().__init__(files)
        self.__dict__.update(named)
        self.get, self.items, self.keys = named.get, named.items, named.keys


def rebuilt(job: Mapping[str, Any]) -> SimpleNamespace:
    """Return a job in the shape of the object that Snakemake gives to scripts."""
    named = job["named"]
    return SimpleNamespace(
        rule=job["rule"],
        wildcards=Values(job["wildcards"]),
        input=Files(job["inputs"], named["inputs"]),
        output=Files(job["outputs"], named["outputs"]),
        params=Values(job["params"]),
        threads=job["threads"],
        resources=Values({"gpu": job["gpu"]}),
        log=job.get("log", []),
    )


def main() -> None:
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_caller, daemon=True).start()
    script = Path(job["script"]).resolve()
    sys.path[0] = str(script.parent)  # instead of the folder of this file
    sys.argv = [str(job["script"])]
    runpy.run_path(str(script), {"snakemake": rebuilt(job)}, "__main__")


def end_with_caller() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
