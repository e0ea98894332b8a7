"""Tables of results as CSV files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from anatomy.errors import AnatomyError
from anatomy.storage.atomic import atomic


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
    """Read a table of results.

    Raises:
        AnatomyError: It is missing, broken or lacks a column.
    """
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise AnatomyError(f"{path}: cannot read the table: {error}; delete it and run again") from error
    absent = [name for name in columns if name not in frame]
    if absent:
        raise AnatomyError(f"{path}: column {', '.join(absent)} is missing; delete the table and run again")
    return frame
