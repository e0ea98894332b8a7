"""Put the sources of the documentation site into a folder, from which Zensical builds it (`make docs`).

    python docs/generate.py FOLDER

The pages of docs/ are copied. The others are made from the project itself, so that they cannot be stale: the
home page is README.md, rules are described as Snakemake reads them, tables, figures and claims as the files in
config/ declare them, and the library by its docstrings.
"""

import ast
import csv
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import workflow  # noqa: E402
from anatomy import claims, provenance  # noqa: E402

STUDIES = {"embedded": "config/embedded.yaml", "published": "config/published.yaml"}
LIBRARY = "reference/library"
GROUPS = {"analyses": "Analyses", "audit": "Audit"}
"""Packages of the library: the modules of ``analyses`` share a page, those of the others have one each."""


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.py", "*.yml", "__pycache__"))
    for name in ("LICENSE", "CITATION.cff"):  # README.md links to them
        shutil.copy(ROOT / name, folder / "docs" / name)
    library = library_pages()
    pages = {
        "index.md": home((ROOT / "README.md").read_text(encoding="utf-8")),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "reference/rules.md": rules_page(),
        "reference/artifacts.md": artifacts_page(),
        "reference/claims.md": claims_page(ROOT / "results/embedded/tables/claims.csv"),
        **library,
    }
    for name, text in pages.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    settings = yaml.safe_load((ROOT / "docs/site.yml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    settings["copyright"] = f"Version {citation['version']}"
    (reference,) = [entry["Reference"] for entry in settings["nav"] if "Reference" in entry]
    (entries,) = [entry["Library"] for entry in reference if "Library" in entry]
    entries += library
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def home(readme: str) -> str:
    """Return README.md as a page of the site: its links are relative to docs/."""
    for there, here in (
        ("docs/", ""),
        ("CONTRIBUTING.md", "contributing.md"),
        ("CHANGELOG.md", "changelog.md"),
    ):
        readme = readme.replace(f"]({there}", f"]({here}")
    return readme


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    return f"`{text}`"


def codes(texts: Iterable[str]) -> str:
    return ", ".join(map(code, texts))


# Rules ----------------------------------------------------------------------------------------------------


def resolved(configfile: str) -> Any:
    """Return Snakemake's workflow of a study with all of its jobs, none of which runs."""
    found = workflow.load(
        [ROOT / configfile],
        targets=frozenset({"all", "benchmarks"}),
        forceall=True,
        rerun_triggers=frozenset(),
    )
    found.check()
    found._prepare_dag(True, ignore_incomplete=True, lock_warn_only=True, nolock=True)
    found.dag.update_conda_envs = lambda: None
    found.async_run(found.dag.init())
    return found


def patterns(files: Iterable[Any], study: str) -> Iterator[str]:
    """Yield the files of a rule, as patterns; those that a function tells of each job are left out."""
    for file in files:
        if isinstance(file, str) and not callable(file):
            yield str(file).replace(f"/{study}/", "/<study>/").replace(f"/{study}", "/<study>")


def file_docstring(path: Path) -> str:
    """Return the text that a file of rules begins with."""
    found = re.match(r'"""(.+?)"""', path.read_text(encoding="utf-8"), re.DOTALL)
    return found[1].strip() if found else ""


def rules_page() -> str:
    """Describe every rule: what it makes from what, with which script, and which rules it stands between."""
    provenance.stamp = lambda scripts, inputs: ""  # reads inputs and code, and nobody looks at it here
    before: dict[str, set[str]] = defaultdict(set)
    after: dict[str, set[str]] = defaultdict(set)
    jobs: dict[str, dict[str, int]] = defaultdict(dict)
    for study, configfile in STUDIES.items():
        found = resolved(configfile)
        for job in found.dag.jobs:
            counted = jobs[job.rule.name]
            counted[study] = counted.get(study, 0) + 1
            for needed in found.dag.dependencies[job]:
                before[job.rule.name].add(needed.rule.name)
                after[needed.rule.name].add(job.rule.name)
    parts = [
        "# Rules",
        "What `snakemake --list` says, with the files and the neighbours of each rule as Snakemake resolves them. "
        f"Words in braces are wildcards, `<study>` is {codes(STUDIES)} or another study's name. "
        "How many jobs a rule has is said of a study of which nothing is finished.",
    ]
    rules = list(found.rules)  # of every study, since each has all of them
    order = [ROOT / "Snakefile", *(ROOT / name for name in included())]
    for path in order:
        mine = [rule for rule in rules if Path(rule.snakefile) == path]
        if not mine:
            continue
        title = "Targets" if path.name == "Snakefile" else f"`{path.relative_to(ROOT)}`"
        about = "" if path.name == "Snakefile" else file_docstring(path)
        parts += [f"## {title}", about]
        for rule in sorted(mine, key=lambda rule: rule.lineno):
            rows = [
                ("Writes", codes(patterns(rule.output, study))),
                ("Reads", codes(patterns(rule.input, study)) if rule.output else ""),
                ("Made from", neighbours(before[rule.name])),
                ("Goes into", neighbours(after[rule.name])),
                ("Script", code(script_of(rule))),
                ("Environment", code(f"envs/{Path(str(rule.conda_env)).name}") if rule.conda_env else ""),
                ("Jobs", ", ".join(f"{count:,} in {name}" for name, count in jobs[rule.name].items())),
            ]
            parts += [f"### {rule.name} {{ #{rule.name} }}", rule.docstring]
            parts.append(table(("", ""), (row for row in rows if row[1] not in ("", "``"))))
    return "\n\n".join(part for part in parts if part)


def included() -> list[str]:
    """Return the files of rules, in the order in which the Snakefile includes them."""
    return re.findall(r'^include: "(.+)"$', (ROOT / "Snakefile").read_text(encoding="utf-8"), re.MULTILINE)


def neighbours(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}](#{name})" for name in sorted(names))


def script_of(rule: Any) -> str:
    return str(rule.script or "").removeprefix("../").replace("{params.draws}", "<draws>")


# Tables and figures ---------------------------------------------------------------------------------------


def made_from(entry: Mapping[str, Any]) -> str:
    sources = [code(name) for name in entry.get("needs", [])]
    sources += [f"table {code(name)}" for name in entry.get("tables", [])]
    sources += [f"`config/published/{name}.csv`" for name in entry.get("record", [])]
    return ", ".join(sources)


def covers(entry: Mapping[str, Any]) -> str:
    """Return the arms, pairs or texts of an entry, and its benchmarks where these are some of all."""
    pairs, texts = entry.get("pairs"), entry.get("texts")
    told = codes(entry.get("arms", []))
    if pairs == "all":
        told = "every arm with its base"
    elif pairs:
        told = ", ".join(f"`{arm}` with `{base}`" for arm, base in pairs)
    elif texts:
        told = ", ".join(f"`{text}` under `{scorer}`" for scorer, text in texts)
    benchmarks = codes(entry.get("benchmarks", []))
    return "; ".join(part for part in (told, benchmarks and f"on {benchmarks}") if part)


def artifacts_page() -> str:
    """List every table and figure as its file in config/ declares it."""
    parts = [
        "# Tables and figures",
        "As the files in `config/` declare them; how an entry is written stands in the head of "
        "`config/artifacts.yaml`. Columns are explained under [Statistics](../statistics.md). "
        "*Covers* is empty where a table covers every arm and benchmark of its study. *Print* is what "
        "a table or figure corresponds to in the two papers.",
    ]
    for title, name in (
        ("The embedded study", "artifacts.yaml"),
        ("The published record", "record.yaml"),
        ("The studies at published scale", "published/artifacts.yaml"),
    ):
        declared = yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))
        rows = [
            (
                f"[`{made}`]({analysis_link(made, entry)})",
                entry["title"],
                made_from(entry),
                covers(entry),
                codes(entry["keys"]),
                codes(entry.get("numbers", {})),
                printed(entry),
            )
            for made, entry in declared["tables"].items()
        ]
        head = ("Table", "What it holds", "Made from", "Covers", "One row a", "Reported", "Print")
        parts += [f"## {title}", f"`config/{name}`.", "### Tables {{ #{}-tables }}".format(Path(name).parent.name or Path(name).stem)]
        parts.append(table(head, rows))
        drawn = [
            (code(figure), entry["title"], codes(entry.get("tables", [])), printed(entry))
            for figure, entry in declared.get("figures", {}).items()
        ]
        if drawn:
            parts += ["### Figures {{ #{}-figures }}".format(Path(name).parent.name or Path(name).stem)]
            parts.append(table(("Figure", "What it shows", "Tables", "Print"), drawn))
    return "\n\n".join(parts)


def analysis_link(name: str, entry: Mapping[str, Any]) -> str:
    return f"library/analyses.md#{entry.get('analysis', name)}"


def printed(entry: Mapping[str, Any]) -> str:
    return "" if entry["published"] == "none" else str(entry["published"])


# Claims ---------------------------------------------------------------------------------------------------

SCOPES = {
    "embedded": "Embedded study",
    "published": "Published numbers",
    "scale": "At published scale",
}
SHARES = {
    "all": "all of its effects",
    "most": "most of its effects",
    "any": "one of its effects or more",
}


def verdicts(path: Path) -> dict[tuple[str, str], str]:
    """Return the verdict on each claim by scope, from a study's table ``claims``; none where there is no table."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["contrast"] == "all"]
    return {(row["claim"], row["scope"]): row["verdict"] for row in rows}


def claims_page(results: Path) -> str:
    """State every claim and what decides it; with the verdicts of the study that lies beside, if there is one."""
    entries = {}
    scale = read_claims("config/published/claims.yaml")
    for name, claim in read_claims("config/claims.yaml").items():
        evidence = {**claim.evidence, **(scale[name].evidence if name in scale else {})}
        entries[name] = (claim, evidence)
    found = verdicts(results)
    parts = [
        "# Claims",
        "Claims of the two papers (C of Yue et al. 2025, S of Wang et al. 2025) and of those that followed (F), as "
        "statistical statements that were fixed before the data. Each is judged on our study and on the papers' own "
        "published numbers, at a family-wise level of 5 %: *supported*, *contradicted*, *undecided* or "
        "*not testable here*. How, stands in [`anatomy.claims`](library/claims.md).",
        "A study's verdicts stand in its paper, on its audit site, and in `results/<study>/tables/claims.csv`, with "
        "effects, intervals, and the smallest effect that would have been called with 80 % power. "
        + (
            "Those below are of the embedded study in the folder from which this site was built."
            if found
            else "This site was built in a folder without a finished embedded study; built after `make study`, it "
            "shows the verdicts here too."
        ),
        "One study is one run. On another kind of processor the base model is another one (see "
        "[Reproducibility](../reproducibility.md)), and small effects fall on the other side of a bound: between two "
        "runs of the embedded study on different processors, 7 verdicts differed, each of them decided in one run and "
        "undecided in the other.",
    ]
    families: dict[str, list[str]] = defaultdict(list)
    for name, (claim, _) in entries.items():
        families[claim.family].append(name)
    for family, names in families.items():
        parts.append(f"## {FAMILIES.get(family, family)}")
        for name in names:
            claim, evidence = entries[name]
            share = claim.share.removeprefix("not ")
            told = f"It holds where {SHARES[share]} lie as expected."
            if claim.counters:
                told = f"It says the contrary of [{claim.counters}](#{claim.counters}) about the same effects."
            parts += [f"### {name} {{ #{name} }}", f"{claim.statement} *{claim.source}.* {told}"]
            rows = [
                (SCOPES[scope], *evidence_cells(one), found.get((name, scope), ""))
                for scope, one in evidence.items()
            ]
            head = ["Where", "Effects", "Expected", "Verdict"]
            parts.append(table(head if found else head[:3], (row if found else row[:3] for row in rows)))
    return "\n\n".join(parts)


FAMILIES = {"yue": "Yue et al. 2025", "wang": "Wang et al. 2025", "follow-ups": "Later studies"}


def read_claims(name: str) -> dict[str, claims.Claim]:
    found = claims.read(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))
    return {claim.name: claim for claim in found}


def evidence_cells(evidence: claims.Evidence | str) -> tuple[str, str]:
    """Return what a claim's effects are, and where they are expected; or why it cannot be tested."""
    if isinstance(evidence, str):
        return f"not testable here: {evidence}", ""
    where = ", ".join(
        f"{key} {code(', '.join(map(str, value)) if isinstance(value, list | tuple) else str(value))}"
        for key, value in evidence.where.items()
    )
    value = "" if evidence.value == "estimate" else f"{code(evidence.value)} of "
    minus = ", ".join(f"{key} {code(str(value))}" for key, value in (evidence.minus or {}).items())
    told = f"{value}{code(evidence.table)}: {where}" + (f"; less {minus}" if minus else "")
    margin = f" {evidence.margin:g}" if evidence.margin else " zero"
    return told, evidence.expected + margin


# Library --------------------------------------------------------------------------------------------------


def about(path: Path) -> str:
    """Return the first paragraph of a module's docstring, on one line."""
    found = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(found.partition("\n\n")[0].split())


def library_pages() -> dict[str, str]:
    """Return a page for each module of the library, one for all analyses, and one that lists them."""
    base = ROOT / "scripts/anatomy"
    pages = {}
    index = ["# Library", about(base / "__init__.py")]
    groups: dict[str, list[Path]] = {"": modules(base)}
    groups |= {path.name: modules(path) for path in sorted(base.iterdir()) if (path / "__init__.py").is_file()}
    for group, paths in groups.items():
        if group:
            index += [f"## {GROUPS.get(group, group.capitalize())}", about(base / group / "__init__.py")]
        prefix = f"anatomy.{group}." if group else "anatomy."
        rows = []
        for path in paths:
            page = f"{group}-{path.stem}" if group else path.stem
            link = f"{page}.md"
            if group == "analyses":
                link = f"analyses.md#{path.stem}"
            else:
                pages[f"{LIBRARY}/{page}.md"] = f"# {prefix}{path.stem}\n\n::: {prefix}{path.stem}\n"
            rows.append((f"[`{path.stem}`]({link})", about(path)))
        if group == "analyses":
            parts = ["# anatomy.analyses", about(base / group / "__init__.py")]
            for path in paths:
                options = "    options:\n      heading_level: 3\n"
                parts.append(f"## {path.stem} {{ #{path.stem} }}\n\n::: {prefix}{path.stem}\n{options}")
            pages[f"{LIBRARY}/analyses.md"] = "\n\n".join(parts)
        index.append(table(("Module", "What it is"), rows))
    return {f"{LIBRARY}/index.md": "\n\n".join(index), **dict(sorted(pages.items()))}


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if path.stem != "__init__")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
