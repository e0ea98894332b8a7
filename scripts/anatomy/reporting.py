"""From tables to reported numbers: CSV files for people, and one id for every number that may be quoted."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from anatomy.errors import AnatomyError
from anatomy.tables import atomic


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table of results; numbers keep 10 significant digits, and bytes depend on the rows alone."""
    with atomic(path) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False, float_format="%.10g", lineterminator="\n")


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
    two decimals; plain: as it is; k: a number of samples, where inf means beyond the largest k; p: a p-value.
    """
    if math.isnan(value):
        return "\N{EN DASH}"
    if rule == "percent":
        return f"{100 * value:.1f}"
    if rule == "points":
        return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")
    if rule == "decimal":
        return f"{value:.2f}"
    if rule == "p":
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    if rule == "k":
        if math.isinf(value):
            return f">{largest:.0f}"
        return "<1" if value == 0 else f"{value:.1f}"
    return f"{value:g}"


def numbers(name: str, path: str | Path, spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every reported number of a table by its id, ``table/key/.../column``.

    spec: the table's entry in artifacts.yaml. Each number tells its value, its text, its interval where the
    table has one (columns low and high), and the file, row and column that it was read from.
    """
    frame = read_csv(path, [*spec["keys"], *spec["numbers"]])
    result: dict[str, dict[str, Any]] = {}
    for row, values in enumerate(frame.to_dict("records")):
        largest = values.get("largest_k")
        for column, rule in spec["numbers"].items():
            identity = "/".join([name, *(str(values[key]) for key in spec["keys"]), column])
            if identity in result:
                raise AnatomyError(f"{path}, row {row}: keys {spec['keys']} do not tell it from another row")
            value = values[column]
            number: dict[str, Any] = {"file": str(path), "row": row, "column": column, "rule": rule}
            if isinstance(value, str):
                number |= {"value": value, "text": value}
            else:
                number |= {"value": _finite(value), "text": shown(value, rule, largest)}
            if {"low", "high"} <= values.keys():
                ends = [values["low"], values["high"]]
                number["interval"] = [_finite(end) for end in ends]
                number["interval_text"] = [shown(end, rule, largest) for end in ends]
            result[identity] = number
    return result


def _finite(value: float) -> float | str | None:
    """JSON has neither nan nor inf."""
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value
