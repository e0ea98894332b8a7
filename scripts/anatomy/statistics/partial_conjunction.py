"""Claims of the literature as statistical statements, and what a study's tables say of them.

A claim is about effects, cells of a table, and says that at least so many of them lie ``above`` a margin (by
default 0), ``below`` it, ``within`` it on either side (equivalence) or ``beyond`` it on either side. It is
decided in four steps, all fixed before the data:

1. Effect. A one-sided p from the end of the effect's interval that faces the margin, under normality: it is
   below 2.5 % exactly where a 95 % interval excludes the margin. Where the table has a p of its own, from an
   exact test or a t, the larger of the two counts. (From a t interval alone, far tails are approximate.)
2. Claim. Partial conjunction (Benjamini and Heller 2008, Biometrics 64): for "at least r of m", (m - r + 1)
   times the r-th smallest p. For r = m that is the intersection-union test (Berger 1982), for r = 1
   Bonferroni's. It holds for dependent effects. Its negation, "at least m - r + 1 on the other side", is
   tested likewise.
3. Family. Holm 1979 over both nulls of every claim of the family in one scope: the chance that any verdict of
   the family is wrong, in either direction, is at most 5 %, however the claims depend on each other.
4. Verdict. Supported or contradicted where the adjusted p of that side is at most 5 %, else undecided.

A counter-claim is the negation of a claim: the same two tests, exchanged, and not counted again.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import optimize, special

from anatomy.errors import AnatomyError
from anatomy.statistics import tests_and_intervals

Verdict = Literal["supported", "contradicted", "undecided"]

OPPOSITE = {"above": "below", "below": "above", "within": "beyond", "beyond": "within"}
LARGEST = "largest"
"""As the value of column ``k``: the largest k that each effect has."""
POWER = 0.8


@dataclass(frozen=True)
class Evidence:
    """Where a claim's effects stand in a scope. See ``anatomy.study.artifacts``."""

    table: str
    where: Mapping[str, Any]
    """Column -> value, or list of values, of the rows that the claim is about; what is left open, on each."""
    expected: str
    margin: float = 0.0
    value: str = "estimate"
    minus: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the rows to subtract, as independent: the interval is too wide where the two are alike."""
    unit: str = "points"


@dataclass(frozen=True)
class Claim:
    """A claim: ``share`` of its effects lie as expected. ``evidence``: by scope, or why there is none."""

    name: str
    statement: str
    source: str
    family: str
    share: str
    evidence: Mapping[str, Evidence | str]
    counters: str = ""

    def least(self, effects: int) -> int:
        """Return how many of so many effects must lie as expected."""
        least = {"all": effects, "most": effects // 2 + 1, "any": 1}[self.share.removeprefix("not ")]
        return effects - least + 1 if self.share.startswith("not ") else least


def read(entries: Mapping[str, Mapping[str, Any]]) -> list[Claim]:
    """Return claims from the entries of config/claims.yaml; a counter-claim has the evidence of its claim."""
    result = []
    for name, entry in entries.items():
        counters = entry.get("counters", "")
        own = entries[counters] if counters else entry
        share = own.get("share", "all")
        evidence: dict[str, Evidence | str] = {}
        for scope, told in own["evidence"].items():
            if isinstance(told, str):
                evidence[scope] = told
            else:
                expected = OPPOSITE[told["expected"]] if counters else told["expected"]
                evidence[scope] = Evidence(**{**told, "expected": expected})
        share = f"not {share}" if counters else share
        result.append(
            Claim(name, entry["statement"], entry["source"], own["family"], share, evidence, counters)
        )
    return result


# Effects ------------------------------------------------------------------------------------------------


def effects(name: str, evidence: Evidence, table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the effects of a claim: rows of a table with columns estimate, low, high, p and contrast.

    keys: the columns that name a row of the table; ``contrast`` tells those that vary. Raises AnatomyError
    where the table lacks a column that the claim names, or rows of any combination of its values: a claim
    must not be judged by some of its effects.
    """
    found = _rows(name, evidence.table, evidence.where, table, keys)
    varying = [key for key in keys if found[key].nunique() > 1]
    rows = []
    for record in found.to_dict("records"):
        row = {str(column): value for column, value in record.items()}
        effect = _cell(row, evidence.value, evidence.table, name)
        if evidence.minus:
            where = {key: row[key] for key in keys} | dict(evidence.minus)
            other = _rows(name, evidence.table, where, table, keys).to_dict("records")[0]
            effect = _less(effect, _cell(other, evidence.value, evidence.table, name))
            row |= {"less": other}
        plain = evidence.margin == 0 and evidence.value == "estimate" and not evidence.minus
        told = ", ".join(f"{key} {row[key]}" for key in varying) or "it"
        p = row.get("p", math.nan) if plain else math.nan
        rows.append({**row, **effect, "p": p, "contrast": told})
    return pd.DataFrame(rows)


def _rows(
    name: str, called: str, where: Mapping[str, Any], table: pd.DataFrame, keys: Sequence[str]
) -> pd.DataFrame:
    for column in where:
        if column not in table:
            raise AnatomyError(
                f"claim {name}: table '{called}' has no column '{column}'; it has {list(table)}"
            )
    fixed = {column: value for column, value in where.items() if value != LARGEST}
    found = []
    for values in itertools.product(*(one if isinstance(one, list) else [one] for one in fixed.values())):
        rows, told = table, ""
        for column, value in zip(fixed, values, strict=True):
            rows, told = rows[rows[column] == value], f"{told}, {column} {value!r}"
            if rows.empty:
                raise AnatomyError(
                    f"claim {name}: no row of table '{called}' has {told.removeprefix(', ')};"
                    " change the claim, or what the table covers in the artifacts file"
                )
        found.append(rows)
    result = pd.concat(found)
    for column in where.keys() - fixed.keys():
        others = [key for key in keys if key != column]
        result = result[result[column] == result.groupby(others)[column].transform("max")]
    return result


def _cell(row: Mapping[Any, Any], value: str, table: str, name: str) -> dict[str, float]:
    """Return a row's estimate and interval: ``low`` and ``high``, or those of a column by its own name."""
    ends = [f"{value}_low", f"{value}_high"] if f"{value}_low" in row else ["low", "high"]
    absent = [column for column in (value, *ends) if column not in row]
    if absent:
        raise AnatomyError(f"claim {name}: table '{table}' has no column '{absent[0]}'; it has {list(row)}")
    return {to: float(row[at]) for to, at in zip(("estimate", "low", "high"), (value, *ends), strict=True)}


def _less(one: Mapping[str, float], two: Mapping[str, float]) -> dict[str, float]:
    """Return a difference with the interval of two independent estimates (Zou and Donner 2008, "MOVER")."""
    estimate = one["estimate"] - two["estimate"]
    return {
        "estimate": estimate,
        "low": estimate - math.hypot(one["estimate"] - one["low"], two["high"] - two["estimate"]),
        "high": estimate + math.hypot(one["high"] - one["estimate"], two["estimate"] - two["low"]),
    }


# Tests --------------------------------------------------------------------------------------------------


def errors(estimate: float, low: float, high: float, level: float = 0.95) -> tuple[float, float]:
    """Return the standard errors below and above an estimate, from its interval under normality.

    A side without width takes the other's; nan where neither has one, or an end is not known.
    """
    z = special.ndtri((1 + level) / 2)
    below, above = (estimate - low) / z, (high - estimate) / z
    if not (math.isfinite(below) and math.isfinite(above)) or max(below, above) < 1e-12:
        return math.nan, math.nan
    return (below if below > 1e-12 else above), (above if above > 1e-12 else below)


def p_value(
    estimate: float,
    low: float,
    high: float,
    expected: str,
    margin: float = 0.0,
    p: float = math.nan,
    level: float = 0.95,
) -> float:
    """Return the p of one effect against the null that it does not lie as expected; nan where nothing tells.

    p: a two-sided one of the effect against 0, if there is any.
    """
    below, above = errors(estimate, low, high, level)
    if math.isnan(below):
        return math.nan
    cdf = special.ndtr
    if expected == "within":
        return float(max(cdf((estimate - margin) / above), cdf((-margin - estimate) / below)))
    if expected == "beyond":
        size, error = abs(estimate), max(below, above)
        return float(cdf((margin - size) / error) + cdf((-margin - size) / error))
    sign = 1 if expected == "above" else -1
    found = float(cdf(sign * (margin - estimate) / (below if sign > 0 else above)))
    if math.isnan(p):
        return found
    return max(found, p / 2 if sign * estimate > 0 else 1 - p / 2)


def verdict(low: float, high: float, expected: str, margin: float = 0.0) -> Verdict:
    """Judge one effect alone, by its interval. One that is not known (nan) decides nothing."""
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    if expected == "beyond":
        mirrored = verdict(low, high, "within", margin)
        swapped: dict[Verdict, Verdict] = {"supported": "contradicted", "contradicted": "supported"}
        return swapped.get(mirrored, "undecided")
    if expected == "within":
        if -margin < low and high < margin:
            return "supported"
        return "contradicted" if low > margin or high < -margin else "undecided"
    low, high = low - margin, high - margin
    if expected == "below":
        low, high = -high, -low
    if low > 0:
        return "supported"
    return "contradicted" if high < 0 else "undecided"


def conjunction(ps: Sequence[float], least: int) -> float:
    """Return the p that at least so many of the effects lie as expected; an unknown p (nan) counts as 1."""
    ordered = np.sort(np.nan_to_num(np.asarray(ps, np.float64), nan=1.0))
    return float(min(1.0, (len(ordered) - least + 1) * ordered[least - 1]))


def smallest(sizes: Sequence[float], tests: int, least: int, expected: str, alpha: float) -> float:
    """Return the effect that a claim would be called for with 80 % power, were it common to all its effects.

    sizes: the effects' standard errors; tests: one-sided tests at which Holm starts; alpha: of the family.
    How far beyond the margin the effects must lie; for ``within`` the margin itself, were they all 0; nan
    where a standard error is not known. An infinite one is of an effect that no size would have called;
    nan too where fewer than ``least`` are left. Effects count as independent.
    """
    of = np.asarray(sizes, np.float64)
    if np.isnan(of).any() or np.isfinite(of).sum() < least:
        return math.nan
    z = -special.ndtri(alpha / tests / (len(of) - least + 1))

    def lacking(effect: float) -> float:
        single = special.ndtr(effect / of - z)
        if expected == "within":
            single = np.maximum(2 * single - 1, 0)
        single = np.where(np.isfinite(of), single, 0)
        found = np.array([1.0])  # chance that so many are called, of those so far
        for chance in single:
            found = np.append(found * (1 - chance), 0) + np.append(0, found * chance)
        return float(found[least:].sum() - POWER)

    return float(optimize.brentq(lacking, 0, (z + 10) * of[np.isfinite(of)].max()))


def decide(
    claims: Mapping[str, tuple[float, float]], alpha: float
) -> dict[str, tuple[float, float, Verdict]]:
    """Return adjusted p's for and against each claim of a family, and its verdict.

    claims: p for and p against each. At least one of the two nulls is true, so Holm over both holds whatever
    the truth.
    """
    flat = [p for pair in claims.values() for p in pair]
    adjusted = tests_and_intervals.holm(flat).reshape(-1, 2).tolist()
    result: dict[str, tuple[float, float, Verdict]] = {}
    for name, (for_it, against) in zip(claims, adjusted, strict=True):
        told: Verdict = (
            "supported" if for_it <= alpha else "contradicted" if against <= alpha else "undecided"
        )
        result[name] = (for_it, against, told)
    return result


def refuse_twice(claims: Sequence[Claim], counts: Mapping[tuple[str, str], int]) -> None:
    """Raise AnatomyError where two claims test the same hypothesis on the same cells.

    counts: effects by (claim, scope). A negation written out as a claim of its own is the same hypothesis.
    """
    seen: dict[str, str] = {}
    for claim in claims:
        for scope, told in claim.evidence.items():
            if isinstance(told, str) or claim.counters:
                continue
            effects = counts[claim.name, scope]
            least = claim.least(effects)
            if told.expected in ("below", "beyond"):
                least = effects - least + 1
            cells = [told.table, dict(told.where), told.value, dict(told.minus), told.margin]
            key = json.dumps([scope, cells, told.expected in ("within", "beyond"), least], sort_keys=True)
            if key in seen:
                raise AnatomyError(
                    f"claim {claim.name}, {scope}: the same hypothesis on the same data as claim"
                    f" {seen[key]}; drop one, or let one say `counters` the other"
                )
            seen[key] = claim.name
