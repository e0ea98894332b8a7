"""From tables to reported numbers: CSV files for people, and one id for every number that may be quoted."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.storage.csv import read_csv


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

    Args:
        name: The table.
        path: Its file.
        spec: Its entry in artifacts.yaml.
        folder: What the path is relative to.

    Returns:
        For each number its value, its text, its interval where the table has one, the file, row and column
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


def _intervals(columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the ends of each column's interval: columns of its own, or ``low`` and ``high`` behind it."""
    named = {
        column: (f"{column}_low", f"{column}_high")
        for column in columns
        if {f"{column}_low", f"{column}_high"} <= set(columns)
    }
    for column, low, high in zip(columns, columns[1:], columns[2:], strict=False):
        if (low, high) == ("low", "high"):
            named[column] = (low, high)
    return named


def page(identity: str) -> str:
    """Return where a number's page lies in the audit site."""
    return f"numbers/{re.sub(r'[^A-Za-z0-9.+~-]+', '_', identity.replace('/', '~'))}.html"


def _finite(value: float) -> float | str | None:
    """JSON has neither nan nor inf."""
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value
