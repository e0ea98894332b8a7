"""One style for every figure, and files whose bytes depend on what is drawn alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from anatomy.storage.atomic import atomic

matplotlib.use("Agg")

# Okabe and Ito's colours, told apart by colour-blind readers; line and marker differ too, for print in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "-", ":", "--", "-.", (0, (3, 1, 1, 1)), (0, (5, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
TARGETS = {"answer": "answer right", "derivation": "whole derivation right"}
"""How panels call what counts as a success."""
WIDTH = 6.5
"""Text width of the paper, inches."""

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "rlvr-anatomy",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}
matplotlib.rcParams.update(STYLE)


def look(index: int) -> dict[str, Any]:
    """Return colour, dash and marker of the arm at a place in the study's order of arms."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        # After the last colour the dashes are shifted, so that no two arms look the same.
        "linestyle": DASHES[(index + 3 * (index // len(COLOURS))) % len(DASHES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


def grid(rows: int, columns: int, height: float = 1.7, **kwargs: Any) -> tuple[Figure, Any]:
    """Return a figure of the paper's width and its axes (rows, columns); ``height`` of a row in inches."""
    figure = Figure(figsize=(WIDTH, 0.7 + height * rows))
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


@dataclass(frozen=True)
class Panel:
    """One benchmark's axes for one target, and whether they are at the left and at the bottom of the grid."""

    axes: Any
    benchmark: str
    target: str
    left: bool
    bottom: bool

    @property
    def title(self) -> str:
        """What the panel shows, in words."""
        return f"{self.benchmark}: {TARGETS[self.target]}"


def shape(benchmarks: int, targets: int) -> tuple[int, int]:
    """Return rows and columns of panels: a row a benchmark, or, of one target, two benchmarks a row."""
    columns = targets if targets > 1 else min(2, benchmarks)
    return -(-benchmarks * targets // columns), columns


def panels(grid: Any, benchmarks: Sequence[str], targets: Sequence[str]) -> Iterator[Panel]:
    """Yield the panels of a grid that has their ``shape``; what is left of the grid is hidden."""
    rows, columns = grid.shape
    wanted = [(benchmark, target) for benchmark in benchmarks for target in targets]
    for axes in grid.ravel()[len(wanted) :]:
        axes.set_visible(False)
    for place, (benchmark, target) in enumerate(wanted):
        row, column = divmod(place, columns)
        bottom = place + columns >= len(wanted)
        if bottom and row < rows - 1:  # above a hidden one, which would have the shared axis's labels
            grid[row][column].tick_params(labelbottom=True)
        yield Panel(grid[row][column], benchmark, target, column == 0, bottom)


def band(axes: Any, x: Any, frame: Any, label: str | None, index: int, scale: float = 1.0) -> None:
    """Draw a table's ``estimate`` against ``x``, and ``low`` to ``high`` as a band."""
    style = look(index)
    axes.plot(frame[x], scale * frame["estimate"], label=label, **style)
    axes.fill_between(
        frame[x], scale * frame["low"], scale * frame["high"], color=style["color"], alpha=0.15, lw=0
    )


def points(
    axes: Any, frame: Any, label: str, index: int, count: int, x: Any = None, joined: bool = False
) -> None:
    """Draw differences in percentage points with their intervals, one of ``count`` arms side by side.

    ``x`` is by default the row's place; an interval that is not known is not drawn.
    """
    style = look(index)
    places = np.arange(len(frame)) if x is None else np.asarray(x)
    estimate = 100 * frame["estimate"].to_numpy()
    ends = [100 * frame[end].to_numpy() for end in ("low", "high")]
    bars = [np.nan_to_num(np.abs(estimate - end)) for end in ends]
    axes.errorbar(
        places + 0.6 * ((index + 0.5) / count - 0.5),
        estimate,
        yerr=bars,
        color=style["color"],
        marker=style["marker"],
        ls=style["linestyle"] if joined else "none",
        lw=0.8,
        elinewidth=0.8,
        label=label,
    )


def samples_axis(axes: Any, ks: Any, labelled: bool = True) -> None:
    """Make x the number of samples k, in powers of two."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(log2_ticks(sorted({int(k) for k in ks})))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.minorticks_off()
    if labelled:
        axes.set_xlabel("k (samples)")


def legend(figure: Figure, axes: Any, columns: int = 4) -> None:
    """Put one legend, of everything labelled in any of the axes, below the panels.

    It has fewer columns than asked for where they would be wider than the figure.
    """
    entries: dict[str, Any] = {}
    for axis in axes.ravel():
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    columns = min(columns, len(entries))
    while columns > 1 and _legend_width(list(entries), columns) > figure.get_figwidth():
        columns -= 1
    if entries:
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=columns,
        )


def _legend_width(labels: Sequence[str], columns: int) -> float:
    """Return the inches that a legend takes up: of each column the widest label, its handle, and space."""
    rows, longer = divmod(len(labels), columns)  # the first columns have one more
    ends = np.cumsum([rows + (column < longer) for column in range(columns)])
    widest = [max(part, key=len) for part in np.split(np.array(labels, dtype=object), ends[:-1])]
    size = float(STYLE["legend.fontsize"])
    handles = 4.8 * size * len(widest)  # matplotlib's handlelength, handletextpad and columnspacing
    return (handles + sum(TextPath((0, 0), label, size=size).get_extents().width for label in widest)) / 72


def log2_ticks(ks: Sequence[int]) -> list[int]:
    """Return every second power of two, so that labels do not touch."""
    return [k for k in ks if k.bit_length() % 2]


def save(figure: Figure, paths: Sequence[str]) -> None:
    """Write a figure in the formats of its paths' endings, without dates or versions inside."""
    for path in paths:
        dated = {".pdf": {"CreationDate": None, "ModDate": None}, ".svg": {"Date": None}}
        software = {".pdf": {"Producer": None, "Creator": None}, ".svg": {"Creator": None}}
        suffix = Path(path).suffix
        metadata: dict[str, Any] = dated.get(suffix, {}) | software.get(suffix, {"Software": None})
        with atomic(path) as partial:
            figure.savefig(partial, metadata=metadata, dpi=200)
