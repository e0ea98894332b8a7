"""Settings of all tests (the same examples every time, none fails by being slow); the tiny study."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from tiny import copy_repository, snakemake

# A shell starts what runs in the background with SIGINT ignored, and children inherit that: tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")


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
