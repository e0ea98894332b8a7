"""Put the sources of the documentation site into a folder, from which Zensical builds it (`make docs`).

    python docs/generate.py FOLDER

The pages of docs/ are copied. What can be made from the project itself is, so that it cannot be stale: the
home page is README.md, rules are described as Snakemake reads them, tables, figures and claims as the files
in config/ declare them, and the library by its docstrings.
"""

import ast
import csv
import inspect
import json
import re
import shutil
import sys
import textwrap
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import yaml
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import _snakemake  # noqa: E402
from anatomy.statistics import partial_conjunction  # noqa: E402
from anatomy.study import rows  # noqa: E402
from anatomy.study import settings as study_file  # noqa: E402
from anatomy.workflow import code_digest  # noqa: E402

HERE = "<!-- generated -->"
"""What stands in a page where its generated part goes."""


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "docs"
    shutil.copytree(ROOT / "docs", pages, ignore=shutil.ignore_patterns("*.py", "*.yml", "__pycache__"))
    for name in ("LICENSE", "CITATION.cff"):  # README.md links to them
        shutil.copy(ROOT / name, pages / name)
    shutil.copy(ROOT / "CHANGELOG.md", pages / "changelog.md")
    (pages / "rooms.svg").write_text(rooms(), encoding="utf-8")
    (pages / "index.md").write_text(home(read("README.md")), encoding="utf-8")
    for name, part in {
        "configuration": configuration(),
        "rules": rules(),
        "artifacts": artifacts(),
        "claims": all_claims(ROOT / "results/embedded/tables/claims.csv"),
        "library/index": library(pages / "reference/library"),
    }.items():
        page = pages / (f"{name}.md" if name == "configuration" else f"reference/{name}.md")
        before, here, after = page.read_text(encoding="utf-8").partition(HERE)
        assert here, f"{page.name} does not say where its generated part goes: {HERE}"
        page.write_text(before + part + after, encoding="utf-8")
    (folder / "mkdocs.yml").write_text(settings(pages), encoding="utf-8")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def settings(pages: Path) -> str:
    """Return docs/site.yml with the version, and with the library's pages in the navigation."""
    site = yaml.safe_load(read("docs/site.yml"))
    site["copyright"] = f"Version {yaml.safe_load(read('CITATION.cff'))['version']}"
    (reference,) = [entry["Reference"] for entry in site["nav"] if "Reference" in entry]
    (modules,) = [entry["Library"] for entry in reference if "Library" in entry]
    found = sorted((pages / "reference/library").glob("*.md"), key=lambda page: page.stem.split("-"))
    titles = {path.stem: path.stem.replace("-", ".") for path in found}
    modules += [{titles[name]: f"reference/library/{name}.md"} for name in titles if name != "index"]
    return yaml.safe_dump(site, sort_keys=False)


def home(readme: str) -> str:
    """Return README.md as a page of the site: its links are relative to docs/."""
    links = {"docs/": "", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
    for there, here in links.items():
        readme = readme.replace(f"]({there}", f"]({here}")
    return readme


def table(*rows: Iterable[str]) -> str:
    """Return rows as a table in Markdown, the first of them as its head."""
    head, *others = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others))


def code(texts: Iterable[str] | str) -> str:
    return ", ".join(f"`{text}`" for text in ([texts] if isinstance(texts, str) else texts))


# Configuration --------------------------------------------------------------------------------------------


def configuration() -> str:
    """Describe every sheet and every section of the settings by its model."""
    sheets = {"Benchmarks": rows.Benchmark, "Arms": rows.Arm, "Runs": rows.Run, "Models": rows.Model}
    parts = [section(title, model, "Column") for title, model in sheets.items()]
    parts += [
        section("Throughputs", rows.Throughput, "Column"),
        section("A study's file", study_file.Settings),
    ]
    for name, model in vars(study_file).items():
        if isinstance(model, type) and model.__module__ == study_file.__name__ and name != "Settings":
            parts.append(section(re.sub(r"(?<!^)([A-Z])", lambda match: f" {match[0].lower()}", name), model))
    return "\n\n".join(parts)


def section(title: str, model: type[BaseModel], head: str = "Key") -> str:
    """Return a model's description and a table of its fields."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    texts, schema = {}, model.model_json_schema()
    for node, after in pairwise([*tree.body, ast.Pass()]):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
            texts[ast.unparse(node.target)] = " ".join(str(ast.literal_eval(after.value)).split())
    cells = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = json.dumps(default).strip('"') if isinstance(default, bool | int | float | str) else ""
        if head == "Column" and not default:
            shown = "-"
        may_lack = "" if field.is_required() else code(shown or "left out")
        cells.append((code(name), words(schema["properties"][name]), may_lack, texts.get(name, "")))
    told = inspect.cleandoc(model.__doc__ or "")
    return f"## {title}\n\n{told}\n\n{table((head, 'Type', 'Default', 'Meaning'), *cells)}"


def words(schema: Mapping[str, Any]) -> str:
    """Return what a value may be, in words, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(words(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "$ref" in schema:
        return "keys as below"
    if allowed := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return " ".join(code(str(value) or "-") for value in allowed)
    kinds = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    if schema.get("type") == "array":
        return f"list: {words(schema.get('items', {}))}"
    if schema.get("type") == "object":
        return "mapping"
    bounds = {"minimum": "{} or more", "exclusiveMinimum": "more than {}"}
    bounds |= {"maximum": "{} or less", "exclusiveMaximum": "less than {}"}
    told = [form.format(f"{schema[key]:g}") for key, form in bounds.items() if key in schema]
    return ", ".join([kinds.get(str(schema.get("type")), "any value"), *told])


# Rules ----------------------------------------------------------------------------------------------------


def resolved(configfile: str) -> Any:
    """Return Snakemake's workflow of a study with all of its jobs, none of which runs."""
    asked = {"targets": frozenset({"all", "benchmarks"}), "forceall": True, "rerun_triggers": frozenset()}
    found = _snakemake.load([ROOT / configfile], **asked)
    found.check()
    found._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True, nolock=True)
    found.dag.update_conda_envs = lambda: None
    found.async_run(found.dag.init())
    return found


def rules() -> str:
    """Describe every rule: what it makes from what, with which script, and which rules it stands between."""
    code_digest.stamp = lambda scripts, inputs: ""  # it reads inputs and code, and nobody looks at it here
    before, after = defaultdict(set), defaultdict(set)
    jobs: dict[str, Counter[str]] = defaultdict(Counter)
    for study in ("embedded", "published"):
        found = resolved(f"config/{study}.yaml")
        for job in found.dag.jobs:
            jobs[job.rule.name][study] += 1
            for needed in found.dag.dependencies[job]:
                before[job.rule.name].add(needed.rule.name)
                after[needed.rule.name].add(job.rule.name)
    files = ["Snakefile", *re.findall(r'^include: "(.+)"$', read("Snakefile"), re.MULTILINE)]
    parts = []
    for file in files:
        mine = [rule for rule in found.rules if Path(rule.snakefile) == ROOT / file]
        if mine:
            about = re.match(r'"""(.+?)"""', read(file), re.DOTALL)
            parts += [f"## {Path(file).stem.capitalize()}", about[1].strip() if about else "", f"`{file}`"]
        for rule in sorted(mine, key=lambda rule: rule.lineno):
            script = str(rule.script or "").removeprefix("../")
            rows = {
                "Writes": code(patterns(rule.output)),
                "Reads": code(patterns(rule.input)),
                "Made from": ", ".join(f"[{name}](#{name})" for name in sorted(before[rule.name])),
                "Goes into": ", ".join(f"[{name}](#{name})" for name in sorted(after[rule.name])),
                "Script": code(script) if script else "",
                "Environment": code(f"envs/{Path(str(rule.conda_env)).name}") if rule.conda_env else "",
                "Jobs": ", ".join(f"{count:,} in {study}" for study, count in jobs[rule.name].items()),
            }
            if not rule.output:  # a target, whose inputs are all that there is
                rows["Reads"] = ""
            told = (f"- {name}: {value}" for name, value in rows.items() if value)
            parts += [f"### {rule.name} {{ #{rule.name} }}", rule.docstring, "\n".join(told)]
    return "\n\n".join(parts)


def patterns(files: Iterable[Any]) -> Iterator[str]:
    """Yield the files of a rule, as patterns; those that a function tells of each job are left out."""
    from snakemake.io import is_callable  # Snakemake is loaded by now

    for file in files:
        if not is_callable(file):
            short = re.sub(r"\{(\w+),(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", str(file))  # what a wildcard may be
            yield re.sub(r"(results/|figures/|paper/)published\b", r"\1<study>", short)


# Tables and figures ---------------------------------------------------------------------------------------


def artifacts() -> str:
    """List every table and figure as its file in config/ declares it."""
    parts = []
    for title, name in {
        "Embedded study": "artifacts",
        "Published numbers": "published_numbers",
        "Studies at published scale": "published/artifacts",
    }.items():
        declared = yaml.safe_load(read(f"config/{name}.yaml"))
        tables = [
            (
                f"[`{made}`](library/{module_page('analyses', entry.get('analysis', made))})",
                title_of(entry),
                made_from(entry),
                covers(entry),
                code(entry["keys"]),
                code(entry.get("numbers", {})),
            )
            for made, entry in declared["tables"].items()
        ]
        figures = [
            (
                f"[`{drawn}`](library/{module_page('figures', entry.get('draws', drawn))})",
                title_of(entry),
                code(entry["tables"]),
            )
            for drawn, entry in declared["figures"].items()
        ]
        parts += [
            f"## {title}",
            f"`config/{name}.yaml`: {len(tables)} tables and {len(figures)} figures.",
            table(("Table", "What it holds", "Made from", "Covers", "One row a", "Reported"), *tables),
            table(("Figure", "What it shows", "Tables"), *figures),
        ]
    return "\n\n".join(parts)


def module_page(package: str, name: str) -> str:
    """Return the page and place of a module of a package, whose name has a dot where it is in one inside."""
    *inside, module = name.split(".")
    return f"{'-'.join([package, *inside])}.md#{module}"


def made_from(entry: Mapping[str, Any]) -> str:
    needs = (name for name in entry.get("needs", []) if name != "record")
    return code([*needs, *entry.get("record", []), *entry.get("tables", [])])


def covers(entry: Mapping[str, Any]) -> str:
    """Return the arms, pairs or texts of an entry, and its benchmarks where these are some of all."""
    pairs = entry.get("pairs", [])
    told = code(entry.get("arms", []))
    if pairs == "all":
        told = "every arm with its base"
    elif pairs:
        told = ", ".join(f"`{arm}` with `{base}`" for arm, base in pairs)
    elif "texts" in entry:
        told = ", ".join(f"`{text}` under `{scorer}`" for scorer, text in entry["texts"])
    benchmarks = code(entry.get("benchmarks", []))
    return "; ".join(filter(None, (told, benchmarks and f"on {benchmarks}")))


def title_of(entry: Mapping[str, Any]) -> str:
    """Return an entry's title, and what it corresponds to in print."""
    printed = entry["published"]
    return entry["title"] if printed == "none" else f"{entry['title']} *({printed})*"


# Claims ---------------------------------------------------------------------------------------------------

FAMILIES = {"yue": "Yue et al. 2025", "wang": "Wang et al. 2025", "follow-ups": "Those that followed"}
SCOPES = {"embedded": "Embedded study", "published": "Published numbers", "scale": "Published scale"}
SHARES = {"all": "all of its effects", "most": "most of its effects", "any": "one of its effects or more"}


def all_claims(results: Path) -> str:
    """State every claim and what decides it; and the verdicts, where a study's table ``claims`` is there."""
    verdicts = {}
    if results.is_file():
        with results.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["contrast"] == "all"]
        verdicts = {(row["claim"], row["scope"]): row["verdict"] for row in rows}
    parts = []
    scale = {claim.name: claim.evidence for claim in claims_of("config/published/claims.yaml")}
    families: dict[str, list[partial_conjunction.Claim]] = {family: [] for family in FAMILIES}
    overview = [("Claim", "Statement", *(SCOPES.values() if verdicts else ()))]
    for claim in claims_of("config/claims.yaml"):
        families[claim.family].append(claim)
        said = [verdicts.get((claim.name, scope), "") for scope in SCOPES] if verdicts else []
        overview.append((f"[{claim.name}](#{claim.name})", claim.statement, *said))
    parts.append(table(*overview))
    for family, members in families.items():
        parts.append(f"## {FAMILIES[family]}")
        for claim in members:
            told = f"It holds where {SHARES.get(claim.share)} lie as expected."
            if claim.counters:
                told = (
                    f"It says the contrary of [{claim.counters}](#{claim.counters}) about the same effects."
                )
            rows = [
                (SCOPES[scope], *evidence(one))
                for scope, one in {**claim.evidence, **scale.get(claim.name, {})}.items()
            ]
            parts += [
                f"### {claim.name} {{ #{claim.name} }}",
                f"{claim.statement} *{claim.source}.* {told}",
                table(("Where", "Effects", "Expected"), *rows),
            ]
    return "\n\n".join(parts)


def claims_of(name: str) -> list[partial_conjunction.Claim]:
    return partial_conjunction.read(yaml.safe_load(read(name)))


def evidence(found: partial_conjunction.Evidence | str) -> tuple[str, str]:
    """Return what a claim's effects are, and where they are expected; or why there are none."""
    if isinstance(found, str):
        return f"not testable here: {found}", ""
    columns = [*map(named, found.where.items())]
    less = ", less ".join(["", *map(named, found.minus.items())])
    of = "" if found.value == "estimate" else f"{code(found.value)} of "
    return f"{of}table {code(found.table)}: {', '.join(columns)}{less}", f"{found.expected} {found.margin:g}"


def named(column: tuple[str, Any]) -> str:
    name, value = column
    return f"{name} {code(map(str, value) if isinstance(value, list) else str(value))}"


# Library --------------------------------------------------------------------------------------------------


def rooms() -> str:
    """Draw the layers of packages that pyproject.toml allows, the lowest at the bottom, as SVG."""
    (contract,) = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    width, high, gap = 800, 40, 16
    parts = []
    for row, names in enumerate(layers):
        wide = (width - gap * (len(names) + 1)) / len(names)
        y = gap + row * (high + 2 * gap)
        for column, name in enumerate(names):
            x = gap + column * (wide + gap)
            about_it = about(ROOT / f"scripts/anatomy/{name}/__init__.py") if is_package(name) else ""
            parts.append(
                f'<g><title>{escape(about_it or name)}</title><rect x="{x:.1f}" y="{y}" width="{wide:.1f}"'
                f' height="{high}" rx="4" fill="#eef3f8" stroke="#0072b2"/><text x="{x + wide / 2:.1f}"'
                f' y="{y + high / 2 + 5}" text-anchor="middle">{name}</text></g>'
            )
        if row:
            parts.append(
                f'<path d="M{width / 2} {y - 2 * gap + 3} v{2 * gap - 8}" stroke="#555"'
                ' marker-end="url(#end)"/>'
            )
    height = gap + len(layers) * (high + 2 * gap) - gap
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="14" fill="#222"><defs><marker id="end" markerWidth="8" markerHeight="8" refX="5"'
        ' refY="3" orient="auto"><path d="M0 0 L6 3 L0 6 z" fill="#555"/></marker></defs>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>'
    )


def is_package(name: str) -> bool:
    return (ROOT / f"scripts/anatomy/{name}/__init__.py").is_file()


def library(folder: Path) -> str:
    """Write a page for each package with its modules; return the list of them."""
    base = ROOT / "scripts/anatomy"
    parts = []
    for package in sorted(path.parent for path in base.rglob("__init__.py")):
        names = package.relative_to(base.parent).parts
        dotted, page = ".".join(names), "-".join(names[1:]) or "anatomy"
        rows, texts = [], []
        for path in sorted(package.glob("[!_]*.py")):
            options = "    options:\n      heading_level: 3\n"
            texts.append(f"## {path.stem} {{ #{path.stem} }}\n\n::: {dotted}.{path.stem}\n{options}")
            rows.append((f"[`{path.stem}`]({page}.md#{path.stem})", about(path)))
        text = "\n".join([f"# {dotted}\n", about(package / "__init__.py"), "", *texts])
        (folder / f"{page}.md").write_text(text, encoding="utf-8")
        parts += [f"## {dotted}", about(package / "__init__.py"), table(("Module", "What it is"), *rows)]
    return "\n\n".join(parts)


def about(path: Path) -> str:
    """Return the first paragraph of a module's docstring, on one line."""
    found = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(found.partition("\n\n")[0].split())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
