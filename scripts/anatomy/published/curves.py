"""The published record: the numbers of Yue et al. 2025 and Wang et al. 2025 as data, each with its source.

The files lie in config/published; sources.csv tells of each figure or table in them the paper, its version,
the place and how it was read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from anatomy.arrays import Floats, Ints
from anatomy.errors import AnatomyError
from anatomy.statistics import accuracy_bins
from anatomy.storage import csv

Files = Sequence[Mapping[str, Any]]
"""Files of the record, each with its ``path`` and, as ``file``, its name without the suffix."""

ROUNDING = 5e-5
"""Curves are given to four decimals: how far a value may be from the one that was read."""
READING = 1e-4
"""How far a value may be from the one that was plotted: the axes of a figure are read too (sources.csv)."""

LIKE_ENDS = 0.9
"""Two curves are compared at their ends where the smaller k is at least this share of the larger."""


@dataclass(frozen=True)
class Curve:
    """A published pass@k curve of a series in a panel, with the series it is compared with there."""

    figure: str
    benchmark: str
    model: str
    series: str
    base: str
    problems: int
    n: int
    """Samples a problem: the largest plotted k (appendix A.2), or the stated number where that is larger."""
    ks: Ints
    values: Floats

    @property
    def names(self) -> dict[str, str]:
        """The columns that name the curve in tables of results."""
        return {
            "figure": self.figure,
            "benchmark": self.benchmark,
            "model": self.model,
            "series": self.series,
        }

    @property
    def last(self) -> int:
        """The largest k that is plotted."""
        return int(self.ks[-1])

    def at(self, k: int) -> float:
        """Return pass@k.

        Raises:
            ValueError: That k is not plotted.
        """
        (place,) = np.flatnonzero(self.ks == k)
        return float(self.values[place])

    @property
    def off_whole(self) -> float:
        """How many problems the end of the curve is away from a whole number of solved ones."""
        solved = self.problems * float(self.values[-1])
        return abs(solved - round(solved))

    @property
    def solved(self) -> int | None:
        """Problems solved by one or more of n samples; None where the curve does not tell a whole number."""
        if self.last < self.n or self.off_whole > self.problems * READING:
            return None
        return round(self.problems * float(self.values[-1]))


@dataclass(frozen=True)
class Contrast:
    """A curve and the one that it is compared with in its panel."""

    arm: Curve
    base: Curve

    @property
    def names(self) -> dict[str, str]:
        """The columns that name the contrast in tables of results."""
        names = {**self.arm.names, "arm": self.arm.series, "base": self.base.series}
        del names["series"]
        return names

    def shared(self) -> tuple[Ints, Floats, Floats]:
        """Return every k that both curves have, and pass@k of arm and base there."""
        ks = np.intersect1d(self.arm.ks, self.base.ks)
        arm, base = (curve.values[np.isin(curve.ks, ks)] for curve in (self.arm, self.base))
        return ks, arm, base

    def ends(self) -> tuple[int, int]:
        """Return the k of arm and base at which they are compared last: their own ends if these are alike."""
        ends = self.arm.last, self.base.last
        if min(ends) >= LIKE_ENDS * max(ends):
            return ends
        largest = int(self.shared()[0][-1])
        return largest, largest


def read(files: Files, name: str, columns: Sequence[str], item: str) -> pd.DataFrame:
    """Read a file of the record.

    Args:
        files: The record.
        name: The file.
        columns: Columns that it must have.
        item: The column that names figures or tables.

    Raises:
        AnatomyError: The file is missing or broken, or sources.csv does not tell an item's source.
    """
    paths = {str(file["file"]): str(file["path"]) for file in files}
    frame = csv.read_csv(paths[name], columns)
    sources = csv.read_csv(paths["sources"], ["file", "item", "paper", "version", "place", "read"])
    known = set(sources.loc[sources["file"] == name, "item"])
    unknown = sorted(set(frame[item]) - known)
    if unknown:
        raise AnatomyError(
            f"{paths[name]}: {item} {', '.join(unknown)}: no source; add a line with file '{name}' to"
            f" {paths['sources']}"
        )
    return frame


def curves(files: Files) -> list[Curve]:
    """Return every published curve, in the file's order.

    Raises:
        AnatomyError: Its panel is unknown.
    """
    points = read(files, "yue2025_curves", ["figure", "panel", "series", "k", "pass_at_k"], "figure")
    panels = read(files, "yue2025_panels", ["figure", "panel", "benchmark", "model", "problems"], "figure")
    known = {(row["figure"], row["panel"]): row for row in panels.to_dict("records")}
    curves = []
    for (figure, panel, series), part in points.groupby(["figure", "panel", "series"], sort=False):
        if (figure, panel) not in known:
            raise AnatomyError(f"yue2025_panels.csv: no line for panel '{panel}' of {figure}; add it")
        row = known[figure, panel]
        ks = part["k"].to_numpy(np.int64)
        stated = row["n"]
        curves.append(
            Curve(
                figure=str(figure),
                benchmark=str(row["benchmark"]),
                model=str(row["model"]),
                series=str(series),
                base=str(row["base"]),
                problems=int(row["problems"]),
                n=int(ks[-1] if pd.isna(stated) else stated),
                ks=ks,
                values=part["pass_at_k"].to_numpy(np.float64),
            )
        )
    return curves


def contrasts(curves: Sequence[Curve]) -> list[Contrast]:
    """Return each curve with its panel's base, which itself has none."""
    by_names = {tuple(curve.names.values()): curve for curve in curves}
    return [
        Contrast(curve, by_names[curve.figure, curve.benchmark, curve.model, curve.base])
        for curve in curves
        if curve.series != curve.base
    ]


def histograms(files: Files) -> Iterator[tuple[dict[str, str], Ints]]:
    """Yield the names (benchmark, model, series) of each accuracy histogram with its 12 counts."""
    frame = read(
        files, "yue2025_histograms", ["benchmark", "model", "series", "bin", "problems"], "benchmark"
    )
    names = ["benchmark", "model", "series"]
    for key, part in frame.groupby(names, sort=False):
        if tuple(part["bin"]) != accuracy_bins.BINS:
            raise AnatomyError(f"yue2025_histograms.csv: {key}: not the bins {', '.join(accuracy_bins.BINS)}")
        yield dict(zip(names, map(str, key), strict=True)), part["problems"].to_numpy(np.int64)


def values(files: Files) -> pd.DataFrame:
    """Return the numbers of Yue et al.'s tables and text: table, item, benchmark, quantity, value, unit."""
    columns = ["table", "item", "benchmark", "quantity", "value", "unit"]
    return read(files, "yue2025_tables", columns, "table")


def sparkle(files: Files) -> pd.DataFrame:
    """Return the numbers of Wang et al.: table, model, condition, benchmark, metric, value_percent."""
    columns = ["table", "model", "condition", "benchmark", "metric", "value_percent"]
    return read(files, "wang2025_tables", columns, "table")
