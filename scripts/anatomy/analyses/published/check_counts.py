"""How many published curves, histograms and printed numbers each check was made of, and how many fail it."""

from anatomy.analyses.inputs import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    checks = inputs.table("published_checks", ["kind", "check", "passed", "amount", "tolerance"])
    return [
        {
            "check": check,
            "kind": part["kind"].iloc[0],
            "made": len(part),
            "tested": int(part["passed"].notna().sum()),
            "passed": int((part["passed"] == 1).sum()),
            "failed": int((part["passed"] == 0).sum()),
            "largest": part["amount"].max(),
        }
        for check, part in checks.groupby("check", sort=False)
    ]
