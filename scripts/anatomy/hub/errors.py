"""What goes wrong with the hub, told with what to do about it, and without a token."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from anatomy.errors import AnatomyError
from anatomy.hub.repository import Repository

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOG_IN = "set HF_TOKEN or run `hf auth login`"
_CLIENT_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
"""What the hub's HTTP client raises where there is no answer at all, whichever client it is."""


class HubError(AnatomyError):
    """What is wrong with a model or data set of the hub, and what to do about it."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


def require_token(repository: Repository) -> None:
    """Check that there is a token, which a gated repository asks for.

    Raises:
        HubError: There is none.
    """
    if not get_token():
        raise HubError(
            f"{repository} is gated and there is no token",
            f"accept its licence on {repository.page}, then {_LOG_IN}",
        )


@contextmanager
def explained(repository: Repository) -> Iterator[None]:
    """Turn every error of the hub, its client and the disk into a HubError; none shows a token."""
    try:
        yield
    except (OSError, _CLIENT_ERROR) as error:
        raise HubError(*explain(error, repository)) from error


def explain(error: Exception, repository: Repository) -> tuple[str, str]:
    """Return what is wrong and what to do."""
    hub, page = repository.server, repository.page
    match error:
        case OfflineModeIsEnabled():
            return (
                "the hub is not asked, because HF_HUB_OFFLINE is set",
                "unset it, and run this on a node with access to the internet (usually the login node)",
            )
        case GatedRepoError():
            try:
                require_token(repository)
            except HubError as missing:
                return missing.problem, missing.remedy
            return (
                f"{repository} is gated and the token's account has no access",
                f"accept its licence on {page} with that account and wait for approval, or {_LOG_IN} with"
                " another's; a fine-grained token needs the permission to read gated repositories",
            )
        case RevisionNotFoundError():
            return (
                f"{repository} has no revision {repository.revision} (any more)",
                f"choose a commit from {page}/commits/main, or write '-' into the column 'revision' of"
                f" {repository.sheet} and run `python scripts/pin.py`; results may then differ",
            )
        case HfHubHTTPError() if repository.elsewhere:
            return (
                f"{repository}: {hub} answered {error.response.status_code}",
                f"look whether the file has moved, and correct the column 'hub_id' of {repository.sheet}",
            )
        case HfHubHTTPError() if error.response.status_code in (401, 403) and (
            get_token() and not isinstance(error, RepositoryNotFoundError)
        ):
            return (
                f"{repository}: the hub refuses the token ({error.response.status_code})",
                f"it is wrong, expired or too weak: make one on {hub}/settings/tokens, then {_LOG_IN}",
            )
        case RepositoryNotFoundError():
            return (
                f"{repository} is not on the hub: renamed, deleted or private",
                f"look for it on {hub} and correct the column 'hub_id' of {repository.sheet}; for a private"
                f" one {_LOG_IN}",
            )
        case HfHubHTTPError() if error.response.status_code == 429:
            return (
                f"{repository}: too many requests to {hub}",
                f"wait some minutes and run again; with a token ({_LOG_IN}) more are allowed",
            )
        case HfHubHTTPError():
            return (
                f"{repository}: {hub} answered {error.response.status_code}",
                "run again later; what is already here is kept",
            )
        case _CLIENT_ERROR() | ConnectionError() | TimeoutError():
            reason = _without_token(str(error) or type(error).__name__)
            return (
                f"{'the file' if repository.elsewhere else 'the hub'} cannot be reached at {hub} ({reason})",
                "run this on a node with access to the internet (usually the login node); behind a proxy set"
                " HTTPS_PROXY, for a mirror HF_ENDPOINT",
            )
        case OSError() if error.errno in FULL:
            return (
                f"{repository}: {os.strerror(error.errno)}",
                "free some space, or put `results` on a larger file system, and run again: the download goes"
                " on where it stopped",
            )
    reason = _without_token(str(error) or type(error).__name__).splitlines()[0]
    return f"{repository}: {reason}", "see to that, and run again: the download goes on where it stopped"


def _without_token(text: str) -> str:
    token = get_token()
    return text.replace(token, "***") if token else text
