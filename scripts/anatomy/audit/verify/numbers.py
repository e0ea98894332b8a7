"""The reported numbers against their tables, and the paper against what it is set from."""

from importlib.metadata import version
from pathlib import Path

from anatomy.audit import hashing, ledger
from anatomy.audit.provenance import Affected
from anatomy.audit.verify.comparison import Comparison
from anatomy.errors import AnatomyError
from anatomy.reporting import numbers as reporting_numbers


def check_numbers(comparison: Comparison) -> None:
    """Recompute every number from its table."""
    collect = comparison.trusted.makers.get(f"{comparison.disk.results}/numbers.json")
    if collect is None:
        return
    for file in collect.inputs:
        now, spec = comparison.look(file.path), collect.params["tables"].get(Path(file.path).stem)
        if now is None or spec is None or now.sha256 != file.sha256:
            continue  # found already
        recomputed = reporting_numbers.numbers(Path(file.path).stem, file.path, spec, comparison.disk.folder)
        for identity, number in recomputed.items():
            if comparison.wanted is not None and identity not in comparison.wanted:
                continue
            comparison.verdict.numbers += 1
            kept = comparison.kept_numbers.get(identity)
            if kept != number:
                was = kept["text"] if kept else "nothing"
                detail = f"reported as {was}; the table gives {number['text']}"
                comparison.find("number differs", identity, detail, Affected([identity]))


def check_paper(comparison: Comparison) -> None:
    """Set the paper again, and compare its bytes; look for numbers that were typed into its source."""
    trail = comparison.disk
    typeset = comparison.trusted.makers.get(trail.paper)
    if typeset is None or comparison.only is not None:
        return
    from anatomy.reporting import typst  # Typst's own library takes a while to load

    source = typeset.result["named"]["inputs"]["source"][0]
    text = (trail.folder / source).read_text(encoding="utf-8") if (trail.folder / source).exists() else ""
    for typed in typst.typed_numbers(text):
        comparison.find("number typed", source, f"{typed}: it stands in the text and comes from no table")
    if version("typst") != typeset.result["environment"]["packages"].get("typst"):
        comparison.verdict.notes.append(f"{trail.paper}: not set again, as another version of Typst is here")
        return
    made = comparison.look(trail.paper)
    inputs = [(file, comparison.look(file.path)) for file in typeset.inputs]
    if made is None or any(now is None or now.sha256 != file.sha256 for file, now in inputs):
        return  # found already
    named = typeset.result["named"]["inputs"]
    paper = typst.Paper(
        Path(source),
        named["numbers"],
        ledger.read(trail.folder / named["ledger"])["root"],
        trail.study,
        typeset.params["site"],
        trail.folder,
    )
    pdf, _ = typst.compile(paper)
    if hashing.of_bytes(pdf) != made.sha256 and trail.paper not in comparison.reported:
        detail = "it is not what its source, numbers and figures give"
        comparison.find("paper altered", trail.paper, detail, Affected(list(trail.places["numbers"])))


def changed_rows(comparison: Comparison, path: str) -> dict[str, set[str]] | None:
    """Return the numbers of a changed table that are not as they were; None where that cannot be told."""
    collect = comparison.trusted.makers.get(f"{comparison.disk.results}/numbers.json")
    name = Path(path).stem
    if collect is None or name not in collect.params["tables"]:
        return None
    try:
        recomputed = reporting_numbers.numbers(
            name, path, collect.params["tables"][name], comparison.disk.folder
        )
    except (AnatomyError, ValueError, TypeError, KeyError):
        return None  # so broken that all its numbers are in doubt
    mine = {identity for identity, number in comparison.kept_numbers.items() if number["file"] == path}
    return {
        path: {identity for identity in mine if recomputed.get(identity) != comparison.kept_numbers[identity]}
    }


def changed_numbers(comparison: Comparison) -> list[str]:
    """Return the ids of reported numbers that are not as they were or are new; all where none can be read."""
    kept = comparison.kept_numbers
    try:
        now = comparison.disk.numbers
    except AnatomyError:
        return list(kept)
    differing = [identity for identity in kept if now.get(identity) != kept[identity]]
    return differing + [identity for identity in now if identity not in kept]
