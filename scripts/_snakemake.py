"""The workflow as Snakemake reads it, asked about jobs; nothing is run.

python scripts/_snakemake.py TARGET [CONFIGFILE ...]    the job that makes a file, as JSON (for _job.py)
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anatomy.audit.job_record import Record
from anatomy.audit.recorder import named, plain
from anatomy.audit.scrubbing import scrubbed
from anatomy.errors import AnatomyError


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


def load(configfiles: list[Path], overrides: Mapping[str, Any] | None = None, **dag: Any) -> Any:
    """Return Snakemake's workflow, to look at and not to run.

    overrides: settings as on the command line; ``dag``: fields of its DAGSettings.
    """
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
    found = load(configfiles, rerun_triggers=frozenset())
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
    from anatomy.workflow import code_digest

    try:
        found = load(configfiles, overrides, rerun_triggers=frozenset())
    except SystemExit as error:  # what rules/common.smk ends with for a mistake in the settings
        raise AnatomyError(str(error).removeprefix("error: ")) from error
    from snakemake.dag import DAG
    from snakemake.exceptions import WorkflowError
    from snakemake.jobs import Job

    # The digest of inputs and code is left out of records too, and takes long.
    code_digest.stamp = lambda scripts, inputs: ""
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
