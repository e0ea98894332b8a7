"""Whether two tables agree: the same bytes, the same values, or values within their intervals."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from anatomy.audit.reproduce.agreement_result import (
    DIFFERENT,
    ERRORS,
    NEGLIGIBLE,
    WEIGHTS,
    WITHIN,
    Agreement,
    lies_within,
    same_value,
)
from anatomy.storage import parquet, schemas
from anatomy.storage.verdicts import RIGHT

_SPREAD = {
    "samples": ("tokens", "logprob"),
    "verdicts": ("right", "derivation_right"),
    "scores": ("tokens", "logprob"),
    "counts": ("answer", "derivation"),
}
"""Of each table with rows by problem, the columns whose means over problems are compared."""
_KEYS = ("problem", "condition", "sample")


# Tables of results -----------------------------------------------------------------------------------


def compare_csv(recorded: Path, again: Path, keys: Sequence[str]) -> Agreement:
    """Compare two tables of results.

    Args:
        recorded: The first table.
        again: The table that was made again.
        keys: Columns that name a row.
    """
    # As text first: a column of another type would make every value of it another one.
    first, second = (
        pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=object) for path in (recorded, again)
    )
    if list(first.columns) != list(second.columns):
        return Agreement(DIFFERENT, f"columns {', '.join(first.columns)} and {', '.join(second.columns)}")
    if len(first) != len(second):
        return Agreement(DIFFERENT, f"{len(first)} and {len(second)} rows")
    interval = {"estimate", "low", "high"} <= set(first.columns)
    moved = 0
    rows = zip(first.to_dict("records"), second.to_dict("records"), strict=True)
    for place, (row, new) in enumerate(rows):
        values = {str(name): (_parsed(row[name]), _parsed(new[name])) for name in row}
        unlike = [name for name, pair in values.items() if not same_value(*pair)]
        if not unlike:
            continue
        where = f"row {place}" + (f" ({', '.join(f'{key} {row[key]}' for key in keys)})" if keys else "")
        firm = [name for name in unlike if name in keys or any(isinstance(x, str) for x in values[name])]
        ends = [[values["low"][side], values["high"][side]] for side in (0, 1)] if interval else []
        if (
            firm
            or not ends
            or not all(lies_within(values["estimate"][side], ends[1 - side]) for side in (0, 1))
        ):
            name = (firm or unlike)[0]
            name = "estimate" if not firm and "estimate" in unlike else name
            said = f"{where}: {name} {row[name]} and {new[name]}"
            return Agreement(DIFFERENT, said + (", not each in the other's interval" if ends else ""))
        moved += 1
    if moved:
        return Agreement(
            WITHIN, f"{moved} of {len(first)} rows differ, with estimates inside each other's intervals"
        )
    return Agreement(WITHIN, "the same values, written otherwise")


def _parsed(cell: Any) -> Any:
    try:
        return float(cell)  # nan where the cell is empty
    except ValueError:
        return cell


# Tables between stages -------------------------------------------------------------------------------


def compare_parquet(recorded: Path, again: Path) -> Agreement:
    """Compare two tables between stages, by what their kind tolerates."""
    kinds = [_kind(path) for path in (recorded, again)]
    if kinds[0] != kinds[1]:
        return Agreement(DIFFERENT, f"a table '{kinds[0]}' and a table '{kinds[1]}'")
    kind = kinds[0]
    if kind in _SPREAD:
        return _spread(kind, recorded, again)
    first, second = (pq.read_table(path).replace_schema_metadata() for path in (recorded, again))
    if first.schema.names != second.schema.names or first.num_rows != second.num_rows:
        return Agreement(DIFFERENT, f"{first.num_rows} and {second.num_rows} rows, or other columns")
    if first.equals(second):
        return Agreement(WITHIN, "the same rows, in other bytes")
    return _values(first, second, kind == "training")


def _kind(path: Path) -> str:
    metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    return metadata.get(b"anatomy.table", b"").decode()


def _values(first: pa.Table, second: pa.Table, tolerant: bool) -> Agreement:
    """Compare tables row by row; where ``tolerant``, numbers that are no integers may differ by WEIGHTS."""
    largest = 0.0
    for name in first.column_names:
        if first[name].equals(second[name]):
            continue
        if not (tolerant and pa.types.is_floating(first[name].type)):
            place = next(i for i, (a, b) in enumerate(zip(first[name], second[name], strict=True)) if a != b)
            return Agreement(DIFFERENT, f"column {name} differs, first in row {place}")
        a, b = (table[name].to_numpy() for table in (first, second))
        if not (np.isnan(a) == np.isnan(b)).all():
            return Agreement(DIFFERENT, f"column {name} is not told in the same rows")
        largest = max(largest, float(np.nanmax(np.abs(a - b), initial=0.0)))
    said = f"largest difference {largest:.2g}"
    return Agreement(WITHIN if largest <= WEIGHTS else DIFFERENT, said)


def _spread(kind: str, recorded: Path, again: Path) -> Agreement:
    """Compare tables with rows by problem: equal rows, and means over problems."""
    before, after = (_rows(kind, path) for path in (recorded, again))
    keys = [name for name in _KEYS if name in before]
    rows = before.merge(after, on=keys, how="outer", suffixes=("", " again"), indicator=True)
    # Which links a model reaches of a chain with its own answers depends on those answers.
    own = rows["condition"].str.startswith("own-") if "condition" in rows else pd.Series(False, rows.index)
    alone = rows[(rows["_merge"] != "both") & ~own]
    if len(alone):
        which = ", ".join(str(alone.iloc[0][name]) for name in keys)
        return Agreement(DIFFERENT, f"{len(alone)} rows stand in one of the two only: {which} ...")
    both = rows[rows["_merge"] == "both"]
    if both.empty:
        return Agreement(DIFFERENT, "no row stands in both")
    compared = ["completion"] if kind == "samples" else [name for name in before if name not in keys]
    first, new = both[compared], both[[f"{name} again" for name in compared]].set_axis(compared, axis=1)
    equal = ((first == new) | (first.isna() & new.isna())).all(axis=1)
    of = "completions" if kind == "samples" else "rows"
    said = [f"{int(equal.sum())} of {len(rows)} {of} are equal"]
    outcome = WITHIN
    pairs = [name for name in ("problem", "condition") if name in keys]
    for column in _SPREAD[kind]:
        means = both.groupby(pairs)[[column, f"{column} again"]].mean()
        difference = (means[f"{column} again"] - means[column]).groupby("problem").mean().dropna()
        if difference.empty:
            continue  # nothing of it is told
        mean, size = float(difference.mean()), float(means[column].abs().mean())
        # Of one problem there is no standard error: only the same is alike.
        error = float(difference.std() / math.sqrt(len(difference))) if len(difference) > 1 else 0.0
        alike = abs(mean) <= max(ERRORS * error, NEGLIGIBLE * size)
        said.append(f"mean {column} {mean:+.3g} (standard error {error:.2g})")
        outcome = outcome if alike else DIFFERENT
    return Agreement(outcome, ", ".join(said))


def _rows(kind: str, path: Path) -> pd.DataFrame:
    """Return a table's keys and what is compared of it; of long texts their hashes alone."""
    columns = [name for name in schemas.SCHEMAS[kind].names if name != "temperature"]
    pieces = []
    for piece in parquet.stream(path, kind, columns):
        if "completion" in piece:
            piece["completion"] = pd.util.hash_array(piece["completion"].to_numpy(dtype=object))
        if kind == "verdicts":
            piece["right"] = piece["verdict"].isin(RIGHT).astype(float)
            piece["derivation_right"] = piece["derivation_right"].astype(float)
        if kind == "counts":
            for name in ("answer", "derivation"):
                piece[name] = piece[name] / piece["n"]
        pieces.append(piece)
    return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=columns)
