"""The audit site: a page for each number, figure and table, each job, each source file, and all completions.

A folder of files that a browser opens from disk: no server, no network, nothing of another origin. The same
study gives the same bytes.
"""

import csv
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2

from anatomy.audit import hashing, recorder
from anatomy.audit.job_record import File, Record
from anatomy.audit.provenance import Trail
from anatomy.audit.site import completions as site_completions
from anatomy.audit.site import layout
from anatomy.audit.site.chain import Graph, draw
from anatomy.audit.site.spec import (
    ALL,
    LARGEST,
    ROUNDING,
    TEMPLATES,
    WORK,
    Chain,
    Counted,
    Source,
    Spec,
    slug,
    visible,
)
from anatomy.errors import AnatomyError

_CLIPPED = 50  # changed files that a record lists


def build(trail: Trail, spec: Spec, out: Path) -> dict[str, int]:
    """Write the site of a finished study into a folder, which is there; return how many pages of each kind.

    Raises AnatomyError where a file of the study is missing, altered or not what the ledger tells.
    """
    return _Site(trail, spec, out).build()


class _Site:
    def __init__(self, trail: Trail, spec: Spec, out: Path):
        self.trail, self.spec, self.out = trail, spec, out
        self.pages: dict[str, int] = {}
        self.environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=visible,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self.environment.filters["hex"] = lambda digest: (digest or "")[:12]
        self.environment.filters["quote"] = shlex.quote
        self.environment.filters["plain"] = lambda value: json.dumps(value, ensure_ascii=False)
        self.environment.filters["pretty"] = lambda value: json.dumps(value, indent=1, ensure_ascii=False)
        self.environment.globals |= {
            "title": trail.ledger["config"]["title"],
            "study": trail.study,
            "root": trail.ledger["root"],
            "work": WORK,
            "fragment": site_completions.fragment,
        }

    def build(self) -> dict[str, int]:
        self._check()
        for name in ("style.css", "site.js", "icon.svg"):
            (self.out / name).write_bytes((TEMPLATES / name).read_bytes())
        self._completions()
        self._tables()
        self._figures()
        self._numbers()
        if self.claims:
            self.write("claims.html", "claims.html", claims=self.claims)
        self._chains()
        self._jobs()
        self._sources()
        self._index()
        return self.pages

    def write(self, page: str, template: str, /, **context: Any) -> None:
        """Write a page; templates lead from it to the site's other pages by ``up``."""
        self.pages[template] = self.pages.get(template, 0) + 1
        target = self.out / page
        target.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * page.count("/")
        shown = self.environment.get_template(template).render(up=up, site=self, **context)
        target.write_text(shown, encoding="utf-8")

    # What the study has ------------------------------------------------------------------------------

    @cached_property
    def tables(self) -> dict[str, str]:
        """Path of each table by its name."""
        return {name: f"{self.trail.results}/tables/{name}.csv" for name in self.spec.artifacts["tables"]}

    @cached_property
    def figures(self) -> dict[str, str]:
        return {name: f"{self.trail.figures}/{name}.svg" for name in self.spec.artifacts["figures"]}

    @cached_property
    def has_paper(self) -> bool:
        return bool(self.trail.places["pages"])

    @cached_property
    def graph(self) -> Graph:
        paper = [self.trail.paper] if self.has_paper else []
        return Graph(self.trail.chain([*self.reported, *paper]))

    @property
    def reported(self) -> list[str]:
        """The files whose records the ledger chains, with those of all that they are made from."""
        return [*self.tables.values(), *self.figures.values(), f"{self.trail.results}/numbers.json"]

    def _check(self) -> None:
        """Raise AnatomyError where the records that lie here are not those that the ledger chains."""
        told = {one["digest"] for one in self.trail.ledger["records"]}
        here = {self.graph.jobs[place].digest for place in self.graph.behind(self.reported)}
        if told != here:
            raise AnatomyError(
                f"{self.trail.results}/ledger.json tells {len(told - here)} records that are not here, and"
                f" lacks {len(here - told)} that are; run the workflow again, which makes it anew"
            )

    @cached_property
    def made(self) -> dict[str, Record]:
        return {path: self.graph.jobs[place] for path, place in self.graph.makers.items()}

    @cached_property
    def numbers(self) -> dict[str, dict[str, Any]]:
        """Reported numbers that have a page."""
        found, stand = self.trail.numbers, self.trail.places["numbers"]
        return {name: number for name, number in found.items() if len(found) <= ALL or name in stand}

    @cached_property
    def by_row(self) -> dict[tuple[str, int], dict[str, str]]:
        """Ids of a table's row, by column."""
        found: dict[tuple[str, int], dict[str, str]] = {}
        for name, number in self.trail.numbers.items():
            found.setdefault((number["file"], number["row"]), {})[number["column"]] = name
        return found

    def shown(self, number: Mapping[str, Any]) -> str:
        """Return a number as the paper has it, with its interval."""
        ends = f" [{', '.join(number['interval_text'])}]" if "interval_text" in number else ""
        return f"{number['text']}{ends}"

    def stands(self, kind: str, name: str) -> list[int]:
        """Return the paper's pages on which a number or figure stands."""
        return sorted({place["page"] for place in self.trail.places[kind].get(name, [])})

    def paper_page(self, page: int) -> str:
        """Return the way from the site's folder to a page of the paper."""
        return f"../../../{self.trail.paper}#page={page}"

    # Ways --------------------------------------------------------------------------------------------

    @cached_property
    def job_pages(self) -> dict[str, str]:
        """Page of each job by the digest of its record."""
        pages: dict[str, str] = {}
        taken: set[str] = set()
        for job in self.graph.jobs:
            name = slug([job.rule, *job.wildcards.values()])
            if name.lower() in taken:
                name = f"{name}~{job.digest[:8]}"
            taken.add(name.lower())
            pages[job.digest] = f"jobs/{name}.html"
        return pages

    def job_page(self, job: Record) -> str:
        return self.job_pages[job.digest]

    def page_of(self, path: str) -> str | None:
        """Return the page of a file: a table's or figure's own, else that of the job that made it."""
        first, _, name = path.rpartition("/")
        stem = name.partition(".")[0]
        if first == self.trail.figures and stem in self.figures:
            return f"figures/{stem}.html"
        if path == self.tables.get(stem):
            return f"tables/{stem}.html"
        return self.job_page(self.made[path]) if path in self.made else None

    def row_of(self, number: Mapping[str, Any]) -> str:
        """Return the way to a number's row in its table's page."""
        return f"tables/{Path(number['file']).stem}.html#r{number['row']}"

    def way_to(self, identity: str) -> str:
        """Return the way to a number's page or, where it has none, to its row."""
        number = self.trail.numbers[identity]
        return str(number["page"]) if identity in self.numbers else self.row_of(number)

    @cached_property
    def completions(self) -> list[site_completions.Page]:
        return site_completions.pages(self.graph.jobs)

    @cached_property
    def completions_of(self) -> dict[str, str]:
        """Page of the completions that a file of counts, samples or verdicts is about."""
        return {
            path: page.path
            for page in self.completions
            for piece in page.pieces
            for path in (piece.path, *piece.named("samples"), *piece.named("verdicts"))
        }

    # Sources -----------------------------------------------------------------------------------------

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Every source file, kept by digest, that jobs ran or read, or that the workflow stands in."""
        found: dict[str, Source] = {}

        def use(path: str, digest: str, commit: str = "", state: str = "") -> None:
            if digest in found or (self._kept / digest).is_file():
                uses = found.setdefault(digest, Source(digest)).uses
                uses[path, commit, state] = uses.get((path, commit, state), 0) + (1 if commit else 0)

        for place, job in enumerate(self.graph.jobs):
            for path, digest in self._read_by(place):
                use(path, digest, job.run["git"]["commit"] or "no commit", _state(job, path))
        for path, digest in self.trail.ledger["workflow"].items():
            if digest not in found:
                use(path, digest)
        return dict(sorted(found.items(), key=lambda one: (one[1].path, one[0])))

    @property
    def _kept(self) -> Path:
        return self.trail.folder / self.trail.results / recorder.SOURCES

    def _read_by(self, place: int) -> list[tuple[str, str]]:
        """Return path and digest of the sources of a job: its code, its lock, its inputs that no job made."""
        job = self.graph.jobs[place]
        lock = job.result["environment"]["lock"]
        raw = [(file.path, file.sha256) for file in self.graph.raw[place] if file.files is None]
        return [*job.code.items(), *([(lock["path"], lock["sha256"])] if lock else []), *raw]

    def source_page(self, digest: str) -> str | None:
        return self.sources[digest].page if digest in self.sources else None

    def commits(self, jobs: Sequence[Record]) -> dict[tuple[str, bool], int]:
        """Return the commits at which jobs ran, with whether nothing differed from them -> number of jobs."""
        found: dict[tuple[str, bool], int] = {}
        for job in jobs:
            git = job.run["git"]
            key = (git["commit"] or "", bool(git["clean"]))
            found[key] = found.get(key, 0) + 1
        return dict(sorted(found.items(), key=lambda one: -one[1]))

    # Chains ------------------------------------------------------------------------------------------

    @cached_property
    def chains(self) -> dict[tuple[str, tuple[str, ...]], Chain]:
        return {}

    def chain(self, path: str, inputs: Sequence[str] | None = None) -> Chain:
        """Return the chain behind a file, or behind those of its rows that are made from some inputs."""
        place = self.graph.makers[path]
        wanted = [file.path for file in self.graph.jobs[place].inputs]
        name, whole = Path(path).stem, inputs is None or sorted(inputs) == sorted(wanted)
        inputs = wanted if inputs is None else list(inputs)
        key = (path, tuple(sorted(inputs)))
        if key not in self.chains:
            kind = "figure" if path.startswith(f"{self.trail.figures}/") else "table"
            parts = [kind, name] if whole else [kind, name, hashing.of_value(key[1])[:10]]
            shown = (f"the {kind}", name) if whole else ("the number", f"rows of {name}")
            picture = draw(self.graph, place, inputs, *shown)
            page = f"chains/{slug(parts)}.html"
            ways = {box.key: self._box_way(box, page) for box in picture.steps}
            drawn = self.environment.get_template("chain_box.html").render(
                up="../", site=self, picture=picture, ways=ways, page=page
            )
            self.chains[key] = Chain(page, picture, drawn)
        return self.chains[key]

    def _box_way(self, box: layout.Box, page: str) -> str:
        if len(box.jobs) == 1:
            return self.job_page(self.graph.jobs[box.jobs[0]])
        if len(box.files) == 1:
            return self.source_page(box.files[0].sha256) or f"{page}#{box.key}"
        return f"{page}#{box.key}"

    def _chains(self) -> None:
        for (path, inputs), chain in self.chains.items():
            jobs = [self.graph.jobs[place] for box in chain.picture.boxes for place in box.jobs]
            code = sorted({one for job in jobs for one in job.code.items()})
            self.write(chain.page, "chain.html", chain=chain, path=path, inputs=inputs, jobs=jobs, code=code)

    # Pages -------------------------------------------------------------------------------------------

    def _tables(self) -> None:
        for name, path in self.tables.items():
            header, rows = self._csv(path)
            ids = [self.by_row.get((path, row), {}) for row in range(len(rows))]
            self.write(
                f"tables/{name}.html",
                "table.html",
                name=name,
                path=path,
                artifact=self.spec.artifacts["tables"][name],
                header=header,
                rows=rows,
                ids=ids,
                chain=self.chain(path),
            )

    def _csv(self, path: str) -> tuple[list[str], list[list[str]]]:
        """Return a table's header and rows as they stand in its file."""
        try:
            with (self.trail.folder / path).open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
        except (OSError, ValueError) as error:
            raise AnatomyError(f"{path}: cannot read the table: {error}; run the workflow again") from error
        return header, rows

    def _figures(self) -> None:
        for name, path in self.figures.items():
            artifact = self.spec.artifacts["figures"][name]
            target = self.out / f"figures/{name}.svg"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes((self.trail.folder / path).read_bytes())
            self.write(
                f"figures/{name}.html",
                "figure.html",
                name=name,
                path=path,
                artifact=artifact,
                pages=self.stands("figures", name),
                chain=self.chain(path),
                job=self.made[path],
            )

    def _numbers(self) -> None:
        for name, number in self.numbers.items():
            inputs = self.trail.sources(name)
            job = self.made[number["file"]]
            self.write(
                number["page"],
                "number.html",
                name=name,
                number=number,
                rule=ROUNDING.get(number["rule"], number["rule"]),
                places=self.trail.places["numbers"].get(name, []),
                pages=self.stands("numbers", name),
                beside=self.by_row[number["file"], number["row"]],
                inputs=inputs,
                of_inputs=len(job.inputs),
                counted=self._counted(tuple(inputs), number["keys"]),
                chain=self.chain(number["file"], inputs),
                job=job,
            )

    def _counted(self, inputs: tuple[str, ...], keys: Mapping[str, str]) -> str:
        """Return the counts rows behind a number, of the problem and the conditions that its row names."""
        wanted = {keys["condition"], keys.get("reference", "")} if "condition" in keys else set()
        key = inputs, keys.get("problem"), tuple(sorted(wanted))
        if key not in self._counted_known:
            found = []
            for path in inputs:
                if path not in self.counts:
                    continue
                rows = [row for row in self.counts[path] if _concerned(row, key[1], wanted)]
                names = self.made[path].wildcards
                piece = "" if self.made[path].rule == "count" else Path(path).stem
                name = f"{names['arm']}, seed {names['seed']}, {names['benchmark']}"
                name += f" ({piece})" if piece else ""
                shown = [
                    {**row, "at": site_completions.fragment(row["problem"], row["condition"], piece)}
                    for row in rows
                ]
                if rows:
                    found.append(Counted(path, name, self.completions_of[path], shown))
            drawn = self.environment.get_template("counted.html").render(up="../", counted=found)
            self._counted_known[key] = drawn
        return self._counted_known[key]

    @cached_property
    def _counted_known(self) -> dict[Any, str]:
        return {}

    @cached_property
    def counts(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of each counts file by its path."""
        return {
            piece.path: site_completions.counts(self.trail.folder, piece.path)
            for page in self.completions
            for piece in page.pieces
        }

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """The claims by scope, each with its verdict and its effects, from the table of that name."""
        if "claims" not in self.tables:
            return []
        path = self.tables["claims"]
        header, rows = self._csv(path)
        found: dict[str, dict[str, Any]] = {}
        for place, values in enumerate(rows):
            row: dict[str, Any] = dict(zip(header, values, strict=True))
            ids = self.by_row.get((path, place), {})
            shown = self.shown(self.trail.numbers[ids["estimate"]]) if "estimate" in ids else ""
            row |= {"ids": ids, "row": place, "shown": shown}
            name = f"{row['claim']}-{row['scope']}"
            claim = found.setdefault(name, {"name": name, "effects": []})
            if row["contrast"] == "all":
                claim |= {"all": row}
            else:
                claim["effects"].append(row)
        return [claim for claim in found.values() if "all" in claim]

    def _jobs(self) -> None:
        rules: dict[str, list[Record]] = {}
        for place, job in enumerate(self.graph.jobs):
            rules.setdefault(job.rule, []).append(job)
            lock = job.result["environment"]["lock"]
            readers = self._readers.get(place, [])
            self.write(
                self.job_page(job),
                "job.html",
                job=job,
                lock=lock,
                readers=[self.graph.jobs[reader] for reader in readers],
                record=str(job.path.relative_to(self.trail.folder)),
            )
        self.write("jobs/index.html", "jobs.html", rules=rules)

    @cached_property
    def _readers(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for place, parents in enumerate(self.graph.parents):
            for parent in parents:
                found.setdefault(parent, []).append(place)
        return found

    def _sources(self) -> None:
        for source in self.sources.values():
            content = (self._kept / source.digest).read_bytes()
            try:
                text = content.decode() if len(content) <= LARGEST else None
            except UnicodeDecodeError:
                text = None
            self.write(source.page, "source.html", source=source, text=text, size=len(content))
        self.write("sources.html", "sources.html", sources=self.sources, config=self.trail.ledger["config"])

    def _completions(self) -> None:
        packer = site_completions.Packer(self.trail.folder, self.made, self.spec.completions)
        for page in self.completions:
            script = Path(page.path).with_suffix(".js")
            (self.out / script).parent.mkdir(parents=True, exist_ok=True)
            (self.out / script).write_text(packer.script(page), encoding="ascii")
            self.write(
                page.path,
                "completions.html",
                page=page,
                counts=[self.counts[piece.path] for piece in page.pieces],
                script=script.name,
                limit=self.spec.completions,
            )

    def _index(self) -> None:
        self._search()
        on: dict[int, list[tuple[float, float, str, str]]] = {}
        for kind in ("numbers", "figures"):
            for name, places in self.trail.places[kind].items():
                for place in places:
                    on.setdefault(place["page"], []).append((place["y"], place["x"], kind, name))
        if self.has_paper:
            order = [
                (page, list(dict.fromkeys((kind, name) for *_, kind, name in sorted(on[page]))))
                for page in sorted(on)
            ]
            self.write("paper.html", "paper.html", order=order)
        arms: dict[str, dict[str, list[site_completions.Page]]] = {}
        for page in self.completions:
            arms.setdefault(page.arm, {}).setdefault(page.seed, []).append(page)
        self.write("index.html", "index.html", arms=arms)

    def _search(self) -> None:
        """Write what the search looks through: kind, name, what is shown of it, way, pages of the paper."""
        entries: list[tuple[str, str, str, str, str]] = []
        for kind, files in (("figure", self.figures), ("table", self.tables)):
            for name in files:
                pages = self.stands("figures", name) if kind == "figure" else []
                shown = self.spec.artifacts[f"{kind}s"][name]["title"]
                entries.append((kind, name, shown, f"{kind}s/{name}.html", _listed(pages)))
        for claim in self.claims:
            shown = f"{claim['all']['statement']} {claim['all']['verdict']}"
            entries.append(("claim", claim["name"], shown, f"claims.html#{claim['name']}", ""))
        for page in self.completions:
            name = f"{page.arm}, seed {page.seed}, {page.benchmark}"
            entries.append(("completions", name, "", page.path, ""))
        # Those of the paper first: they are what most people look for.
        stand = self.trail.places["numbers"]
        for name in sorted(self.trail.numbers, key=lambda name: name not in stand):
            shown = self.shown(self.trail.numbers[name])
            entries.append(("number", name, shown, self.way_to(name), _listed(self.stands("numbers", name))))
        lines = "\n".join("\t".join(" ".join(part.split()) for part in entry) for entry in entries)
        script = f'audit.entries("{site_completions.packed(lines)}");\n'
        (self.out / "search.js").write_text(script, encoding="ascii")

    # For templates -----------------------------------------------------------------------------------

    def file_way(self, file: File) -> str | None:
        """Return the page of an input: its maker's, or of what no job made the text that was kept of it."""
        return self.page_of(file.path) or self.source_page(file.sha256)


def _listed(pages: Sequence[int]) -> str:
    return ", ".join(map(str, pages))


def _state(job: Record, path: str) -> str:
    """Return whether a file was as committed when a job used it."""
    git = job.run["git"]
    if not git["commit"]:
        return "unknown"
    if any(path == one or (one.endswith("/") and path.startswith(one)) for one in git["changed"]):
        return "differs from it"
    return "as committed" if len(git["changed"]) < _CLIPPED else "unknown"


def _concerned(row: Mapping[str, Any], problem: str | None, conditions: set[str]) -> bool:
    """Return whether a counts row is of a problem and of one of some conditions; None, or none: of any.

    Chains have a condition for each link: subproblem-1 and so on, own-1 and so on.
    """
    family = {"subproblem": "subproblems", "own": "own-subproblems"}
    found = {row["condition"], family.get(row["condition"].rpartition("-")[0], "")}
    return problem in (None, row["problem"]) and (not conditions or not found.isdisjoint(conditions))
