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

# Tests run in several processes at once: each computes on one core, as jobs of the tiny study do.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share tests out among processes so that modules' fixtures, and the tiny study, are made once.

    The files that need that study are for one process, and the others for whichever is free, long ones first.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)

    def needs_study(path: Path) -> bool:
        return any("finished" in getattr(item, "fixturenames", ()) for item in files[path])

    def is_fast(path: Path) -> bool:
        return not any(item.get_closest_marker("slow") for item in files[path])

    for path, inside in files.items():
        group = "finished" if needs_study(path) else path.stem
        for item in inside:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (not needs_study(item.path), is_fast(item.path)))  # within each, as they came


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
