"""Print what a study costs before it runs: jobs, GPU-hours, CPU-hours, disk, downloads, and the longest path.

    python scripts/plan.py [TARGET ...] --configfile config/published.yaml

Targets are those of Snakemake (by default ``all``); what is finished already costs nothing. Times come from
the stated throughputs of ``config/throughputs.tsv``, and from records of finished jobs once there are any.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anatomy import config, planning
from anatomy.errors import AnatomyError


def workflow(targets: Sequence[str], configfiles: Sequence[Path], everything: bool) -> Any:
    """Return Snakemake's workflow for some targets; its jobs are not resolved yet."""
    import snakemake.api  # noqa: F401  (first, since the modules import each other)
    from snakemake.settings import types as settings
    from snakemake.workflow import Workflow

    absent = [str(path) for path in configfiles if not path.is_file()]
    if absent:
        raise AnatomyError(f"{', '.join(absent)}: no such file")
    found = Workflow(
        config_settings=settings.ConfigSettings(configfiles=tuple(configfiles)),
        resource_settings=settings.ResourceSettings(cores=1),
        workflow_settings=settings.WorkflowSettings(),
        logger_manager=None,
        storage_settings=settings.StorageSettings(),
        dag_settings=settings.DAGSettings(
            targets=frozenset(targets),
            forceall=everything,
            rerun_triggers=frozenset({settings.RerunTrigger.PARAMS, settings.RerunTrigger.INPUT}),
        ),
        deployment_settings=settings.DeploymentSettings(),
        storage_provider_settings={},
    )
    found.include(Path(__file__).resolve().parents[1] / "Snakefile", overwrite_default_target=True)
    found.global_resources = {}
    found.check()
    return found


def jobs(found: Any) -> list[planning.Job]:
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
    for job in (job for level in dag.toposorted() for job in level if not job.rule.norun):
        needs = sorted(places[needed] for needed in dag.dependencies[job])
        asked = job.resources
        cores, gpus = int(asked["_cores"]), int(asked.get("gpu", 0) or 0)
        places[job] = len(result)
        wildcards = dict(job.wildcards_dict)
        result.append(planning.Job(job.rule.name, wildcards, needs, cores, gpus, dag.needrun(job)))
    return result


def records(rules: Any, folder: Path) -> list[planning.Record]:
    """Return what the jobs of the rules that have written a benchmark record took."""
    found = []
    for rule in (rule for rule in rules if rule.benchmark is not None):
        constant = Path(str(rule.benchmark.constant_prefix()))
        start = constant if constant.is_dir() else constant.parent
        for path in sorted(start.rglob("*.tsv")) if start.is_relative_to(folder) else []:
            named = rule.benchmark.match(str(path))
            if named is None:
                continue
            with path.open(newline="") as file:
                try:
                    seconds = [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
                except (KeyError, TypeError, ValueError) as error:
                    raise AnatomyError(f"{path}: not a benchmark record ({error}); delete it") from error
            found += [planning.Record(rule.name, named.groupdict(), second) for second in seconds]
    return found


def stated(study: config.Study, throughputs: Path | None, gpu: str | None) -> config.Study:
    """Return the study with the throughputs and the GPU that an estimate is asked for."""
    settings = dict(study.settings)
    if (throughputs or gpu) and "scale" not in settings:
        raise AnatomyError(f"study '{study.name}' has no `scale`: it uses no throughputs and no GPU")
    if gpu:
        settings["scale"] = {**settings["scale"], "gpu": gpu}
    if throughputs:
        settings["sheets"] = {**settings["sheets"], "throughputs": str(throughputs)}
        study = replace(study, throughputs=config.sheet(throughputs, config.Throughput))
    return replace(study, settings=settings)


def aligned(rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """Return lines of columns of equal width, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def shown(number: float) -> str:
    """Return a number with three digits or all before the point."""
    if not number:
        return "-"
    if number < 0.005:
        return "<0.01"
    return f"{number:,.2f}" if number < 9.995 else f"{number:,.1f}" if number < 99.95 else f"{number:,.0f}"


HEAD = ("jobs", "GPU-hours", "CPU-hours", "disk, GB", "download, GB", "longest, h")


def columns(line: planning.Line) -> list[str]:
    cost = line.cost
    numbers = (cost.gpu_hours, cost.cpu_hours, cost.disk_gb, cost.download_gb, line.longest_hours)
    return [f"{cost.jobs:,}", *map(shown, numbers)]


def printed(found: planning.Plan, study: config.Study) -> str:
    """Return a plan as the text that a user reads."""
    total = found.total
    gpu = f", on {study.settings['scale']['gpu']}" if "scale" in study.settings else ""
    blocks = [f"Study {study.name}{gpu}: {total.cost.jobs:,} jobs to run, {found.finished:,} finished."]
    rules = [["rule", *HEAD, "by"]]
    rules += [[line.name, *columns(line), line.basis] for line in found.of("rule")]
    blocks.append(aligned([*rules, ["total", *columns(total), total.basis]], [0, 7]))
    if found.of("artifact"):
        own = {line.name: line for line in found.of("own")}
        lines = [["table or figure", *HEAD, "its own GPU-hours", "CPU-hours", "published"]]
        for line in found.of("artifact"):
            alone = own.get(line.name)
            mine = [shown(alone.cost.gpu_hours), shown(alone.cost.cpu_hours)] if alone else ["", ""]
            lines.append([line.name, *columns(line), *mine, line.published.replace("none", "")])
        for line in [*found.of("shared"), *found.of("other"), total]:
            mine = [shown(line.cost.gpu_hours), shown(line.cost.cpu_hours)]
            lines.append(
                [f"needed by {line.name}" if line is not total else "total", *columns(line), *mine, ""]
            )
        blocks.append(
            "Each table and figure alone; its own is what nothing else needs (of a table that others are made"
            " from: in theirs).\nOwn ones, what several need and what none needs make the total.\n\n"
            + aligned(lines, [0, 9])
        )
    steps = [
        f"  {shown(hours):>6} h  {' '.join([job.rule, *job.wildcards.values()])}" for job, hours in found.path
    ]
    blocks.append(
        f"Longest path, {shown(total.longest_hours)} hours with any number of machines:\n" + "\n".join(steps)
    )
    if total.cost.scratch_gb:
        blocks.append(f"While it runs, the largest training needs {shown(total.cost.scratch_gb)} GB more.")
    if total.cost.unknown:
        rules_of = [line.name for line in found.of("rule") if line.cost.unknown]
        blocks.append(
            f"The time of {total.cost.unknown:,} jobs is unknown and counts as 0, since no job of their rules"
            f" has finished: {', '.join(rules_of)}."
        )
    return "\n\n".join(blocks)


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
        found = workflow(arguments.targets, configfiles, arguments.all)
        study = found.globals["STUDY"]
        asked = stated(study, arguments.throughputs, arguments.gpu)
        folder = Path("results") / study.name / "benchmarks"
        estimates = planning.Estimates(study, asked, records(found.rules, folder))
        plan = planning.plan(study, jobs(found), estimates)
        print(printed(plan, asked))
        if arguments.csv:
            planning.write_csv(plan, arguments.csv)
    except (AnatomyError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
