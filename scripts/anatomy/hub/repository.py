"""A repository of the hub: a model or a data set at a commit."""

import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from huggingface_hub import constants

Kind = Literal["model", "dataset"]

COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""The revision of a data set that is one file at an address of its own."""


@dataclass(frozen=True)
class Repository:
    """A model or data set of the hub at a commit; the revision is empty where none was pinned yet.

    The id of a data set may also be the https address of a file with one JSON object a line; its revision is
    then ``sha256:`` and the file's digest.
    """

    kind: Kind
    id: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{'data set' if self.kind == 'dataset' else self.kind} '{self.id}'"

    @property
    def elsewhere(self) -> bool:
        """Tell whether it is a file outside the hub."""
        return "://" in self.id

    @property
    def server(self) -> str:
        """Where it lies, without the user and password that a mirror's address may hold."""
        parts = urlsplit(self.id if self.elsewhere else endpoint())
        path = "" if self.elsewhere else parts.path
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"

    @property
    def page(self) -> str:
        """Address of its page for people."""
        return f"{self.server}/{'datasets/' if self.kind == 'dataset' else ''}{self.id}"

    @property
    def sheet(self) -> str:
        """The sheet that names it."""
        return f"config/{'benchmarks' if self.kind == 'dataset' else 'models'}.tsv"


def endpoint() -> str:
    """Return the address of the hub, or of the mirror that ``HF_ENDPOINT`` names."""
    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")
