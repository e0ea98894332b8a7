"""Records without a user's name, a home path or a secret."""

import getpass
import os
import re
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_SECRET = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)
_TOKENS = re.compile(
    r"\b(?:hf_|sk-|gh[pousr]_|github_pat_|glpat-|xox[abp]-|AKIA)[\w-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=[Bb]earer )\S+"
)
_HIDDEN = "[secret]"


def scrubbed(value: Any) -> Any:
    """Return a value without secrets, home paths and the user's name.

    Secrets are the values of environment variables that are named like one, and what looks like a token.
    The repository's own folder is left out of paths, the home folder is ``~``, and the user's name in an
    absolute path or a host's name is ``$USER``.
    """
    if isinstance(value, Mapping):
        return {scrubbed(name): scrubbed(part) for name, part in value.items()}
    if isinstance(value, list):
        return [scrubbed(part) for part in value]
    return _scrub(value) if isinstance(value, str) else value


def _scrub(text: str) -> str:
    for secret in _secrets():
        text = text.replace(secret, _HIDDEN)
    text = _TOKENS.sub(_HIDDEN, text)
    here, home, user = _places()
    text = text.replace(f"{here}/", "")
    for folder, called in ((here, "."), (home, "~")):
        if folder:
            text = re.sub(rf"{re.escape(folder)}(?=/|$|[\s\"':,])", called, text)
    if user:
        name = rf"(?<![\w.-]){re.escape(user)}(?![\w-])"
        text = re.sub(r"(?:~|/)[^\s\"']*", lambda path: re.sub(name, "$USER", path[0]), text)
        if text == socket.gethostname().partition(".")[0]:
            text = re.sub(re.escape(user), "$USER", text, flags=re.IGNORECASE)
    return text


def unscrubbed(path: str) -> Path:
    """Return the path that a record means on this machine."""
    return Path(os.path.expandvars(os.path.expanduser(path)))


@cache
def _secrets() -> tuple[str, ...]:
    values = (value for name, value in os.environ.items() if _SECRET.search(name))
    return tuple(value for value in values if len(value) >= 6)


@cache
def _places() -> tuple[str, str, str]:
    """Return the repository's folder, the home folder and the user's name; empty where there is none."""
    home = os.path.expanduser("~")
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = ""  # a container without a user database
    return str(Path.cwd()), home if len(home) > 1 else "", user
