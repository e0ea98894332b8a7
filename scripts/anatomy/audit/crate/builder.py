"""A crate in the making: its entities so far, by id or path, and what fills the slots of its rules."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from anatomy.audit import hashing
from anatomy.audit.crate.vocabulary import TERMS
from anatomy.audit.provenance import Trail
from anatomy.errors import AnatomyError

Data = Literal["none", "results", "all"]
"""Which files a crate carries: none but source, ledger and records; also tables, figures, numbers and paper;
or models, samples and all else too."""


class Builder:
    """Adds the entities of one crate."""

    def __init__(self, trail: Trail, data: Data):
        """Begin the crate of a study.

        Args:
            trail: The study.
            data: Which files the crate carries.

        Raises:
            AnatomyError: The study is not finished, or rocrate is not installed.
        """
        try:
            from rocrate import model
            from rocrate.rocrate import ROCrate
        except ImportError as error:
            raise AnatomyError("an RO-Crate needs the package rocrate; `make setup` installs it") from error
        self.trail, self.data, self.model = trail, data, model
        self.root = str(trail.ledger["root"])
        self.jobs = trail.chain([trail.paper, f"{trail.results}/ledger.json"])
        if not self.jobs:
            raise AnatomyError(f"{trail.results}/ledger.json: no job made it; run the study to its end")
        self.crate = ROCrate(version="1.1")
        self.crate.metadata.extra_terms = dict(TERMS)
        self.citation = _citation(trail.folder / "CITATION.cff")
        self.added: dict[str, Any] = {}
        """Contextual entities by id; the crate's own search for one that is not there is slow."""
        self.files: dict[str, Any] = {}
        """Entities of files and folders, by path."""
        self.slots: dict[str, set[str]] = {}
        """Formal parameters by id, each with the kinds of what fills it."""

    @cached_property
    def sources(self) -> dict[str, str]:
        """Digests of all source files that jobs ran or read, as the last job to do so saw them."""
        digests: dict[str, str] = dict(self.trail.ledger["workflow"])
        for record in sorted(self.jobs, key=lambda record: str(record.run["end"])):
            lock = record.result["environment"]["lock"]
            digests |= {lock["path"]: lock["sha256"]} if lock else {}
            digests |= record.code
            digests |= {
                file.path: file.sha256 for file in record.inputs if not file.made_by and file.files is None
            }
        return digests

    @cached_property
    def titles(self) -> dict[str, str]:
        """Titles of tables, by name."""
        collected = self.trail.maker(f"{self.trail.results}/numbers.json")
        tables = collected.params.get("tables", {}) if collected else {}
        return {name: str(spec.get("title", "")) for name, spec in tables.items()}

    def add(self, identity: str, kind: str | list[str], **properties: Any) -> Any:
        """Add a contextual entity, or return the one of this id."""
        if identity not in self.added:
            shown = {name: value for name, value in properties.items() if value not in (None, [])}
            entity = self.model.ContextEntity(self.crate, identity, properties={"@type": kind, **shown})
            self.added[identity] = self.crate.add(entity)
        return self.added[identity]

    def fill(self, slot: str, entity: Any, kind: str) -> None:
        """Note that a file or value of a kind fills a slot, ``#RULE-SIDE-NAME``."""
        self.slots.setdefault(slot, set()).add(kind)
        held = entity.properties().setdefault("exampleOfWork", [])
        if {"@id": slot} not in held:
            held.append({"@id": slot})

    def value(self, slot: str, name: str, value: Any) -> Any:
        """Return the entity of a param's value; jobs that have the same share it."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        identity = f"#{slot}-{hashing.of_value(value)[:16]}"
        entity = self.add(identity, "PropertyValue", name=name, value=text)
        kinds = {bool: "Boolean", int: "Integer", float: "Float", str: "Text"}
        self.fill(f"#{slot}", entity, kinds.get(type(value), "PropertyValue"))
        return entity

    def add_slots(self) -> None:
        """Add the slots, when it is known what fills them."""
        for identity, kinds in sorted(self.slots.items()):
            files = sorted(kinds & {"File", "Dataset"})
            values = kinds - {"File", "Dataset"}
            if values == {"Integer", "Float"}:
                values = {"Number"}
            elif len(values) > 1:
                values = {"PropertyValue"}
            name = identity.split("-", 2)[2]
            self.add(identity, "FormalParameter", name=name, additionalType=[*files, *sorted(values)])


def _citation(path: Path) -> dict[str, Any]:
    """Return what CITATION.cff says of the project."""
    try:
        citation: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        _ = citation["license"], citation["authors"]
        return citation
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise AnatomyError(f"{path}: a crate takes authors and license from it: {error}") from error
