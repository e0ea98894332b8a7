"""Stand-ins for conda-forge and for the ``conda`` command, on py-rattler, where no channel can be reached.

The channel holds two packages: the running Python, under whatever version is asked for, and pip's wheel
from PyPI. The command does what Snakemake asks of conda when it makes an environment: it solves the conda
part of the environment file against the channel, links the packages, and has the environment's own pip
install the pip part, as conda does. Channels are looked up where CONDA_CHANNEL_ALIAS says, as by conda
itself.
"""

import argparse
import asyncio
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import rattler
import yaml
from rattler.index import index_fs

VERSION = "24.7.1"
"""The oldest conda that Snakemake 9.27 takes."""
SUBDIR = f"linux-{'64' if platform.machine() == 'x86_64' else platform.machine()}"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "test", "*-packages", "config-*", "EXTERNALLY-MANAGED")


def write_package(folder: Path, content: Path, name: str, version: str, depends: list[str]) -> None:
    """Write the files below ``content`` as a conda package into a channel's folder."""
    files = sorted(path for path in content.rglob("*") if path.is_symlink() or path.is_file())
    index = {
        "name": name,
        "version": version,
        "build": "stand_in",
        "build_number": 0,
        "depends": depends,
        "subdir": SUBDIR,
    }
    paths = [
        {
            "_path": str(path.relative_to(content)),
            "path_type": "softlink" if path.is_symlink() else "hardlink",
        }
        for path in files
    ]
    information = {
        "index.json": json.dumps(index),
        "paths.json": json.dumps({"paths_version": 1, "paths": paths}),
        "files": "".join(f"{path['_path']}\n" for path in paths),
    }
    with tarfile.open(folder / f"{name}-{version}-stand_in.tar.bz2", "w:bz2", compresslevel=1) as archive:
        for file, text in information.items():
            member = tarfile.TarInfo(f"info/{file}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for path in files:
            archive.add(path, path.relative_to(content))


def make_channel(folder: Path, python: str, pip: str) -> None:
    """Make a channel with the running Python and a pip, under these versions.

    Raises subprocess.CalledProcessError where pip's wheel cannot be had.
    """
    (folder / "noarch").mkdir(parents=True)
    packages = folder / SUBDIR
    packages.mkdir()
    minor = "{}.{}".format(*sys.version_info)
    base = os.path.realpath(sys.executable)  # not that of a virtual environment, which has paths of its own
    asking = "import sysconfig; print(*map(sysconfig.get_path, ('stdlib', 'purelib', 'data')))"
    stdlib, purelib, data = subprocess.check_output([base, "-I", "-c", asking], text=True).split()
    site = os.path.relpath(purelib, data)
    with tempfile.TemporaryDirectory() as work:
        tree = Path(work) / "python"
        shutil.copytree(stdlib, tree / f"lib/python{minor}", ignore=LEFT_OUT)
        (tree / "bin").mkdir()
        shutil.copy(base, tree / f"bin/python{minor}")
        for link in ("python", "python3"):
            (tree / "bin" / link).symlink_to(f"python{minor}")
        own = tree / site
        own.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("witness.py"), own)
        (own / "witness.pth").write_text("import witness\n")
        write_package(packages, tree, "python", python, [])

        download = ("pip", "download", "--quiet", "--no-deps", "--dest", work, f"pip=={pip}")
        subprocess.run([sys.executable, "-m", *download], check=True, capture_output=True, text=True)
        tree = Path(work) / "pip"
        with zipfile.ZipFile(next(Path(work).glob("pip-*.whl"))) as wheel:
            wheel.extractall(tree / site)
        write_package(packages, tree, "pip", pip, [f"python {minor}.*"])
    asyncio.run(index_fs(folder, write_zst=False, write_shards=False))


def make_command(folder: Path) -> None:
    """Write ``conda`` and its ``activate`` into a folder's ``bin``, which then belongs on the PATH."""
    (folder / "bin").mkdir(parents=True)
    conda = folder / "bin/conda"
    conda.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{Path(__file__).resolve()}' \"$@\"\n")
    conda.chmod(0o755)
    (folder / "bin/activate").write_text('export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n')


async def link(environment: dict[str, Any], prefix: Path) -> None:
    """Solve the conda part of an environment, and link what it needs into a prefix."""
    channels = rattler.ChannelConfig(channel_alias=os.environ["CONDA_CHANNEL_ALIAS"] + "/")
    sources = [rattler.Channel(name, channels) for name in environment["channels"] if name != "nodefaults"]
    specs = [rattler.MatchSpec(spec) for spec in environment["dependencies"] if isinstance(spec, str)]
    with tempfile.TemporaryDirectory() as cache:
        records = await rattler.solve(
            sources,
            specs,
            gateway=rattler.Gateway(cache_dir=cache),
            virtual_packages=rattler.VirtualPackage.detect(),
        )
        await rattler.install(records, prefix, cache_dir=cache, show_progress=False)


def create(file: Path, prefix: Path) -> int:
    """Make an environment from its file; return pip's exit status."""
    environment = yaml.safe_load(file.read_text(encoding="utf-8"))
    asyncio.run(link(environment, prefix))
    lines = [line for part in environment["dependencies"] if isinstance(part, dict) for line in part["pip"]]
    if not lines:
        return 0
    with tempfile.NamedTemporaryFile(
        "w", suffix=".requirements.txt", dir=file.resolve().parent
    ) as requirements:
        requirements.write("\n".join(lines))
        requirements.flush()
        arguments = ("-I", "-m", "pip", "install", "-U", "-r", requirements.name, "--exists-action=b")
        return subprocess.run([prefix / "bin/python", *arguments], cwd=file.resolve().parent).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="conda", description=__doc__)
    parser.add_argument("--version", action="version", version=f"conda {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info").add_argument("--json", action="store_true", required=True)
    config = commands.add_parser("config")
    config.add_argument("--json", action="store_true", required=True)
    config.add_argument("--get", choices=["channel_priority"], required=True)
    clean = commands.add_parser("clean")  # nothing is kept that could be cleaned
    for option in ("-y", "--tarballs", "--packages"):
        clean.add_argument(option, action="store_true")
    env = commands.add_parser("env").add_subparsers(required=True).add_parser("create")
    env.add_argument("--quiet", action="store_true")
    env.add_argument("--no-default-packages", action="store_true")
    env.add_argument("--file", type=Path, required=True)
    env.add_argument("--prefix", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "info":
        root = Path(shutil.which("conda") or sys.argv[0]).parents[1]
        print(json.dumps({"conda_prefix": str(root), "platform": SUBDIR}))
    elif arguments.command == "config":
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif arguments.command == "env":
        return create(arguments.file, arguments.prefix)
    return 0


if __name__ == "__main__":
    sys.exit(main())
