"""Reported numbers as commands for LaTeX."""

from collections.abc import Mapping
from typing import Any

from anatomy.errors import AnatomyError


def latex(numbers: Mapping[str, Mapping[str, Any]]) -> str:
    r"""Return the numbers as LaTeX macros: ``\anatomy{ID}`` is a text, ``\anatomyinterval{ID}`` an interval.

    Raises:
        AnatomyError: An id has a character that LaTeX would not read as a part of a name.
    """
    lines = [
        r"% Every reported number by its id; made by the workflow, not to be edited.",
        r"\newcommand{\anatomy}[1]{\anatomyread{number}{#1}}",
        r"\newcommand{\anatomyinterval}[1]{\anatomyread{interval}{#1}}",
        r"\newcommand{\anatomyread}[2]{\ifcsname anatomy:#1:\detokenize{#2}\endcsname"
        r"\csname anatomy:#1:\detokenize{#2}\endcsname\else\errmessage{no #1 has the id \detokenize{#2}}\fi}",
        r"\newcommand{\anatomysay}[3]{\expandafter\def\csname anatomy:#1:\detokenize{#2}\endcsname{#3}}",
    ]
    for identity, number in numbers.items():
        if forbidden := set(identity) & set("%#{}\\"):
            raise AnatomyError(
                f"number '{identity}': {sorted(forbidden)} cannot stand in a LaTeX macro's name"
            )
        lines.append(rf"\anatomysay{{number}}{{{identity}}}{{{_latex(number['text'])}}}")
        if "interval_text" in number:
            ends = ", ".join(map(_latex, number["interval_text"]))
            lines.append(rf"\anatomysay{{interval}}{{{identity}}}{{[{ends}]}}")
    return "\n".join(lines) + "\n"


_LATEX = str.maketrans(
    {"\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "<": "$<$", ">": "$>$", "\\": r"\textbackslash{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {character: f"\\{character}" for character in "&%$#_{}"}
)


def _latex(text: str) -> str:
    return text.translate(_LATEX)
