"""The workflow as Snakemake reads it, asked about jobs; nothing is run.

python scripts/_snakemake.py TARGET [CONFIGFILE ...]    the job that makes a file, as JSON (for _job.py)
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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

    Args:
        configfiles: The study's configuration; none: that of the Snakefile.
        overrides: Settings as on the command line.
        **dag: Fields of Snakemake's DAGSettings.
    """
    import snakemake.api  # noqa: F401  (first, since the modules import each other)
    from snakemake.settings import types as settings
    from snakemake.workflow import Workflow

    workflow = Workflow(
        config_settings=settings.ConfigSettings(config=overrides or {}, configfiles=tuple(configfiles)),
        resource_settings=settings.ResourceSettings(cores=1),
        workflow_settings=settings.WorkflowSettings(),
        logger_manager=None,
        storage_settings=settings.StorageSettings(),
        dag_settings=settings.DAGSettings(**dag),
        deployment_settings=settings.DeploymentSettings(),
        storage_provider_settings={},
    )
    workflow.include(Path(__file__).resolve().parents[1] / "Snakefile", overwrite_default_target=True)
    workflow.global_resources = {}
    return workflow


def resolve(target: str, configfiles: list[Path]) -> Any:
    """Return the job that makes ``target``, in the shape of the object that Snakemake gives to scripts.

    Nothing is run, and no upstream file is made.

    Raises:
        AnatomyError: No rule makes the target.
    """
    workflow = load(configfiles, rerun_triggers=frozenset())
    from snakemake.dag import DAG
    from snakemake.jobs import Job

    for rule in workflow.rules:
        if rule.is_producer(target):
            return Job(rule, DAG(workflow, rules=[]), rule.get_wildcards(target))
    raise AnatomyError(f"{target}: no rule makes this file; `snakemake -n` lists what the study consists of")


def params(
    records: Sequence[Record], configfiles: list[Path], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the params that the workflow has now for recorded jobs, by the digest of their records.

    A job that the workflow does not have any more is left out.

    Args:
        records: The jobs.
        configfiles: The study's configuration; none: that of the Snakefile.
        overrides: Settings given on the command line.

    Raises:
        AnatomyError: The settings are not valid.
    """
    from anatomy.workflow import code_digest

    try:
        workflow = load(configfiles, overrides, rerun_triggers=frozenset())
    except SystemExit as error:  # what rules/common.smk ends with for a mistake in the settings
        raise AnatomyError(str(error).removeprefix("error: ")) from error
    from snakemake.dag import DAG
    from snakemake.exceptions import WorkflowError
    from snakemake.jobs import Job

    # The digest of inputs and code is left out of records too, and takes long.
    code_digest.stamp = lambda scripts, inputs: ""
    dag, rules, result = DAG(workflow, rules=[]), {rule.name: rule for rule in workflow.rules}, {}
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


def plannable(targets: Sequence[str], configfiles: list[Path], everything: bool) -> Any:
    """Return Snakemake's workflow for some targets; its jobs are not resolved yet.

    Args:
        targets: As for snakemake; none: ``all``.
        configfiles: The study's configuration; none: that of the Snakefile.
        everything: Whether finished jobs count as still to run.

    Raises:
        AnatomyError: There is no such configuration.
    """
    from snakemake.settings.types import RerunTrigger

    absent = [str(path) for path in configfiles if not path.is_file()]
    if absent:
        raise AnatomyError(f"{', '.join(absent)}: no such file")
    workflow = load(
        configfiles,
        targets=frozenset(targets),
        forceall=everything,
        rerun_triggers=frozenset({RerunTrigger.PARAMS, RerunTrigger.INPUT}),
    )
    workflow.check()
    return workflow


class Resolved(NamedTuple):
    """A job that Snakemake resolved."""

    job: Any
    needs: list[int]
    """Positions of the jobs that it waits for."""
    runs: bool
    """Whether it is still to run."""


def jobs(workflow: Any) -> list[Resolved]:
    """Resolve the jobs of a workflow from ``plannable``; return each after those that it waits for.

    Raises:
        AnatomyError: Snakemake cannot resolve them.
    """
    from snakemake.exceptions import RuleException, WorkflowError

    settings = workflow.dag_settings
    try:
        workflow._prepare_dag(settings.forceall, ignore_incomplete=True, lock_warn_only=True, nolock=True)
        dag = workflow.dag
        # The environments' files are of no interest here, and looking for them asks every job for its params.
        dag.update_conda_envs = lambda: None
        workflow.async_run(dag.init())
    except (RuleException, WorkflowError) as error:
        targets = " ".join(settings.targets) or "this study"
        raise AnatomyError(f"Snakemake cannot plan {targets}: {error}") from error
    places: dict[Any, int] = {}
    resolved: list[Resolved] = []
    for job in (job for level in dag.toposorted() for job in level if not job.rule.norun):
        needs = sorted(places[needed] for needed in dag.dependencies[job])
        places[job] = len(resolved)
        resolved.append(Resolved(job, needs, dag.needrun(job)))
    return resolved


if __name__ == "__main__":
    try:
        print(json.dumps(described(resolve(sys.argv[1], list(map(Path, sys.argv[2:]))))))
    except AnatomyError as error:
        sys.exit(f"error: {error}")
