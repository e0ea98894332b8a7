"""The chain behind a number, figure or file: as a tree, as JSON, as a graph; down to single completions."""

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anatomy.audit import hashing
from anatomy.audit.job_record import Record
from anatomy.audit.provenance import Trail
from anatomy.errors import AnatomyError
from anatomy.storage.verdicts import COUNTED

_COUNTED = ("n", "answer", "derivation", "lenient", *COUNTED)


@dataclass
class Node:
    """A number, or a file with the job that made it, and what it was made from."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)
    shown: bool = False
    """The same file stands with all its children elsewhere in the tree, before this place."""

    def to_json(self) -> dict[str, Any]:
        """Return the tree as plain JSON."""
        inner = {"shown_above": True} if self.shown else {}
        return {
            "name": self.name,
            **self.facts,
            **inner,
            "made_from": [child.to_json() for child in self.children],
        }


def listed(trail: Trail, pattern: str = "") -> Iterator[str]:
    """Yield a line for each number, figure and table whose id has a pattern in it.

    The pattern may have ``*`` and ``?``, as in a shell.
    """

    def wanted(name: str) -> bool:
        return not pattern or pattern in name or fnmatch.fnmatchcase(name, pattern)

    def stands(kind: str, name: str) -> str:
        pages = sorted({place["page"] for place in trail.places[kind].get(name, [])})
        return f"  p. {', '.join(map(str, pages))}" if pages else ""

    for identity, number in trail.numbers.items():
        if wanted(identity):
            ends = number.get("interval_text")
            interval = f" [{', '.join(ends)}]" if ends else ""
            yield f"{identity}  {number['text']}{interval}{stands('numbers', identity)}"
    for kind, folder, suffix in (
        ("figure", trail.figures, "svg"),
        ("table", f"{trail.results}/tables", "csv"),
    ):
        for path in sorted((trail.folder / folder).glob(f"*.{suffix}")):
            if wanted(f"{kind}:{path.stem}"):
                yield f"{kind}:{path.stem}  {folder}/{path.name}{stands('figures', path.stem)}"


def tree(trail: Trail, name: str, depth: int | None = None) -> list[Node]:
    """Return what a user's name means (see ``Trail.named``), each with the chain behind it.

    A chain leads back to raw data and code.

    Args:
        trail: The study.
        name: The name.
        depth: Levels of files below each; None for all.

    Raises:
        AnatomyError: The name is unknown.
    """
    numbers, files = trail.named(name)
    seen: set[str] = set()
    nodes = []
    for identity in numbers:
        number = trail.numbers[identity]
        keep = ("text", "value", "interval", "rule", "row", "column", "keys")
        facts = {key: number[key] for key in keep if key in number}
        node = Node(identity, facts | {"places": trail.places["numbers"].get(identity, [])})
        if depth != 0:
            inner = None if depth is None else depth - 1
            node.children = [_file(trail, number["file"], inner, seen, trail.sources(identity))]
        nodes.append(node)
    return nodes + [_file(trail, path, depth, seen) for path in files]


def _file(
    trail: Trail, path: str, depth: int | None, seen: set[str], only: Sequence[str] | None = None
) -> Node:
    """Return a file's node; ``only`` are those of its inputs that matter here, by default all."""
    record = trail.maker(path)
    if record is None:
        place = trail.folder / path
        digest = hashing.sha256(place) if place.is_file() else None
        return Node(path, {"sha256": digest, "raw": True})
    made = record.output(path)
    assert made is not None  # or it would not be its maker
    node = Node(path, {"sha256": made.sha256, **_job(record)})
    inputs = [file.path for file in record.inputs if only is None or file.path in set(only)]
    if only is not None and len(inputs) < len(record.inputs):
        node.facts["of_inputs"] = len(record.inputs)
        key = f"{path} {sorted(inputs)}"
    else:
        key = path
    if key in seen:
        node.shown = True
        return node
    if depth != 0:
        seen.add(key)
        inner = None if depth is None else depth - 1
        node.children = [_file(trail, path, inner, seen) for path in inputs]
    return node


def _job(record: Record) -> dict[str, Any]:
    return {
        "job": record.name,
        "script": record.result["script"],
        "code": record.code,
        "params": record.params,
        "seeds": record.result["seeds"],
        "environment": record.result["environment"],
        "record": record.digest,
        "commit": record.run["git"]["commit"],
        "clean": record.run["git"]["clean"],
        "ended": record.run["end"],
    }


def lines(nodes: Sequence[Node]) -> Iterator[str]:
    """Yield a tree's lines."""
    for node in nodes:
        yield from _lines(node, "", "")


def _lines(node: Node, first: str, rest: str) -> Iterator[str]:
    facts = node.facts
    if "text" in facts:
        interval = facts.get("interval")
        between = f", interval [{interval[0]}, {interval[1]}]" if interval else ""
        pages = sorted({place["page"] for place in facts["places"]})
        yield f"{first}{node.name} = {facts['text']}  ({facts['rule']} of {facts['value']}{between})"
        stands = f"the paper's page {', '.join(map(str, pages))}" if pages else "not in the paper"
        yield f"{rest}  row {facts['row'] + 1}, column {facts['column']} of the table; {stands}"
    elif facts.get("raw"):
        yield f"{first}{node.name}  {(facts['sha256'] or 'missing')[:12]}  no job made it"
    else:
        state = "" if facts["clean"] else " and changes"
        commit = f"commit {facts['commit'][:10]}{state}" if facts["commit"] else "no commit"
        yield f"{first}{node.name}  {facts['sha256'][:12]}{'  (see above)' if node.shown else ''}"
        if not node.shown:
            bar = "│ " if node.children else "  "
            seeds = ", ".join(f"{name} {value}" for name, value in facts["seeds"].items())
            modules = f"{facts['script']} and {len(facts['code']) - 1} modules"
            yield f"{rest}{bar}  {facts['job']}: {modules}, {commit}{f', {seeds}' if seeds else ''}"
            if "of_inputs" in facts:
                yield f"{rest}{bar}  of this table's {facts['of_inputs']} inputs those that the row names"
    for place, child in enumerate(node.children):
        last = place == len(node.children) - 1
        yield from _lines(child, f"{rest}{'└ ' if last else '├ '}", f"{rest}{'  ' if last else '│ '}")


def dot(nodes: Sequence[Node]) -> Iterator[str]:
    """Yield the chain as a graph in Graphviz's language, from raw data to the number."""
    yield "digraph chain {"
    yield '  rankdir=LR; node [shape=box, fontname="sans-serif", fontsize=10];'
    boxes: dict[str, str] = {}
    edges: dict[tuple[str, str], None] = {}

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def visit(node: Node) -> None:
        facts = node.facts
        below = facts.get("text") or facts.get("job") or "no job made it"
        shape = "ellipse" if "text" in facts else "note" if facts.get("raw") else "box"
        boxes[node.name] = (
            f"{quoted(node.name)} [label={quoted(node.name)[:-1]}\\n{quoted(str(below))[1:]}, shape={shape}];"
        )
        for child in node.children:
            edges[child.name, node.name] = None
            visit(child)

    for node in nodes:
        visit(node)
    yield from (f"  {box}" for box in boxes.values())
    yield from (f"  {quoted(a)} -> {quoted(b)};" for a, b in edges)
    yield "}"


# Completions -----------------------------------------------------------------------------------------


def counts(trail: Trail, identity: str, problem: str | None = None) -> list[dict[str, Any]]:
    """Return the counts rows behind a number: problem, condition, successes, and where its completions lie.

    Each row tells the counts file, and for each shard the rows of the problem's completions in it
    (``[first, last]``, 0-based).

    Raises:
        AnatomyError: A problem is named that none of the files has.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    selected = []
    for path in trail.sources(identity):
        record = trail.maker(path)
        if record is None or record.rule not in ("count", "recount", "count_probes"):
            continue
        shards = [file.path for file in record.inputs if file.path.startswith(f"{trail.results}/samples/")]
        rows = pq.read_table(trail.folder / path)
        if problem is not None:
            rows = rows.filter(pc.equal(rows["problem"], problem))
        where = _rows_of(trail, shards)
        selected += [
            {"file": path}
            | {name: row[name] for name in ("problem", "condition", *_COUNTED)}
            | {"completions": where.get((row["problem"], row["condition"]), {})}
            for row in rows.to_pylist()
        ]
    if problem is not None and not selected:
        raise AnatomyError(f"--problem {problem}: no counts of this problem are behind {identity}")
    return selected


def _rows_of(trail: Trail, shards: Sequence[str]) -> dict[tuple[str, str], dict[str, list[list[int]]]]:
    """Return for each problem and condition the runs of rows that its completions take in each shard."""
    import pyarrow.parquet as pq

    places: dict[tuple[str, str], dict[str, list[list[int]]]] = {}
    for shard in shards:
        table = pq.read_table(trail.folder / shard, columns=["problem", "condition"])
        names = zip(table["problem"].to_pylist(), table["condition"].to_pylist(), strict=True)
        for row, key in enumerate(names):
            runs = places.setdefault(key, {}).setdefault(shard, [])
            if runs and runs[-1][1] == row - 1:
                runs[-1][1] = row
            else:
                runs.append([row, row])
    return places


def completions(
    rows: Sequence[dict[str, Any]], trail: Trail, sample: int | None = None
) -> list[dict[str, Any]]:
    """Return every completion of counts rows (see ``counts``): its shard and row, its verdict, and its text.

    Args:
        rows: The counts rows.
        trail: The study.
        sample: The index of one completion of each problem; None for all.

    Raises:
        AnatomyError: There is no such completion.
    """
    import pyarrow.parquet as pq

    selected = []
    for counted in rows:
        for shard, runs in counted["completions"].items():
            verdicts = shard.replace("/samples/", "/verdicts/", 1)
            texts, judged = pq.read_table(trail.folder / shard), pq.read_table(trail.folder / verdicts)
            for first, last in runs:
                pieces = (table.slice(first, last - first + 1).to_pylist() for table in (texts, judged))
                for row, (text, verdict) in enumerate(zip(*pieces, strict=True), start=first):
                    if sample is None or text["sample"] == sample:
                        selected.append({"file": shard, "row": row, **text, **verdict})
    if sample is not None and not selected:
        raise AnatomyError(f"--sample {sample}: no completion of this problem has this index")
    return selected


def counts_lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the counts rows, a line each."""
    for row in rows:
        shards = "; ".join(
            f"{Path(shard).name} rows {', '.join(f'{a}-{b}' for a, b in runs)}"
            for shard, runs in row["completions"].items()
        )
        condition = "" if row["condition"] == "plain" else f" {row['condition']}"
        counted = ", ".join(f"{name} {row[name]}" for name in _COUNTED if row[name] is not None)
        yield f"{row['file']}  {row['problem']}{condition}: {counted}  ({shards})"


def completion_lines(completions: Sequence[dict[str, Any]], text: bool) -> Iterator[str]:
    """Yield completions, a line each, and their text if that is wanted."""
    for completion in completions:
        line = (
            f"first bad line {completion['first_bad_line']}"
            if (completion["first_bad_line"] or -1) >= 0
            else ""
        )
        judged = {True: "derivation right", False: f"derivation wrong {line}".strip(), None: ""}
        said = ", ".join(
            part for part in (completion["verdict"], judged[completion["derivation_right"]]) if part
        )
        where = f"{completion['file']} row {completion['row']}  sample {completion['sample']}"
        answer = f", answer {_visible(completion['answer'])}" if completion["answer"] is not None else ""
        yield f"{where}, {completion['tokens']} tokens, {completion['finish_reason']}: {said}{answer}"
        if text:
            yield from (f"    {_visible(part)}" for part in completion["completion"].split("\n"))


def _visible(text: str) -> str:
    """Return text without what a terminal would act on: a completion may hold anything."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)
