"""Whether a file that was made again agrees with the first one: the same bytes, or alike as its kind goes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from safetensors import safe_open

from anatomy import tables
from anatomy.audit import hashing
from anatomy.errors import AnatomyError
from anatomy.verdicts import RIGHT

IDENTICAL, WITHIN, DIFFERENT = "identical", "within tolerance", "different"

RELATIVE = 1e-9
"""Values of csv tables and JSON files differ by no more than this share of the larger one."""
WEIGHTS = 1e-4
"""Weights of models, and values in logs of training, differ by no more than this."""
ERRORS = 4.0
"""Means over problems of completions, verdicts, scores and counts differ by no more than so many standard
errors of the paired difference.
"""
NEGLIGIBLE = 1e-4
"""Such means that differ by no more than this share are alike, whatever their standard error."""
PIXELS = 2.0
"""Pictures of the same size differ by a root mean square of no more than this, of 255."""

TOLERANCES = (
    f"csv and JSON: {RELATIVE:g} of a value, or each estimate inside the other's interval",
    f"models and training logs: {WEIGHTS:g}",
    f"completions, verdicts, scores, counts: means over problems within {ERRORS:g} standard errors of their"
    " paired difference",
    f"pictures: root mean square {PIXELS:g} of 255",
)
"""The tolerances in words."""

_SPREAD = {
    "samples": ("tokens", "logprob"),
    "verdicts": ("right", "derivation_right"),
    "scores": ("tokens", "logprob"),
    "counts": ("answer", "derivation"),
}
"""Of each table with rows by problem, the columns whose means over problems are compared."""
_KEYS = ("problem", "condition", "sample")
_VERSION = "transformers_version"
"""The entry of a model's configuration that names who wrote it."""


@dataclass(frozen=True)
class Agreement:
    """How a file, or a number, that was made again agrees with the first one."""

    outcome: str
    """``identical``, ``within tolerance`` or ``different``."""
    detail: str = ""
    """What was found, in words; empty where there is no more to say."""

    @property
    def ok(self) -> bool:
        return self.outcome != DIFFERENT


def worst(found: Sequence[Agreement]) -> str:
    """Return the outcome of several agreements together."""
    order = [IDENTICAL, WITHIN, DIFFERENT]
    return max((one.outcome for one in found), key=order.index, default=IDENTICAL)


def compare(recorded: Path, again: Path, keys: Sequence[str] = ()) -> Agreement:
    """Compare two files, or folders of a model, by their kind.

    keys: of a csv table, the columns that name a row. Raises AnatomyError where a file cannot be read.
    """
    if recorded.is_dir() or again.is_dir():
        return _models(recorded, again)
    if hashing.sha256(recorded) == hashing.sha256(again):
        return Agreement(IDENTICAL)
    suffix = recorded.suffix
    try:
        if suffix == ".parquet":
            return _parquet(recorded, again)
        if suffix == ".csv":
            return _csv(recorded, again, keys)
        if suffix == ".json":
            return _json(recorded, again)
        if suffix == ".png":
            return _picture(recorded, again)
        if suffix in (".svg", ".pdf"):
            return _drawing(recorded, again)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise AnatomyError(f"{recorded} or {again}: cannot be read to be compared: {error}") from error
    return Agreement(DIFFERENT, f"other bytes ({recorded.stat().st_size} and {again.stat().st_size})")


# Numbers and values ----------------------------------------------------------------------------------


def number(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> Agreement:
    """Compare two entries of numbers.json: value, text and interval."""
    parts = ("value", "text", "interval", "interval_text")
    if all(recorded.get(part) == again.get(part) for part in parts):
        return Agreement(IDENTICAL)
    shown = f"{_shown(recorded)} and {_shown(again)}"
    one, other = _value(recorded.get("value")), _value(again.get("value"))
    ends, other_ends = recorded.get("interval"), again.get("interval")
    both = [*(ends or []), recorded.get("value")], [*(other_ends or []), again.get("value")]
    if len(both[0]) == len(both[1]) and all(map(_same, map(_value, both[0]), map(_value, both[1]))):
        return Agreement(WITHIN, shown)
    if ends and other_ends and _inside(one, other_ends) and _inside(other, ends):
        return Agreement(WITHIN, f"{shown}, each inside the other's interval")
    return Agreement(DIFFERENT, shown)


def _shown(number: Mapping[str, Any]) -> str:
    interval = f" [{', '.join(number['interval_text'])}]" if number.get("interval_text") else ""
    return f"{number['text']}{interval}"


def _value(value: Any) -> Any:
    """Return a number as JSON has it, as a float where it is one: ``inf`` is written as text, nan as null."""
    if value in ("inf", "-inf"):
        return float(value)
    return math.nan if value is None else value


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same: numbers up to RELATIVE, nan like nan."""
    if isinstance(one, str) or isinstance(other, str) or isinstance(one, bool) or isinstance(other, bool):
        return bool(type(one) is type(other) and one == other)
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=RELATIVE)


def _inside(value: Any, ends: Sequence[Any]) -> bool:
    """Tell whether a value lies in a closed interval; not where one of the three is no number."""
    low, high = map(_value, ends)
    return all(isinstance(x, int | float) for x in (value, low, high)) and low <= value <= high


# Tables of results -----------------------------------------------------------------------------------


def _csv(recorded: Path, again: Path, keys: Sequence[str]) -> Agreement:
    # As text first: a column of another type would make every value of it another one.
    one, other = (
        pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=object) for path in (recorded, again)
    )
    if list(one.columns) != list(other.columns):
        return Agreement(DIFFERENT, f"columns {', '.join(one.columns)} and {', '.join(other.columns)}")
    if len(one) != len(other):
        return Agreement(DIFFERENT, f"{len(one)} and {len(other)} rows")
    interval = {"estimate", "low", "high"} <= set(one.columns)
    moved = 0
    rows = zip(one.to_dict("records"), other.to_dict("records"), strict=True)
    for place, (row, new) in enumerate(rows):
        values = {str(name): (_parsed(row[name]), _parsed(new[name])) for name in row}
        unlike = [name for name, pair in values.items() if not _same(*pair)]
        if not unlike:
            continue
        where = f"row {place}" + (f" ({', '.join(f'{key} {row[key]}' for key in keys)})" if keys else "")
        firm = [name for name in unlike if name in keys or any(isinstance(x, str) for x in values[name])]
        ends = [[values["low"][side], values["high"][side]] for side in (0, 1)] if interval else []
        if firm or not ends or not all(_inside(values["estimate"][side], ends[1 - side]) for side in (0, 1)):
            name = (firm or unlike)[0]
            name = "estimate" if not firm and "estimate" in unlike else name
            said = f"{where}: {name} {row[name]} and {new[name]}"
            return Agreement(DIFFERENT, said + (", not each in the other's interval" if ends else ""))
        moved += 1
    if moved:
        return Agreement(
            WITHIN, f"{moved} of {len(one)} rows differ, with estimates inside each other's intervals"
        )
    return Agreement(WITHIN, "the same values, written otherwise")


def _parsed(cell: Any) -> Any:
    try:
        return float(cell)  # nan where the cell is empty
    except ValueError:
        return cell


# JSON ------------------------------------------------------------------------------------------------


def _json(recorded: Path, again: Path) -> Agreement:
    one, other = (json.loads(path.read_text(encoding="utf-8")) for path in (recorded, again))
    if recorded.name == "numbers.json":
        return _numbers(one, other)
    found = _unlike(one, other)
    return Agreement(DIFFERENT, found) if found else Agreement(WITHIN, "the same values, written otherwise")


def _numbers(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> Agreement:
    if recorded.keys() != again.keys():
        only = sorted(recorded.keys() ^ again.keys())
        return Agreement(DIFFERENT, f"{len(only)} numbers stand in one of the two only: {only[0]} ...")
    found = {name: number(recorded[name], again[name]) for name in recorded}
    unlike = [name for name, one in found.items() if one.outcome != IDENTICAL]
    different = [name for name in unlike if not found[name].ok]
    if different:
        name = different[0]
        return Agreement(
            DIFFERENT, f"{len(different)} of {len(found)} numbers: {name}, {found[name].detail} ..."
        )
    return Agreement(WITHIN, f"{len(unlike)} of {len(found)} numbers differ within tolerance")


def _unlike(one: Any, other: Any, where: str = "") -> str:
    """Return the first difference of two values of JSON, in words; empty if they are the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f"{where or 'entries'}: {', '.join(sorted(one.keys() ^ other.keys()))} only in one"
        pairs = [(one[name], other[name], f"{where}/{name}".lstrip("/")) for name in one]
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return f"{where}: {len(one)} and {len(other)} entries"
        pairs = [(a, b, f"{where}[{place}]") for place, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        plain = not isinstance(one, dict | list) and not isinstance(other, dict | list)
        alike = plain and (one is None) == (other is None) and _same(_value(one), _value(other))
        return "" if alike else f"{where}: {one} and {other}"
    return next(filter(None, (_unlike(*pair) for pair in pairs)), "")


# Tables between stages -------------------------------------------------------------------------------


def _parquet(recorded: Path, again: Path) -> Agreement:
    kinds = [_kind(path) for path in (recorded, again)]
    if kinds[0] != kinds[1]:
        return Agreement(DIFFERENT, f"a table '{kinds[0]}' and a table '{kinds[1]}'")
    kind = kinds[0]
    if kind in _SPREAD:
        return _spread(kind, recorded, again)
    one, other = (pq.read_table(path).replace_schema_metadata() for path in (recorded, again))
    if one.schema.names != other.schema.names or one.num_rows != other.num_rows:
        return Agreement(DIFFERENT, f"{one.num_rows} and {other.num_rows} rows, or other columns")
    if one.equals(other):
        return Agreement(WITHIN, "the same rows, in other bytes")
    return _values(one, other, kind == "training")


def _kind(path: Path) -> str:
    metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    return metadata.get(b"anatomy.table", b"").decode()


def _values(one: pa.Table, other: pa.Table, tolerant: bool) -> Agreement:
    """Compare tables row by row; tolerant: numbers that are no integers may differ by WEIGHTS."""
    largest = 0.0
    for name in one.column_names:
        if one[name].equals(other[name]):
            continue
        if not (tolerant and pa.types.is_floating(one[name].type)):
            place = next(i for i, (a, b) in enumerate(zip(one[name], other[name], strict=True)) if a != b)
            return Agreement(DIFFERENT, f"column {name} differs, first in row {place}")
        a, b = (table[name].to_numpy() for table in (one, other))
        if not (np.isnan(a) == np.isnan(b)).all():
            return Agreement(DIFFERENT, f"column {name} is not told in the same rows")
        largest = max(largest, float(np.nanmax(np.abs(a - b), initial=0.0)))
    said = f"largest difference {largest:.2g}"
    return Agreement(WITHIN if largest <= WEIGHTS else DIFFERENT, said)


def _spread(kind: str, recorded: Path, again: Path) -> Agreement:
    """Compare tables with rows by problem: equal rows, and means over problems."""
    one, other = (_rows(kind, path) for path in (recorded, again))
    keys = [name for name in _KEYS if name in one]
    rows = one.merge(other, on=keys, how="outer", suffixes=("", " again"), indicator=True)
    # Which links a model reaches of a chain with its own answers depends on those answers.
    own = rows["condition"].str.startswith("own-") if "condition" in rows else pd.Series(False, rows.index)
    alone = rows[(rows["_merge"] != "both") & ~own]
    if len(alone):
        which = ", ".join(str(alone.iloc[0][name]) for name in keys)
        return Agreement(DIFFERENT, f"{len(alone)} rows stand in one of the two only: {which} ...")
    both = rows[rows["_merge"] == "both"]
    if both.empty:
        return Agreement(DIFFERENT, "no row stands in both")
    compared = ["completion"] if kind == "samples" else [name for name in one if name not in keys]
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
    columns = [name for name in tables.SCHEMAS[kind].names if name != "temperature"]
    pieces = []
    for piece in tables.stream(path, kind, columns):
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


# Models ----------------------------------------------------------------------------------------------


def _models(recorded: Path, again: Path) -> Agreement:
    """Compare two folders: weights up to WEIGHTS, everything else the same."""
    one, other = (hashing.tree(path) for path in (recorded, again))
    if one == other:
        return Agreement(IDENTICAL)
    if one.keys() != other.keys():
        return Agreement(DIFFERENT, f"{', '.join(sorted(one.keys() ^ other.keys()))} only in one of the two")
    largest = 0.0
    for name in one:
        if one[name] == other[name] or Path(name).name == "manifest.json":  # the digests of the others
            continue
        if name.endswith(".safetensors"):
            found = _weights(recorded / name, again / name)
            if isinstance(found, str):
                return Agreement(DIFFERENT, f"{name}: {found}")
            largest = max(largest, found)
        elif name.endswith(".json"):
            settings = [json.loads((folder / name).read_text()) for folder in (recorded, again)]
            a, b = ({k: v for k, v in found.items() if k != _VERSION} for found in settings)
            said = _unlike(a, b)
            if said:
                return Agreement(DIFFERENT, f"{name}: {said}")
        else:
            return Agreement(DIFFERENT, f"{name}: other bytes")
    outcome = WITHIN if largest <= WEIGHTS else DIFFERENT
    return Agreement(outcome, f"largest difference of a weight {largest:.2g}")


def _weights(recorded: Path, again: Path) -> float | str:
    """Return the largest difference of two files' weights, or in words why there is none."""
    largest = 0.0
    try:
        with safe_open(recorded, framework="pt") as one, safe_open(again, framework="pt") as other:
            if set(one.keys()) != set(other.keys()):
                return "other weights' names"
            for name in one.keys():  # noqa: SIM118 (it is no dictionary)
                a, b = one.get_tensor(name), other.get_tensor(name)
                if a.shape != b.shape:
                    return f"{name}: shapes {tuple(a.shape)} and {tuple(b.shape)}"
                if a.numel():
                    found = float((a.double() - b.double()).abs().max())
                    if math.isnan(found):
                        return f"{name}: not all weights are numbers"
                    largest = max(largest, found)
    except Exception as error:  # the library's own, of no class that it publishes
        raise AnatomyError(f"{recorded} or {again}: weights cannot be read: {error}") from error
    return largest


# Figures ---------------------------------------------------------------------------------------------


def _picture(recorded: Path, again: Path) -> Agreement:
    with Image.open(recorded) as one, Image.open(again) as other:
        if one.size != other.size:
            return Agreement(DIFFERENT, "picture of {} x {} and of {} x {}".format(*one.size, *other.size))
        a, b = (np.asarray(image.convert("RGBA"), dtype=float) for image in (one, other))
    found = float(np.sqrt(np.mean((a - b) ** 2)))
    return Agreement(
        WITHIN if found <= PIXELS else DIFFERENT, f"picture: root mean square {found:.2g} of 255"
    )


def _drawing(recorded: Path, again: Path) -> Agreement:
    """Compare drawings whose bytes differ by the picture that was drawn with them."""
    pictures = [path.with_suffix(".png") for path in (recorded, again)]
    if not all(path.is_file() for path in pictures):
        return Agreement(DIFFERENT, "other bytes, and no picture beside it to compare")
    found = compare(pictures[0], pictures[1])
    same = found.outcome == IDENTICAL
    return Agreement(
        WITHIN if same else found.outcome, "other bytes, the same picture" if same else found.detail
    )
