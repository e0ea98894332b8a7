"""An RO-Crate checked against its profile, without a network."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anatomy.audit.crate.vocabulary import CONTEXT, KNOWN
from anatomy.errors import AnatomyError

# Checking --------------------------------------------------------------------------------------------


_NETWORK = ["ro-crate-1.1_28.1", "ro-crate-1.1_28.2"]
"""Recommended checks that would fetch what the crate does not carry."""


def validate(folder: Path, severity: str = "REQUIRED") -> list[str]:
    """Return what the RO-Crate validator finds wrong in a crate, a line each; nothing if it conforms.

    The profiles are Provenance Run Crate and those that it builds on. No network is needed.

    Args:
        folder: The crate.
        severity: REQUIRED, or RECOMMENDED for these checks too.

    Raises:
        AnatomyError: roc-validator is not installed.
    """
    try:
        from rocrate_validator import services
    except ImportError as error:
        raise AnatomyError(
            "checking a crate needs the package roc-validator; `make setup` installs it"
        ) from error
    with tempfile.TemporaryDirectory(prefix="anatomy-") as cache:
        _remember(Path(cache) / "http", {CONTEXT: {"@context": KNOWN}})
        settings = services.ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier="provenance-run-crate",
            requirement_severity=severity,
            cache_path=Path(cache) / "http",
            offline=True,
            skip_checks=_NETWORK,
        )
        issues = services.validate(settings).get_issues()
    return sorted(
        f"{issue.check.identifier}: {issue.violatingEntity or folder}: {issue.message}" for issue in issues
    )


def _remember(cache: Path, answers: Mapping[str, Any]) -> None:
    """Lay answers to requests where the validator looks for those of earlier runs."""
    import requests
    from requests.structures import CaseInsensitiveDict
    from requests_cache.models.request import CachedRequest
    from requests_cache.models.response import CachedResponse
    from requests_cache.session import CachedSession

    with CachedSession(str(cache), backend="sqlite") as session:
        for url, content in answers.items():
            session.cache.save_response(
                CachedResponse(
                    url=url,
                    status_code=200,
                    headers=CaseInsensitiveDict({"Content-Type": "application/ld+json"}),
                    content=json.dumps(content).encode(),
                    request=CachedRequest.from_request(requests.Request("GET", url).prepare()),
                )
            )
