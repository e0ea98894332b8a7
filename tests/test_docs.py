"""The documentation: complete, of one mind with the project, without a network, and its commands run."""

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import _snakemake

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "site"
BIN = Path(sys.executable).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_rule_has_a_description_of_its_own() -> None:
    said = {rule.name: rule.docstring for rule in _snakemake.load([ROOT / "config/embedded.yaml"]).rules}
    assert said
    assert not [name for name, text in said.items() if not re.fullmatch(r"\S.{9,}\.", text or "")]
    assert len(set(said.values())) == len(said)


def test_the_readme_is_an_overview() -> None:
    readme = ROOT / "README.md"
    assert readme.stat().st_size <= 8000
    rows = [line for line in readme.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert not [row for row in rows if re.search(r"supported|contradicted|undecided|not testable", row)]


def test_the_version_stands_in_one_place() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## \[(.+)\](.*)$", changes, re.MULTILINE)
    assert entries[0][0] == citation["version"]
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", date) for _, date in entries)
    assert entries == sorted(
        entries, key=lambda entry: [entry[1], *map(int, entry[0].split("."))], reverse=True
    )


# The site -------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page of the site loads, what it links to, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.names |= {values[name] for name in ("id", "name") if name in values}
        if "src" in values:
            self.loads.append(values["src"])
        if "href" in values:
            loads = tag == "link" and values.get("rel") not in ("next", "prev", "canonical")
            (self.loads if loads else self.links).append(values["href"])


@pytest.fixture(scope="module")
def site() -> dict[Path, Page]:
    if not SITE.is_dir():
        pytest.skip("the site is not built: make docs")
    return {path: Page(path) for path in SITE.rglob("*.html") if path.name != "404.html"}


def test_the_site_loads_nothing_from_elsewhere(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        for address in page.loads:
            assert not urlsplit(address).netloc, f"{path.name} loads {address}"
            if not address.startswith("data:"):
                assert (path.parent / unquote(urlsplit(address).path)).is_file(), f"{path.name}: {address}"
    for path in SITE.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//\S+", path.read_text(encoding="utf-8"))
        assert not found, f"{path.name} loads {found}"
    # For a diagram, the theme's script would load another script.
    assert not [path for path in site if 'class="mermaid"' in path.read_text(encoding="utf-8")]


def test_links_within_the_site_lead_somewhere(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file() or (target / "index.html").is_file(), f"{path.name}: {address}"
            if parts.fragment and target in site:
                assert unquote(parts.fragment) in site[target].names, f"{path.name}: {address}"


def test_the_site_has_what_the_project_has(site: dict[Path, Page]) -> None:
    def text(page: str) -> str:
        return (SITE / "reference" / page).read_text(encoding="utf-8")

    rules, artifacts, claims = text("rules.html"), text("artifacts.html"), text("claims.html")
    for rule in _snakemake.load([ROOT / "config/embedded.yaml"]).rules:
        assert f'id="{rule.name}"' in rules
    declared = yaml.safe_load((ROOT / "config/artifacts.yaml").read_text(encoding="utf-8"))
    for name in (*declared["tables"], *declared["figures"]):
        assert f"<code>{name}</code>" in artifacts
    for name in yaml.safe_load((ROOT / "config/claims.yaml").read_text(encoding="utf-8")):
        assert f'id="{name}"' in claims
    library = ROOT / "scripts/anatomy"
    for package in (path.parent for path in library.rglob("__init__.py")):
        page = "-".join(package.relative_to(library).parts) or "anatomy"
        shown = text(f"library/{page}.html")
        assert all(f'id="{path.stem}"' in shown for path in package.glob("[!_]*.py")), page
    version = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    assert f"Version {version}" in (SITE / "index.html").read_text(encoding="utf-8")


def test_every_module_says_in_a_sentence_what_it_is() -> None:
    for path in (ROOT / "scripts").rglob("*.py"):
        said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]
        assert len(said.split()) > 3 and said[-1] in ".:", f"{path}: {said!r}"


def test_verdicts_of_a_study_stand_beside_its_claims(tmp_path: Path) -> None:
    found = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert found and found.loader
    generate = importlib.util.module_from_spec(found)
    found.loader.exec_module(generate)
    results = tmp_path / "claims.csv"
    assert "supported" not in generate.all_claims(results)
    results.write_text("claim,scope,contrast,verdict\nC1,embedded,k 1,\nC1,embedded,all,supported\n")
    (row,) = [row for row in generate.all_claims(results).splitlines() if "supported" in row]
    assert re.fullmatch(r"\| \[C1\]\(#C1\) \| .+ \| supported \|  \|  \|", row)


# The commands ---------------------------------------------------------------------------------------------

NEEDS = {
    "cluster": "--profile slurm",
    "endpoint": "endpoint:",
    "hub": "pin.py",
    "network": "git clone",
    "root": "tests/cluster/",
}
"""What a block may need that a test does not have, and what stands in every block that does."""

TABS = "tsv"
"""The language of a block that is a line to be added to the sheet of arms."""

BLOCK = re.compile(
    r"^(?:<!-- needs: (?P<needs>.+) -->\n)?```(?P<language>.*)\n(?P<body>(?:(?!```).*\n)*)```$", re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    language: str
    needs: tuple[str, ...]
    body: str

    def commands(self) -> Iterator[list[str]]:
        for line in self.body.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


@cache
def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = [
        Block(match["language"], tuple(filter(None, (match["needs"] or "").split(", "))), match["body"])
        for match in BLOCK.finditer(text)
    ]
    fences, markers = len(re.findall(r"^\s*```", text, re.MULTILINE)), text.count("<!-- needs:")
    assert fences == 2 * len(found), f"{page.name}: a block that is not read"
    marked = sum(bool(block.needs) for block in found)
    # The page that explains the mark shows it in a line of text.
    assert markers - text.count("`<!-- needs:") == marked, f"{page.name}: a mark without a block"
    return found


def test_blocks_say_what_they_are_and_what_they_need() -> None:
    for page in PAGES:
        for block in blocks(page):
            assert block.language in ("sh", "text", TABS), f"{page.name}: {block.language!r}"
            for need in block.needs:
                assert need in NEEDS, f"{page.name}: {need}"
                assert NEEDS[need] in block.body, f"{page.name}: does this need {need}? {block.body}"


def run_here(words: list[str]) -> tuple[list[str], Path] | None:
    """Return a command that runs in the repository itself, where it changes nothing; None for another one."""
    tool, *rest = words
    if tool == "make":
        return ["make", "-n", *rest], ROOT
    unchanged = {"ruff format": "--check", "ruff check": "--diff", "snakefmt Snakefile": "--check"}
    if option := unchanged.get(" ".join([tool.removeprefix(".venv/bin/"), *rest[:1]])):
        return [str(BIN / Path(tool).name), *rest, option], ROOT
    return None


def run_there(words: list[str], changed: bool, folder: str) -> list[str]:
    """Return a command as it is run in the tiny study; of a changed one, Snakemake tells what it would do."""
    words = [word.replace("FOLDER", folder) for word in words]
    tiny: list[str] = []
    if not any(word.startswith("benchmarks_folder=") for word in words):  # real test sets are not in it
        words = [word.replace("config/embedded.yaml", "tests/tiny/config.yaml") for word in words]
        words = [word.replace("embedded", "tiny") for word in words]
        tiny = [] if "--configfile" in words else ["--configfile", "tests/tiny/config.yaml"]
    tool, *rest = words
    if tool == ".venv/bin/snakemake":
        dry = ["-n"] if changed or "--config" in rest or "-n" in rest else []
        rest = [word for word in rest if word != "-n"]
        cores = [] if "--cores" in rest else ["--cores", "2"]
        return [str(BIN / "python"), "-m", "snakemake", *rest, *cores, *tiny, *dry]
    if tool == ".venv/bin/python":
        script, *rest = rest
        study = ["--study", "tiny"] if script == "scripts/audit.py" else []
        return [str(BIN / "python"), script, *study, *rest, *(tiny if script == "scripts/table.py" else [])]
    if tool == ".venv/bin/pre-commit":
        return [str(BIN / "pre-commit"), *rest]
    assert tool in ("head", "printf"), f"a command that no test can run: {shlex.join(words)}"
    return words


RUN: set[str] = set()
"""Commands that have run on the study as it was finished: many pages begin with the same ones."""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_run(page: Path, again: Path, tmp_path: Path) -> None:
    """As they stand on a page, from top to bottom, on the tiny study in place of the embedded one."""
    sets = tmp_path / "sets"
    sheet = (ROOT / "config/benchmarks.tsv").read_text(encoding="utf-8")
    for name in re.findall(r"^(\S+)\t\S+\thub\t", sheet, re.MULTILINE):
        (sets / name).mkdir(parents=True)
        (sets / name / "test.jsonl").touch()
    made = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # by the make that runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in made}
    ran, changed = RUN, False
    for block in blocks(page):
        if block.language == TABS:
            with (again / "tests/tiny/arms.tsv").open("a", encoding="utf-8") as arms:
                arms.write(block.body.replace("embedded", "tiny"))
            ran, changed = set(), True
        for words in block.commands() if block.language == "sh" and not block.needs else ():
            command, folder = run_here(words) or (run_there(words, changed, str(sets)), again)
            line = " ".join(word if word == ">" else shlex.quote(word) for word in command)
            if line in ran:
                continue
            done = subprocess.run(
                line,
                shell=True,
                cwd=folder,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-3000:]}"
            ran.add(line)
