"""Print what a study costs before it runs: jobs, GPU-hours, CPU-hours, disk, downloads, and the longest path.

    python scripts/plan.py [TARGET ...] --configfile config/published.yaml

Targets are those of Snakemake (by default ``all``); what is finished already costs nothing. Times come from
the stated throughputs of ``config/throughputs.tsv``, and from records of finished jobs once there are any.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _snakemake
from anatomy.audit import job_record
from anatomy.errors import AnatomyError
from anatomy.planning import plan as planning_plan
from anatomy.planning import report
from anatomy.storage import csv


def looked_at(targets: Sequence[str], configfiles: list[Path], everything: bool) -> Any:
    """Return Snakemake's workflow for some targets; its jobs are not resolved yet."""
    from snakemake.settings.types import RerunTrigger

    absent = [str(path) for path in configfiles if not path.is_file()]
    if absent:
        raise AnatomyError(f"{', '.join(absent)}: no such file")
    found = _snakemake.load(
        configfiles,
        targets=frozenset(targets),
        forceall=everything,
        rerun_triggers=frozenset({RerunTrigger.PARAMS, RerunTrigger.INPUT}),
    )
    found.check()
    return found


def jobs(found: Any) -> list[planning_plan.Job]:
    """Resolve a workflow's jobs; return those that have something to run, each after those it waits for."""
    from snakemake.exceptions import RuleException, WorkflowError

    settings = found.dag_settings
    try:
        found._prepare_dag(settings.forceall, ignore_incomplete=True, lock_warn_only=True, nolock=True)
        dag = found.dag
        # The environments' files are of no interest here, and looking for them asks every job for its params.
        dag.update_conda_envs = lambda: None
        found.async_run(dag.init())
    except (RuleException, WorkflowError) as error:
        targets = " ".join(settings.targets) or "this study"
        raise AnatomyError(f"Snakemake cannot plan {targets}: {error}") from error
    places: dict[Any, int] = {}
    result = []
    for one in (one for level in dag.toposorted() for one in level if not one.rule.norun):
        needs = sorted(places[needed] for needed in dag.dependencies[one])
        asked = one.resources
        cores, gpus = int(asked["_cores"]), int(asked.get("gpu", 0) or 0)
        places[one] = len(result)
        wildcards = dict(one.wildcards_dict)
        result.append(planning_plan.Job(one.rule.name, wildcards, needs, cores, gpus, dag.needrun(one)))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="as for snakemake; by default all")
    parser.add_argument("--configfile", type=Path, help="the study's configuration")
    parser.add_argument("--all", action="store_true", help="plan everything, what is finished too")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the plan there too")
    parser.add_argument(
        "--throughputs", type=Path, metavar="FILE", help="a sheet to estimate by, like the study's"
    )
    parser.add_argument("--gpu", metavar="NAME", help="the GPU of the throughputs to estimate for")
    arguments = parser.parse_args()
    configfiles = [arguments.configfile] if arguments.configfile else []
    try:
        found = looked_at(arguments.targets, configfiles, arguments.all)
        study = found.globals["STUDY"]
        asked = report.asked(study, arguments.throughputs, arguments.gpu)
        done = job_record.within(Path("results") / study.name, Path("figures") / study.name)
        took = [planning_plan.Record(job.rule, job.wildcards, job.run["seconds"]) for job in done]
        estimates = planning_plan.Estimates(study, asked, took)
        plan = planning_plan.plan(study, jobs(found), estimates)
        print(report.printed(plan, asked))
        if arguments.csv:
            csv.write_csv(arguments.csv, [line.cells() for line in plan.lines], exact=True)
    except (AnatomyError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
