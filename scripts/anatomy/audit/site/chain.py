"""The chain behind a page as a picture: jobs of one rule in one box, in layers from raw data to the result.

Arrows that only shorten a longer way are left out of the picture; the list of boxes names every input.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from anatomy.audit.job_record import File, Record
from anatomy.audit.site.layout import WIDTH, Box, laid_out

_SUBTITLE = 26
"""Characters of 11 pixels that fit into a box."""
_RAW = 3
"""Files that no job made have a box each, up to so many that the same boxes read."""
_NAMES = ("arm", "model", "run", "scorer", "benchmark", "table", "figure")
"""Wildcards that name a job, the most telling first."""


class Graph:
    """All jobs of a study, each after those that it depends on (an index each), and what is behind each."""

    def __init__(self, jobs: Sequence[Record]):
        self.jobs = jobs
        self.makers = {file.path: place for place, job in enumerate(jobs) for file in job.outputs}
        self.parents: list[list[int]] = []
        self.raw: list[list[File]] = []
        """Inputs that no job made."""
        self._behind: list[int] = []  # a bit for each job
        for place, job in enumerate(jobs):
            made = {self.makers[file.path] for file in job.inputs if file.path in self.makers}
            self.parents.append(sorted(made))
            self.raw.append([file for file in job.inputs if file.path not in self.makers])
            mask = 1 << place
            for parent in made:
                mask |= self._behind[parent]
            self._behind.append(mask)

    def behind(self, paths: Iterable[str]) -> list[int]:
        """Return the jobs that files are made by, and all that those depend on, in their order."""
        mask = 0
        for path in paths:
            if path in self.makers:
                mask |= self._behind[self.makers[path]]
        return [place for place in range(mask.bit_length()) if mask >> place & 1]


@dataclass
class Picture:
    """A drawn chain: boxes with their places, arrows as paths of SVG, and the size of all, in pixels."""

    boxes: list[Box]
    arrows: Sequence[str]
    width: int
    height: int

    @cached_property
    def jobs(self) -> int:
        """How many jobs there are in all boxes."""
        return sum(len(box.jobs) for box in self.boxes)

    @cached_property
    def steps(self) -> list[Box]:
        """The boxes but for the result."""
        return [box for box in self.boxes if box.kind != "result"]


def draw(graph: Graph, last: int, inputs: Sequence[str], title: str, subtitle: str) -> Picture:
    """Draw the chain of a result.

    Args:
        graph: The study's jobs.
        last: The job that made the result.
        inputs: Those of its inputs that matter.
        title: What the result's box says.
        subtitle: What it says below.
    """
    jobs = [place for place in graph.behind(inputs) if place != last]
    wanted = set(inputs)
    parents = {place: graph.parents[place] for place in jobs}
    raw = {place: graph.raw[place] for place in jobs}
    parents[last] = [place for place in graph.parents[last] if _reads(graph, place, wanted)]
    raw[last] = [file for file in graph.raw[last] if file.path in wanted]
    groups, edges = _grouped(graph, [*jobs, last], parents)
    boxes = [_job_box(graph, rule, turn, members) for (rule, turn), members in groups.items()]
    of = dict(zip(groups, boxes, strict=True))
    for group, sources in edges.items():
        of[group].made_from = [of[source] for source in groups if source in sources]
    boxes = [*_raw_boxes(groups, of, raw), *boxes]
    result = Box(
        "result", title, _cut(subtitle), "result", made_from=[next(b for b in boxes if last in b.jobs)]
    )
    boxes.append(result)
    for box in boxes:
        box.width = max(WIDTH, 24 + math.ceil(8.2 * len(box.title)))
    layout = laid_out(boxes)
    for box, corner in zip(boxes, layout.corners, strict=True):
        box.x, box.y = corner
    return Picture(boxes, layout.arrows, layout.width, layout.height)


def _reads(graph: Graph, parent: int, wanted: set[str]) -> bool:
    return any(file.path in wanted for file in graph.jobs[parent].outputs)


# Jobs into boxes -------------------------------------------------------------------------------------

_Group = tuple[str, int]


def _grouped(
    graph: Graph, jobs: Sequence[int], parents: Mapping[int, Sequence[int]]
) -> tuple[dict[_Group, list[int]], dict[_Group, set[_Group]]]:
    """Return jobs by rule, and what each group is made from, so that no group depends on itself.

    Where a rule runs again on what it led to (a second stage of training, say), its jobs have a group of
    their own: the second turn, and so on.
    """
    groups: dict[_Group, list[int]] = {}
    edges: dict[_Group, set[_Group]] = {}
    group_of: dict[int, _Group] = {}
    known: dict[tuple[str, frozenset[_Group]], _Group] = {}

    def depends(start: _Group, other: _Group) -> bool:
        todo, seen = [start], set()
        while todo:
            group = todo.pop()
            if group == other:
                return True
            if group not in seen:
                seen.add(group)
                todo += edges[group]
        return False

    for job in jobs:
        rule = graph.jobs[job].rule
        sources = frozenset(group_of[parent] for parent in parents[job])
        if (rule, sources) not in known:
            turn = 0
            while (rule, turn) in groups and any(depends(source, (rule, turn)) for source in sources):
                turn += 1
            known[rule, sources] = (rule, turn)
        group = group_of[job] = known[rule, sources]
        groups.setdefault(group, []).append(job)
        edges.setdefault(group, set()).update(sources)
    return groups, edges


def _job_box(graph: Graph, rule: str, turn: int, members: list[int]) -> Box:
    count = f" \N{MULTIPLICATION SIGN} {len(members)}" if len(members) > 1 else ""
    key = rule if turn == 0 else f"{rule}-{turn + 1}"
    return Box(key, f"{rule}{count}", _cut(names([graph.jobs[job] for job in members])), "job", members)


def names(jobs: Sequence[Record]) -> str:
    """Return what jobs of one rule are about: the names that their wildcards take, in the order of jobs."""
    for wildcard in _NAMES:
        values = dict.fromkeys(job.wildcards[wildcard] for job in jobs if wildcard in job.wildcards)
        if values:
            return ", ".join(values)
    return ""


def _cut(text: str) -> str:
    """Return the whole words of a list that fit into a box, and how many more there are."""
    if len(text) <= _SUBTITLE:
        return text
    words = text.split(", ")
    for kept in range(len(words) - 1, 0, -1):
        shown = f"{', '.join(words[:kept])} and {len(words) - kept} more"
        if len(shown) <= _SUBTITLE:
            return shown
    return text[: _SUBTITLE - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _raw_boxes(
    groups: Mapping[_Group, list[int]], of: Mapping[_Group, Box], raw: Mapping[int, Sequence[File]]
) -> list[Box]:
    """Return boxes for the files that no job made, those that the same boxes read together."""
    readers: dict[str, dict[str, Box]] = {}
    files: dict[str, File] = {}
    for group, members in groups.items():
        for job in members:
            for file in raw[job]:
                files.setdefault(file.path, file)
                readers.setdefault(file.path, {})[of[group].key] = of[group]
    together: dict[tuple[str, ...], list[str]] = {}
    for path in sorted(readers):
        together.setdefault(tuple(readers[path]), []).append(path)
    boxes: list[Box] = []
    for paths in together.values():
        parts = [[path] for path in paths] if len(paths) <= _RAW else [paths]
        for part in parts:
            name = part[0].rpartition("/")[2] if len(part) == 1 else f"{len(part)} files"
            box = Box(f"file-{len(boxes) + 1}", _short(name), "made by no job", "file")
            box.files = [files[path] for path in part]
            boxes.append(box)
            for reader in readers[part[0]].values():
                reader.made_from.append(box)
    return boxes


def _short(name: str) -> str:
    return name if len(name) <= _SUBTITLE else f"{name[: _SUBTITLE - 1]}\N{HORIZONTAL ELLIPSIS}"
