"""What is missing on a machine, told before anything is installed; a machine is a path without some tools."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ASKED_FOR = ("bash", "git", "make", "python3", "unshare")
COREUTILS = ("cat", "cut", "df", "echo", "nproc", "rm", "sh", "sha256sum", "tail", "tr", "true", "uname")
FORBIDDEN = {"unshare": "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1"}
"""A machine without user namespaces."""
Machine = Callable[..., dict[str, str]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A function that makes a machine, some tools replaced by shell texts; it returns its environment."""

    def make(*without: str, **instead: str) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in (*ASKED_FOR, *COREUTILS):
            found = sys.executable if name == "python3" else shutil.which(name)
            if name not in (*without, *instead) and found:
                (folder / name).symlink_to(os.path.realpath(found))
        for name, text in instead.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        return {"PATH": str(folder)}

    return make


def look(folder: Path, environment: Mapping[str, str], *arguments: str) -> tuple[int, list[str], str]:
    """Run the script: its status, the problems that it tells, and all that it says."""
    done = subprocess.run(
        ["/bin/sh", ROOT / "envs/preconditions.sh", *arguments],
        cwd=folder, env=dict(environment), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    problems = [line.removeprefix("- ") for line in done.stdout.splitlines() if line.startswith("- ")]
    return done.returncode, problems, done.stdout


def test_where_nothing_is_missing_nothing_is_said(machine: Machine, tmp_path: Path) -> None:
    assert look(tmp_path, machine(unshare="exit 0"), "programs") == (0, [], "")


@pytest.mark.parametrize(
    ("tool", "problem", "packages"),
    [
        ("git", "git is not installed", "git"),
        ("make", "make is not installed", "make"),
        ("python3", "python3 is not installed; Python 3.11 to 3.13", "python3 python3-venv"),
    ],
)
def test_each_missing_tool_is_named(
    tool: str, problem: str, packages: str, machine: Machine, tmp_path: Path
) -> None:
    status, problems, said = look(tmp_path, machine(tool, unshare="exit 0"), "programs")
    assert status == 1 and len(problems) == 1 and problems[0].startswith(problem)
    assert said.splitlines()[-1] == f"On Debian and Ubuntu: apt install {packages}"


def test_all_that_is_missing_is_told_at_once(machine: Machine, tmp_path: Path) -> None:
    small = "echo head; echo /dev/disk 9000000 8000000 1000000 89% /"
    bare = machine("git", "make", "python3", df=small, **FORBIDDEN)
    status, problems, said = look(tmp_path, bare, "programs")
    told = ("git", "make", "python3", "the packages need 3 GB of disk", "programs that models wrote")
    assert status == 1 and len(problems) == len(told)
    assert all(problem.startswith(start) for problem, start in zip(problems, told, strict=True))
    assert said.startswith("error: ") and said.endswith("apt install git make python3 python3-venv\n")


PYTHONS = {
    "Python 2.7, which is too old": "echo 2.7",
    "Python 3.10, which is too old": "echo 3.10",
    "Python 3.15, for which not all packages are built yet": "echo 3.15",
    "python3 does not run": "exit 1",
    "32-bit": "echo 3.11; echo bits",
    "glibc 2.28 or newer": "echo 3.12; echo libc",
    "lacks its module ssl": "echo 3.13; echo module:ssl",
    "cannot make virtual environments": "echo 3.11; echo venv",
    "a C compiler and the headers": "echo 3.14; echo compiler",
}


@pytest.mark.parametrize("problem", PYTHONS)
def test_each_python_that_will_not_do_is_told(problem: str, machine: Machine, tmp_path: Path) -> None:
    status, problems, _ = look(tmp_path, machine(python3=PYTHONS[problem]))
    assert status == 1 and len(problems) == 1 and problem in problems[0]


@pytest.mark.parametrize(
    ("module", "problem"),
    [("ensurepip", "its venv package is missing"), ("lzma", "lacks its module lzma")],
)
def test_this_python_without_a_module(module: str, problem: str, machine: Machine, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise ImportError")
    here = machine() | {"PYTHONPATH": str(tmp_path)}
    status, problems, said = look(tmp_path, here)
    assert status == 1 and len(problems) == 1 and problem in problems[0]
    assert ("apt install python3-venv" in said) == (module == "ensurepip")


def test_what_only_the_making_of_the_environment_needs_is_not_asked_for_later(
    machine: Machine, tmp_path: Path
) -> None:
    here = machine(python3="echo 3.14; echo venv; echo compiler", df="echo head; echo /dev/disk 9 9 0 100% /")
    assert len(look(tmp_path, here)[1]) == 3
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.installed-torch").touch()
    assert look(tmp_path, here) == (0, [], "")


@pytest.mark.parametrize(
    ("system", "processor", "problem"),
    [
        ("Linux", "riscv64", "Linux on riscv64 is not supported"),
        ("Linux", "armv7l", "Linux on armv7l is not supported"),
        ("Darwin", "x86_64", "Macs with an Intel processor"),
        ("MINGW64_NT-10.0", "x86_64", "on Windows, use WSL 2"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    system: str, processor: str, problem: str, machine: Machine, tmp_path: Path
) -> None:
    here = machine(uname=f"[ $1 = -s ] && echo {system} || echo {processor}")
    status, problems, _ = look(tmp_path, here)
    assert status == 1 and len(problems) == 1 and problem in problems[0]


@pytest.mark.parametrize(("release", "old"), [("14.7", False), ("26.1", False), ("13.6", True)])
def test_a_mac_sets_up_and_leaves_programs_out(
    release: str, old: bool, machine: Machine, tmp_path: Path
) -> None:
    here = machine(uname="[ $1 = -s ] && echo Darwin || echo arm64", sw_vers=f"echo {release}")
    status, problems, _ = look(tmp_path, here)
    assert (status, len(problems)) == ((1, 1) if old else (0, 0))
    status, problems, _ = look(tmp_path, here, "programs")
    assert status == 1 and "a sandbox of Linux only, and this is Darwin" in problems[-1]
    assert "run the study on Linux, or leave programs out: make study PROGRAMS=False" in problems[-1]


@pytest.mark.parametrize(
    ("bwrap", "unshare", "told"),
    [
        ("", "exit 0", ""),
        ("", FORBIDDEN["unshare"], "unshare failed: Operation not permitted"),
        ("[ $1 = --version ] && echo bubblewrap 0.7.0", "exit 0", ""),  # the packaged one is used
        ("[ $1 = --version ] && echo bubblewrap 0.8.0 || exit 0", FORBIDDEN["unshare"], ""),
        ("[ $1 = --version ] && echo bubblewrap 0.11.0 || { echo no! >&2; exit 1; }", "exit 0", "(no!)"),
    ],
)
def test_both_ways_out_are_told_where_no_sandbox_can_be_made(
    bwrap: str, unshare: str, told: str, machine: Machine, tmp_path: Path
) -> None:
    here = machine(unshare=unshare, **({"bwrap": bwrap} if bwrap else {}))
    status, problems, _ = look(tmp_path, here, "programs")
    assert (status, len(problems)) == ((1, 1) if told else (0, 0))
    for part in (told, "allow user namespaces", "or leave programs out: make study PROGRAMS=False"):
        assert not told or part in problems[0]


@pytest.mark.parametrize(
    ("arguments", "told", "installs"),
    [
        (["study"], "programs that models wrote", False),
        (["study", "PROGRAMS=False"], "", True),
        (["setup"], "", True),  # the tests need no sandbox
    ],
)
def test_make_looks_before_it_installs(
    arguments: list[str], told: str, installs: bool, machine: Machine, tmp_path: Path
) -> None:
    """Up to the first step of an installation, at which the stand-in for Python ends it."""
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    shutil.copy(ROOT / "Makefile", tmp_path)
    here = machine(python3='[ "$1" = -c ] && echo 3.11 || { echo "installs"; exit 1; }', **FORBIDDEN)
    done = subprocess.run(
        [tmp_path / "bin/make", *arguments],
        cwd=tmp_path, env=here, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode and told in done.stdout
    assert ("\ninstalls\n" in done.stdout) == installs and not (tmp_path / ".venv").exists()
