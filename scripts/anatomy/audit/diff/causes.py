"""What two runs of a job differ in."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from anatomy.audit import source_diff
from anatomy.audit.diff.result import Cause
from anatomy.audit.diff.side import Side
from anatomy.audit.job_record import Record


class Causes:
    """Finds what runs of jobs on two sides differ in."""

    def __init__(self, a: Side, b: Side):
        self.a, self.b = a, b
        self._defined: dict[tuple[str, str], tuple[str, ...] | None] = {}

    def between(
        self,
        a: Record,
        b: Record,
        files: Sequence[Cause],
        rows: Iterable[str] | None = None,
        only: Iterable[str] = (),
    ) -> list[Cause]:
        """Return what differs between two runs of a job, apart from the content of its inputs.

        Args:
            a: The first side's run.
            b: The second side's.
            files: What is known of the inputs' content.
            rows: Of what params say of files, these alone matter; all without it.
            only: Files that one side alone has; what params say of them is no cause of its own.
        """
        causes = [
            Cause(part, part, a.result[part], b.result[part])
            for part in ("rule", "script", "threads", "gpu")
            if a.result[part] != b.result[part]
        ]
        causes += files
        causes += self._code(a, b)
        seeds = [dict(_leaves(record.result["seeds"])) for record in (a, b)]
        causes += _changes("seeds", *seeds)
        params = [
            {
                _plain(side, name): _plain(side, value)
                for name, value in _leaves(
                    {k: v for k, v in record.params.items() if k not in record.result["seeds"]}
                )
            }
            for side, record in ((self.a, a), (self.b, b))
        ]
        for cause in _changes("params", *params):
            file = re.search(r"\[(.+)\]$", cause.what)
            if file and (file[1] in set(only) or (rows is not None and file[1] not in set(rows))):
                continue
            causes.append(cause)
        causes += _environment(a.result["environment"], b.result["environment"])
        if not causes:
            order = [
                [side.common(f.path) for f in record.inputs] for side, record in ((self.a, a), (self.b, b))
            ]
            if order[0] != order[1] and sorted(order[0]) == sorted(order[1]):
                causes.append(Cause("order", "the order of the inputs"))
        return causes

    def _code(self, a: Record, b: Record) -> list[Cause]:
        causes = []
        for path in sorted({**a.code, **b.code}):
            old, new = a.code.get(path), b.code.get(path)
            if old != new:
                names = self._names(old, new) if old and new else None
                causes.append(Cause("code", path, old, new, names or (), idle=names == ()))
        return causes

    def _names(self, old: str, new: str) -> tuple[str, ...] | None:
        """Return what differs between two versions of a source; None where they are not kept."""
        if (old, new) not in self._defined:
            before = self.a.source(old) or self.b.source(old)
            after = self.b.source(new) or self.a.source(new)
            known = before is not None and after is not None
            self._defined[old, new] = source_diff.changed_names(str(before), str(after)) if known else None
        return self._defined[old, new]


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of params by their paths; what a list says of files is keyed by the files' paths."""
    if isinstance(value, Mapping) and value:
        for name, entry in value.items():
            yield from _leaves(entry, f"{prefix}.{name}" if prefix else str(name))
    elif (
        isinstance(value, list)
        and value
        and all(isinstance(entry, Mapping) and "path" in entry for entry in value)
    ):
        for entry in value:
            yield f"{prefix}[{entry['path']}]", {name: x for name, x in entry.items() if name != "path"}
    else:
        yield prefix, value


def _plain(side: Side, value: Any) -> Any:
    """Return a param's value, or name, without the study's name in paths."""
    if isinstance(value, Mapping):
        return {name: _plain(side, part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(side, part) for part in value]
    if not isinstance(value, str):
        return value
    keyed = re.fullmatch(r"(.*\[)(.+)(\])", value)
    return f"{keyed[1]}{side.common(keyed[2])}{keyed[3]}" if keyed else side.common(value)


def _changes(kind: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Cause]:
    return [Cause(kind, name, a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)]


def _environment(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Cause]:
    causes = _changes("python", {"python": a["python"]}, {"python": b["python"]})
    causes += _changes("package", a["packages"], b["packages"])
    locks = [{lock["path"]: lock["sha256"]} if lock else {} for lock in (a["lock"], b["lock"])]
    return causes + _changes("lock", *locks)
