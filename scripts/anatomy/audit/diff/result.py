"""The differences of two studies, as data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from anatomy.audit.diff.side import Side
from anatomy.audit.job_record import Record
from anatomy.audit.words import short

# Causes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cause:
    """What differs in a job between the two sides, as its records tell; None is for what a side lacks."""

    kind: str
    """One of record, rule, script, inputs, file, order, code, params, seeds, threads, gpu, python, package,
    lock and nothing."""
    what: str
    a: Any = None
    b: Any = None
    names: tuple[str, ...] = ()
    """Of code: the functions and classes that differ."""
    idle: bool = False
    """Of code: only comments, docstrings or layout differ."""

    def __str__(self) -> str:
        if self.kind == "code":
            if self.a is None or self.b is None:
                return f"{self.what}: only in {'A' if self.b is None else 'B'}"
            said = "only comments, docstrings or layout" if self.idle else ", ".join(self.names)
            return f"{self.what}: {said}" if said else self.what
        if self.kind in ("nothing", "record", "order"):
            return self.what
        if self.kind == "inputs":
            return f"input only in {'A' if self.b is None else 'B'}: {self.what}"
        if self.kind in ("file", "lock"):
            return f"{self.what}: {str(self.a)[:12]} -> {str(self.b)[:12]}"
        kind = "" if self.kind in ("package", "python", "rule", "script") else f"{self.kind} "
        if self.kind == self.what:
            kind = ""
        return f"{kind}{self.what}: {interval_in_words(self.a)} -> {interval_in_words(self.b)}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        shown = {"kind": self.kind, "what": self.what, "a": self.a, "b": self.b}
        names = {"names": list(self.names)} if self.names else {}
        return shown | names | ({"idle": True} if self.idle else {})


def interval_in_words(value: Any) -> str:
    """Return a value of one side as text; a dash for what the side lacks."""
    return "–" if value is None else short(value)


# The comparison --------------------------------------------------------------------------------------


@dataclass(eq=False)
class Step:
    """A job at which two chains part: from the same inputs to other outputs; or that one side alone has."""

    rule: str
    job: str
    only: str
    """A or B; empty if both have it."""
    causes: tuple[Cause, ...]

    @cached_property
    def kind(self) -> tuple[str, ...]:
        """What steps have in common that part for the same reason."""
        return (self.rule, self.only, *map(str, self.causes))


@dataclass(frozen=True)
class Changed:
    """A number that is not the same on both sides; ``a`` and ``b`` are what numbers.json says of it."""

    id: str
    a: Mapping[str, Any]
    b: Mapping[str, Any]

    @property
    def difference(self) -> float | None:
        """B's value less A's; None where one is not a finite number."""
        values = (self.a["value"], self.b["value"])
        if all(isinstance(value, (int, float)) for value in values):
            return float(values[1]) - float(values[0])
        return None

    @property
    def ratio(self) -> float | None:
        """|B - A| over half the width of the wider of their intervals; None without an interval."""
        widths = [high - low for low, high in filter(None, (_interval(self.a), _interval(self.b)))]
        if self.difference is None or not widths:
            return None
        if self.difference == 0:
            return 0.0
        return abs(self.difference) / (max(widths) / 2) if max(widths) > 0 else math.inf

    @property
    def a_in_b(self) -> bool | None:
        """Whether A's value lies in B's interval; None without one."""
        return _within(self.a["value"], _interval(self.b))

    @property
    def b_in_a(self) -> bool | None:
        """Whether B's value lies in A's interval; None where A has none."""
        return _within(self.b["value"], _interval(self.a))

    def __str__(self) -> str:
        texts = [str(self.a["text"]), str(self.b["text"])]
        if texts[0] == texts[1] and self.a["value"] != self.b["value"]:
            texts = [
                f"{text} ({interval_in_words(number['value'])})"
                for text, number in zip(texts, (self.a, self.b), strict=True)
            ]
        said = f"{self.id}  {texts[0]} -> {texts[1]}"
        if self.a["value"] == self.b["value"] and _interval(self.a) != _interval(self.b):
            said += f"  interval [{_ends(self.a)}] -> [{_ends(self.b)}]"
        if self.difference:
            said += f"  {_signed(self.difference, str(self.b['rule']))}"
            if self.ratio is not None:
                widths = f"{self.ratio:.2f} half-widths" if math.isfinite(self.ratio) else "no width"
                said += f"  {widths}, {self._where()}"
        return said

    def _where(self) -> str:
        outside = [
            f"{mine} outside {other}'s interval"
            for mine, other, inside in (("A", "B", self.a_in_b), ("B", "A", self.b_in_a))
            if inside is False
        ]
        if len(outside) == 2:
            return "each outside the other's interval"
        return outside[0] if outside else "inside"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        ratio = self.ratio if self.ratio is None or math.isfinite(self.ratio) else "inf"
        facts = {name: getattr(self, name) for name in ("difference", "a_in_b", "b_in_a")}
        kept = ("value", "text", "interval", "rule")
        sides = {
            s: {k: number[k] for k in kept if k in number} for s, number in (("a", self.a), ("b", self.b))
        }
        return {"id": self.id, **sides, **facts, "half_widths": ratio}


def _interval(number: Mapping[str, Any]) -> tuple[float, float] | None:
    ends = number.get("interval")
    if not ends or any(end is None for end in ends):
        return None
    low, high = map(float, ends)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _within(value: Any, interval: tuple[float, float] | None) -> bool | None:
    if interval is None or not isinstance(value, (int, float)):
        return None
    return interval[0] <= value <= interval[1]


def _ends(number: Mapping[str, Any]) -> str:
    return ", ".join(map(str, number.get("interval_text") or ["–"]))


def _signed(difference: float, rule: str) -> str:
    shown = f"{100 * difference:+.1f}" if rule in ("percent", "points") else f"{difference:+.3g}"
    return shown.replace("-", "\N{MINUS SIGN}")


@dataclass
class Group:
    """Numbers that changed for the same reasons."""

    first: list[list[Step]]
    """The first steps at which their chains part; those of one rule and one reason stand together."""
    later: list[list[Step]]
    """Steps behind those that differ in themselves too, by something else."""
    numbers: list[Changed]


@dataclass
class Difference:
    """What differs between two sides."""

    a: Side
    b: Side
    only_a: list[str]
    only_b: list[str]
    same: int
    groups: list[Group]
    """Largest first."""
    files: list[str]
    """Files that both sides made, with other content; the study's name in them is ``*``."""
    records: list[str]
    """Jobs of both sides whose records differ, although they made the same from the same inputs."""

    @property
    def changed(self) -> list[Changed]:
        """All numbers that changed; those that changed most against their intervals first."""
        return sorted((number for group in self.groups for number in group.numbers), key=sort_key)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON."""
        return {
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "same": self.same,
            "only_a": self.only_a,
            "only_b": self.only_b,
            "changed": [
                {
                    "first": [_step_json(steps) for steps in group.first],
                    "later": [_step_json(steps) for steps in group.later],
                    "numbers": [number.to_json() for number in group.numbers],
                }
                for group in self.groups
            ],
            "files": self.files,
            "records": self.records,
        }


def _step_json(steps: Sequence[Step]) -> dict[str, Any]:
    first = steps[0]
    only = {"only": first.only} if first.only else {}
    causes = [cause.to_json() for cause in first.causes]
    return {"rule": first.rule, "jobs": [step.job for step in steps], **only, "causes": causes}


def sort_key(number: Changed) -> tuple[float, float, str]:
    """Return what numbers are sorted by: those that differ most first, measured by their intervals."""
    ratio = -1.0 if number.ratio is None else number.ratio
    return -ratio, -abs(number.difference or 0.0), number.id


def where(record: Record) -> str:
    """Return on which machine a job ran."""
    run = record.run
    gpu = ", ".join(run["gpu"]) or "no GPU"
    return f"{run['host']} ({run['cpu']}, {gpu})"
