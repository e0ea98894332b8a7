"""Numbers, names and values as words in a report."""

import json
from collections.abc import Sequence
from typing import Any

_SHOWN = 60
"""Characters of a value that are shown."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def few(names: Sequence[str], shown: int = 3) -> str:
    """Return the first names in a line, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def short(value: Any) -> str:
    """Return a value on a line, cut where it is long: text as it is, all else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
