"""From verdicts to counts: one row a problem, in bounded memory."""

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

import pandas as pd

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
        row["entropy"] = (
            None if sample["entropy"] is None or row["entropy"] is None else row["entropy"] + sample["entropy"]
        )
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


def disagreeing(first: pd.DataFrame, second: pd.DataFrame) -> set[str]:
    """Return the problems that one of two arms solved and the other did not, by answer or by derivation.

    first, second: tables 'counts' of the same problems; solved means at least one success among n.
    """
    both = first.merge(second, on="problem", validate="one_to_one")
    found: set[str] = set()
    for target in ("answer", "derivation"):
        solved = [both[f"{target}_{side}"].fillna(0) > 0 for side in ("x", "y")]
        found |= set(both["problem"][solved[0] != solved[1]])
    return found
