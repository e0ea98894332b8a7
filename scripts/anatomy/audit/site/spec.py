"""What the audit site shows of a study, and where its pages come from."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anatomy.audit.site.chain import Picture

TEMPLATES = Path(__file__).with_name("pages")
ALL = 3000
"""Up to so many numbers have a page each; of more, those of the paper. The others have a row of a table."""
ROUNDING = {
    "percent": "a share as percent, to one decimal",
    "points": "a difference of shares in percentage points, signed, to one decimal",
    "decimal": "to two decimals",
    "amount": "to two significant digits",
    "plain": "as it stands in the table",
    "k": "a number of samples, to one decimal; > means beyond the largest k",
    "p": "a p-value, to three decimals",
}
"""What the rules of ``reporting.shown`` do, in words."""
WORK = {
    "download_model": "downloads a model",
    "download_benchmark": "downloads a benchmark",
    "world": "draws problems",
    "tasks": "draws programming tasks",
    "split": "takes a part of another benchmark",
    "benchmark": "reads a benchmark",
    "annotate": "writes plans, knowledge and subproblems",
    "scaffold": "writes prompts",
    "pretrain": "trains a model from scratch",
    "distill": "trains a model on another one's completions",
    "train": "trains a model by reinforcement learning",
    "finetune": "trains a model on solutions",
    "match_entropy": "finds the temperature of equal entropy",
    "sample": "samples completions",
    "resample": "samples more where two models disagree",
    "probe": "samples completions under other conditions",
    "grade": "judges completions",
    "count": "counts verdicts",
    "recount": "counts verdicts",
    "count_probes": "counts verdicts",
    "score": "computes likelihoods of texts",
    "table": "computes statistics",
    "figure": "draws tables",
    "collect_numbers": "collects the reported numbers",
    "ledger": "chains all records",
    "typeset": "sets the paper",
}
"""What a rule's jobs do, in words; nothing for a rule that is not here."""
LARGEST = 1 << 20
"""Bytes of a source file that has its text on its page."""
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


@dataclass(frozen=True)
class Spec:
    """What a study's settings say of its site."""

    artifacts: Mapping[str, Mapping[str, Any]]
    """Tables and figures by name, as in artifacts.yaml."""
    claims: Mapping[str, Mapping[str, Any]]
    completions: int | None
    """Completions of each problem whose text is shown; None for all."""


@dataclass
class Source:
    """A source file as it was recorded: its digest, and under which path and at which commit it was used."""

    digest: str
    uses: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Path, commit and whether the file was as committed -> number of jobs."""

    @property
    def path(self) -> str:
        """The first of the paths under which the file was used."""
        return min(path for path, _, _ in self.uses)

    @property
    def page(self) -> str:
        """Its page."""
        return f"source/{self.digest}.html"


@dataclass(frozen=True)
class Chain:
    """A drawn chain, its page, and how it looks on the pages of results."""

    page: str
    picture: Picture
    shown: str


@dataclass(frozen=True)
class Counted:
    """What a counts file says of the problems that a number is about."""

    path: str
    name: str
    page: str
    rows: list[dict[str, Any]]


def visible(value: object) -> object:
    """Return text with what would be invisible, or turn its direction, escaped; other values as given."""
    if type(value) is str:
        return _HIDDEN.sub(lambda hidden: f"\\u{ord(hidden[0]):04x}", value)
    return value


def slug(parts: Iterable[str]) -> str:
    """Return a file's name made of parts."""
    return "~".join(re.sub(r"[^A-Za-z0-9.+-]+", "_", part) for part in parts)
