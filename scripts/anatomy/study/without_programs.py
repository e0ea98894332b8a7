"""A study without its programs, for machines that cannot run them in a sandbox (``programs: false``)."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from anatomy.study.study import Study

FEWEST = 2
"""An artifact that compares arms is left out where fewer than these are left of several."""


def programs(study: Study) -> Study:
    """Return the study without benchmarks of programs, and without whatever exists for them alone.

    That is: runs that train on them, arms that are sampled on nothing else, and tables and figures of them.
    """
    kept = {name: row for name, row in study.benchmarks.items() if row.grader != "program"}
    runs = {name: run for name, run in study.runs.items() if run.benchmark in kept}
    arms = {}
    for name, arm in study.arms.items():
        benchmarks = tuple(benchmark for benchmark in arm.benchmarks if benchmark in kept)
        if (arm.model in runs or arm.model in study.models) and (benchmarks or not arm.benchmarks):
            arms[name] = arm.model_copy(update={"benchmarks": benchmarks})
    tables = _artifacts(study.artifacts["tables"], arms, kept)
    for table in tables.values():
        if "tables" in table:  # a table over other tables
            table["tables"] = [name for name in table["tables"] if name in tables]
    figures = {
        name: figure
        for name, figure in _artifacts(study.artifacts["figures"], arms, kept).items()
        if all(table in tables for table in figure.get("tables", []))
    }
    artifacts = {**study.artifacts, "tables": tables, "figures": figures}
    return replace(study, benchmarks=kept, runs=runs, arms=arms, artifacts=artifacts)


def _artifacts(
    artifacts: Mapping[str, Any], arms: Collection[str], benchmarks: Collection[str]
) -> dict[str, Any]:
    """Return those tables or figures that are left, with what is left of what they cover."""
    kept_entries = {}
    for name, artifact in artifacts.items():
        left = dict(artifact)
        for key in ("benchmarks", "arms", "pairs"):
            covered = artifact.get(key, "all")
            if covered != "all":
                left[key] = [
                    entry
                    for entry in covered
                    if (entry in benchmarks if key == "benchmarks" else set(_names(entry)) <= set(arms))
                ]
        several = len(artifact.get("arms", [])) >= FEWEST > len(left.get("arms", []))
        emptied = any(artifact.get(key) and not left[key] for key in ("benchmarks", "arms", "pairs"))
        if not several and not emptied:
            kept_entries[name] = left
    return kept_entries


def _names(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
