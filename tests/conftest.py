"""Settings of all tests (the same examples every time, none fails by being slow); the tiny study."""

import os
import shutil
import signal
import stat
from pathlib import Path

import needs
import pytest
from filelock import FileLock
from hypothesis import settings
from tiny import copy_repository, snakemake

# A shell starts what runs in the background with SIGINT ignored, and children inherit that: tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run in several processes at once: each computes on one core, as jobs of the tiny study do.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONG = (
    *("audit_attacks", "cluster", "vllm_rollouts", "distributed"),  # the first has the tiny study made
    *("conda", "engines", "environments", "workflow", "audit_reproduce", "docs", "published"),
    *("audit_site", "audit_export", "planning", "record", "volume", "hidden"),
)
"""Files of tests that take a minute and more, the longest first; but those that need the tiny study come when
it is there.
"""

settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files, which stay whole: the long ones first, so that no process is left with them at the end."""
    for item in items:
        for name in needs.of(item):
            item.add_marker(f"needs_{name}")  # so that -m can choose by it
    places = {f"test_{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))  # others as they came


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    needs.require(*needs.of(item))  # before any fixture is made


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A finished tiny study, not to be changed: made once, by the first process whose tests ask for it.

    ANATOMY_FINISHED names a folder with one, so that the tests that need it can be repeated quickly.
    """
    if given := os.environ.get("ANATOMY_FINISHED"):
        folder = tmp_path_factory.mktemp("finished") / "study"
        shutil.copytree(given, folder, symlinks=True)
        return folder
    own = tmp_path_factory.getbasetemp()
    common = own if worker_id == "master" else own.parent
    folder, said = common / "finished" / "study", common / "finished.log"
    with FileLock(common / "finished.lock"):
        if not said.exists():
            done = snakemake(copy_repository(folder), "all")
            said.write_text(f"{done.returncode}\n{done.stdout[-5000:]}")
    status, _, lines = said.read_text().partition("\n")
    assert status == "0", lines
    return folder


@pytest.fixture(scope="session")
def copied(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This process's copy of the finished study."""
    return Path(shutil.copytree(finished, tmp_path_factory.mktemp("again") / "study", symlinks=True))


@pytest.fixture
def again(finished: Path, copied: Path) -> Path:
    """A copy of the finished study that a test may change: what the one before changed is put back."""
    was, now = _listed(finished), _listed(copied)
    for path in [path for path in reversed(now) if was.get(path) != now[path]]:
        place = copied / path
        if stat.S_ISDIR(now[path][0]):
            place.rmdir()
        else:
            place.unlink()
    for path in [path for path in was if was[path] != now.get(path)]:
        if stat.S_ISDIR(was[path][0]):
            (copied / path).mkdir(exist_ok=True)
        else:
            shutil.copy2(finished / path, copied / path, follow_symlinks=False)
    return copied


def _listed(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the kind of all in a folder, and a file's size and time; a folder comes before what is in it."""
    found: dict[str, tuple[int, ...]] = {}
    todo = [str(folder)]
    while todo:
        for entry in os.scandir(todo.pop()):
            about = entry.stat(follow_symlinks=False)
            file = not stat.S_ISDIR(about.st_mode)
            path = os.path.relpath(entry.path, folder)
            found[path] = (about.st_mode, about.st_size, about.st_mtime_ns) if file else (about.st_mode,)
            if not file:
                todo.append(entry.path)
    return found
