"""From verdicts to counts: one row a problem, in bounded memory."""

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.storage.verdicts import COUNTED, RIGHT

OWN = "own-"


def count(
    samples: Iterable[Mapping[str, Any]], verdicts: Iterable[Mapping[str, Any]], n: int
) -> list[dict[str, Any]]:
    """Count verdicts by problem and condition, in the order in which they first occur.

    samples and verdicts are streams of the tables 'samples' and 'verdicts' in the same order; only the counts
    are held. A chain with the model's own answers (``own-1``, ``own-2``, ... in this order) ends where there
    is no answer to go on from, so all n chains that were begun count for each link that one of them reached.
    Raises AnatomyError where the two do not match, or a problem has not ``n`` completions of a condition.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    unbroken: dict[tuple[str, int], int] = {}  # links that a chain got right before its first wrong one
    for sample, verdict in zip_longest(samples, verdicts):
        if sample is None or verdict is None:
            raise AnatomyError("not as many verdicts as samples: grade the samples again")
        told = [(row["problem"], row["condition"], row["sample"]) for row in (sample, verdict)]
        if told[0] != told[1]:
            raise AnatomyError(
                f"verdict {told[1]} stands beside sample {told[0]}: the tables do not belong together;"
                " grade again"
            )
        name, condition, _ = told[0]
        row = rows.setdefault(
            (name, condition),
            {
                "problem": name,
                "condition": condition,
                "n": 0,
                "answer": 0,
                "derivation": 0,
                "chain": 0 if condition.startswith(OWN) else None,
                "lenient": 0,
                **dict.fromkeys(COUNTED, 0),
                "tokens": 0,
                "entropy": 0.0,
                "temperature": sample["temperature"],
            },
        )
        row["n"] += 1
        row["tokens"] += sample["tokens"]
        entropy = sample["entropy"]
        row["entropy"] = None if entropy is None or row["entropy"] is None else row["entropy"] + entropy
        right = verdict["verdict"] in RIGHT
        row["answer"] += right
        if condition.startswith(OWN):
            link = int(condition.removeprefix(OWN))
            if right and unbroken.get((name, told[0][2]), 0) == link - 1:
                unbroken[name, told[0][2]] = link
                row["chain"] += 1
        for column, names in COUNTED.items():
            row[column] += verdict["verdict"] in names
        for column, checked in (
            ("derivation", verdict["derivation_right"]),
            ("lenient", verdict["lenient"]),
        ):
            row[column] = None if checked is None or row[column] is None else row[column] + checked
    for (name, condition), row in rows.items():
        if condition.startswith(OWN) and condition != f"{OWN}1" and row["n"] <= n:
            row["n"] = n
        elif row["n"] != n:
            raise AnatomyError(
                f"problem {name} has {row['n']} completions of condition {condition} instead of {n};"
                " sample its shard again"
            )
    return list(rows.values())
