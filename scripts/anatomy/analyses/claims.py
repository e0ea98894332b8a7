"""What the study and the published record say of each claim, by scope.

A row for each claim in each scope (contrast ``all``: verdict; adjusted p for it, against it, and the smaller
of the two; and the effect that decides, the last that the claim needs), and one for each of its effects,
judged alone by its own interval. ``smallest`` is the effect that would have been called with 80 % power, at
the family's first step of Holm; of a single effect, alone.

Options: claims (config/claims.yaml), keys (of each table), arms (training seeds, samples a problem by
benchmark, and those under a condition), problems (by benchmark), scored (completions a problem whose
likelihood is known).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.statistics import partial_conjunction
from anatomy.statistics.partial_conjunction import OPPOSITE, Claim, Evidence

UNTESTABLE = "not testable here"
PUBLISHED = "published"
"""The scope of the published numbers, each of one training run."""
SCALES = {"points": 100.0}
ARMS = ("arm", "base", "text", "reference", "first", "second")
CURVES = "published_curves"
DRAWN = (("series", "n"), ("arm", "k_arm"), ("base", "k_base"), ("arm", "n"), ("base", "n"))
"""Columns of the published tables: what was sampled, and how often a problem."""
Decision = tuple[float, float, str]
"""Adjusted p for a claim, adjusted p against it, verdict."""


def rows(inputs: Inputs) -> Rows:
    found = partial_conjunction.read(inputs.options["claims"])
    keys = inputs.options["keys"]
    tables = {name: inputs.table(name) for name in {told.table for _, _, told in _evidence(found)}}
    if CURVES in tables:
        tables = {name: _with_n(table, tables[CURVES]) for name, table in tables.items()}
    effects = {
        (claim.name, scope): partial_conjunction.effects(
            claim.name, told, tables[told.table], keys[told.table]
        )
        for claim, scope, told in _evidence(found)
    }
    partial_conjunction.refuse_twice(found, {at: len(table) for at, table in effects.items()})
    families: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
    for claim, scope, told in _evidence(found):
        tests = families.setdefault((claim.family, scope), {})
        if not claim.counters:
            tests[claim.name] = _tests(claim, told, effects[claim.name, scope], inputs.level)
    decided = {at: partial_conjunction.decide(tests, 1 - inputs.level) for at, tests in families.items()}
    result: Rows = []
    for claim in found:
        for scope, given in claim.evidence.items():
            named = {
                "claim": claim.name,
                "scope": scope,
                "contrast": "all",
                "statement": claim.statement,
                "source": claim.source,
                "family": claim.family,
                "counters": claim.counters or None,
            }
            if isinstance(given, str):
                result.append({**named, "verdict": UNTESTABLE, "reason": given, "effects": 0})
                continue
            family = decided[claim.family, scope]
            decision: Decision = family[claim.counters or claim.name]
            if claim.counters:
                decision = _negated(decision)
            table = effects[claim.name, scope]
            result += [
                {**named, **row}
                for row in _judged(claim, scope, given, table, decision, 2 * len(family), inputs)
            ]
    return result


def _evidence(found: list[Claim]) -> Iterator[tuple[Claim, str, Evidence]]:
    for claim in found:
        for scope, told in claim.evidence.items():
            if isinstance(told, Evidence):
                yield claim, scope, told


def _with_n(table: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the samples a problem of both curves where it contrasts two published ones."""
    place = ["figure", "benchmark", "model"]
    if "k_arm" in table or not {*place, "arm", "base"} <= set(table):
        return table
    n = curves.groupby([*place, "series"])["n"].max()
    found = {
        f"k_{side}": n.reindex(pd.MultiIndex.from_frame(table[[*place, side]])).to_numpy()
        for side in ("arm", "base")
    }
    return table.assign(**found)


def _negated(decision: Decision) -> Decision:
    swapped = {"supported": "contradicted", "contradicted": "supported"}
    return decision[1], decision[0], swapped.get(decision[2], decision[2])


def _ps(told: Evidence, table: pd.DataFrame, level: float) -> tuple[list[float], list[float]]:
    """Return p of each effect for what the claim says of it, and against."""
    ends = list(zip(table["estimate"], table["low"], table["high"], table["p"], strict=True))
    for_it, against = (
        [
            partial_conjunction.p_value(estimate, low, high, expected, told.margin, p, level)
            for estimate, low, high, p in ends
        ]
        for expected in (told.expected, OPPOSITE[told.expected])
    )
    return for_it, against


def _tests(claim: Claim, told: Evidence, table: pd.DataFrame, level: float) -> tuple[float, float]:
    """Return the p for a claim and the p against it."""
    for_it, against = _ps(told, table, level)
    least = claim.least(len(table))
    return partial_conjunction.conjunction(for_it, least), partial_conjunction.conjunction(
        against, len(table) - least + 1
    )


def _judged(
    claim: Claim,
    scope: str,
    told: Evidence,
    table: pd.DataFrame,
    decision: Decision,
    tests: int,
    inputs: Inputs,
) -> Rows:
    """Return the row of a claim, and those of its effects."""
    alpha, scale = 1 - inputs.level, SCALES.get(told.unit, 1.0)
    for_it, against = _ps(told, table, inputs.level)
    records = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    sizes: list[float] = []
    singles: Rows = []
    drawn: dict[tuple[Any, ...], int] = {}
    problems: dict[Any, int] = {}
    for row, p, p_against in zip(records, for_it, against, strict=True):
        ends = row["estimate"], row["low"], row["high"]
        size = max(partial_conjunction.errors(*ends, inputs.level))
        verdict = partial_conjunction.verdict(row["low"], row["high"], told.expected, told.margin)
        samples, count = _samples(row, scope, inputs), _problems(row, inputs)
        # All but everything is solved, or nothing: one completion would move it further than its error says.
        at_an_end = told.unit == "points" and samples and size < 1 / sum(samples.values())
        sizes.append(math.inf if at_an_end else size)
        drawn |= samples
        problems[row.get("benchmark")] = max(count or 0, problems.get(row.get("benchmark"), 0))
        singles.append(
            {
                "contrast": row["contrast"],
                "expected": _expected(told, scale),
                "verdict": verdict,
                "effects": 1,
                "needed": 1,
                "supported": int(verdict == "supported"),
                "contradicted": int(verdict == "contradicted"),
                **dict(zip(("estimate", "low", "high"), (scale * end for end in ends), strict=True)),
                "unit": told.unit,
                "p": p,
                "p_against": p_against,
                "smallest": scale * partial_conjunction.smallest(sizes[-1:], 2, 1, told.expected, alpha),
                "problems": count,
                "samples": sum(samples.values()) or None,
                "seeds": _seeds(row, scope, inputs),
                "table": told.table,
            }
        )
    least = claim.least(len(singles))
    order = sorted(range(len(singles)), key=lambda at: 1.0 if math.isnan(for_it[at]) else for_it[at])
    last = singles[order[least - 1]]
    overall = {
        **last,
        "contrast": "all",
        "decided_by": last["contrast"],
        "verdict": decision[2],
        "effects": len(singles),
        "needed": least,
        "supported": sum(row["supported"] for row in singles),
        "contradicted": sum(row["contradicted"] for row in singles),
        "p": partial_conjunction.conjunction(for_it, least),
        "p_against": partial_conjunction.conjunction(against, len(singles) - least + 1),
        "p_holm": min(decision[:2]),
        "p_holm_for": decision[0],
        "p_holm_against": decision[1],
        "tests": tests,
        "smallest": scale * partial_conjunction.smallest(sizes, tests, least, told.expected, alpha),
        "problems": sum(problems.values()) or None,
        "samples": sum(drawn.values()) or None,
        "seeds": min((row["seeds"] for row in singles if row["seeds"]), default=None),
    }
    return [overall, *singles]


def _expected(told: Evidence, scale: float) -> str:
    """Return where each effect is expected, in its unit."""
    sign = "\N{PLUS-MINUS SIGN}" if told.expected in ("within", "beyond") else ""
    return f"{told.expected} {sign}{scale * told.margin:g} {told.unit}"


def _sides(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return an effect's row, and the one that was subtracted."""
    return [row, row["less"]] if isinstance(row.get("less"), Mapping) else [row]


def _arms(row: Mapping[str, Any], inputs: Inputs) -> list[str]:
    named = [str(side.get(column)) for side in _sides(row) for column in ARMS]
    return [arm for arm in dict.fromkeys(named) if arm in inputs.options["arms"]]


def _problems(row: Mapping[str, Any], inputs: Inputs) -> int | None:
    """Return the number of problems behind an effect; None where it is not known."""
    for column in ("problems", "total"):
        if column in row and not math.isnan(row[column]):
            return int(row[column])
    found = inputs.options["problems"].get(row.get("benchmark"))
    return None if found is None else int(found)


def _samples(row: Mapping[str, Any], scope: str, inputs: Inputs) -> dict[tuple[Any, ...], int]:
    """Return the completions behind an effect, by what was sampled; a chain of subproblems counts as one."""
    benchmark, problems = row.get("benchmark"), _problems(row, inputs)
    found: dict[tuple[Any, ...], int] = {}
    if problems is None:
        return found
    if scope == PUBLISHED:
        for side in _sides(row):
            for name, n in DRAWN:
                if name in side and not math.isnan(side.get(n, math.nan)):
                    found[benchmark, side.get("model"), side[name]] = int(problems * side[n])
        return found
    for arm in _arms(row, inputs):
        facts = inputs.options["arms"][arm]
        each = inputs.options["scored"] if "text" in row else facts["samples"].get(benchmark, 0)
        if "condition" in row or "mode" in row:
            each += facts["probed"].get(benchmark, 0)
        found[benchmark, arm] = problems * each * facts["seeds"]
    return found


def _seeds(row: Mapping[str, Any], scope: str, inputs: Inputs) -> int | None:
    """Return the training seeds behind an effect: those of the arm that has most."""
    if scope == PUBLISHED:
        return 1
    return max((inputs.options["arms"][arm]["seeds"] for arm in _arms(row, inputs)), default=None)
