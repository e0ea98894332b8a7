"""What a user asks of a plan: other throughputs or another GPU, and the plan as text."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anatomy.errors import AnatomyError
from anatomy.planning.plan import Line, Plan
from anatomy.study.rows import Throughput
from anatomy.study.sheets import sheet
from anatomy.study.study import Study


def asked(study: Study, throughputs: Path | None, gpu: str | None) -> Study:
    """Return the study with the throughputs and the GPU that an estimate is asked for."""
    scale, sheets = study.settings.scale, study.settings.sheets
    if (throughputs or gpu) and scale is None:
        raise AnatomyError(f"study '{study.name}' has no `scale`: it uses no throughputs and no GPU")
    if gpu and scale:
        scale = scale.model_copy(update={"gpu": gpu})
    if throughputs:
        sheets = sheets.model_copy(update={"throughputs": str(throughputs)})
        study = replace(study, throughputs=sheet(throughputs, Throughput))
    return replace(study, settings=study.settings.model_copy(update={"scale": scale, "sheets": sheets}))


def _aligned(rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """Return lines of columns of equal width, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _shown(number: float) -> str:
    """Return a number with three digits or all before the point."""
    if not number:
        return "-"
    if number < 0.005:
        return "<0.01"
    return f"{number:,.2f}" if number < 9.995 else f"{number:,.1f}" if number < 99.95 else f"{number:,.0f}"


_HEAD = ("jobs", "GPU-hours", "CPU-hours", "disk, GB", "download, GB", "longest, h")


def _columns(line: Line) -> list[str]:
    cost = line.cost
    numbers = (cost.gpu_hours, cost.cpu_hours, cost.disk_gb, cost.download_gb, line.longest_hours)
    return [f"{cost.jobs:,}", *map(_shown, numbers)]


def printed(plan: Plan, study: Study) -> str:
    """Return a plan as the text that a user reads."""
    total = plan.total
    gpu = f", on {study.settings.scale.gpu}" if study.settings.scale else ""
    blocks = [f"Study {study.name}{gpu}: {total.cost.jobs:,} jobs to run, {plan.finished:,} finished."]
    rules = [["rule", *_HEAD, "by"]]
    rules += [[line.name, *_columns(line), line.basis] for line in plan.of("rule")]
    blocks.append(_aligned([*rules, ["total", *_columns(total), total.basis]], [0, 7]))
    if plan.of("artifact"):
        own = {line.name: line for line in plan.of("own")}
        lines = [["table or figure", *_HEAD, "its own GPU-hours", "CPU-hours", "published"]]
        for line in plan.of("artifact"):
            alone = own.get(line.name)
            mine = [_shown(alone.cost.gpu_hours), _shown(alone.cost.cpu_hours)] if alone else ["", ""]
            lines.append([line.name, *_columns(line), *mine, line.published.replace("none", "")])
        for line in [*plan.of("shared"), *plan.of("other"), total]:
            mine = [_shown(line.cost.gpu_hours), _shown(line.cost.cpu_hours)]
            lines.append(
                [f"needed by {line.name}" if line is not total else "total", *_columns(line), *mine, ""]
            )
        blocks.append(
            "Each table and figure alone; its own is what nothing else needs (of a table that others are made"
            " from: in theirs).\nOwn ones, what several need and what none needs make the total.\n\n"
            + _aligned(lines, [0, 9])
        )
    steps = [
        f"  {_shown(hours):>6} h  {' '.join([job.rule, *job.wildcards.values()])}" for job, hours in plan.path
    ]
    blocks.append(
        f"Longest path, {_shown(total.longest_hours)} hours with any number of machines:\n" + "\n".join(steps)
    )
    if total.cost.scratch_gb:
        blocks.append(f"While it runs, the largest training needs {_shown(total.cost.scratch_gb)} GB more.")
    if total.cost.unknown:
        rules_of = [line.name for line in plan.of("rule") if line.cost.unknown]
        blocks.append(
            f"The time of {total.cost.unknown:,} jobs is unknown and counts as 0, since no job of their rules"
            f" has finished: {', '.join(rules_of)}."
        )
    return "\n\n".join(blocks)
