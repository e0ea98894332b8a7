"""The chains behind results, each drawn once, and their pages."""

from collections.abc import Sequence
from pathlib import Path

from anatomy.audit import hashing
from anatomy.audit.site.chain import draw
from anatomy.audit.site.layout import Box
from anatomy.audit.site.spec import Chain, slug
from anatomy.audit.site.writer import Writer


class Chains:
    """The chains that pages ask for."""

    def __init__(self, writer: Writer):
        self._writer, self._site = writer, writer.site
        self._drawn: dict[tuple[str, tuple[str, ...]], Chain] = {}

    def behind(self, path: str, inputs: Sequence[str] | None = None) -> Chain:
        """Return the chain behind a file, or behind those of its rows that are made from some inputs."""
        place = self._site.graph.makers[path]
        wanted = [file.path for file in self._site.graph.jobs[place].inputs]
        name, whole = Path(path).stem, inputs is None or sorted(inputs) == sorted(wanted)
        inputs = wanted if inputs is None else list(inputs)
        key = (path, tuple(sorted(inputs)))
        if key not in self._drawn:
            kind = "figure" if path.startswith(f"{self._site.trail.figures}/") else "table"
            parts = [kind, name] if whole else [kind, name, hashing.of_value(key[1])[:10]]
            shown = (f"the {kind}", name) if whole else ("the number", f"rows of {name}")
            picture = draw(self._site.graph, place, inputs, *shown)
            page = f"chains/{slug(parts)}.html"
            ways = {box.key: self._link(box, page) for box in picture.steps}
            drawn = self._writer.rendered("chain_box.html", up="../", picture=picture, ways=ways, page=page)
            self._drawn[key] = Chain(page, picture, drawn)
        return self._drawn[key]

    def _link(self, box: Box, page: str) -> str:
        """Return the way that a box leads, on a chain's page or away from it."""
        if len(box.jobs) == 1:
            return self._site.job_page(self._site.graph.jobs[box.jobs[0]])
        if len(box.files) == 1:
            return self._site.source_page(box.files[0].sha256) or f"{page}#{box.key}"
        return f"{page}#{box.key}"

    def write(self) -> None:
        """Write a page for each chain that was asked for."""
        for (path, inputs), chain in self._drawn.items():
            jobs = [self._site.graph.jobs[place] for box in chain.picture.boxes for place in box.jobs]
            code = sorted({file for job in jobs for file in job.code.items()})
            self._writer.write(
                chain.page, "chain.html", chain=chain, path=path, inputs=inputs, jobs=jobs, code=code
            )
