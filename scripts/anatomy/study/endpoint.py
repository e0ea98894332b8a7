"""The language model that annotates benchmarks: where it answers, and how it is asked.

Without pydantic, as ``training_rules`` is; ``settings.Endpoint`` has the same fields, with what is allowed.
"""

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from anatomy.errors import AnatomyError


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers, and how it is asked.

    Raises:
        AnatomyError: The url cannot be meant.
    """

    url: str
    """The base, such as ``https://host/v1``; without a key."""
    model: str
    key_variable: str = ""
    """Name of the environment variable that holds the key; empty: the endpoint needs none."""
    timeout: float = 300.0
    """Seconds for a whole request, from connecting to the last byte."""
    retries: int = 5
    """Further tries of a request that got no answer, and of one that got no usable answer."""
    workers: int = 4
    """Requests at the same time."""
    max_tokens: int = 8192
    temperature: float = 0.6
    seed: int = 0
    """Of the first try; a try after an unusable answer has the next one."""
    largest: int = 1 << 20
    """Bytes of a response; the rest is not read."""
    backoff: float = 1.0
    """Seconds before the first retry; doubled with each one, with as much again at random."""
    longest: float = 60.0
    """Seconds between two tries at most, whatever the endpoint asks for."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            whole = None
        if not whole or "@" in parts.netloc or parts.query or parts.fragment:
            # The url is not repeated: what is wrong with it may be the key in it.
            raise AnatomyError(
                "annotations: the endpoint's url must be like https://host/v1, and hold no user, key or query"
            )

    @property
    def completions(self) -> str:
        """Address of the chat completions."""
        return self.url.rstrip("/") + "/chat/completions"

    def key(self) -> str:
        """Return the key, or an empty string where none is needed.

        Raises:
            AnatomyError: The variable holds none.
        """
        if not self.key_variable:
            return ""
        key = os.environ.get(self.key_variable, "").strip()
        if not re.fullmatch("[!-~]+", key):
            raise AnatomyError(
                f"annotations: the environment variable {self.key_variable} holds no key for {self.url};"
                " set it to the key, in plain characters without spaces"
            )
        return key
