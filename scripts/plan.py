"""Print what a study costs before it runs: jobs, GPU-hours, CPU-hours, disk, downloads, and the longest path.

    python scripts/plan.py [TARGET ...] --configfile config/published.yaml

Targets are those of Snakemake (by default ``all``); what is finished already costs nothing. Times come from
the stated throughputs of ``config/throughputs.tsv``, and from records of finished jobs once there are any.
"""

import argparse
import sys
from pathlib import Path

import _snakemake
from anatomy.audit import job_record
from anatomy.errors import AnatomyError
from anatomy.planning import plan as planning_plan
from anatomy.planning import report
from anatomy.storage import csv


def job(resolved: _snakemake.Resolved) -> planning_plan.Job:
    """Return a job as the plan knows it."""
    of, resources = resolved.job, resolved.job.resources
    cores, gpus = int(resources["_cores"]), int(resources.get("gpu", 0) or 0)
    wildcards = dict(of.wildcards_dict)
    return planning_plan.Job(of.rule.name, wildcards, resolved.needs, cores, gpus, resolved.runs)


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
        workflow = _snakemake.plannable(arguments.targets, configfiles, arguments.all)
        study = workflow.globals["STUDY"]
        asked = report.asked(study, arguments.throughputs, arguments.gpu)
        done = job_record.within(Path("results") / study.name, Path("figures") / study.name)
        took = [planning_plan.Record(record.rule, record.wildcards, record.run["seconds"]) for record in done]
        estimates = planning_plan.Estimates(study, asked, took)
        plan = planning_plan.plan(study, [*map(job, _snakemake.jobs(workflow))], estimates)
        print(report.printed(plan, asked))
        if arguments.csv:
            csv.write_csv(arguments.csv, [line.cells() for line in plan.lines], exact=True)
    except (AnatomyError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
