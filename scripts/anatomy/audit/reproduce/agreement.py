"""Whether a file that was made again agrees with the first one: the same bytes, or alike as its kind goes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from anatomy.audit import hashing
from anatomy.audit.reproduce.agreement_models import compare_models
from anatomy.audit.reproduce.agreement_result import (
    DIFFERENT,
    IDENTICAL,
    PIXELS,
    WITHIN,
    Agreement,
    compare_json,
)
from anatomy.audit.reproduce.agreement_tables import compare_csv, compare_parquet
from anatomy.errors import AnatomyError


def compare(recorded: Path, again: Path, keys: Sequence[str] = ()) -> Agreement:
    """Compare two files, or folders of a model, by their kind.

    Args:
        recorded: The first file.
        again: The file that was made again.
        keys: Of a csv table, the columns that name a row.

    Raises:
        AnatomyError: A file cannot be read.
    """
    if recorded.is_dir() or again.is_dir():
        return compare_models(recorded, again)
    if hashing.sha256(recorded) == hashing.sha256(again):
        return Agreement(IDENTICAL)
    suffix = recorded.suffix
    try:
        if suffix == ".parquet":
            return compare_parquet(recorded, again)
        if suffix == ".csv":
            return compare_csv(recorded, again, keys)
        if suffix == ".json":
            return compare_json(recorded, again)
        if suffix == ".png":
            return _picture(recorded, again)
        if suffix in (".svg", ".pdf"):
            return _drawing(recorded, again)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise AnatomyError(f"{recorded} or {again}: cannot be read to be compared: {error}") from error
    return Agreement(DIFFERENT, f"other bytes ({recorded.stat().st_size} and {again.stat().st_size})")


# Figures ---------------------------------------------------------------------------------------------


def _picture(recorded: Path, again: Path) -> Agreement:
    with Image.open(recorded) as first, Image.open(again) as second:
        if first.size != second.size:
            return Agreement(DIFFERENT, "picture of {} x {} and of {} x {}".format(*first.size, *second.size))
        a, b = (np.asarray(image.convert("RGBA"), dtype=float) for image in (first, second))
    difference = float(np.sqrt(np.mean((a - b) ** 2)))
    return Agreement(
        WITHIN if difference <= PIXELS else DIFFERENT, f"picture: root mean square {difference:.2g} of 255"
    )


def _drawing(recorded: Path, again: Path) -> Agreement:
    """Compare drawings whose bytes differ by the picture that was drawn with them."""
    pictures = [path.with_suffix(".png") for path in (recorded, again)]
    if not all(path.is_file() for path in pictures):
        return Agreement(DIFFERENT, "other bytes, and no picture beside it to compare")
    agreement = compare(pictures[0], pictures[1])
    same = agreement.outcome == IDENTICAL
    return Agreement(
        WITHIN if same else agreement.outcome, "other bytes, the same picture" if same else agreement.detail
    )
