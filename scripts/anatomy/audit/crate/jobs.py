"""The jobs of a study in its crate: when and by which tool each ran, what it read and made."""

import ast
from typing import Any

from anatomy.audit import hashing, job_record
from anatomy.audit.crate.builder import Builder
from anatomy.audit.crate.files import add_data, add_file
from anatomy.audit.crate.sources import stored
from anatomy.audit.crate.vocabulary import DONE, USED
from anatomy.audit.job_record import Record


def add_job(builder: Builder, record: Record) -> Any:
    """Add a job's run, its tool, and what it used."""
    run, rule = record.run, record.rule
    action = builder.add(
        f"#job-{record.digest}",
        "CreateAction",
        name=record.name,
        description=run["command"],
        identifier=record.digest,
        startTime=run["start"],
        endTime=run["end"],
        actionStatus=DONE,
        instrument=_tool(builder, record),
    )
    action["resourceUsage"] = [
        builder.add(
            f"#job-{record.digest}-{name}",
            "PropertyValue",
            name=called,
            value=str(run[name]),
            unitCode=unit,
            propertyID=builder.add(f"#{name}", "DefinedTerm", name=called, description=about),
        )
        for name, (called, about, unit) in USED.items()
    ]
    place = str(job_record.path_of(record.outputs[0].path))
    content = builder.trail.folder / place
    about = f"Record of the job '{record.name}' of rule {rule}"
    action["subjectOf"] = add_file(
        builder, place, hashing.sha256(content), content, description=about, about=action
    )
    builder.crate.root_dataset.append_to("mentions", action)
    return action


def _tool(builder: Builder, record: Record) -> Any:
    rule, script = record.rule, str(record.result["script"])
    tool = builder.added.get(f"#tool-{rule}")
    if tool is None:
        tool = builder.add(
            f"#tool-{rule}",
            "SoftwareApplication",
            name=f"Rule {rule}",
            url=script,
            description=_says(builder, script),
            softwareVersion=str(builder.citation.get("version", "0")),
            mainEntity=builder.files[script],
        )
        tool["softwareRequirements"] = [builder.files[script]]
    required = tool["softwareRequirements"]
    for name, version in record.result["environment"]["packages"].items():
        package = builder.add(
            f"pkg:pypi/{name}@{version}",
            "SoftwareApplication",
            name=name,
            softwareVersion=version,
            url=f"pkg:pypi/{name}@{version}",
        )
        if package not in required:
            tool.append_to("softwareRequirements", package)
            required.append(package)
    return tool


def _says(builder: Builder, script: str) -> str | None:
    """Return the first line of a script's docstring."""
    place = stored(builder, script, builder.sources[script])
    try:
        said = ast.get_docstring(ast.parse(place.read_text(encoding="utf-8"))) if place else None
    except (OSError, ValueError, SyntaxError):
        return None
    return said.splitlines()[0] if said else None


def relate(builder: Builder, record: Record, action: Any) -> None:
    """Tell what a job read and made, and which slot of its rule each fills."""
    read: list[Any] = []
    for side, files in (("input", record.inputs), ("output", record.outputs)):
        entities = [(file, add_data(builder, file, record if side == "output" else None)) for file in files]
        for file, entity in entities:
            builder.fill(f"#{record.rule}-{side}-{slot(record, side, file.path)}", entity, entity.type)
        if side == "output":
            action["result"] = [entity for _, entity in entities]
        else:
            read = [entity for _, entity in entities]
    for name, value in record.params.items():
        read.append(builder.value(f"{record.rule}-param-{name}", name, value))
    action["object"] = read


def slot(record: Record, side: str, path: str) -> str:
    """Return the name under which a rule knows an input or output; its side where it has none."""
    for name, held in record.result["named"][f"{side}s"].items():
        if path == held or (isinstance(held, list) and path in held):
            return str(name)
    return side
