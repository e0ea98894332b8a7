"""The paper, set by Typst: its bytes, and where in it each number and figure stands."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typst

from anatomy.errors import AnatomyError


def typed_numbers(source: str) -> list[str]:
    """Return the digits of a Typst source that stand in its prose: not in comments, strings or references."""
    prose = re.sub(r'//[^\n]*|"(?:\\.|[^"\\])*"|@[\w:-]+|<[\w:-]+>', " ", source)
    return re.findall(r"\d[\d.,]*", prose)


@dataclass(frozen=True)
class Paper:
    """What a paper is made from; paths are relative to ``root``."""

    source: Path
    numbers: str
    ledger_root: str
    """The root of the study's ledger, which the paper prints."""
    study: str
    site: str
    """Where the links of numbers and figures lead: an address, or a path relative to the paper, of the
    audit site.
    """
    root: Path = Path()


def compile(paper: Paper) -> tuple[bytes, dict[str, Any]]:
    """Return the paper's PDF, and the places of numbers and figures in it.

    The same sources, numbers and figures give the same bytes.

    Returns:
        The PDF, and places: ``numbers`` and ``figures``, each a list of ``page``, ``x`` and ``y`` (points
        from the page's upper left corner) by id or name; ``pages``, how many there are.

    Raises:
        AnatomyError: The source is not right; the message is Typst's.
    """
    compiler = typst.Compiler(
        str(paper.root / paper.source),
        root=str(paper.root),
        ignore_system_fonts=True,
        sys_inputs={
            "numbers": f"/{paper.numbers}",
            "figures": f"/figures/{paper.study}",
            "site": paper.site,
            "root": paper.ledger_root,
        },
    )
    try:
        # No date in the file: it would change with each run.
        pdf = compiler.compile(format="pdf", timestamp=0)
        marks = json.loads(compiler.query("<place>", field="value"))
    except typst.TypstError as error:
        raise AnatomyError(f"{paper.source}: {error.diagnostic}") from error
    assert isinstance(pdf, bytes)  # what Typst makes of this format
    places: dict[str, Any] = {"numbers": {}, "figures": {}, "pages": 0}
    for place in marks:
        if place["kind"] == "end":
            places["pages"] = place["page"]
            continue
        where = {"page": place["page"], "x": round(place["x"], 1), "y": round(place["y"], 1)}
        places[place["kind"]].setdefault(place["name"], []).append(where)
    return pdf, places
