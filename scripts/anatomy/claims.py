"""Claims of the literature as statistical statements, and what a study's intervals say of them."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from anatomy.errors import AnatomyError

Verdict = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True)
class Claim:
    """A claim: effects, rows of a table, that all lie on one side of 0. An entry of config/claims.yaml."""

    name: str
    statement: str
    source: str
    table: str
    where: Mapping[str, Any]
    """Column -> value, or list of values, of the rows that the claim is about."""
    expected: Literal["above", "below"]


def verdict(low: float, high: float, expected: str) -> Verdict:
    """Judge one effect by its interval: wholly on the expected side of 0, wholly on the other, or neither.

    An interval that is not known (nan) decides nothing.
    """
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    if expected == "below":
        low, high = -high, -low
    if low > 0:
        return "supported"
    return "contradicted" if high < 0 else "undecided"


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Judge a claim from those on its effects, which it says all to be so.

    Supported if each is, at the level of each (an intersection-union test: Berger 1982); contradicted if one
    is.
    """
    if all(one == "supported" for one in verdicts):
        return "supported"
    return "contradicted" if "contradicted" in verdicts else "undecided"


def effects(claim: Claim, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that a claim is about, in the order of its values.

    Raises AnatomyError where the table lacks a column that the claim names, or rows of any combination of its
    values: a claim must not be judged by some of its effects.
    """
    for column in claim.where:
        if column not in table:
            raise AnatomyError(
                f"claim {claim.name}: table '{claim.table}' has no column '{column}'; it has {list(table)}"
            )
    found = []
    for values in itertools.product(
        *(one if isinstance(one, list) else [one] for one in claim.where.values())
    ):
        rows, told = table, ""
        for column, value in zip(claim.where, values, strict=True):
            rows, told = rows[rows[column] == value], f"{told}, {column} {value!r}"
            if rows.empty:
                raise AnatomyError(
                    f"claim {claim.name}: no row of table '{claim.table}' has {told.removeprefix(', ')};"
                    " change the claim, or what the table covers in the artifacts file"
                )
        found.append(rows)
    return pd.concat(found)
