"""How often verdicts on mathematical answers are right: gold answers rewritten, and gold answers changed.

    python performance/verdicts.py FOLDER [--write]

FOLDER holds the six published sets (FOLDER/<name>/test.jsonl). For each gold answer ten harmless rewritings
must be right and ten mutations wrong; a mutation counts only where Math-Verify, whose reading is independent
of the library's, finds another value. Each right verdict must stand the other way round too. Rates are
compared with those in performance/verdicts.json, and a lower one is an error; --write pins what was found.
"""

import argparse
import csv
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests")]

import rewritings  # noqa: E402
from tqdm import tqdm  # noqa: E402

from anatomy.grading import worker_pool  # noqa: E402
from anatomy.problems import math_sets  # noqa: E402

PINNED = Path(__file__).with_suffix(".json")
Item = tuple[str, str, str, str]
"""Kind and name of a change, gold answer and what became of it."""


def golds(folder: Path) -> Iterator[str]:
    """Yield the gold answers of the sets in a folder."""
    sheet = csv.DictReader((ROOT / "config/benchmarks.tsv").open(encoding="utf-8"), delimiter="\t")
    for row in sheet:
        path = folder / row["benchmark"] / "test.jsonl"
        if not path.exists():
            continue
        names = {
            name: "" if row[name] == "-" else row[name] for name in math_sets.Fields.__dataclass_fields__
        }
        for problem in math_sets.rows(math_sets.local(path), row["benchmark"], math_sets.Fields(**names)):
            yield ", ".join(problem["answers"])


def changed(found: list[str]) -> Iterator[Item]:
    for gold in found:
        for name, text in rewritings.chosen(gold, rewritings.REWRITINGS):
            yield "rewriting", name, gold, text
        for name, text in rewritings.chosen(gold, rewritings.MUTATIONS):
            if rewritings.differs(gold, text):
                yield "mutation", name, gold, text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the sets")
    parser.add_argument("--write", action="store_true", help="pin the rates that are found")
    parser.add_argument("--misses", type=Path, help="file for the comparisons that went wrong, one a line")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    answers = list(golds(arguments.folder))
    if not answers:
        print(f"error: {arguments.folder} holds none of the sets of config/benchmarks.tsv", file=sys.stderr)
        return 2
    began = time.process_time()
    items = list(tqdm(changed(answers), total=20 * len(answers), disable=None))
    counts, good, misses = Counter[str](), Counter[str](), list[dict[str, str]]()
    with worker_pool.Guard("anatomy.grading.math_verdict:compare", 1, on_timeout="timeout") as guard:
        asked = [((gold,), text) for _, _, gold, text in items]
        for (kind, name, gold, text), verdict in zip(items, guard.map(asked), strict=True):
            counts[kind] += 1
            fine = verdict == "right" if kind == "rewriting" else verdict != "right"
            good[kind] += fine
            if not fine:
                misses.append({"kind": kind, "name": name, "gold": gold, "answer": text, "verdict": verdict})
    for kind, count in counts.items():
        print(f"{kind}s: {good[kind]:,} of {count:,} as they should be ({good[kind] / count:.4%})")
    if arguments.misses:
        arguments.misses.write_text("".join(json.dumps(miss) + "\n" for miss in misses))
    print(f"{time.process_time() - began:.0f} s of one core, without the worker")
    rates = {kind: good[kind] / count for kind, count in counts.items()}
    if arguments.write:
        PINNED.write_text(json.dumps(rates, indent=1) + "\n")
        return 0
    pinned = json.loads(PINNED.read_text())
    lower = [kind for kind in pinned if rates.get(kind, 0.0) < pinned[kind]]
    for kind in lower:
        print(f"error: {kind}s: {rates.get(kind, 0.0):.4%}, pinned {pinned[kind]:.4%}", file=sys.stderr)
    return 1 if lower else 0


if __name__ == "__main__":
    sys.exit(main())
