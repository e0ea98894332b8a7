"""The pages of the audit site, a function for each kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anatomy.audit.job_record import Record
from anatomy.audit.site import completions as site_completions
from anatomy.audit.site.chain_pages import Chains
from anatomy.audit.site.spec import LARGEST, ROUNDING, Counted
from anatomy.audit.site.writer import Writer


def write_completions(writer: Writer) -> None:
    """Write the pages of completions, with the texts beside them."""
    site = writer.site
    packer = site_completions.Packer(site.trail.folder, site.made, site.spec.completions)
    for page in site.completions:
        script = Path(page.path).with_suffix(".js")
        (writer.out / script).parent.mkdir(parents=True, exist_ok=True)
        (writer.out / script).write_text(packer.script(page), encoding="ascii")
        writer.write(
            page.path,
            "completions.html",
            page=page,
            counts=[site.counts[piece.path] for piece in page.pieces],
            script=script.name,
            limit=site.spec.completions,
        )


def write_tables(writer: Writer, chains: Chains) -> None:
    """Write a page for each table."""
    site = writer.site
    for name, path in site.tables.items():
        header, rows = site.rows(path)
        ids = [site.by_row.get((path, row), {}) for row in range(len(rows))]
        writer.write(
            f"tables/{name}.html",
            "table.html",
            name=name,
            path=path,
            artifact=site.spec.artifacts["tables"][name],
            header=header,
            rows=rows,
            ids=ids,
            chain=chains.behind(path),
        )


def write_figures(writer: Writer, chains: Chains) -> None:
    """Write a page for each figure, and the figure."""
    site = writer.site
    for name, path in site.figures.items():
        artifact = site.spec.artifacts["figures"][name]
        target = writer.out / f"figures/{name}.svg"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((site.trail.folder / path).read_bytes())
        writer.write(
            f"figures/{name}.html",
            "figure.html",
            name=name,
            path=path,
            artifact=artifact,
            pages=site.stands("figures", name),
            chain=chains.behind(path),
            job=site.made[path],
        )


def write_numbers(writer: Writer, chains: Chains) -> None:
    """Write a page for each reported number."""
    site = writer.site
    counts = _Counts(writer)
    for name, number in site.numbers.items():
        inputs = site.trail.sources(name)
        job = site.made[number["file"]]
        writer.write(
            number["page"],
            "number.html",
            name=name,
            number=number,
            rule=ROUNDING.get(number["rule"], number["rule"]),
            places=site.trail.places["numbers"].get(name, []),
            pages=site.stands("numbers", name),
            beside=site.by_row[number["file"], number["row"]],
            inputs=inputs,
            of_inputs=len(job.inputs),
            counted=counts.behind(inputs, number["keys"]),
            chain=chains.behind(number["file"], inputs),
            job=job,
        )


class _Counts:
    """The counts rows behind numbers, as pages show them; many numbers have the same."""

    def __init__(self, writer: Writer):
        self._writer = writer
        self._drawn: dict[Any, str] = {}

    def behind(self, inputs: Sequence[str], keys: Mapping[str, str]) -> str:
        """Return the counts rows behind a number, of the problem and the conditions that its row names."""
        wanted = {keys["condition"], keys.get("reference", "")} if "condition" in keys else set()
        site = self._writer.site
        key = tuple(inputs), keys.get("problem"), tuple(sorted(wanted))
        if key not in self._drawn:
            counted = []
            for path in inputs:
                if path not in site.counts:
                    continue
                rows = [row for row in site.counts[path] if _concerned(row, key[1], wanted)]
                names = site.made[path].wildcards
                piece = "" if site.made[path].rule == "count" else Path(path).stem
                name = f"{names['arm']}, seed {names['seed']}, {names['benchmark']}"
                name += f" ({piece})" if piece else ""
                shown = [
                    {**row, "at": site_completions.fragment(row["problem"], row["condition"], piece)}
                    for row in rows
                ]
                if rows:
                    counted.append(Counted(path, name, site.completions_of[path], shown))
            self._drawn[key] = self._writer.rendered("counted.html", up="../", counted=counted)
        return self._drawn[key]


def _concerned(row: Mapping[str, Any], problem: str | None, conditions: set[str]) -> bool:
    """Return whether a counts row is of a problem and of one of some conditions; None, or none: of any.

    Chains have a condition for each link: subproblem-1 and so on, own-1 and so on.
    """
    family = {"subproblem": "subproblems", "own": "own-subproblems"}
    named = {row["condition"], family.get(row["condition"].rpartition("-")[0], "")}
    return problem in (None, row["problem"]) and (not conditions or not named.isdisjoint(conditions))


def write_jobs(writer: Writer) -> None:
    """Write a page for each job, and the list of all."""
    site = writer.site
    rules: dict[str, list[Record]] = {}
    for place, job in enumerate(site.graph.jobs):
        rules.setdefault(job.rule, []).append(job)
        lock = job.result["environment"]["lock"]
        readers = site.readers.get(place, [])
        writer.write(
            site.job_page(job),
            "job.html",
            job=job,
            lock=lock,
            readers=[site.graph.jobs[reader] for reader in readers],
            record=str(job.path.relative_to(site.trail.folder)),
        )
    writer.write("jobs/index.html", "jobs.html", rules=rules)


def write_sources(writer: Writer) -> None:
    """Write a page for each source file, and the list of all."""
    site = writer.site
    for source in site.sources.values():
        content = (site.kept / source.digest).read_bytes()
        try:
            text = content.decode() if len(content) <= LARGEST else None
        except UnicodeDecodeError:
            text = None
        writer.write(source.page, "source.html", source=source, text=text, size=len(content))
    writer.write("sources.html", "sources.html", sources=site.sources, config=site.trail.ledger["config"])


def write_index(writer: Writer) -> None:
    """Write the first page, and the list of what stands in the paper."""
    site = writer.site
    on: dict[int, list[tuple[float, float, str, str]]] = {}
    for kind in ("numbers", "figures"):
        for name, places in site.trail.places[kind].items():
            for place in places:
                on.setdefault(place["page"], []).append((place["y"], place["x"], kind, name))
    if site.has_paper:
        order = [
            (page, list(dict.fromkeys((kind, name) for *_, kind, name in sorted(on[page]))))
            for page in sorted(on)
        ]
        writer.write("paper.html", "paper.html", order=order)
    arms: dict[str, dict[str, list[site_completions.Page]]] = {}
    for page in site.completions:
        arms.setdefault(page.arm, {}).setdefault(page.seed, []).append(page)
    writer.write("index.html", "index.html", arms=arms)
