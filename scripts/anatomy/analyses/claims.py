"""What the study says of each claim: one row an effect that it is about, and one (``all``) for the claim."""

from anatomy.analysis import Inputs, Rows
from anatomy.claims import Claim, effects, together, verdict


def rows(inputs: Inputs) -> Rows:
    result: Rows = []
    for name, entry in inputs.options["claims"].items():
        claim = Claim(name, **entry)
        table = inputs.table(claim.table, [*claim.where, "estimate", "low", "high"])
        keys = [column for column in claim.where if isinstance(claim.where[column], list)]
        found = effects(claim, table)
        if "benchmark" not in claim.where and "benchmark" in found and found["benchmark"].nunique() > 1:
            keys.append("benchmark")  # it is about each of them
        judged = [
            {
                "claim": name,
                "contrast": ", ".join(f"{key} {row[key]}" for key in keys) or claim.table,
                "statement": claim.statement,
                "expected": claim.expected,
                "problems": row.get("problems"),
                "estimate": row["estimate"],
                "low": row["low"],
                "high": row["high"],
                "verdict": verdict(row["low"], row["high"], claim.expected),
            }
            for row in found.to_dict("records")
        ]
        overall = together([row["verdict"] for row in judged])
        supported = sum(row["verdict"] == "supported" for row in judged)
        for row in judged:
            row |= {"effects": 1, "supported": int(row["verdict"] == "supported")}
        result += [
            {
                "claim": name,
                "contrast": "all",
                "statement": claim.statement,
                "expected": claim.expected,
                "verdict": overall,
                "effects": len(judged),
                "supported": supported,
            },
            *judged,
        ]
    return result
