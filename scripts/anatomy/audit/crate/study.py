"""The study that a crate is of: its title, authors, license, the works that it cites, its ledger's root."""

import re
from collections.abc import Mapping
from typing import Any

from anatomy.audit.crate.builder import Builder
from anatomy.audit.crate.vocabulary import PROFILES


def describe(builder: Builder) -> None:
    """Tell of the crate as a whole which study it is, by whom and under which license."""
    trail, root = builder.trail, builder.crate.root_dataset
    profiles = [
        builder.add(uri, "CreativeWork", name=name, version=uri.rpartition("/")[2])
        for uri, name in PROFILES.items()
    ]
    root["conformsTo"] = profiles
    workflow_crate = {"@id": next(uri for uri in PROFILES if "workflow-ro-crate" in uri)}
    builder.crate.metadata["conformsTo"] = [{"@id": "https://w3id.org/ro/crate/1.1"}, workflow_crate]
    builder.crate.name = f"rlvr-anatomy: the study '{trail.study}'"
    builder.crate.description = " ".join(str(builder.citation.get("abstract", builder.crate.name)).split())
    builder.crate.keywords = list(builder.citation.get("keywords", []))
    builder.crate.datePublished = max(str(record.run["end"]) for record in builder.jobs)
    license_ = str(builder.citation["license"])
    root["license"] = builder.add(
        f"https://spdx.org/licenses/{license_}",
        "CreativeWork",
        name=license_,
        description="The text stands in the file LICENSE.",
        url=f"https://spdx.org/licenses/{license_}",
    )
    root["author"] = root["publisher"] = [_author(builder, author) for author in builder.citation["authors"]]
    root["citation"] = [
        builder.add(
            str(work["url"]),
            "ScholarlyArticle",
            name=work["title"],
            url=work["url"],
            author=[_author(builder, author) for author in work["authors"]],
            datePublished=str(work["year"]),
        )
        for work in builder.citation.get("references", [])
    ]
    root["identifier"] = builder.add(
        "#root",
        "PropertyValue",
        name="Root of the study's ledger",
        propertyID="ledger-root",
        value=builder.root,
        description="SHA-256 over the records of all jobs, as printed in the paper",
    )


def _author(builder: Builder, author: Mapping[str, str]) -> Any:
    if "name" in author:
        return builder.add(f"#{_slug(author['name'])}", "Organization", name=author["name"])
    name = f"{author['given-names']} {author['family-names']}"
    called = "-".join([name, *([author["alias"]] if "alias" in author else [])])
    return builder.add(f"#{_slug(called)}", "Person", name=name)


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")
