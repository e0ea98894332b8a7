"""The environments: one set of versions everywhere, and every rule's imports in its own environment."""

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from anatomy import provenance

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
MARKERS = {"python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux"}
OUTSIDE_LOCK = {"torch"}
"""Left to the Makefile, since its CPU and CUDA builds are both right choices."""


@cache
def lock() -> dict[str, str]:
    """Return the version of each package in the lock, for the environments' Python on Linux."""
    lines = (ROOT / "envs/requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"[A-Za-z]", line)]
    return {
        canonicalize_name(r.name): str(r.specifier).removeprefix("==")
        for r in found
        if r.marker is None or r.marker.evaluate({**MARKERS})
    }


def torch_version() -> str:
    found = re.search(
        r"^TORCH_VERSION := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found
    return found[1]


def environment(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def pins(path: Path) -> dict[str, str]:
    """Return name and version of each package in an environment's pip section."""
    (section,) = [entry["pip"] for entry in environment(path)["dependencies"] if isinstance(entry, dict)]
    found = [Requirement(line) for line in section]
    assert all(re.fullmatch(r"==[^*,]+", str(r.specifier)) for r in found), f"{path.name}: not all exact"
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in found}


def rules() -> Iterator[tuple[str, Path, list[Path]]]:
    """Yield name, environment and scripts of every rule that has a script."""
    for file in sorted((ROOT / "rules").glob("*.smk")):
        text = file.read_text(encoding="utf-8")
        for block in re.finditer(r"^rule (\w+):\n((?:[ \t].*\n|\n)+)", text, re.MULTILINE):
            script = re.search(r'script:\s*"([^"]+)"', block[2])
            conda = re.search(r'conda:\s*"([^"]+)"', block[2])
            if script:
                assert conda, f"{file.name}: rule {block[1]} names no environment"
                pattern = re.sub(r"\{[^{}]+\}", "*", Path(script[1]).name)
                scripts = sorted((ROOT / "scripts").glob(pattern))
                if block[1] == "table":  # which imports the analysis that a table is named after
                    scripts += sorted((ROOT / "scripts/anatomy/analyses").glob("*.py"))
                yield block[1], (file.parent / conda[1]).resolve(), scripts


RULES = list(rules())


def imports(path: Path) -> set[str]:
    """Return the top-level names of the packages that a file imports, wherever in it it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    own = {"anatomy", *(script.stem for script in (ROOT / "scripts").glob("*.py"))}
    return names - set(sys.stdlib_module_names) - own


def test_the_lock_leaves_torch_to_the_makefile() -> None:
    assert lock()
    assert not OUTSIDE_LOCK & set(lock())
    assert not [name for name in lock() if name.startswith(("nvidia-", "triton"))]


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_has_the_versions_of_the_lock(path: Path) -> None:
    assert environment(path)["channels"] == ["conda-forge", "nodefaults"]
    assert "python=3.11" in environment(path)["dependencies"]
    expected = {**lock(), "torch": torch_version()}
    assert pins(path) == {name: expected.get(name, "not in the lock") for name in pins(path)}


def test_rules_and_environments_belong_together() -> None:
    assert {path for _, path, _ in RULES} == set(ENVIRONMENTS)
    assert all(scripts for _, _, scripts in RULES)


@pytest.mark.parametrize(("rule", "path", "scripts"), RULES, ids=[rule for rule, _, _ in RULES])
def test_environment_has_what_its_rule_imports(rule: str, path: Path, scripts: list[Path]) -> None:
    # job.py imports Snakemake where a script is run alone, which is done in the project's own environment.
    files = {module for script in scripts for module in provenance.modules(script)}
    imported = {name: file.name for file in sorted(files) for name in imports(file)}
    providers = importlib.metadata.packages_distributions()
    absent = {
        f"{file} imports {name}"
        for name, file in imported.items()
        if not {canonicalize_name(package) for package in providers.get(name, [])} & set(pins(path))
    }
    assert not absent, f"rule {rule}, {path.name}"


def test_no_script_takes_the_name_of_a_module_that_others_import() -> None:
    """A script's folder comes first on its path: scripts/numbers.py would be everybody's ``numbers``."""
    names = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert not names & set(sys.stdlib_module_names)
    assert not names & set(importlib.metadata.packages_distributions())
