"""The YAML files of a study, read; tables, figures and claims as their models say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from anatomy.errors import AnatomyError
from anatomy.study.artifacts import Artifacts, Claim, CounterClaim
from anatomy.study.checked import checked


def read_yaml(path: str | Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        AnatomyError: it cannot be read, or is no YAML; the message names file and line.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)  # ten times faster
    except OSError as error:
        raise AnatomyError(f"{path}: cannot read the file: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise AnatomyError(f"{path}: not valid YAML: {error}") from error


def read_artifacts(root: Path, paths: Sequence[str]) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Return the tables and figures of several files together, and the file of each by its kind and name.

    Args:
        root: the folder that the paths are relative to.
        paths: the files.

    Raises:
        AnatomyError: a file is not as ``Artifacts`` says, or a name stands in two of them.
    """
    together: dict[str, Any] = {"tables": {}, "figures": {}}
    files: dict[tuple[str, str], str] = {}
    for path in paths:
        content = read_yaml(root / path)
        checked(Artifacts, content, path)
        for kind, entries in together.items():
            for name, entry in content[kind].items():
                if (kind, name) in files:
                    raise AnatomyError(
                        f"{path}: {kind}.{name} stands in {files[kind, name]} too; rename one of them"
                    )
                entries[name], files[kind, name] = entry, path
    return together, files


def read_claims(root: Path, path: str) -> dict[str, Any]:
    """Return the entries of a file of claims, by their names.

    Args:
        root: the folder that the path is relative to.
        path: the file.

    Raises:
        AnatomyError: the file is not as ``Claim`` and ``CounterClaim`` say.
    """
    claims = read_yaml(root / path)
    if not isinstance(claims, dict):
        raise AnatomyError(f"{path}: top level: {claims} is not a mapping of names to claims")
    for name, claim in claims.items():
        checked(
            CounterClaim if isinstance(claim, dict) and "counters" in claim else Claim, claim, path, (name,)
        )
    return claims
