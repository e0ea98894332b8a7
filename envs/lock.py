"""Lock the pip section of the conda environments: every package that pip would install, with its hashes.

    python envs/lock.py              # each envs/*.yaml
    python envs/lock.py analysis     # one of them

The packages above the line "these need" are chosen by hand, with their versions; this adds the hashes of
their wheels and, below that line, all that they need in turn, in the versions of requirements.txt, or else
those that they had, where these fit. Snakemake copies an environment file before conda reads it, so that it
cannot name a second file: the lock stands in it. It holds for Linux on x86_64 with glibc 2.31 or newer
(llguidance, which vLLM needs, has no wheel for an older one).
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.utils import canonicalize_name

ENVS = Path(__file__).resolve().parent
NEEDED = "      # these need, by `make lock`:\n"
REQUIREMENT = re.compile(r"^ *- ([\w.-]+)(?:\[[\w,-]+\])?==(\S+)$", re.MULTILINE)


def resolved(requirements: str, form: str, preferred: str = "") -> str:
    """Return what uv makes of requirements, in one of its forms, with preferred versions where these fit."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    wheels = ["--python-version=3.11", "--python-platform=x86_64-manylinux_2_31", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / form
        if preferred:
            output.write_text(preferred, encoding="utf-8")
        arguments = ["--format", form, "-o", str(output), "-"]
        if subprocess.run([*command, *wheels, *arguments], input=requirements, text=True).returncode:
            sys.exit("error: uv found no versions that fit together; what it says stands above")
        return output.read_text(encoding="utf-8")


def lock(path: Path) -> None:
    """Write the hashes, and the packages that those chosen by hand need, into an environment file."""
    text = path.read_text(encoding="utf-8")
    chosen, marker, needed = re.sub(r"\n *--hash=\S+", "", text).partition(NEEDED)
    if not marker:
        sys.exit(f"error: {path.name} lacks the line {NEEDED.strip()!r} below the packages chosen by hand")
    direct = [match[0].strip(" -") for match in REQUIREMENT.finditer(chosen)]
    project = (ENVS / "requirements.txt").read_text(encoding="utf-8")
    kept = [
        match[0].strip(" -") for match in REQUIREMENT.finditer(needed) if f"\n{match[1]}==" not in project
    ]
    exact = resolved("\n".join(direct), "requirements.txt", "\n".join([project, *kept]))
    locked = tomllib.loads(resolved(exact, "pylock.toml"))
    hashes = {
        package["name"]: [wheel["hashes"]["sha256"] for wheel in package["wheels"]]
        for package in locked["packages"]
    }

    def hashed(match: re.Match[str]) -> str:
        digests = hashes.pop(canonicalize_name(match[1]))
        return match[0] + "".join(f"\n        --hash=sha256:{digest}" for digest in digests)

    chosen = REQUIREMENT.sub(hashed, chosen)
    versions = {package["name"]: package["version"] for package in locked["packages"]}
    rest = "".join(f"      - {name}=={versions[name]}\n" for name in sorted(hashes))
    path.write_text(chosen + NEEDED + REQUIREMENT.sub(hashed, rest), encoding="utf-8")
    print(f"{path.name}: {len(direct)} packages chosen, {len(versions) - len(direct)} that they need")


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.stem for path in ENVS.glob("*.yaml"))
    for name in names:
        lock(ENVS / f"{name}.yaml")
