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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from anatomy.audit.recording import Recorder, named, plain, scrubbed
from anatomy.audit.records import Record
from anatomy.errors import AnatomyError
from replay import rebuilt


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
        __file__,
        arguments.target,
        *([arguments.configfile] if arguments.configfile else []),
    ]
    said = subprocess.run(asking, stdout=subprocess.PIPE, text=True)
    if said.returncode:
        sys.exit(said.returncode)
    job = rebuilt(json.loads(said.stdout.splitlines()[-1]))
    absent = [name for name in job.input if not Path(name).exists()]
    if absent:
        sys.exit(f"error: {arguments.target} needs {', '.join(absent)}; make it with `snakemake {absent[0]}`")
    return job


def described(job: Any) -> dict[str, Any]:
    """Return a job that Snakemake resolved as plain JSON, from which it can be rebuilt."""
    return {
        "rule": job.rule.name,
        "wildcards": dict(job.wildcards),
        "inputs": list(map(str, job.input)),
        "outputs": list(map(str, job.output)),
        "named": {"inputs": named(job.input), "outputs": named(job.output)},
        "params": plain(dict(job.params)),
        "threads": job.threads,
        "gpu": dict(job.resources).get("gpu", 0),
        "log": list(map(str, job.log)),
    }


def workflow(configfiles: list[Path], overrides: Mapping[str, Any] | None = None, **dag: Any) -> Any:
    """Return Snakemake's workflow, to look at and not to run.

    overrides: settings as on the command line; ``dag``: fields of its DAGSettings.
    """
    # Snakemake is needed here only: a script that it runs itself does not import it.
    import snakemake.api  # noqa: F401  (first, since the modules import each other)
    from snakemake.settings import types as settings
    from snakemake.workflow import Workflow

    found = Workflow(
        config_settings=settings.ConfigSettings(config=overrides or {}, configfiles=tuple(configfiles)),
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


def params(
    records: Sequence[Record], configfiles: list[Path], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the params that the workflow has now for recorded jobs, by the digest of their records.

    overrides: settings given on the command line. A job that the workflow does not have any more is left out.
    Raises AnatomyError where the settings are not valid.
    """
    from anatomy import provenance

    try:
        found = workflow(configfiles, overrides, rerun_triggers=frozenset())
    except SystemExit as error:  # what rules/common.smk ends with for a mistake in the settings
        raise AnatomyError(str(error).removeprefix("error: ")) from error
    from snakemake.dag import DAG
    from snakemake.exceptions import WorkflowError
    from snakemake.jobs import Job

    # The digest of inputs and code is left out of records too, and takes long.
    provenance.stamp = lambda scripts, inputs: ""
    dag, rules, result = DAG(found, rules=[]), {rule.name: rule for rule in found.rules}, {}
    for record in records:
        rule = rules.get(record.rule)
        try:
            of_job = dict(Job(rule, dag, dict(record.wildcards)).params) if rule else None
        except (KeyError, WorkflowError):
            continue  # an arm or a run that is not there any more
        if of_job is not None:
            of_job.pop("stamp", None)
            result[record.digest] = scrubbed(plain(of_job))
    return result


if __name__ == "__main__":
    try:
        print(json.dumps(described(resolve(sys.argv[1], list(map(Path, sys.argv[2:]))))))
    except AnatomyError as error:
        sys.exit(f"error: {error}")
