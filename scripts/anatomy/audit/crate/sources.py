"""The source of a study in its crate: code, settings, locks and what else no job made, as jobs saw it."""

from pathlib import Path
from typing import Any

from anatomy.audit import hashing
from anatomy.audit.crate.builder import Builder
from anatomy.audit.crate.files import add_file
from anatomy.audit.crate.vocabulary import ENVIRONMENTS
from anatomy.audit.recorder import SOURCES


def add_sources(builder: Builder) -> None:
    """Add the files that jobs ran or read and that no job made, and those that say what the project is."""
    for path, digest in sorted(builder.sources.items()):
        if path == "Snakefile":
            continue  # the workflow itself
        more: dict[str, Any] = {"description": _about_source(path)}
        if path.startswith("envs/"):
            uri, name = ENVIRONMENTS[Path(path).suffix == ".yaml"]
            more["conformsTo"] = builder.add(uri, "CreativeWork", name=name)
        add_file(builder, path, digest, stored(builder, path, digest), **more)
    for name, about in (
        ("LICENSE", "License of this study and of its source"),
        ("README.md", "What the project is, and how to run it"),
        ("CITATION.cff", "How to cite it"),
    ):
        place = builder.trail.folder / name
        if place.is_file():
            more = {"description": about, "about": builder.crate.root_dataset}
            add_file(builder, name, hashing.sha256(place), place, **more)


def stored(builder: Builder, path: str, digest: str) -> Path | None:
    """Return a file with a source's content: from the study's store, or where it lies unchanged."""
    trail = builder.trail
    for place in (trail.folder / trail.results / SOURCES / digest, trail.folder / path):
        if place.is_file() and hashing.sha256(place) == digest:
            return place
    return None


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
