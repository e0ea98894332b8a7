"""What the search of the audit site looks through."""

from collections.abc import Sequence

from anatomy.audit.site import completions as site_completions
from anatomy.audit.site.writer import Writer


def write_search(writer: Writer) -> None:
    """Write what the search looks through: kind, name, what is shown of it, way, pages of the paper."""
    site = writer.site
    entries: list[tuple[str, str, str, str, str]] = []
    for kind, files in (("figure", site.figures), ("table", site.tables)):
        for name in files:
            pages = site.stands("figures", name) if kind == "figure" else []
            shown = site.spec.artifacts[f"{kind}s"][name]["title"]
            entries.append((kind, name, shown, f"{kind}s/{name}.html", _listed(pages)))
    for claim in site.claims:
        shown = f"{claim['all']['statement']} {claim['all']['verdict']}"
        entries.append(("claim", claim["name"], shown, f"claims.html#{claim['name']}", ""))
    for page in site.completions:
        name = f"{page.arm}, seed {page.seed}, {page.benchmark}"
        entries.append(("completions", name, "", page.path, ""))
    # Those of the paper first: they are what most people look for.
    stand = site.trail.places["numbers"]
    for name in sorted(site.trail.numbers, key=lambda name: name not in stand):
        shown = site.shown(site.trail.numbers[name])
        entries.append(("number", name, shown, site.way_to(name), _listed(site.stands("numbers", name))))
    lines = "\n".join("\t".join(" ".join(part.split()) for part in entry) for entry in entries)
    script = f'audit.entries("{site_completions.packed(lines)}");\n'
    (writer.out / "search.js").write_text(script, encoding="ascii")


def _listed(pages: Sequence[int]) -> str:
    return ", ".join(map(str, pages))
