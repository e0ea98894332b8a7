"""The differences of two studies, in words."""

from collections.abc import Iterator, Sequence

from anatomy.audit.diff.result import Difference, Step
from anatomy.audit.diff.side import Side
from anatomy.audit.words import counted, few

# Shown -----------------------------------------------------------------------------------------------


def lines(difference: Difference, limit: int | None = 10) -> Iterator[str]:
    """Yield a difference's lines.

    Args:
        difference: The difference.
        limit: Numbers shown of each group; None for all.
    """
    for letter, side in (("A", difference.a), ("B", difference.b)):
        yield _head(letter, side)
        yield from (f"   {note}" for note in side.notes)
    changed = sum(len(group.numbers) for group in difference.groups)
    both = difference.same + changed
    parts = f"{len(difference.only_a)} only in A, {len(difference.only_b)} only in B"
    yield f"{both} numbers in both, {changed} of them changed; {parts}"
    if not changed:
        roots = difference.a.root, difference.b.root
        if difference.files:
            yield f"{counted(len(difference.files), 'file')} differ: {few(difference.files)}"
        if roots[0] and roots[0] == roots[1]:
            yield "the same root: nothing differs in what determined the results, or in the results"
        elif difference.records:
            jobs = f"{counted(len(difference.records), 'job')} ({few(difference.records)})"
            yield f"{jobs} differ in code, params or environment, and made the same"
    for group in difference.groups:
        yield ""
        yield f"{counted(len(group.numbers), 'number')}; the chains part first at"
        for steps in group.first:
            yield from _step_lines(steps)
        if group.later:
            yield "  and these steps behind it differ in themselves too:"
            for steps in group.later:
                yield from _step_lines(steps)
        yield "  |B - A| in half-widths of the wider interval:"
        shown = group.numbers[:limit]
        yield from (f"    {line}" for line in shown)
        if len(shown) < len(group.numbers):
            yield f"    and {len(group.numbers) - len(shown)} more"
    for letter, names in (("A", difference.only_a), ("B", difference.only_b)):
        if names:
            yield ""
            yield f"{counted(len(names), 'number')} only in {letter}:"
            yield from (f"    {name}" for name in names[:limit])
            if limit is not None and len(names) > limit:
                yield f"    and {len(names) - limit} more"


def _head(letter: str, side: Side) -> str:
    root = f"root {side.root[:12]}" if side.root else "no root"
    commits = ", ".join(f"{commit[:10] or 'no commit'} ({jobs} jobs)" for commit, jobs in side.commits[:3])
    if len(side.commits) > 3:
        commits += f", {len(side.commits) - 3} more"
    return f"{letter}: {side.name}: study {side.study}, {root}, commits {commits}, ended {side.ended[:19]}"


def _step_lines(steps: Sequence[Step]) -> Iterator[str]:
    first = steps[0]
    jobs = few([step.job for step in steps])
    counted = f"{len(steps)} jobs: " if len(steps) > 1 else ""
    yield f"  {counted}{jobs}{f' (only in {first.only})' if first.only else ''}"
    kinds: dict[str, list[str]] = {}
    for cause in first.causes:
        kinds.setdefault(cause.kind, []).append(str(cause))
    for said in kinds.values():
        yield from (f"      {text}" for text in said[:5])
        if len(said) > 5:
            yield f"      and {len(said) - 5} more"
