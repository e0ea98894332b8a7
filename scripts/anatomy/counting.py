"""From verdicts to counts: one row a problem, in bounded memory."""

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

from anatomy.errors import AnatomyError


def count(
    samples: Iterable[Mapping[str, Any]], verdicts: Iterable[Mapping[str, Any]], n: int
) -> list[dict[str, Any]]:
    """Count verdicts by problem, in the order in which problems first occur.

    samples and verdicts are streams of the tables 'samples' and 'verdicts' in the same order; only the counts
    are held. Raises AnatomyError where the two do not match, or a problem has not exactly ``n`` completions.
    """
    rows: dict[str, dict[str, Any]] = {}
    for sample, verdict in zip_longest(samples, verdicts):
        if sample is None or verdict is None:
            raise AnatomyError("not as many verdicts as samples: grade the samples again")
        name = verdict["problem"]
        if (sample["problem"], sample["sample"]) != (name, verdict["sample"]):
            raise AnatomyError(
                f"verdict {name}/{verdict['sample']} stands beside sample"
                f" {sample['problem']}/{sample['sample']}: the tables do not belong together; grade again"
            )
        row = rows.setdefault(
            name,
            {
                "problem": name,
                "n": 0,
                "answer": 0,
                "derivation": 0,
                "malformed": 0,
                "truncated": 0,
                "tokens": 0,
                "entropy": 0.0,
                "temperature": sample["temperature"],
            },
        )
        row["n"] += 1
        row["tokens"] += sample["tokens"]
        told = sample["entropy"]
        row["entropy"] = None if told is None or row["entropy"] is None else row["entropy"] + told
        row["answer"] += verdict["verdict"] == "right"
        row["malformed"] += verdict["verdict"] == "malformed"
        row["truncated"] += verdict["verdict"] == "truncated"
        checked = verdict["derivation_right"]
        row["derivation"] = (
            None if checked is None or row["derivation"] is None else row["derivation"] + checked
        )
    wrong = {name: row["n"] for name, row in rows.items() if row["n"] != n}
    if wrong:
        name, found = next(iter(wrong.items()))
        raise AnatomyError(f"problem {name} has {found} completions instead of {n}; sample its shard again")
    return list(rows.values())
