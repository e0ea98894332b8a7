"""Files of answers and completions, one JSON object a line: read, judged, and written again with verdicts."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

from anatomy.errors import AnatomyError
from anatomy.grading import math_verdict, worker_pool

VERDICTS = (*get_args(math_verdict.MathVerdict), "truncated")


@dataclass
class Line:
    """A line that can be graded."""

    record: dict[str, Any]
    golds: tuple[str, ...]
    completions: list[str]
    truncated: list[bool]
    size: int
    """Bytes of the line."""


@dataclass
class Summary:
    """What was found so far."""

    bad: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    lenient: int = 0
    solved: list[tuple[int, int, int]] = field(default_factory=list)
    """Completions, right ones, and leniently right ones of each line."""

    def lines(self, asked: list[int] | None) -> Iterator[str]:
        total = self.verdicts.total()
        yield f"{len(self.solved):,} lines, {total:,} completions"
        for name in VERDICTS:
            if self.verdicts[name]:
                yield f"  {name:<10} {self.verdicts[name]:>9,}  {self.verdicts[name] / total:7.2%}"
        if total:
            yield f"  leniently right {self.lenient:>4,}  {self.lenient / total:7.2%}"
        yield from self._pass_at_k(asked)
        if self.bad:
            yield f"{self.bad:,} bad lines, left out"

    def _pass_at_k(self, asked: list[int] | None) -> Iterator[str]:
        least = min((n for n, _, _ in self.solved if n), default=0)
        if asked is None and least < 2:
            return
        from anatomy.statistics import pass_at_k  # and SciPy

        for k in asked or pass_at_k.ks(least, half=False):
            able = [counts for counts in self.solved if counts[0] >= k]
            if not able:
                yield f"  pass@{k}: no line has so many completions"
                continue
            n, right, lenient = zip(*able, strict=True)
            value, lax = (pass_at_k.pass_at_k(n, c, k).mean() for c in (right, lenient))
            less = "" if len(able) == len(self.solved) else f", over the {len(able):,} lines with so many"
            yield f"  pass@{k:<4} {value:8.4f}  (lenient {lax:.4f}{less})"


def parse(raw: bytes) -> Line:
    """Read a line. Raises AnatomyError where it cannot be graded."""
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise AnatomyError(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise AnatomyError("not a JSON object")
    golds, completions = texts(record, "answer"), texts(record, "completion")
    math_verdict.check(tuple(golds))
    cut = [end == "length" for end in ends(record, "finish_reason", str, len(completions), "")]
    told = ends(record, "truncated", bool, len(completions), False)
    truncated = [one or other for one, other in zip(cut, told, strict=True)]
    return Line(record, tuple(golds), completions, truncated, len(raw))


def texts(record: dict[str, Any], name: str) -> list[str]:
    """Return a field that is a text or a list of texts as a list."""
    if name not in record:
        raise AnatomyError(f"there is no field '{name}'; it has {sorted(record)}")
    value = record[name]
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in listed):
        raise AnatomyError(f"field '{name}' is neither a text nor a list of texts: {str(value)[:80]!r}")
    return listed


def ends(record: dict[str, Any], name: str, kind: type, count: int, default: Any) -> list[Any]:
    """Return a field that tells, once or for each completion, how it ended."""
    value = record.get(name)
    listed = value if isinstance(value, list) else [value] * count
    if len(listed) != count:
        raise AnatomyError(f"field '{name}' has {len(listed)} entries for {count} completions")
    if not all(one is None or isinstance(one, kind) for one in listed):
        raise AnatomyError(f"field '{name}' is no {kind.__name__}, or list of them: {str(value)[:80]!r}")
    return [default if one is None else one for one in listed]


def graded(
    source: Iterable[bytes],
    judge: worker_pool.Judge,
    tags: str | None,
    summary: Summary,
    complain: Callable[[str], None],
    progress: Callable[[int], None],
) -> Iterator[str]:
    """Yield the lines of the output, in order, and count them in ``summary``.

    tags: of a response, by its template; complain: told of each bad line, by its number, which is left out;
    progress: told the bytes of each line that is done.
    """
    waiting: deque[Line] = deque()

    def items() -> Iterator[tuple[tuple[str, ...], str, str | None]]:
        for number, raw in enumerate(source, 1):
            if not raw.strip():
                continue
            try:
                line = parse(raw)
            except AnatomyError as error:
                summary.bad += 1
                complain(f"line {number}: {error}")
                continue
            waiting.append(line)
            for completion in line.completions:
                yield line.golds, completion, tags

    found: list[math_verdict.Judged] = []
    for judged in judge.map(items()):
        found.append(judged)
        while waiting and len(found) >= len(waiting[0].completions):
            line = waiting.popleft()
            count = len(line.completions)
            yield written(line, found[:count], summary)
            progress(line.size)
            found = found[count:]
    for line in waiting:  # without completions
        yield written(line, [], summary)


def written(line: Line, found: list[math_verdict.Judged], summary: Summary) -> str:
    """Return a line of the output, and count it."""
    pairs = list(zip(line.truncated, found, strict=True))
    verdicts = ["truncated" if cut else one.verdict for cut, one in pairs]
    lenient = [one.lenient for one in found]
    extracted = [None if cut else one.answer for cut, one in pairs]
    summary.verdicts.update(verdicts)
    summary.lenient += sum(lenient)
    summary.solved.append((len(found), verdicts.count("right"), sum(lenient)))
    record = line.record | {"verdicts": verdicts, "extracted": extracted, "lenient": lenient}
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character can only be written as an escape
        text = json.dumps(record)
    return text
