"""What grading mathematical answers costs, beside Math-Verify's own parse and verify of the same completions.

    python performance/grading.py [--folder FOLDER] [--completions 4000] [--repeat 3]

Completions are made from the published sets that lie in FOLDER (FOLDER/<name>/test.jsonl): a solution, and
at its end a box with the problem's answer, another problem's of the set, or the answer in other words.
`distinct`: no answer to a problem occurs twice, so that nothing can be remembered. `repeated`: each occurs in
eight completions, as in sampling. Plain Math-Verify reads each gold answer once and has its time limits (an
alarm) off. Each way runs in a process of its own, one after another.
"""

import argparse
import csv
import logging
import multiprocessing
import os
import re
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import psutil

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from anatomy.grading import math_verdict, worker_pool
from anatomy.problems import math_sets

ROOT = Path(__file__).resolve().parents[1]
Item = tuple[tuple[str, ...], str, None]


def ordinary(folder: Path, count: int, copies: int) -> list[Item]:
    """Make completions; each answer occurs in ``copies`` of them."""
    sheet = csv.DictReader((ROOT / "config/benchmarks.tsv").open(encoding="utf-8"), delimiter="\t")
    items: list[Item] = []
    for row in sheet:
        path = folder / row["benchmark"] / "test.jsonl"
        if not path.exists():
            continue
        names = {
            name: "" if row[name] == "-" else row[name] for name in math_sets.Fields.__dataclass_fields__
        }
        rows = list(math_sets.rows(math_sets.local(path), row["benchmark"], math_sets.Fields(**names)))
        for index, problem in enumerate(rows):
            golds = tuple(problem["answers"])
            gold = ", ".join(golds)
            words = re.sub(r"\\boxed\s*", "", problem["solution"] or problem["text"])
            answers = dict.fromkeys(
                (
                    gold,
                    ", ".join(rows[index - 1]["answers"]),
                    rf"{gold} \text{{ units}}",
                    f"x = {gold}",
                    gold.replace(r"\frac", r"\dfrac") + ".0" * gold.isdigit(),
                    f"{gold} + 1",
                )
            )
            items += [(golds, rf"{words} So the answer is $\boxed{{{answer}}}$.", None) for answer in answers]
    # Sets one after another would put what is hard together.
    step = max(1, len(items) * copies // count)
    chosen = items[::step][: count // copies]
    return [(golds, f"{copy} {text}", None) for copy in range(copies) for golds, text, _ in chosen]


def plain(items: list[Item]) -> int:
    """Math-Verify's own parse and verify, each gold answer read once."""
    from math_verify import parse, verify

    @cache
    def gold(answers: tuple[str, ...]) -> Any:
        return parse(rf"\boxed{{{', '.join(answers)}}}", parsing_timeout=None)

    return sum(
        verify(gold(golds), parse(text, parsing_timeout=None), timeout_seconds=None)
        for golds, text, _ in items
    )


def ours(items: list[Item]) -> int:
    return sum(math_verdict.judge(*item).verdict == "right" for item in items)


def measured(way: str, items: list[Item], workers: int) -> tuple[float, float, int]:
    """Return seconds, seconds of CPU of all processes, and how many completions were right."""
    logging.disable(logging.CRITICAL)
    math_verdict.warm_up()
    with worker_pool.Judge(max(workers, 1)) as judge:
        if workers:  # all of them are started before the clock is
            list(judge.map([((f"x+{n}",), rf"\boxed{{{n}+x}}", None) for n in range(64 * workers)]))
        processes = [psutil.Process(), *psutil.Process().children()]
        before = sum(sum(process.cpu_times()[:2]) for process in processes)
        began = time.perf_counter()
        if workers:
            right = sum(one.verdict == "right" for one in judge.map(items))
        else:
            right = (plain if way == "plain" else ours)(items)
        seconds = time.perf_counter() - began
        return seconds, sum(sum(process.cpu_times()[:2]) for process in processes) - before, right


WAYS = (
    ("plain", "Math-Verify, one process", 0),
    ("ours", "ours, one process", 0),
    ("guard 1", "ours, guarded, 1 worker", 1),
    ("guard 2", "ours, guarded, 2 workers", 2),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT / "../shared/benchmarks"
    parser.add_argument("--folder", type=Path, default=default, help="of the sets; default: %(default)s")
    parser.add_argument("--completions", type=int, default=4_000)
    parser.add_argument("--repeat", type=int, default=3, help="the fastest time counts")
    arguments = parser.parse_args()
    for kind, copies in (("distinct", 1), ("repeated", 8)):
        made = ordinary(arguments.folder, arguments.completions, copies)
        # One that is given up after five seconds would be most of what is measured.
        with worker_pool.Judge(2) as judge:
            decided = [one.verdict != "timeout" for one in judge.map(made)]
        items = [item for item, kept in zip(made, decided, strict=True) if kept]
        print(f"{len(made) - len(items)} of {len(made)} completions are left out: they take over 5 s of CPU")
        length = sum(len(text) for _, text, _ in items) / len(items)
        load = os.getloadavg()[0]
        print(f"{kind}: {len(items):,} completions of {length:,.0f} characters; load {load:.1f}")
        best: dict[str, tuple[float, float, int]] = {}
        # In turn, so that what else the machine does falls on all of them.
        for _ in range(arguments.repeat):
            for way, _, workers in WAYS:
                with multiprocessing.get_context("fork").Pool(1) as pool:
                    found = pool.apply(measured, (way, items, workers))
                best[way] = min(best.get(way, found), found)
        for way, label, _ in WAYS:
            seconds, cpu, right = best[way]
            rate, each = len(items) / seconds, cpu / len(items)
            faster, cheaper = best["plain"][0] / seconds, best["plain"][1] / cpu
            print(
                f"  {label:<26} {rate:8,.0f} completions/s (x{faster:.2f}), {each * 1e6:7,.0f} us of CPU each"
                f" (x{cheaper:.2f}); {right:,} right"
            )
        print(f"  2 workers: {best['guard 1'][0] / best['guard 2'][0]:.2f} times as fast as 1")


if __name__ == "__main__":
    main()
