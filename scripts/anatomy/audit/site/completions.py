"""Completions for the site: what was counted of each problem, and the texts, packed for the browser.

Texts are hostile: they reach a page only inside data that the page's script unpacks and sets as text.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anatomy.audit import hashing
from anatomy.audit.job_record import Record
from anatomy.errors import AnatomyError
from anatomy.storage import parquet

COUNTING = ("count", "recount", "count_probes")
"""Rules that count the verdicts on completions."""
_KEYS = ["problem", "condition", "sample"]
_TEXTS = (*_KEYS, "completion", "tokens", "finish_reason")
_JUDGED = (*_KEYS, "verdict", "answer", "derivation_right", "first_bad_line")
_BARE = "!*'()"
"""What the browser's encodeURIComponent leaves as it is, besides letters, digits and ``-_.~``."""


@dataclass(frozen=True)
class Piece:
    """Completions counted together: those of an arm on a benchmark, or further ones (``name``)."""

    name: str
    """Empty for the arm's own completions; else the counts file's name: probes, extra-...."""
    job: Record

    @property
    def path(self) -> str:
        """The counts file."""
        return self.job.outputs[0].path

    def named(self, kind: str) -> list[str]:
        """Return the files that were counted: ``samples`` or ``verdicts``."""
        files = self.job.result["named"]["inputs"][kind]
        return [files] if isinstance(files, str) else list(files)


@dataclass
class Page:
    """A page and the pieces that it shows: an arm, a training seed, a benchmark."""

    arm: str
    seed: str
    benchmark: str
    pieces: list[Piece] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where the page lies in the site's folder."""
        return f"completions/{self.arm}/{self.seed}/{self.benchmark}.html"


def pages(jobs: Sequence[Record]) -> list[Page]:
    """Return the pages of completions that jobs call for, the arm's own completions first on each."""
    by_place: dict[tuple[str, str, str], Page] = {}
    for job in jobs:
        if job.rule in COUNTING:
            names = job.wildcards
            of = names["arm"], names["seed"], names["benchmark"]
            name = "" if job.rule == "count" else Path(job.outputs[0].path).stem
            by_place.setdefault(of, Page(*of)).pieces.append(Piece(name, job))
    for page in by_place.values():
        page.pieces.sort(key=lambda piece: piece.name)
    return list(by_place.values())


def fragment(problem: str, condition: str, piece: str) -> str:
    """Return the anchor of a problem's completions on their page; the page's script reads it too."""
    parts = {"problem": problem, "condition": condition if condition != "plain" else "", "of": piece}
    return "&".join(f"{name}={quote(value, safe=_BARE)}" for name, value in parts.items() if value)


def counts(folder: Path, path: str) -> list[dict[str, Any]]:
    """Return the rows of a counts file.

    Raises:
        AnatomyError: It was altered.
    """
    return list(parquet.records(folder / path, "counts"))


class Packer:
    """Packs the completions of a study; ``made`` has the job that made each file."""

    def __init__(self, folder: Path, made: Mapping[str, Record], limit: int | None):
        """Prepare to pack.

        Args:
            folder: The repository.
            made: The job that made each file.
            limit: Completions of each problem whose text is kept; None for all.
        """
        self.folder, self.made, self.limit = folder, made, limit
        self._problems = lru_cache(maxsize=16)(self._read_problems)
        self._prompts = lru_cache(maxsize=16)(self._read_prompts)

    def script(self, page: Page) -> str:
        """Return the page's data as a script: a list of problem, condition, piece and what ``_packed`` gives.

        Raises:
            AnatomyError: A file is missing or altered, or verdicts are not those of the completions.
        """
        chunks = []
        for piece in page.pieces:
            for (problem, condition), columns in self._columns(piece).items():
                chunks.append([problem, condition, piece.name, _packed(columns)])
        # A list item a line: a change of one problem is a change of one line.
        lines = ",\n".join(json.dumps(chunk) for chunk in chunks)
        return f"audit.completions([\n{lines}\n]);\n"

    def _columns(self, piece: Piece) -> dict[tuple[str, str], dict[str, Any]]:
        """Return for each problem and condition what the page shows: question, prompt, a list a column."""
        columns_of: dict[tuple[str, str], dict[str, Any]] = {}
        if self.limit == 0:
            return columns_of
        shards = piece.named("samples")
        for shard, (samples, verdicts) in enumerate(zip(shards, piece.named("verdicts"), strict=True)):
            graded = self.made[verdicts]
            named = graded.result["named"]["inputs"]
            problems = self._problems(named["problems"])
            prompts = self._prompts(named["prompts"])
            for row, text, judged in self._rows(samples, verdicts):
                key = text["problem"], text["condition"]
                if key not in columns_of:
                    question, answers = problems.get(key[0], ("", []))
                    given = {"question": question, "answers": answers, "prompt": prompts.get(key, "")}
                    columns_of[key] = {**given, "shards": shards, "rows": []}
                columns_of[key]["rows"].append(
                    [
                        *(text["sample"], judged["verdict"], judged["answer"], judged["derivation_right"]),
                        *(judged["first_bad_line"], text["tokens"], text["finish_reason"], shard, row),
                        text["completion"],
                    ]
                )
        for columns in columns_of.values():
            columns["rows"] = list(map(list, zip(*columns["rows"], strict=True)))
        return columns_of

    def _rows(self, samples: str, verdicts: str) -> Iterator[tuple[int, dict[str, Any], dict[str, Any]]]:
        """Yield the rows to keep of a shard: row in it, completion, verdict.

        Texts are read a row group at a time, some megabytes, and only groups with rows to keep.
        """
        import pyarrow.parquet as pq

        for path in (samples, verdicts):
            self._check(path)
        judged = pq.read_table(self.folder / verdicts, columns=list(_JUDGED))
        with pq.ParquetFile(self.folder / samples) as texts:
            first = 0
            for group in range(texts.num_row_groups):
                rows = texts.metadata.row_group(group).num_rows
                part = judged.slice(first, rows)
                indices = part["sample"].to_pylist()
                kept = [at for at, sample in enumerate(indices) if self.limit is None or sample < self.limit]
                if kept:
                    whole = texts.read_row_group(group, columns=list(_TEXTS))
                    if whole.select(_KEYS) != part.select(_KEYS):
                        raise AnatomyError(f"{verdicts}: not those of {samples}; delete it and run again")
                    pairs = zip(whole.take(kept).to_pylist(), part.take(kept).to_pylist(), strict=True)
                    for at, (text, verdict) in zip(kept, pairs, strict=True):
                        yield first + at, text, verdict
                first += rows
        if first != judged.num_rows:
            raise AnatomyError(f"{verdicts}: not those of {samples}; delete it and run again")

    def _check(self, path: str) -> None:
        made = self.made[path].output(path)
        try:
            digest = hashing.sha256(self.folder / path, cache=True)
        except OSError as error:
            raise AnatomyError(
                f"{path}: {error.strerror}; run the workflow again, or set audit.completions to 0"
                " for a site without completions' text"
            ) from error
        if made is None or digest != made.sha256:
            raise AnatomyError(
                f"{path}: altered since it was written (its record tells another checksum);"
                " delete it and run the workflow again"
            )

    def _read_problems(self, path: str) -> dict[str, tuple[str, list[str]]]:
        rows = parquet.records(self.folder / path, "problems", ["problem", "text", "answers"])
        return {row["problem"]: (row["text"], row["answers"]) for row in rows}

    def _read_prompts(self, path: str) -> dict[tuple[str, str], str]:
        rows = parquet.records(self.folder / path, "prompts", ["problem", "condition", "prompt"])
        return {(row["problem"], row["condition"]): row["prompt"] for row in rows}


def _packed(value: object) -> str:
    """Return JSON, deflated (without a header) and in base64; the same value gives the same text."""
    return packed(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def packed(text: str) -> str:
    """Return text deflated (without a header) and in base64."""
    squeezed = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(squeezed.compress(text.encode()) + squeezed.flush()).decode()
