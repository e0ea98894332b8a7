"""The workflow of a study in its crate: its rules, how they are connected, and its run as a whole."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from anatomy.audit.crate.builder import Builder
from anatomy.audit.crate.files import add_data
from anatomy.audit.crate.jobs import slot
from anatomy.audit.crate.sources import stored
from anatomy.audit.crate.vocabulary import DONE
from anatomy.audit.ledger import HISTORY
from anatomy.audit.recorder import SOURCES
from anatomy.errors import AnatomyError


def add_workflow(builder: Builder, actions: Mapping[str, Any]) -> None:
    """Add the workflow, its rules as steps, and its run.

    Args:
        builder: The crate, which has all jobs.
        actions: The run of each job, by the digest of its record.

    Raises:
        AnatomyError: The Snakefile as it was is lost.
    """
    version = _engine_version(builder)
    workflow = _main(builder, version)
    rules = list(dict.fromkeys(record.rule for record in builder.jobs))
    workflow["hasPart"] = [builder.added[f"#tool-{rule}"] for rule in rules]
    run = _run(builder, workflow, actions)
    steps = {rule: _step(builder, rule) for rule in rules}
    workflow["step"] = list(steps.values())
    _organize(builder, run, steps, actions, version)
    _connect(builder, workflow, steps)
    _list_slots(builder, workflow, rules)
    if builder.data != "none":
        _add_archives(builder)


def _main(builder: Builder, version: str | None) -> Any:
    """Add the Snakefile as the crate's main entity; ``version`` is Snakemake's."""
    digest = builder.sources["Snakefile"]
    source = stored(builder, "Snakefile", digest)
    if source is None:
        raise AnatomyError(
            f"Snakefile: not as it was when the study ran, and {builder.trail.results}/{SOURCES} lost it"
        )
    workflow = builder.crate.add_workflow(
        source,
        "Snakefile",
        main=True,
        lang="snakemake",
        lang_version=version,
        gen_cwl=False,
        properties={
            "name": "rlvr-anatomy",
            "description": builder.crate.description,
            "sha256": digest,
            "version": _version(builder),
            "url": "Snakefile",
            "encodingFormat": "text/plain",
            "license": {"@id": builder.crate.license.id},
            "contentSize": str(source.stat().st_size),
        },
    )
    workflow.properties()["@type"] = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
    workflow["conformsTo"] = builder.add(
        "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE",
        "CreativeWork",
        name="ComputationalWorkflow profile",
        version="1.0-RELEASE",
    )
    return workflow


def _organize(
    builder: Builder, run: Any, steps: Mapping[str, Any], actions: Mapping[str, Any], version: str | None
) -> None:
    """Tell that Snakemake ran the jobs of each rule, and so the workflow."""
    controls = [
        builder.add(
            f"#control-{rule}",
            "ControlAction",
            name=f"Runs of rule {rule}",
            instrument=step,
            object=[actions[record.digest] for record in builder.jobs if record.rule == rule],
        )
        for rule, step in steps.items()
    ]
    engine = builder.add(
        "https://snakemake.github.io",
        "SoftwareApplication",
        name="Snakemake",
        softwareVersion=version or "unknown",
        url="https://snakemake.github.io",
    )
    builder.add(
        "#engine",
        "OrganizeAction",
        name=f"Snakemake runs the study '{builder.trail.study}'",
        instrument=engine,
        object=controls,
        result=run,
        startTime=run["startTime"],
        endTime=run["endTime"],
    )


def _list_slots(builder: Builder, workflow: Any, rules: Sequence[str]) -> None:
    """Tell which slots rules and workflow have."""

    def slots(*beginnings: str) -> list[dict[str, str]]:
        chosen = (slot for begin in beginnings for slot in sorted(builder.slots) if slot.startswith(begin))
        return [{"@id": slot} for slot in chosen]

    for rule in rules:
        tool = builder.added[f"#tool-{rule}"]
        for side, kinds in (("input", ("input", "param")), ("output", ("output",))):
            held = slots(*(f"#{rule}-{kind}-" for kind in kinds))
            if held:
                tool[side] = held
    for side in ("input", "output"):
        workflow[side] = slots(f"#workflow-{side}-")


def _add_archives(builder: Builder) -> None:
    """Add the folders of sources and of former ledgers, as they are."""
    trail = builder.trail
    for name, about in (
        (SOURCES, "Every source file that a job ran or read, named by its SHA-256"),
        (HISTORY, "Records and numbers of each root that the study has had"),
    ):
        path = f"{trail.results}/{name}"
        if (trail.folder / path).is_dir():
            shown = {"name": path, "description": about}
            where = (trail.folder / path, path)
            builder.crate.add(builder.model.Dataset(builder.crate, *where, properties=shown))


def _version(builder: Builder) -> str:
    """Return the project's version with the commit at which the numbers were collected."""
    collected = builder.trail.maker(f"{builder.trail.results}/numbers.json")
    commit = collected.run["git"]["commit"] if collected else None
    return f"{builder.citation.get('version', '0')}{f'+{commit[:10]}' if commit else ''}"


def _engine_version(builder: Builder) -> str | None:
    """Return Snakemake's version from the lock file that the jobs ran with."""
    for path, digest in builder.sources.items():
        if path.startswith("envs/") and (place := stored(builder, path, digest)):
            match = re.search(
                r"^\W*snakemake(?:-minimal)?==?([\w.]+)", place.read_text(encoding="utf-8"), re.M
            )
            if match:
                return match[1]
    return None


def _run(builder: Builder, workflow: Any, actions: Mapping[str, Any]) -> Any:
    """Add the run of the whole workflow: settings and raw files in, what is reported out."""
    trail = builder.trail
    read = [
        builder.value(f"workflow-input-{name}", name, value) for name, value in trail.ledger["config"].items()
    ]
    made: dict[str, Any] = {}
    for record in builder.jobs:
        for file in record.inputs:
            if not file.made_by and (entity := add_data(builder, file, None)) not in read:
                read.append(entity)
                builder.fill("#workflow-input-files", entity, entity.type)
        for file in record.outputs:
            kind = _reported(builder, file.path)
            if kind:
                made[file.path] = add_data(builder, file, record)
                builder.fill(f"#workflow-output-{kind}", made[file.path], "File")
    action = builder.add(
        f"#run-{builder.root}",
        "CreateAction",
        name=f"Run of the study '{trail.study}'",
        description="; ".join(sorted({str(record.run["command"]) for record in builder.jobs})),
        instrument=workflow,
        object=read,
        result=list(made.values()),
        actionStatus=DONE,
        startTime=min(str(record.run["start"]) for record in builder.jobs),
        endTime=max(str(record.run["end"]) for record in builder.jobs),
    )
    builder.crate.root_dataset.append_to("mentions", action)
    return action


def _reported(builder: Builder, path: str) -> str | None:
    """Return which output of the whole workflow a file is; None for what lies between."""
    trail = builder.trail
    whole = {
        trail.paper: "paper",
        f"{trail.results}/numbers.json": "numbers",
        f"{trail.results}/ledger.json": "ledger",
    }
    folders = {f"{trail.figures}/": "figures", f"{trail.results}/tables/": "tables"}
    return whole.get(path) or next((kind for top, kind in folders.items() if path.startswith(top)), None)


def _step(builder: Builder, rule: str) -> Any:
    locks = {
        lock["path"]: None
        for record in builder.jobs
        if record.rule == rule
        if (lock := record.result["environment"]["lock"])
    }
    return builder.add(
        f"#step-{rule}",
        "HowToStep",
        name=f"Rule {rule}",
        workExample=builder.added[f"#tool-{rule}"],
        buildInstructions=[builder.files[path] for path in locks if path in builder.files],
    )


def _connect(builder: Builder, workflow: Any, steps: Mapping[str, Any]) -> None:
    """Tell which rule's output becomes which rule's input."""
    made = {
        file.path: f"#{record.rule}-output-{slot(record, 'output', file.path)}"
        for record in builder.jobs
        for file in record.outputs
    }
    pairs: dict[tuple[str, str], Any] = {}
    for record in builder.jobs:
        for file in record.inputs:
            source = made.get(file.path, "#workflow-input-files")
            pairs[source, f"#{record.rule}-input-{slot(record, 'input', file.path)}"] = steps[record.rule]
    for path, source in made.items():
        if kind := _reported(builder, path):
            pairs[source, f"#workflow-output-{kind}"] = workflow
    for (source, target), holder in pairs.items():
        connection = builder.add(
            f"#connection{source.replace('#', '-')}{target.replace('#', '-')}",
            "ParameterConnection",
            sourceParameter={"@id": source},
            targetParameter={"@id": target},
        )
        holder.append_to("connection", connection)
