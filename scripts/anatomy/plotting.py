"""One style for every figure, and files whose bytes depend on what is drawn alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from anatomy.tables import atomic

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
    """Put one legend, of everything labelled in any of the axes, below the panels."""
    entries: dict[str, Any] = {}
    for one in axes.ravel():
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=min(columns, len(entries)),
        )


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
