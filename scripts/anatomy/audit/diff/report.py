"""The differences of two studies, in words."""

from collections.abc import Iterator, Sequence

from anatomy.audit.diff.result import Difference, Step
from anatomy.audit.diff.side import Side
from anatomy.audit.words import counted, few

# Shown -----------------------------------------------------------------------------------------------


def lines(difference: Difference, limit: int | None = 10) -> Iterator[str]:
    """Yield a difference's lines; limit: numbers shown of each group, None for all."""
    for letter, one in (("A", difference.a), ("B", difference.b)):
        yield _head(letter, one)
        yield from (f"   {note}" for note in one.notes)
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
        yield from (f"    {one}" for one in shown)
        if len(shown) < len(group.numbers):
            yield f"    and {len(group.numbers) - len(shown)} more"
    for letter, names in (("A", difference.only_a), ("B", difference.only_b)):
        if names:
            yield ""
            yield f"{counted(len(names), 'number')} only in {letter}:"
            yield from (f"    {name}" for name in names[:limit])
            if limit is not None and len(names) > limit:
                yield f"    and {len(names) - limit} more"


def _head(letter: str, one: Side) -> str:
    root = f"root {one.root[:12]}" if one.root else "no root"
    commits = ", ".join(f"{commit[:10] or 'no commit'} ({jobs} jobs)" for commit, jobs in one.commits[:3])
    if len(one.commits) > 3:
        commits += f", {len(one.commits) - 3} more"
    return f"{letter}: {one.name}: study {one.study}, {root}, commits {commits}, ended {one.ended[:19]}"


def _step_lines(steps: Sequence[Step]) -> Iterator[str]:
    one = steps[0]
    jobs = few([step.job for step in steps])
    counted = f"{len(steps)} jobs: " if len(steps) > 1 else ""
    yield f"  {counted}{jobs}{f' (only in {one.only})' if one.only else ''}"
    kinds: dict[str, list[str]] = {}
    for cause in one.causes:
        kinds.setdefault(cause.kind, []).append(str(cause))
    for said in kinds.values():
        yield from (f"      {text}" for text in said[:5])
        if len(said) > 5:
            yield f"      and {len(said) - 5} more"
