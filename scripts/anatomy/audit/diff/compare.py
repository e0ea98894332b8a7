"""Two studies, or two commits: which numbers changed, by how much, and the first step at which they part."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anatomy.audit.diff.causes import Causes
from anatomy.audit.diff.result import Cause, Changed, Difference, Group, Step, sort_key, where
from anatomy.audit.diff.side import Side
from anatomy.audit.job_record import Record
from anatomy.audit.provenance import select


def compare(a: Side, b: Side) -> Difference:
    """Return which numbers differ, and for each the first steps at which its two chains part."""
    shared = [name for name in a.numbers if name in b.numbers]
    changed = [
        Changed(name, a.numbers[name], b.numbers[name])
        for name in shared
        if _facts(a.numbers[name]) != _facts(b.numbers[name])
    ]
    walk = _Walk(a, b)
    parted: dict[frozenset[tuple[str, ...]], tuple[dict[Step, None], dict[Step, None], list[Changed]]] = {}
    for number in changed:
        first, later = walk.number(number)
        steps, behind, numbers = parted.setdefault(frozenset(step.kind for step in first), ({}, {}, []))
        steps.update(dict.fromkeys(first))
        behind.update(dict.fromkeys(later))
        numbers.append(number)
    groups = []
    for steps, behind, numbers in parted.values():
        causes = {str(cause) for step in steps for cause in step.causes}
        others = [step for step in behind if not causes.issuperset(map(str, step.causes))]
        groups.append(Group(_alike(steps), _alike(others), sorted(numbers, key=sort_key)))
    return Difference(
        a,
        b,
        [name for name in a.numbers if name not in b.numbers],
        [name for name in b.numbers if name not in a.numbers],
        len(shared) - len(changed),
        sorted(groups, key=lambda group: -len(group.numbers)),
        walk.files(),
        walk.records(),
    )


def _facts(number: Mapping[str, Any]) -> list[Any]:
    return [number["value"], number["text"], number.get("interval"), number.get("interval_text")]


def _alike(steps: Iterable[Step]) -> list[list[Step]]:
    """Return steps by what they part for; a job once."""
    groups: dict[tuple[str, ...], dict[str, Step]] = {}
    for step in steps:
        groups.setdefault(step.kind, {}).setdefault(step.job, step)
    return [list(group.values()) for group in groups.values()]


_Parted = tuple[tuple[Step, ...], tuple[Step, ...]]
"""The first steps at which chains part, and steps behind them that differ in themselves too."""


class _Walk:
    """Goes up both chains together, to where they part; each job once."""

    def __init__(self, a: Side, b: Side):
        self.a, self.b = a, b
        self._known: dict[Any, _Parted] = {}
        self._causes = Causes(a, b)

    def files(self) -> list[str]:
        """Return the files that both sides made with different content; not those that tell of all others."""
        whole = {f"results/*/{name}" for name in ("audit", "ledger.json", "numbers.json", "places.json")}
        whole |= {"paper/*.pdf", "paper/*-numbers.tex"}
        digests = [
            {side.common(file.path): file.sha256 for record in side.jobs for file in record.outputs}
            for side in (self.a, self.b)
        ]
        both = (path for path, digest in digests[0].items() if digests[1].get(path, digest) != digest)
        return sorted(path for path in both if path not in whole)

    def records(self) -> list[str]:
        """Return the jobs that differ in themselves without a consequence."""
        names: dict[str, None] = {}
        for path, b in self.b.makers.items():
            a = self.a.makers.get(path)
            if a is None or a.digest == b.digest:
                continue
            made = [
                {side.common(f.path): f.sha256 for f in r.outputs} for side, r in ((self.a, a), (self.b, b))
            ]
            read = [
                {side.common(f.path): f.sha256 for f in r.inputs} for side, r in ((self.a, a), (self.b, b))
            ]
            if made[0] == made[1] and read[0] == read[1] and self._causes.between(a, b, []):
                names[b.name] = None
        return list(names)

    def number(self, changed: Changed) -> _Parted:
        """Return where the chains of a number part."""
        path = self.a.common(str(changed.a["file"]))
        other = self.b.common(str(changed.b["file"]))
        everything = "results/*/numbers.json"
        tables = self.a.makers.get(path), self.b.makers.get(other)
        collects = self.a.makers.get(everything), self.b.makers.get(everything)
        for name, records in ((everything, collects), (path, tables)):
            lacking = [side for side, record in zip("AB", records, strict=True) if record is None]
            if lacking:
                what = f"no record of the job that made it in {' and '.join(lacking)}"
                return (Step("", name, "", (Cause("record", what),)),), ()
        collect_a, collect_b, table_a, table_b = map(_there, (*collects, *tables))
        read = [_digest(self.a, collect_a, path), _digest(self.b, collect_b, other)]
        values = [[number["value"], number.get("interval")] for number in (changed.a, changed.b)]
        if read[0] == read[1] or values[0] == values[1]:
            return self._collect(collect_a, collect_b, Path(path).stem)
        rows = (
            tuple(select(record, number["keys"]))
            for record, number in ((table_a, changed.a), (table_b, changed.b))
        )
        return self._table(path, table_a, table_b, *rows)

    def _collect(self, a: Record, b: Record, table: str) -> _Parted:
        """Return how the job that collects all numbers differs in what it does to one table's."""
        key = ("collect", table)
        if key not in self._known:
            causes = [
                cause
                for cause in self._causes.between(a, b, [])
                if cause.kind != "params" or cause.what.startswith(f"tables.{table}.")
            ]
            self._known[key] = (self._step(a, b, causes),), ()
        return self._known[key]

    def _table(
        self, path: str, a: Record, b: Record, rows_a: tuple[str, ...], rows_b: tuple[str, ...]
    ) -> _Parted:
        """Return where the chains of a table's row part; rows: the inputs that the row is made from."""
        key = (path, rows_a, rows_b)
        if key not in self._known:
            parted = self._pair(a, b, set(rows_a), set(rows_b))
            if any(cause.kind == "nothing" for step in parted[0] for cause in step.causes):
                # A row may depend on more than it names: a correction over all rows does.
                parted = self._pair(a, b)
            self._known[key] = parted
        return self._known[key]

    def _differs(self, path: str) -> bool:
        """Whether the sides made a file with other content, or one of them alone did."""
        makers = (self.a, self.a.makers.get(path)), (self.b, self.b.makers.get(path))
        made = [
            next((f.sha256 for f in record.outputs if side.common(f.path) == path), None) if record else None
            for side, record in makers
        ]
        return made[0] != made[1]

    def _why(self, path: str) -> _Parted:
        """Return where the chains of a file part whose content differs, or that one side alone has."""
        if path in self._known:
            return self._known[path]
        self._known[path] = (), ()  # stands while the chain above is looked at
        a, b = self.a.makers.get(path), self.b.makers.get(path)
        if a is not None and b is not None:
            parted = self._pair(a, b)
        elif a is not None:
            parted = self._lonely(self.a, self.b, "A", a)
        elif b is not None:
            parted = self._lonely(self.b, self.a, "B", b)
        else:
            parted = (), ()
        self._known[path] = parted
        return parted

    def _lonely(self, side: Side, other: Side, only: str, record: Record) -> _Parted:
        """Return the first steps, up a chain, that one side alone has."""
        first: list[Step] = []
        later: list[Step] = []
        for file in record.inputs:
            path = side.common(file.path)
            if path in side.makers and path not in other.makers:
                above = self._why(path)
                first += above[0]
                later += above[1]
        if not first:
            first = [Step(record.rule, record.name, only, ())]
        return _unique(first), _unique(later)

    def _pair(
        self, a: Record, b: Record, rows_a: set[str] | None = None, rows_b: set[str] | None = None
    ) -> _Parted:
        """Return where the chains of a job's outputs part; rows: those of its inputs that matter."""
        inputs = [
            {side.common(file.path): file for file in record.inputs if rows is None or file.path in rows}
            for side, record, rows in ((self.a, a, rows_a), (self.b, b, rows_b))
        ]
        first: list[Step] = []
        later: list[Step] = []
        own: list[Cause] = []
        for path in {**inputs[0], **inputs[1]}:
            before, after = inputs[0].get(path), inputs[1].get(path)
            if before and after and before.sha256 == after.sha256:
                continue
            above = self._why(path) if self._differs(path) else ((), ())
            first += above[0]
            later += above[1]
            if not above[0]:
                kind = "file" if before and after else "inputs"
                own.append(Cause(kind, path, before and before.sha256, after and after.sha256))
        only = {path for path in {**inputs[0], **inputs[1]} if not (path in inputs[0] and path in inputs[1])}
        shown = None if rows_a is None else inputs[0].keys() & inputs[1].keys()
        own = self._causes.between(a, b, own, shown, only)
        if not first:
            return (self._step(a, b, own),), ()
        return _unique(first), _unique([*later, *([self._step(a, b, own)] if own else [])])

    def _step(self, a: Record, b: Record, causes: Sequence[Cause]) -> Step:
        if all(cause.idle for cause in causes):
            said = f"nothing {'else ' if causes else ''}recorded differs"
            causes = [*causes, Cause("nothing", f"{said}; A ran on {where(a)}, B on {where(b)}")]
        return Step(b.rule, b.name, "", tuple(causes))


def _there(record: Record | None) -> Record:
    assert record is not None
    return record


def _digest(side: Side, record: Record, path: str) -> str | None:
    """Return the digest of an input as a job saw it."""
    return next((file.sha256 for file in record.inputs if side.common(file.path) == path), None)


def _unique(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(dict.fromkeys(steps))
