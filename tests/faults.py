"""Put each fault of faults.yaml into a copy of the repository, and see whether the tests notice.

    python tests/faults.py [--jobs N] [ID ...]

A fault is caught where a test that is named for it fails, and passes without the fault. Tests that cannot be
collected, or whose fixtures fail, catch nothing. Ends with status 1 unless every fault is caught.
"""

import argparse
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))  # as pytest does

import tiny  # noqa: E402

LIBRARY = "scripts/anatomy"
LONGEST = 1800.0
"""Seconds that tests may take; a fault that hangs them longer is not caught."""


@dataclass(frozen=True)
class Fault:
    """See faults.yaml."""

    id: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    harm: str
    study: bool = False

    def put_into(self, folder: Path) -> None:
        """Alter the library of a copy. Raises ValueError unless the text stands there once."""
        path = folder / LIBRARY / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.id}: `old` stands {text.count(self.old)} times in {self.file}, not once")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def read() -> list[Fault]:
    entries = yaml.safe_load((ROOT / "tests/faults.yaml").read_text(encoding="utf-8"))
    return [Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


class Ran(NamedTuple):
    """How tests ended: ``passed``, ``failed``, or what kept them from telling."""

    ended: str
    told: str
    seconds: float


def copied(folder: Path) -> None:
    """Copy the files that git tracks, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def run(folder: Path, tests: Sequence[str], study: Path | None) -> Ran:
    """Run tests in a copy until one fails, those of a finished study with the one given."""
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-n", "0"]
    command += [f"--basetemp={folder}-temporary", *tests]
    # A module that was altered within a second and kept its size would be taken from a cache of bytecode.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("ANATOMY_FINISHED", None)
    if study:
        environment["ANATOMY_FINISHED"] = str(study)
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        said = output.read()
    seconds = time.monotonic() - began
    failed = re.search(r"^FAILED (.+?)(?: - |$)", said, re.MULTILINE)
    last = "\n".join(said.strip().splitlines()[-15:])
    if status is None:
        return Ran(f"took more than {LONGEST:.0f} s", last, seconds)
    # After -x a module that cannot be imported may end in status 1 too, but no test FAILED then.
    if status == 1 and failed:
        return Ran("failed", failed[1], seconds)
    if status == 0 and re.search(r"\d passed", said):
        return Ran("passed", "", seconds)
    return Ran("every test was skipped" if status == 0 else "the tests did not start", last, seconds)


class Trial:
    """Tries faults in copies of the repository, one for each worker."""

    def __init__(self, folder: Path, jobs: int):
        self.folder = folder
        self.free: queue.Queue[Path] = queue.Queue()
        for number in range(jobs):
            copied(folder / f"copy-{number}")
            self.free.put(folder / f"copy-{number}")
        self.lock = threading.Lock()
        self.sound: dict[tuple[str, ...], Future[Ran]] = {}
        self.making = threading.Lock()
        given = os.environ.get("ANATOMY_FINISHED")
        self.finished = Path(given) if given else None

    def study(self) -> Path:
        """Return a finished tiny study, made once and without a fault; ANATOMY_FINISHED names another."""
        with self.making:
            if self.finished is None:
                made = tiny.copy_repository(self.folder / "study")
                done = tiny.snakemake(made, "all")
                if done.returncode:
                    raise RuntimeError(f"the tiny study could not be made:\n{done.stdout[-5000:]}")
                self.finished = made
            return self.finished

    def without(self, folder: Path, tests: tuple[str, ...], study: Path | None) -> Ran:
        """Run tests without any fault; the same ones once."""
        with self.lock:
            mine = tests not in self.sound
            future = self.sound.setdefault(tests, Future())
        if mine:
            try:
                future.set_result(run(folder, tests, study))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def verdict(self, fault: Fault) -> Ran:
        """Tell whether a fault is caught: ``caught``, or why not, with what the tests told."""
        folder = self.free.get()
        path, altered = folder / LIBRARY / fault.file, folder.with_name(f"{folder.name}-study")
        try:
            study = self.study() if fault.study else None
            sound = self.without(folder, fault.tests, study)
            if sound.ended != "passed":
                return Ran(f"not tried: without the fault, {sound.ended}", sound.told, sound.seconds)
            fault.put_into(folder)
            if study:
                shutil.copytree(study, altered, symlinks=True)
                fault.put_into(altered)
            found = run(folder, fault.tests, altered if study else None)
            ended = {"failed": "caught", "passed": "NOT CAUGHT"}.get(found.ended, found.ended)
            return found._replace(ended=ended)
        finally:
            shutil.copy(ROOT / LIBRARY / fault.file, path)
            shutil.rmtree(altered, ignore_errors=True)
            self.free.put(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="faults tried at a time")
    parser.add_argument("ids", nargs="*", metavar="ID", help="of faults; by default all")
    asked = parser.parse_args()
    faults = read()
    unknown = set(asked.ids) - {fault.id for fault in faults}
    if unknown:
        parser.error(f"no fault is called {', '.join(sorted(unknown))}")
    faults = [fault for fault in faults if fault.id in asked.ids or not asked.ids]
    jobs, began, missed = max(1, asked.jobs), time.monotonic(), 0
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        ThreadPoolExecutor(jobs) as workers,
    ):
        trial = Trial(Path(folder), jobs)
        for fault, found in zip(faults, workers.map(trial.verdict, faults), strict=True):
            caught = found.ended == "caught"
            missed += not caught
            print(f"{fault.id:32} {found.ended:12} {found.seconds:6.1f} s  ", end="")
            print(found.told if caught else f"({', '.join(fault.tests)})\n{found.told}", flush=True)
    print(f"{len(faults) - missed} of {len(faults)} faults caught, in {time.monotonic() - began:.0f} s")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
