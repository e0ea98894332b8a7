"""Reading of sheets, tab-separated files whose columns are the fields of a model of their rows."""

import csv
from pathlib import Path

from pydantic import ValidationError

from anatomy.errors import AnatomyError
from anatomy.study.checked import EMPTY, explained, first
from anatomy.study.rows import Row


def sheet(path: str | Path, kind: type[Row]) -> list[Row]:
    """Return the rows of a sheet.

    Args:
        path: a tab-separated file in UTF-8.
        kind: the model of its rows.

    Raises:
        AnatomyError: a missing file, a missing or unknown column, a cell of the wrong type or value, or a
            name that stands twice.
    """
    path = Path(path)
    names, lines = list(kind.model_fields), _lines(path, list(kind.model_fields))
    rows: list[Row] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, start=2):
        row = _row(line, kind, f"{path}, line {number}")
        name = getattr(row, names[0])
        if kind.NAMED and name in seen:
            raise AnatomyError(f"{path}, line {number}: '{name}' stands twice")
        seen.add(name)
        rows.append(row)
    return rows


def _lines(path: Path, names: list[str]) -> list[dict[str, str]]:
    """Return the lines of a sheet as text by column, after the check of its columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns, lines = list(reader.fieldnames or []), list(reader)
    except OSError as error:
        raise AnatomyError(f"{path}: cannot read the sheet: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnatomyError(f"{path}: not UTF-8 text: {error}") from error
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise AnatomyError(f"{path}: column {', '.join(twice)} stands twice; delete one")
    missing, unknown = set(names) - set(columns), set(columns) - set(names)
    if missing or unknown:
        wrong = (
            f"missing column {sorted(missing)}" if missing else f"unknown column {sorted(map(str, unknown))}"
        )
        raise AnatomyError(f"{path}: {wrong}; columns are {', '.join(names)}")
    return lines


def _row(line: dict[str, str], kind: type[Row], where: str) -> Row:
    if None in line:
        raise AnatomyError(f"{where}: more cells than the {len(kind.model_fields)} columns")
    for column in kind.model_fields:
        if not line[column]:
            raise AnatomyError(
                f"{where}, column {column}: the cell is empty; write '{EMPTY}' where nothing is meant"
            )
    try:
        return kind.model_validate({column: cell for column, cell in line.items() if cell != EMPTY})
    except ValidationError as error:
        detail = first(error)
        column = str(detail["loc"][0])
        what = f"'{EMPTY}' is not allowed here" if detail["type"] == "missing" else explained(detail)
        raise AnatomyError(f"{where}, column {column}: {what}") from error
