"""Plans, knowledge and chains of subproblems for problems, asked of a language model.

As in SPARKLE (Wang et al. 2025, arXiv 2506.04723), a model annotates each problem from its reference
solution, and a second pass verifies each part. The model stands behind any endpoint that speaks OpenAI's chat
completions.

Every answer is kept in a folder under the SHA-256 of its request, usable or not. A run that was killed goes
on from there, and a finished one is repeated, row by row, without an endpoint. Requests that got no answer in
all their retries are kept only when a run ends well, so a run that stops over them asks again; delete their
files (``status`` is not 200) to ask again after that.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.problems import math_sets
from anatomy.problems.annotation_client import Client, NoAnswerError, Row
from anatomy.problems.annotation_prompts import (
    ANNOTATE,
    PARTS,
    VERIFY,
    fault_in,
    messages_of,
    numbered,
    read_annotation,
    read_verdict,
)
from anatomy.prompts import plan_controls
from anatomy.study.endpoint import Endpoint

# The annotation: a row a problem ----------------------------------------------------------------------

STATUSES = ("annotated", "partly", "failed", "unsolved", "given")
"""All parts verified; some; none; no reference solution, so nothing was asked; written by people."""
NO_ANSWER = "no usable answer: "
"""How the reason of a failed row begins whose annotation was never judged."""
_EVERY = 10.0
"""Seconds between two reports of progress."""


def _blank(problem: str, status: str) -> Row:
    return {"problem": problem, "status": status, **dict.fromkeys(PARTS), "reason": "", "requests": 0}


async def _ask(problem: Mapping[str, Any], client: Client) -> Row:
    """Return a problem's row: its annotation is asked for and judged, and what is judged wrong once more."""
    row = _blank(problem["problem"], "failed")
    data = {
        "problem": problem["text"],
        "answer": "\n".join(problem["answers"]),
        "solution": problem["solution"],
    }
    annotation: Row = {}
    verdict: Row = {}
    try:
        for _ in range(2):
            wrong = [part for part in PARTS if not verdict.get(part)]
            again = {
                "earlier": json.dumps(annotation, ensure_ascii=False),
                "wrong": f"{', '.join(wrong)}: {verdict.get('reason')}",
            }
            messages = messages_of(ANNOTATE, **data, **(again if verdict else {}))
            fresh = await client.ask(row, messages, read_annotation)
            annotation |= {part: fresh[part] for part in wrong}
            shown = json.dumps(annotation, ensure_ascii=False, indent=1)
            verdict = await client.ask(row, messages_of(VERIFY, **data, annotation=shown), read_verdict)
            if all(verdict[part] for part in PARTS):
                break
    except NoAnswerError as failure:
        return row | _judged(annotation, verdict, f"{NO_ANSWER}{failure}")
    return row | _judged(annotation, verdict)


def _judged(annotation: Row, verdict: Row, failure: str = "") -> Row:
    """Return a row's parts that were judged right, its status, and what speaks against the others."""
    right = [part for part in PARTS if verdict.get(part)]
    wrong = [part for part in PARTS if part not in right]
    against = verdict.get("reason") or (f"judged wrong: {', '.join(wrong)}" if verdict and wrong else "")
    return {
        **numbered({part: annotation[part] for part in right}),
        "status": "failed" if not right else "partly" if wrong else "annotated",
        "reason": "; ".join(filter(None, [against, failure])),
    }


def annotate(
    problems: Iterable[Mapping[str, Any]],
    endpoint: Endpoint | None,
    cache: str | Path,
    report: Callable[[str], None],
    given: Mapping[str, Row] | None = None,
) -> Iterator[Row]:
    """Yield one row a problem, in their order: problem, status, parts, reason, requests.

    A part is text (``plan`` numbered, ``knowledge`` bulleted) or a list of links (``subproblems``), and None
    unless the last verdict on it was that it is right. ``reason`` is what the verifier or the endpoint said
    against it, empty if all is well; ``requests`` counts answers asked for, also those found in ``cache``.
    While the caller holds a row, no request goes on: take them as they come.

    Args:
        problems: Rows of the table of problems.
        endpoint: Where a model answers. Without one, every problem with a solution must be in ``given``.
        cache: The folder in which answers are kept, and found again.
        report: Is told the progress, every ten seconds and at the end.
        given: Rows of problems that are not asked about, from the function of that name.

    Raises:
        AnatomyError: A problem is to be asked about and there is no endpoint; or it cannot be reached,
            refuses requests as such (key, model, url), or leaves many in a row without an answer. What was
            answered until then is kept in ``cache``.
    """
    todo = list(problems)
    rows = {p["problem"]: _blank(p["problem"], "unsolved") for p in todo if p["solution"] is None}
    rows |= given or {}
    asked = [problem for problem in todo if problem["problem"] not in rows]
    if asked and not endpoint:
        raise AnatomyError(
            f"problem '{asked[0]['problem']}' has no annotation written by people, and there is no endpoint"
            " to ask; name one under annotations.endpoint, or complete the file"
        )
    client = Client(endpoint, Path(cache)) if endpoint else None

    def progress() -> None:
        failed = sum(row["status"] == "failed" for row in rows.values())
        requests = client.posts if client else 0
        report(f"{len(rows)}/{len(todo)} problems, {requests} requests, {failed} failed")

    names = [problem["problem"] for problem in todo]
    if client and asked:
        yield from _made(names, rows, asked, client, progress)
    else:
        yield from map(rows.__getitem__, names)
    progress()


def _made(
    names: Iterable[str],
    rows: dict[str, Row],
    asked: Iterable[Mapping[str, Any]],
    client: Client,
    progress: Callable[[], None],
) -> Iterator[Row]:
    """Yield the rows of these names, and make meanwhile those of the problems that are to be asked about."""
    slots = asyncio.Semaphore(client.endpoint.workers)
    due = time.monotonic() + _EVERY

    async def make(problem: Mapping[str, Any]) -> None:
        async with slots:
            rows[problem["problem"]] = await _ask(problem, client)

    async def until(task: asyncio.Task[None]) -> None:
        """Wait for a problem's row. Raises what was raised first over any of them."""
        nonlocal due
        while not task.done():
            left = max(0.0, due - time.monotonic())
            either: list[asyncio.Future[Any]] = [task, every]
            await asyncio.wait(either, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if every.done():
                await every
            if time.monotonic() >= due:
                progress()
                due = time.monotonic() + _EVERY
        await task

    async def end() -> None:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), every, return_exceptions=True)
        await client.close()

    with asyncio.Runner() as runner:
        tasks = {problem["problem"]: runner.get_loop().create_task(make(problem)) for problem in asked}
        every = asyncio.gather(*tasks.values())
        try:
            for name in names:
                if name in tasks:
                    runner.run(until(tasks[name]))
                yield rows[name]
            client.keep_given_up()
        finally:
            runner.run(end())


def given(path: str | Path, problems: Iterable[Mapping[str, Any]]) -> dict[str, Row]:
    """Return rows by problem for annotations written by people, one JSON object a line.

    A line is ``{"problem": id, "plan": [...], "knowledge": [...], "subproblems": [...]}``; parts may be
    absent.

    Args:
        path: The file.
        problems: Rows of the table of problems, of which it may speak.

    Raises:
        AnatomyError: A line is no such object, or its problem is not among ``problems`` or stands twice; with
            file, line and field.
    """
    known = {problem["problem"] for problem in problems}
    rows: dict[str, Row] = {}
    for number, record in enumerate(math_sets.local(path), 1):
        where = f"{path}, line {number}"
        name = record.pop("problem", None)
        if not isinstance(name, str) or name not in known:
            raise AnatomyError(
                f"{where}: problem: {name!r} is not one of the {len(known)} problems; correct the id"
            )
        if name in rows:
            raise AnatomyError(f"{where}: problem: '{name}' stands twice; keep one of the two lines")
        if fault := fault_in(record):
            raise AnatomyError(f"{where}: {fault}")
        rows[name] = _blank(name, "given") | numbered(record)
    return rows


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return counts and shares: ``problems``, ``asked``, one count a status, ``shares`` and ``dropped``.

    ``shares`` are a status's share of all problems; ``dropped`` is for each part the share that failed
    verification, of the problems whose annotation was judged (None where there are none).
    """
    rows = list(rows)
    statuses = Counter(row["status"] for row in rows)
    asked = [row for row in rows if row["status"] in ("annotated", "partly", "failed")]
    judged = [row for row in asked if not row["reason"].startswith(NO_ANSWER)]

    def share(count: int, of: int) -> float | None:
        return count / of if of else None

    return {
        "problems": len(rows),
        "asked": len(asked),
        **{status: statuses[status] for status in STATUSES},
        "shares": {status: share(statuses[status], len(rows)) for status in STATUSES},
        "dropped": {part: share(sum(row[part] is None for row in judged), len(judged)) for part in PARTS},
    }


def attach(problems: Sequence[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Yield the problems with the parts that their annotations have; what a problem has already stays.

    Controls are made too: wrong versions of the plan, and as irrelevant knowledge that of another problem,
    the one whose knowledge is nearest in length (SPARKLE has no such controls).

    Args:
        problems: Rows of the table of problems.
        rows: Rows of the table of annotations.
    """
    given = {row["problem"]: row for row in rows}
    facts = {name: row["knowledge"] for name, row in given.items() if row["knowledge"] is not None}
    for problem in problems:
        name = problem["problem"]
        parts = {part: problem[part] or (given[name][part] if name in given else None) for part in PARTS}
        own = parts["knowledge"]
        others = [text for other, text in sorted(facts.items()) if other != name and text != own]
        nearest = min(others, key=lambda text: abs(len(text) - len(own)), default=None) if own else None
        yield {
            **problem,
            **parts,
            **plan_controls.of_plan(parts["plan"], name),
            "knowledge_irrelevant": nearest,
        }
