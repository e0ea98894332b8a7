"""What some tests need that pip does not install, looked for in one place; without it they are skipped.

A test tells its needs by a mark, ``@pytest.mark.needs("sandbox")``, or has them by the fixtures that it uses.
"""

import os
import shutil
from functools import cache
from pathlib import Path

import pytest

from anatomy.errors import AnatomyError
from anatomy.sandbox import bubblewrap

ROOT = Path(__file__).resolve().parents[1]
VLLM = Path(os.environ.get("ANATOMY_VLLM", ROOT / ".venv-vllm"))
"""The environment that `make vllm` makes."""
BY_FIXTURE = {
    "finished": ("sandbox",),  # the tiny study has programs
    "again": ("sandbox",),
    "slurm": ("slurm", "sandbox"),
    "browser": ("browser",),
}


def _absent(*commands: str, path: str | None = None) -> str:
    return ", ".join(name for name in commands if not shutil.which(name, path=path))


def _sandbox() -> str:
    try:
        bubblewrap.check_available()
    except AnatomyError as error:
        # A bubblewrap that does not isolate is no reason to skip, but to fail.
        return "" if "self-test" in str(error) else f"bubblewrap: {error}"
    return ""


def _sinfo() -> str:
    return "Slurm's commands are not installed" if _absent("sinfo") else ""


def _slurm() -> str:
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    if absent := _absent("sbatch", "slurmctld", "slurmd", "munged", path=path):
        return f"Slurm: not installed: {absent} (apt install slurm-wlm munge)"
    return "Slurm: only root can start one" if os.geteuid() else ""


def _browser() -> str:
    absent = [name for name in ("chromium", "chromedriver") if _absent(name)]
    if "chromium" in absent and shutil.which("google-chrome"):
        absent.remove("chromium")
    return (
        f"Chromium: not installed: {', '.join(absent)} (apt install chromium chromium-driver)"
        if absent
        else ""
    )


def _vllm() -> str:
    reason = VLLM / "FAILED"
    if reason.exists():
        return f"vLLM: make vllm: {reason.read_text().strip()}"
    return "" if list(VLLM.glob(".installed-*")) else "vLLM: make vllm was not run"


_LOOKED_FOR = {"sandbox": _sandbox, "sinfo": _sinfo, "slurm": _slurm, "browser": _browser, "vllm": _vllm}
NAMES = tuple(_LOOKED_FOR)


@cache
def missing(name: str) -> str:
    """Return why a need is not met here; nothing where it is."""
    return _LOOKED_FOR[name]()


def require(*names: str) -> None:
    """Skip the test that calls this where needs are not met, with all reasons."""
    if reasons := list(filter(None, map(missing, names))):
        pytest.skip("; ".join(reasons))


def of(item: pytest.Item) -> list[str]:
    """Return the needs of a test."""
    marked = [name for mark in item.iter_markers("needs") for name in mark.args]
    used = [name for fixture in getattr(item, "fixturenames", ()) for name in BY_FIXTURE.get(fixture, ())]
    return list(dict.fromkeys([*marked, *used]))
