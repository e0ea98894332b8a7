"""From tables to reported numbers: CSV files for people, and one id for every number that may be quoted."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from anatomy.errors import AnatomyError
from anatomy.tables import atomic


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]], exact: bool = False) -> None:
    """Write a table of results; its bytes depend on the rows alone.

    Args:
        path: The file, which appears whole or not at all.
        rows: The rows, with the columns' names as keys.
        exact: Write each number in full, as it stands in its row; else with 10 significant digits.
    """
    frame = pd.DataFrame(rows, dtype=object if exact else None)
    with atomic(path) as partial:
        frame.to_csv(partial, index=False, float_format=None if exact else "%.10g", lineterminator="\n")


def read_csv(path: str | Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table of results. Raises AnatomyError where it is missing, broken or lacks a column."""
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise AnatomyError(f"{path}: cannot read the table: {error}; delete it and run again") from error
    absent = [name for name in columns if name not in frame]
    if absent:
        raise AnatomyError(f"{path}: column {', '.join(absent)} is missing; delete the table and run again")
    return frame


def shown(value: float, rule: str, largest: float | None = None) -> str:
    """Round a number by a rule, the way it stands in the paper.

    percent: share as percent, one decimal; points: signed difference of shares in percentage points; decimal:
    two decimals; amount: two significant digits; plain: as it is; k: a number of samples, where inf means
    beyond the largest k; p: a p-value.
    """
    if math.isnan(value):
        return "\N{EN DASH}"
    if rule == "percent":
        return f"{100 * value:.1f}"
    if rule == "points":
        return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")
    if rule == "decimal":
        return f"{value:.2f}"
    if rule == "amount":
        return f"{value:.2g}" if value else "0"
    if rule == "p":
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    if rule == "k":
        if math.isinf(value):
            return f">{largest:.0f}"
        return "<1" if value == 0 else f"{value:.1f}"
    return f"{value:.0f}" if float(value).is_integer() else f"{value:g}"


def numbers(
    name: str, path: str | Path, spec: Mapping[str, Any], folder: Path = Path()
) -> dict[str, dict[str, Any]]:
    """Return every reported number of a table by its id, ``table/key/.../column``.

    spec: the table's entry in artifacts.yaml; folder: what the path is relative to. Each number tells its
    value, its text, its interval where the table has one, the file, row and column
    that it was read from, the rule by which it was rounded (see ``shown``), and its page in the audit
    site.
    """
    frame = read_csv(folder / path, [*spec["keys"], *spec["numbers"]])
    intervals = _intervals(list(frame.columns))
    result: dict[str, dict[str, Any]] = {}
    for row, values in enumerate(frame.to_dict("records")):
        largest = values.get("largest_k")
        for column, rule in spec["numbers"].items():
            identity = "/".join([name, *(str(values[key]) for key in spec["keys"]), column])
            if identity in result:
                raise AnatomyError(f"{path}, row {row}: keys {spec['keys']} do not tell it from another row")
            value = values[column]
            number: dict[str, Any] = {"file": str(path), "row": row, "column": column, "rule": rule}
            number |= {"keys": {key: str(values[key]) for key in spec["keys"]}, "page": page(identity)}
            if isinstance(value, str):
                number |= {"value": value, "text": value}
            else:
                number |= {"value": _finite(value), "text": shown(value, rule, largest)}
            if column in intervals:
                ends = [values[end] for end in intervals[column]]
                number["interval"] = [_finite(end) for end in ends]
                number["interval_text"] = [shown(end, rule, largest) for end in ends]
            result[identity] = number
    return result


def latex(numbers: Mapping[str, Mapping[str, Any]]) -> str:
    r"""Return the numbers as LaTeX macros: ``\anatomy{ID}`` is a text, ``\anatomyinterval{ID}`` an interval.

    Raises AnatomyError where an id has a character that LaTeX would not read as a part of a name.
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


def _intervals(columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the ends of each column's interval: columns of its own, or ``low`` and ``high`` behind it."""
    found = {
        column: (f"{column}_low", f"{column}_high")
        for column in columns
        if {f"{column}_low", f"{column}_high"} <= set(columns)
    }
    for column, low, high in zip(columns, columns[1:], columns[2:], strict=False):
        if (low, high) == ("low", "high"):
            found[column] = (low, high)
    return found


def page(identity: str) -> str:
    """Return where a number's page lies in the audit site."""
    return f"numbers/{re.sub(r'[^A-Za-z0-9.+~-]+', '_', identity.replace('/', '~'))}.html"


def _finite(value: float) -> float | str | None:
    """JSON has neither nan nor inf."""
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value
