"""Perplexity of texts under the base and under their own model, and contrasts with the base's texts."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs
from anatomy.storage import csv

LONG = 36
"""Characters of a label from which all of them have two lines."""
NAMES = {"gold": "Reference solution"}


def draw(inputs: Inputs) -> Figure:
    """Return the figure."""
    arms = {**inputs.arms, **NAMES}
    columns = ["scorer", "text", "subset", "measure", "estimate", "low", "high"]
    table = csv.read_csv(inputs.tables[0], columns)
    contrast = csv.read_csv(inputs.tables[1], [*columns, "reference"])
    table = table[table["measure"] == "ppl"]
    pairs = list(dict.fromkeys(zip(table["scorer"], table["text"], strict=True)))
    labels = [f"{arms[text]}, under {arms[scorer]}" for scorer, text in pairs]
    if max(map(len, labels)) > LONG:
        labels = [label.replace(", under ", ",\nunder ") for label in labels]
    figure = Figure(figsize=(plotting.WIDTH, 1.6 + 0.22 * len(pairs) + 0.3 * contrast["text"].nunique()))
    top, bottom = figure.subplots(2, 1, height_ratios=[len(pairs), 1.3 * contrast["text"].nunique()])
    for place, subset in enumerate(("all", "right", "wrong")):
        rows = table[table["subset"] == subset].set_index(["scorer", "text"])
        _points(top, rows, pairs, place, subset)
    top.set_yticks(np.arange(len(pairs)), labels)
    top.invert_yaxis()
    top.set_xlabel("perplexity of completions under a model")
    above = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.1}
    top.legend(ncols=3, **above)
    texts = list(dict.fromkeys(contrast["text"]))
    shown = contrast[contrast["subset"] == "all"]
    for place, (measure, label) in enumerate(
        (("nll_token", "as they are"), ("nll_token_matched", "at equal length"))
    ):
        _points(bottom, shown[shown["measure"] == measure].set_index("text"), texts, place, label)
    bottom.axvline(0, color="#333333", lw=0.7)
    bottom.set_yticks(np.arange(len(texts)), [arms[text] for text in texts])
    bottom.invert_yaxis()
    bottom.set_xlabel("negative log-likelihood less that of the base's completions (nats a token)")
    bottom.legend(ncols=2, **above)
    bottom.set_title("all completions", loc="left")
    return figure


def _points(axes: Any, rows: Any, order: Any, place: int, label: str) -> None:
    """Draw the rows that there are, one above the other in their order, with intervals."""
    at = [spot for spot, name in enumerate(order) if name in rows.index]
    points = rows.loc[[order[spot] for spot in at]]
    ends = [points["estimate"] - points["low"], points["high"] - points["estimate"]]
    style = plotting.look(place)
    axes.errorbar(
        points["estimate"], np.array(at) + 0.2 * (place - 0.5), xerr=np.clip(ends, 0, None), ls="",
        marker=style["marker"], color=style["color"], capsize=1.5, lw=0.9, label=label,
    )  # fmt: skip
