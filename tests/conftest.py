"""Settings of all tests (the same examples every time, none fails by being slow); the tiny study."""

import os
import re
import shutil
import signal
from functools import cache
from pathlib import Path
from typing import Any

import needs
import pytest
from hypothesis import settings
from tiny import copy_repository, snakemake
from xdist.scheduler import LoadScopeScheduling

# A shell starts what runs in the background with SIGINT ignored, and children inherit that: tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run in several processes at once: each computes on one core, as jobs of the tiny study do.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")


# Which process runs which tests: modules' fixtures, and the tiny study, are to be made once. The files that
# need that study are for one process, and the others for whichever is free, those with long tests first.


@cache
def needs_study(path: Path) -> bool:
    return re.search(r"\b(finished|again): Path", path.read_text(encoding="utf-8")) is not None


@cache
def is_fast(path: Path) -> bool:
    return "mark.slow" not in path.read_text(encoding="utf-8")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in needs.of(item):
            item.add_marker(f"needs_{name}")  # so that -m can choose by it
    items.sort(key=lambda item: (not needs_study(item.path), is_fast(item.path)))  # within each, as they came


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    needs.require(*needs.of(item))  # before any fixture is made


class Scheduler(LoadScopeScheduling):
    """Groups of tests by file, since xdist 3.8 does not read its own marks of groups with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "study" if needs_study(self.config.rootpath / file) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    return Scheduler(config, log)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny study, not to be changed.

    ANATOMY_FINISHED names a folder with one, so that the tests that need it can be repeated quickly.
    """
    folder = tmp_path_factory.mktemp("finished") / "study"
    given = os.environ.get("ANATOMY_FINISHED")
    if given:
        shutil.copytree(given, folder, symlinks=True)
        return folder
    done = snakemake(copy_repository(folder), "all")
    assert done.returncode == 0, done.stdout[-5000:]
    return folder


@pytest.fixture
def again(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study that a test may change."""
    folder = tmp_path / "study"
    shutil.copytree(finished, folder, symlinks=True)
    return folder
