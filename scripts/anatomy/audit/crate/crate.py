"""A study as a Workflow Run RO-Crate: its files and every job that made them, for other programs to read.

The profile is Provenance Run Crate 0.5, on RO-Crate 1.1. A file that the crate does not carry is described
too, with its digest, under an address made from the ledger's root.
"""

import ast
import json
import re
import tempfile
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import yaml

from anatomy.audit import hashing, job_record
from anatomy.audit.crate.vocabulary import DONE, ENVIRONMENTS, FORMATS, KINDS, PROFILES, TERMS, USED
from anatomy.audit.job_record import File, Record
from anatomy.audit.ledger import HISTORY
from anatomy.audit.provenance import Trail
from anatomy.audit.recorder import SOURCES
from anatomy.errors import AnatomyError

Data = Literal["none", "results", "all"]
"""Which files a crate carries: none but source, ledger and records; also tables, figures, numbers and paper;
or models, samples and all else too."""


def write(trail: Trail, folder: Path, data: Data = "results") -> Path:
    """Write the crate of a study into a new or empty folder, and return its path.

    Raises AnatomyError where the study is not finished, a file is not what its record says, the folder has
    something in it, or rocrate is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AnatomyError(f"{folder}: there is something already; name a new folder for the crate")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as partial:
            place = Path(partial) / "crate"
            _Crate(trail, data).write(place)
            if folder.exists():
                folder.rmdir()
            place.rename(folder)
    except OSError as error:
        raise AnatomyError(f"{folder}: cannot write the crate: {error}") from error
    return folder


class _Crate:
    """Builds one crate: first the jobs, then what they say of files and slots, then the workflow."""

    def __init__(self, trail: Trail, data: Data):
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

    def write(self, place: Path) -> None:
        self._root()
        self._sources()
        actions = {record.digest: self._job(record) for record in self.jobs}
        for record in self.jobs:
            self._relate(record, actions[record.digest])
        self._workflow(actions)
        self._slots()
        for entity in self.crate.get_entities():
            shown = entity.properties()
            # RO-Crate wants one value as such, not a list of it.
            shown |= {name: one[0] for name, one in shown.items() if isinstance(one, list) and len(one) == 1}
        self.crate.write(place)
        self._check(place)

    # Entities ----------------------------------------------------------------------------------------

    def _add(self, identity: str, kind: str | list[str], **properties: Any) -> Any:
        """Add a contextual entity, or return the one of this id."""
        if identity not in self.added:
            shown = {name: one for name, one in properties.items() if one not in (None, [])}
            entity = self.model.ContextEntity(self.crate, identity, properties={"@type": kind, **shown})
            self.added[identity] = self.crate.add(entity)
        return self.added[identity]

    def _root(self) -> None:
        trail, root = self.trail, self.crate.root_dataset
        profiles = [
            self._add(uri, "CreativeWork", name=name, version=uri.rpartition("/")[2])
            for uri, name in PROFILES.items()
        ]
        root["conformsTo"] = profiles
        workflow_crate = {"@id": next(uri for uri in PROFILES if "workflow-ro-crate" in uri)}
        self.crate.metadata["conformsTo"] = [{"@id": "https://w3id.org/ro/crate/1.1"}, workflow_crate]
        self.crate.name = f"rlvr-anatomy: the study '{trail.study}'"
        self.crate.description = " ".join(str(self.citation.get("abstract", self.crate.name)).split())
        self.crate.keywords = list(self.citation.get("keywords", []))
        self.crate.datePublished = max(str(record.run["end"]) for record in self.jobs)
        license_ = str(self.citation["license"])
        root["license"] = self._add(
            f"https://spdx.org/licenses/{license_}",
            "CreativeWork",
            name=license_,
            description="The text stands in the file LICENSE.",
            url=f"https://spdx.org/licenses/{license_}",
        )
        root["author"] = root["publisher"] = [self._author(one) for one in self.citation["authors"]]
        root["citation"] = [
            self._add(
                str(one["url"]),
                "ScholarlyArticle",
                name=one["title"],
                url=one["url"],
                author=[self._author(author) for author in one["authors"]],
                datePublished=str(one["year"]),
            )
            for one in self.citation.get("references", [])
        ]
        root["identifier"] = self._add(
            "#root",
            "PropertyValue",
            name="Root of the study's ledger",
            propertyID="ledger-root",
            value=self.root,
            description="SHA-256 over the records of all jobs, as printed in the paper",
        )

    def _author(self, author: Mapping[str, str]) -> Any:
        if "name" in author:
            return self._add(f"#{_slug(author['name'])}", "Organization", name=author["name"])
        name = f"{author['given-names']} {author['family-names']}"
        called = "-".join([name, *([author["alias"]] if "alias" in author else [])])
        return self._add(f"#{_slug(called)}", "Person", name=name)

    def _address(self, path: str, digest: str) -> str:
        """Return the address of a file that the crate does not carry."""
        if _outside(path):
            path = f"outside/{digest}/{Path(path).name}"
        return f"arcp://uuid,{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:sha256:{self.root}')}/{quote(path)}"

    def _file(self, path: str, digest: str, source: Path | None, size: int | None = None, **more: Any) -> Any:
        """Add a file: carried if ``source`` is given, else described."""
        if path in self.files:
            return self.files[path]
        if source is not None and not source.is_file():
            raise AnatomyError(f"{path}: missing; `audit.py verify` tells what else is not as it was")
        if size is None and source is not None:
            size = source.stat().st_size
        shown = {
            "name": Path(path).name if _outside(path) else path,
            "sha256": digest,
            "encodingFormat": FORMATS.get(Path(path).suffix, "text/plain"),
            **({"contentSize": str(size)} if size is not None else {}),
            **more,
        }
        carried = source is not None and not _outside(path)
        where = (source, path) if carried else (self._address(path, digest), None)
        self.files[path] = self.crate.add(self.model.File(self.crate, *where, properties=shown))
        return self.files[path]

    # Source ------------------------------------------------------------------------------------------

    @cached_property
    def _read(self) -> dict[str, str]:
        """Digests of all source files that jobs ran or read, as the last job to do so saw them."""
        found: dict[str, str] = dict(self.trail.ledger["workflow"])
        for record in sorted(self.jobs, key=lambda record: str(record.run["end"])):
            lock = record.result["environment"]["lock"]
            found |= {lock["path"]: lock["sha256"]} if lock else {}
            found |= record.code
            found |= {one.path: one.sha256 for one in record.inputs if not one.made_by and one.files is None}
        return found

    def _stored(self, path: str, digest: str) -> Path | None:
        """Return a file with a source's content: from the study's store, or where it lies unchanged."""
        for place in (self.trail.folder / self.trail.results / SOURCES / digest, self.trail.folder / path):
            if place.is_file() and hashing.sha256(place) == digest:
                return place
        return None

    def _sources(self) -> None:
        for path, digest in sorted(self._read.items()):
            if path == "Snakefile":
                continue  # the workflow itself
            more: dict[str, Any] = {"description": _about_source(path)}
            if path.startswith("envs/"):
                uri, name = ENVIRONMENTS[Path(path).suffix == ".yaml"]
                more["conformsTo"] = self._add(uri, "CreativeWork", name=name)
            self._file(path, digest, self._stored(path, digest), **more)
        for name, about in (
            ("LICENSE", "License of this study and of its source"),
            ("README.md", "What the project is, and how to run it"),
            ("CITATION.cff", "How to cite it"),
        ):
            place = self.trail.folder / name
            if place.is_file():
                more = {"description": about, "about": self.crate.root_dataset}
                self._file(name, hashing.sha256(place), place, **more)

    # Jobs --------------------------------------------------------------------------------------------

    def _job(self, record: Record) -> Any:
        """Add a job's run, its tool, and what it used."""
        run, rule = record.run, record.rule
        action = self._add(
            f"#job-{record.digest}",
            "CreateAction",
            name=record.name,
            description=run["command"],
            identifier=record.digest,
            startTime=run["start"],
            endTime=run["end"],
            actionStatus=DONE,
            instrument=self._tool(record),
        )
        action["resourceUsage"] = [
            self._add(
                f"#job-{record.digest}-{name}",
                "PropertyValue",
                name=called,
                value=str(run[name]),
                unitCode=unit,
                propertyID=self._add(f"#{name}", "DefinedTerm", name=called, description=about),
            )
            for name, (called, about, unit) in USED.items()
        ]
        place = str(job_record.path_of(record.outputs[0].path))
        content = self.trail.folder / place
        about = f"Record of the job '{record.name}' of rule {rule}"
        action["subjectOf"] = self._file(
            place, hashing.sha256(content), content, description=about, about=action
        )
        self.crate.root_dataset.append_to("mentions", action)
        return action

    def _tool(self, record: Record) -> Any:
        rule, script = record.rule, str(record.result["script"])
        tool = self.added.get(f"#tool-{rule}")
        if tool is None:
            tool = self._add(
                f"#tool-{rule}",
                "SoftwareApplication",
                name=f"Rule {rule}",
                url=script,
                description=self._says(script),
                softwareVersion=str(self.citation.get("version", "0")),
                mainEntity=self.files[script],
            )
            tool["softwareRequirements"] = [self.files[script]]
        required = tool["softwareRequirements"]
        for name, version in record.result["environment"]["packages"].items():
            package = self._add(
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

    def _says(self, script: str) -> str | None:
        """Return the first line of a script's docstring."""
        place = self._stored(script, self._read[script])
        try:
            said = ast.get_docstring(ast.parse(place.read_text(encoding="utf-8"))) if place else None
        except (OSError, ValueError, SyntaxError):
            return None
        return said.splitlines()[0] if said else None

    def _relate(self, record: Record, action: Any) -> None:
        """Tell what a job read and made, and which slot of its rule each fills."""
        read: list[Any] = []
        for side, found in (("input", record.inputs), ("output", record.outputs)):
            entities = [(one, self._data(one, record if side == "output" else None)) for one in found]
            for one, entity in entities:
                self._fill(f"#{record.rule}-{side}-{_slot(record, side, one.path)}", entity, entity.type)
            if side == "output":
                action["result"] = [entity for _, entity in entities]
            else:
                read = [entity for _, entity in entities]
        for name, value in record.params.items():
            read.append(self._value(f"{record.rule}-param-{name}", name, value))
        action["object"] = read

    def _data(self, one: File, maker: Record | None) -> Any:
        """Return the entity of a job's input or output."""
        path = one.path
        if path in self.files:
            return self.files[path]
        about = f"{self._about(path)}{f'; made by the job {maker.name!r}' if maker else ''}"
        carried = self._carried(path)
        if one.files is None:
            source = self.trail.folder / path if carried else None
            return self._file(path, one.sha256, source, one.bytes, description=about)
        shown = {
            "name": Path(path).name if _outside(path) else path,
            "description": f"{about}; {len(one.files)} files, {one.bytes} bytes;"
            f" SHA-256 of their list: {one.sha256}",
            "identifier": f"urn:sha256:{one.sha256}",
        }
        where = (None, path) if carried else (self._address(path, one.sha256), None)
        folder = self.files[path] = self.crate.add(self.model.Dataset(self.crate, *where, properties=shown))
        if carried:
            for name, digest in one.files.items():
                source = self.trail.folder / path / name
                part = self._file(f"{path}/{name}", digest, source, description=f"Part of {path}")
                folder.append_to("hasPart", part)
        return folder

    def _carried(self, path: str) -> bool:
        trail = self.trail
        if self.data == "all" or path == f"{trail.results}/ledger.json":
            return True
        small = (f"{trail.results}/tables/", f"{trail.figures}/", f"{trail.results}/numbers.json", "paper/")
        return self.data == "results" and path.startswith((*small, f"{trail.results}/places.json"))

    @cached_property
    def _titles(self) -> dict[str, str]:
        """Titles of tables, by name."""
        collected = self.trail.maker(f"{self.trail.results}/numbers.json")
        tables = collected.params.get("tables", {}) if collected else {}
        return {name: str(spec.get("title", "")) for name, spec in tables.items()}

    def _about(self, path: str) -> str:
        trail, name = self.trail, Path(path).stem
        if path == trail.paper:
            return "The paper; every number in it is a link to where it comes from"
        if path.startswith(f"{trail.figures}/"):
            return f"Figure '{name}' of the paper"
        kind, _, rest = path.removeprefix(f"{trail.results}/").partition("/")
        if kind == "tables":
            return f"Table '{name}': {self._titles.get(name, 'results')}"
        whole = {
            "numbers.json": f"All {len(trail.numbers)} reported numbers by id: value, text, interval, and the"
            " file, row and column each was read from",
            "ledger.json": "The ledger: digests of the records of all jobs, under one root, and the settings",
            "places.json": "Where each number and figure stands in the paper",
        }
        return KINDS.get(kind, "Data of the study") if rest else whole.get(kind, "Data of the study")

    # Slots -------------------------------------------------------------------------------------------

    def _fill(self, slot: str, entity: Any, kind: str) -> None:
        """Note that a file or value of a kind fills a slot, ``#RULE-SIDE-NAME``."""
        self.slots.setdefault(slot, set()).add(kind)
        held = entity.properties().setdefault("exampleOfWork", [])
        if {"@id": slot} not in held:
            held.append({"@id": slot})

    def _value(self, slot: str, name: str, value: Any) -> Any:
        """Return the entity of a param's value; jobs that have the same share it."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        identity = f"#{slot}-{hashing.of_value(value)[:16]}"
        entity = self._add(identity, "PropertyValue", name=name, value=text)
        kinds = {bool: "Boolean", int: "Integer", float: "Float", str: "Text"}
        self._fill(f"#{slot}", entity, kinds.get(type(value), "PropertyValue"))
        return entity

    def _slots(self) -> None:
        """Add the slots, when it is known what fills them."""
        for identity, kinds in sorted(self.slots.items()):
            files = sorted(kinds & {"File", "Dataset"})
            values = kinds - {"File", "Dataset"}
            if values == {"Integer", "Float"}:
                values = {"Number"}
            elif len(values) > 1:
                values = {"PropertyValue"}
            name = identity.split("-", 2)[2]
            self._add(identity, "FormalParameter", name=name, additionalType=[*files, *sorted(values)])

    # The workflow ------------------------------------------------------------------------------------

    def _workflow(self, actions: Mapping[str, Any]) -> None:
        trail, jobs = self.trail, self.jobs
        digest = self._read["Snakefile"]
        source = self._stored("Snakefile", digest)
        if source is None:
            raise AnatomyError(
                f"Snakefile: not as it was when the study ran, and {trail.results}/{SOURCES} lost it"
            )
        version = self._engine_version()
        workflow = self.crate.add_workflow(
            source,
            "Snakefile",
            main=True,
            lang="snakemake",
            lang_version=version,
            gen_cwl=False,
            properties={
                "name": "rlvr-anatomy",
                "description": self.crate.description,
                "sha256": digest,
                "version": self._version(),
                "url": "Snakefile",
                "encodingFormat": "text/plain",
                "license": {"@id": self.crate.license.id},
                "contentSize": str(source.stat().st_size),
            },
        )
        workflow.properties()["@type"] = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
        workflow["conformsTo"] = self._add(
            "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE",
            "CreativeWork",
            name="ComputationalWorkflow profile",
            version="1.0-RELEASE",
        )
        rules = list(dict.fromkeys(record.rule for record in jobs))
        workflow["hasPart"] = [self.added[f"#tool-{rule}"] for rule in rules]
        run = self._run(workflow, actions)
        steps = {rule: self._step(rule) for rule in rules}
        workflow["step"] = list(steps.values())
        controls = [
            self._add(
                f"#control-{rule}",
                "ControlAction",
                name=f"Runs of rule {rule}",
                instrument=step,
                object=[actions[record.digest] for record in jobs if record.rule == rule],
            )
            for rule, step in steps.items()
        ]
        engine = self._add(
            "https://snakemake.github.io",
            "SoftwareApplication",
            name="Snakemake",
            softwareVersion=version or "unknown",
            url="https://snakemake.github.io",
        )
        self._add(
            "#engine",
            "OrganizeAction",
            name=f"Snakemake runs the study '{trail.study}'",
            instrument=engine,
            object=controls,
            result=run,
            startTime=run["startTime"],
            endTime=run["endTime"],
        )
        self._connect(workflow, steps)
        for rule in rules:
            tool = self.added[f"#tool-{rule}"]
            for side, kinds in (("input", ("input", "param")), ("output", ("output",))):
                slots = [
                    one for kind in kinds for one in sorted(self.slots) if one.startswith(f"#{rule}-{kind}-")
                ]
                if slots:
                    tool[side] = [{"@id": slot} for slot in slots]
        for side in ("input", "output"):
            workflow[side] = [
                {"@id": slot} for slot in sorted(self.slots) if slot.startswith(f"#workflow-{side}-")
            ]
        if self.data != "none":
            for name, about in (
                (SOURCES, "Every source file that a job ran or read, named by its SHA-256"),
                (HISTORY, "Records and numbers of each root that the study has had"),
            ):
                path = f"{trail.results}/{name}"
                if (trail.folder / path).is_dir():
                    shown = {"name": path, "description": about}
                    where = (trail.folder / path, path)
                    self.crate.add(self.model.Dataset(self.crate, *where, properties=shown))

    def _version(self) -> str:
        """Return the project's version with the commit at which the numbers were collected."""
        collected = self.trail.maker(f"{self.trail.results}/numbers.json")
        commit = collected.run["git"]["commit"] if collected else None
        return f"{self.citation.get('version', '0')}{f'+{commit[:10]}' if commit else ''}"

    def _engine_version(self) -> str | None:
        """Return Snakemake's version from the lock file that the jobs ran with."""
        for path, digest in self._read.items():
            if path.startswith("envs/") and (place := self._stored(path, digest)):
                found = re.search(
                    r"^\W*snakemake(?:-minimal)?==?([\w.]+)", place.read_text(encoding="utf-8"), re.M
                )
                if found:
                    return found[1]
        return None

    def _run(self, workflow: Any, actions: Mapping[str, Any]) -> Any:
        """Add the run of the whole workflow: settings and raw files in, what is reported out."""
        trail = self.trail
        read = [
            self._value(f"workflow-input-{name}", name, value)
            for name, value in trail.ledger["config"].items()
        ]
        made: dict[str, Any] = {}
        for record in self.jobs:
            for one in record.inputs:
                if not one.made_by and (entity := self._data(one, None)) not in read:
                    read.append(entity)
                    self._fill("#workflow-input-files", entity, entity.type)
            for one in record.outputs:
                kind = self._reported(one.path)
                if kind:
                    made[one.path] = self._data(one, record)
                    self._fill(f"#workflow-output-{kind}", made[one.path], "File")
        action = self._add(
            f"#run-{self.root}",
            "CreateAction",
            name=f"Run of the study '{trail.study}'",
            description="; ".join(sorted({str(record.run["command"]) for record in self.jobs})),
            instrument=workflow,
            object=read,
            result=list(made.values()),
            actionStatus=DONE,
            startTime=min(str(record.run["start"]) for record in self.jobs),
            endTime=max(str(record.run["end"]) for record in self.jobs),
        )
        self.crate.root_dataset.append_to("mentions", action)
        return action

    def _reported(self, path: str) -> str | None:
        """Return which output of the whole workflow a file is; None for what lies between."""
        trail = self.trail
        whole = {
            trail.paper: "paper",
            f"{trail.results}/numbers.json": "numbers",
            f"{trail.results}/ledger.json": "ledger",
        }
        folders = {f"{trail.figures}/": "figures", f"{trail.results}/tables/": "tables"}
        return whole.get(path) or next((kind for top, kind in folders.items() if path.startswith(top)), None)

    def _step(self, rule: str) -> Any:
        locks = {
            lock["path"]: None
            for record in self.jobs
            if record.rule == rule
            if (lock := record.result["environment"]["lock"])
        }
        return self._add(
            f"#step-{rule}",
            "HowToStep",
            name=f"Rule {rule}",
            workExample=self.added[f"#tool-{rule}"],
            buildInstructions=[self.files[path] for path in locks if path in self.files],
        )

    def _connect(self, workflow: Any, steps: Mapping[str, Any]) -> None:
        """Tell which rule's output becomes which rule's input."""
        made = {
            one.path: f"#{record.rule}-output-{_slot(record, 'output', one.path)}"
            for record in self.jobs
            for one in record.outputs
        }
        pairs: dict[tuple[str, str], Any] = {}
        for record in self.jobs:
            for one in record.inputs:
                source = made.get(one.path, "#workflow-input-files")
                pairs[source, f"#{record.rule}-input-{_slot(record, 'input', one.path)}"] = steps[record.rule]
        for path, source in made.items():
            if kind := self._reported(path):
                pairs[source, f"#workflow-output-{kind}"] = workflow
        for (source, target), holder in pairs.items():
            connection = self._add(
                f"#connection{source.replace('#', '-')}{target.replace('#', '-')}",
                "ParameterConnection",
                sourceParameter={"@id": source},
                targetParameter={"@id": target},
            )
            holder.append_to("connection", connection)

    def _check(self, place: Path) -> None:
        """Compare what the crate carries with the digests that it states."""
        for path, entity in self.files.items():
            written = place / path
            if "sha256" in entity and written.is_file() and hashing.sha256(written) != entity["sha256"]:
                raise AnatomyError(
                    f"{path}: not what its record says (another checksum);"
                    f" `audit.py verify {path}` tells more"
                )


def _citation(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        _ = found["license"], found["authors"]
        return found
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise AnatomyError(f"{path}: a crate takes authors and license from it: {error}") from error


def _outside(path: str) -> bool:
    """Whether a job read a file from outside of the repository."""
    return path.startswith(("/", "~", "$")) or ".." in Path(path).parts


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def _slot(record: Record, side: str, path: str) -> str:
    """Return the name under which a rule knows an input or output; its side where it has none."""
    for name, held in record.result["named"][f"{side}s"].items():
        if path == held or (isinstance(held, list) and path in held):
            return str(name)
    return side


def _about_source(path: str) -> str:
    kinds = {
        "scripts": "Source of a job",
        "rules": "Rules of the workflow",
        "config": "Settings",
        "envs": "Environment",
        "paper": "Source of the paper",
        "profiles": "Settings of Snakemake",
        "report": "Captions of a report",
        "slurm": "Settings of a cluster",
    }
    return f"{kinds.get(path.partition('/')[0], 'File that a job read')}, as it was when the study ran"
