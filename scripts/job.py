"""How a rule's script runs: inside Snakemake, or alone from a shell or a test.

Inside Snakemake the script finds ``snakemake`` in its globals. Alone, name the file it should make::

    python scripts/count.py results/embedded/counts/base/seed-0/easy.parquet [--configfile CONFIG]

and Snakemake is asked for that file's rule, inputs and params; nothing else of the workflow runs.
"""

import argparse
import errno
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

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
    """Run ``main(snakemake, report)``; a user's mistake ends in its message and exit status 1."""
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
            main(snakemake, tee.line)
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
    try:
        job = resolve(arguments.target, [arguments.configfile] if arguments.configfile else [])
    except AnatomyError as error:
        sys.exit(f"error: {error}")
    absent = [name for name in job.input if not Path(name).exists()]
    if absent:
        sys.exit(f"error: {arguments.target} needs {', '.join(absent)}; make it with `snakemake {absent[0]}`")
    return job


def workflow(configfiles: list[Path], **dag: Any) -> Any:
    """Return Snakemake's workflow, to look at and not to run; ``dag`` are fields of its DAGSettings."""
    # Snakemake is needed here only: a script that it runs itself does not import it.
    import snakemake.api  # noqa: F401  (first, since the modules import each other)
    from snakemake.settings import types as settings
    from snakemake.workflow import Workflow

    found = Workflow(
        config_settings=settings.ConfigSettings(configfiles=tuple(configfiles)),
        resource_settings=settings.ResourceSettings(cores=1),
        workflow_settings=settings.WorkflowSettings(),
        logger_manager=None,
        storage_settings=settings.StorageSettings(),
        dag_settings=settings.DAGSettings(**dag),
        deployment_settings=settings.DeploymentSettings(),
        storage_provider_settings={},
    )
    found.include(Path(__file__).resolve().parents[1] / "Snakefile", overwrite_default_target=True)
    found.global_resources = {}
    return found


def resolve(target: str, configfiles: list[Path]) -> Any:
    """Return the job that makes ``target``, in the shape of the object that Snakemake gives to scripts.

    Nothing is run, and no upstream file is made. Raises AnatomyError where no rule makes the target.
    """
    found = workflow(configfiles, rerun_triggers=frozenset())
    from snakemake.dag import DAG
    from snakemake.jobs import Job

    for rule in found.rules:
        if rule.is_producer(target):
            return Job(rule, DAG(found, rules=[]), rule.get_wildcards(target))
    raise AnatomyError(f"{target}: no rule makes this file; `snakemake -n` lists what the study consists of")
