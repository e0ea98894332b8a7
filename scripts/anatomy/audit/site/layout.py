"""Layered drawing of a chain of jobs: places and paths."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from anatomy.audit.job_record import File

WIDTH, _HEIGHT = 172, 44
"""Size of a box, units of the picture; a unit is a pixel."""
_LANE, _BETWEEN, _GAP, _MARGIN = 14, 16, 36, 8
"""Width of an arrow's way past boxes; least room between two boxes of a layer, between layers, around all."""


@dataclass
class Box:
    """Jobs of one rule, files that no job made, or (without either) the page's own result."""

    key: str
    """An anchor."""
    title: str
    subtitle: str
    kind: str
    """job, file or result."""
    jobs: list[int] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    made_from: list["Box"] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    width: int = WIDTH
    height: int = _HEIGHT


# Boxes into places -----------------------------------------------------------------------------------


@dataclass
class _Slot:
    """A place in a layer: a box (its index), or the way of an arrow past boxes (None)."""

    box: int | None
    width: int
    above: list["_Slot"] = field(default_factory=list)
    below: list["_Slot"] = field(default_factory=list)
    middle: float = 0.0


@dataclass(frozen=True)
class _Layout:
    """Left upper corner of each box, arrows as paths of SVG, and the size of the whole."""

    corners: tuple[tuple[float, float], ...]
    arrows: tuple[str, ...]
    width: int
    height: int


def laid_out(boxes: Sequence[Box]) -> _Layout:
    """Return places for boxes in layers, and arrows; those that only shorten a way are left out."""
    place = {box.key: at for at, box in enumerate(boxes)}
    arrows = [(place[source.key], at) for at, box in enumerate(boxes) for source in _reduced(box)]
    return _layout(tuple(box.width for box in boxes), tuple(sorted(arrows)))


def _reduced(box: Box) -> list[Box]:
    """Return what a box is made from, without what it is made from by way of another of these, too."""
    reached: set[str] = set()
    todo = [inner for source in box.made_from for inner in source.made_from]
    while todo:
        key = todo.pop()
        if key.key not in reached:
            reached.add(key.key)
            todo += key.made_from
    return [source for source in box.made_from if source.key not in reached]


@cache  # many chains of a study look the same
def _layout(widths: tuple[int, ...], arrows: tuple[tuple[int, int], ...]) -> _Layout:
    """Lay out boxes of these widths, with arrows from one to another, by their indices."""
    layers, ways = _layers(widths, arrows)
    _order(layers)
    _place(layers)
    left = min(slot.middle - slot.width / 2 for layer in layers for slot in layer)
    right = max(slot.middle + slot.width / 2 for layer in layers for slot in layer)
    corners: dict[int, tuple[float, float]] = {}
    for depth, layer in enumerate(layers):
        for slot in layer:
            slot.middle = round(slot.middle - left + _MARGIN, 1)
            if slot.box is not None:
                y = _MARGIN + depth * (_HEIGHT + _GAP)
                corners[slot.box] = (round(slot.middle - slot.width / 2, 1), y)
    height = len(layers) * (_HEIGHT + _GAP) - _GAP + 2 * _MARGIN
    return _Layout(
        tuple(corners[box] for box in range(len(widths))),
        tuple(_path(first, way) for first, way in ways),
        math.ceil(right - left + 2 * _MARGIN),
        height,
    )


def _layers(
    widths: Sequence[int], arrows: Sequence[tuple[int, int]]
) -> tuple[list[list[_Slot]], list[tuple[int, list[_Slot]]]]:
    """Return the layers from the top, and each arrow's slots with the layer that it begins in.

    A box lies right above what is made from it; an arrow over several layers has a slot in each.
    """
    height: dict[int, int] = {}

    def above(box: int) -> int:
        if box not in height:
            height[box] = max((above(end) + 1 for start, end in arrows if start == box), default=0)
        return height[box]

    deepest = max(above(box) for box in range(len(widths)))
    layers: list[list[_Slot]] = [[] for _ in range(deepest + 1)]
    slots = [_Slot(box, width) for box, width in enumerate(widths)]
    for box, slot in enumerate(slots):
        layers[deepest - height[box]].append(slot)
    ways = []
    for start, end in arrows:
        first, last = deepest - height[start], deepest - height[end]
        way = [slots[start], *(_Slot(None, _LANE) for _ in range(first + 1, last)), slots[end]]
        for depth, slot in enumerate(way[1:-1], start=first + 1):
            layers[depth].append(slot)
        for upper, lower in itertools.pairwise(way):
            upper.below.append(lower)
            lower.above.append(upper)
        ways.append((first, way))
    return layers, ways


def _order(layers: Sequence[list[_Slot]]) -> None:
    """Order each layer so that few arrows cross: by the middle of a slot's neighbours, up and down."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(12):
        down = sweep % 2 == 0
        for layer in layers[1:] if down else layers[-2::-1]:
            at = {id(slot): place for other in layers for place, slot in enumerate(other)}

            def middle(slot: _Slot, at: Mapping[int, int] = at, down: bool = down) -> float:
                near = slot.above if down else slot.below
                return sum(at[id(adjacent)] for adjacent in near) / len(near) if near else at[id(slot)]

            layer.sort(key=middle)
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    for layer, kept in zip(layers, best, strict=True):
        layer[:] = kept


def _crossings(layers: Sequence[Sequence[_Slot]]) -> int:
    crossings = 0
    for upper, lower in itertools.pairwise(layers):
        at = {id(slot): place for place, slot in enumerate(lower)}
        ends = [(place, at[id(target)]) for place, slot in enumerate(upper) for target in slot.below]
        crossings += sum((a - c) * (b - d) < 0 for n, (a, b) in enumerate(ends) for c, d in ends[:n])
    return crossings


def _place(layers: Sequence[Sequence[_Slot]]) -> None:
    """Move slots towards their neighbours, as far as the room between boxes allows.

    Each step makes the weighted squares of all ways' sidesteps smaller, so that they come to rest.
    """
    for layer in layers:
        _spread(layer, [0.0] * len(layer), [1] * len(layer))
    for sweep in range(200):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted, weights = [], []
            for slot in layer:
                near = [(_weight(slot, other), other.middle) for other in (*slot.above, *slot.below)]
                total = sum(weight for weight, _ in near)
                wanted.append(sum(weight * at for weight, at in near) / total if near else slot.middle)
                weights.append(max(total, 1))
            _spread(layer, wanted, weights)


def _weight(first: _Slot, second: _Slot) -> int:
    """Return how much two slots draw each other: the ways past boxes should be straight."""
    return 1 << 2 * ((first.box is None) + (second.box is None))


def _spread(layer: Sequence[_Slot], wanted: Sequence[float], weights: Sequence[int]) -> None:
    """Set the middles nearest to those wanted (weighted least squares) that keep order and room."""
    offsets = [0.0]
    for left, right in itertools.pairwise(layer):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + _BETWEEN)
    # Pool neighbours that are in each other's way: they move as one block.
    blocks: list[tuple[float, int, int]] = []  # weighted sum, weight, number
    for want, offset, weight in zip(wanted, offsets, weights, strict=True):
        block = (weight * (want - offset), weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] >= block[0] / block[1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    moved = [total / weight for total, weight, number in blocks for _ in range(number)]
    for slot, start, offset in zip(layer, moved, offsets, strict=True):
        slot.middle = start + offset


def _path(first: int, way: Sequence[_Slot]) -> str:
    """Return an arrow: from the lower edge of a box through its slots to the upper edge of another."""
    y = _MARGIN + first * (_HEIGHT + _GAP) + _HEIGHT
    parts = [f"M{way[0].middle:g} {y:g}"]
    for slot, following in itertools.pairwise(way):
        end = y + _GAP - (0 if following.box is None else 4)  # the arrow's head
        bend = _GAP / 2
        parts.append(
            f"C{slot.middle:g} {y + bend:g} {following.middle:g} {end - bend:g} {following.middle:g} {end:g}"
        )
        y += _GAP
        if following.box is None:
            y += _HEIGHT
            parts.append(f"V{y:g}")
    return "".join(parts)
