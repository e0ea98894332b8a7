"""A row of a programming benchmark, as its set gives it, and as a problem."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.grading.code_tests import Tests

# Records of the formats -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """A publisher's record, and how to name it in errors."""

    fields: Mapping[str, Any]
    where: str

    def error(self, name: str, problem: str) -> AnatomyError:
        """Return the error that names the record and a field of it."""
        return AnatomyError(f"{self.where}: field '{name}' {problem}")

    def get(self, name: str) -> Any:
        """Return a field.

        Raises:
            AnatomyError: There is none such.
        """
        if name not in self.fields:
            raise AnatomyError(f"{self.where}: there is no field '{name}'; it has {sorted(self.fields)}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """Return a field that is a text, perhaps an empty one."""
        value = self.get(name)
        if not isinstance(value, str):
            raise self.error(name, f"is no text but {value!r:.80}")
        return value

    def filled(self, name: str) -> str:
        """Return a field that is a text with something in it.

        Raises:
            AnatomyError: It is no such text.
        """
        value = self.text(name)
        if not value.strip():
            raise self.error(name, "is empty")
        return value

    def json(self, name: str, kind: type) -> Any:
        """Return what a text holds as JSON, a list or an object."""
        try:
            value = json.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            raise self.error(name, f"is not JSON: {error}") from error
        if not isinstance(value, kind):
            raise self.error(name, f"holds no JSON {'list' if kind is list else 'object'}: {value!r:.80}")
        return value


@dataclass(frozen=True)
class Problem:
    """A record as it was read; ``tests.expected`` is empty where the canonical solution has yet to be run."""

    record: Record
    name: str
    text: str
    solution: str | None
    tests: Tests
    difficulty: float | None = None
    domain: str | None = None
    canonical: str | None = None
