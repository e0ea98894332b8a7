"""Entries of the files of tables and figures, and of claims: keys, types, and what is allowed."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from anatomy.study.checked import Names, Section, fault

Need = Literal["counts", "probes", "problems", "training", "extra", "scores", "record"]
Format = Literal["plain", "percent", "points", "decimal", "amount", "k", "p"]
Module = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)*$")]
Pairs = list[Annotated[list[str], Field(min_length=2, max_length=2)]]


def _or_all(value: Any, checked: ValidatorFunctionWrapHandler) -> Any:
    return value if value == "all" else checked(value)


class Artifact(Section):
    """What an entry of a table or a figure may have."""

    title: str
    published: str
    """The figure or table of the papers that it corresponds to, or `none`."""
    needs: list[Need] = Field(default_factory=list)
    """`counts` of the arms; `probes`: of the probed ones, under the other conditions; `problems`;
    `training`: logs of all runs; `extra`: further counts where the arms of a pair disagree; `scores`:
    likelihood of `texts`, and the verdicts on them; `record`: files of `config/published`."""
    tables: Names | None = None
    """Other tables that it is made from."""
    arms: Annotated[Names | None, WrapValidator(_or_all)] = None
    """Arms that it covers; `all`, or left out: all of the study's."""
    pairs: Annotated[Pairs | None, WrapValidator(_or_all)] = None
    """[arm, base] that it compares, paired by problem; `all`: every arm with its base in the arm sheet."""
    benchmarks: Names | None = None
    """Those of its arms' benchmarks that it covers; left out: all."""
    texts: Pairs | None = None
    """[scorer, text]: the model of one arm scores the completions of another, or `gold`, reference
    solutions."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Settings of its own."""


class Table(Artifact):
    """A table."""

    analysis: Module | None = None
    """The module of `scripts/anatomy/analyses/` that makes it; left out: the one of its name."""
    record: Names | None = None
    """Files of `config/published`, without their suffix."""
    keys: Names
    """Columns that name a row."""
    numbers: dict[str, Format]
    """Columns that are reported, with their format."""


Series = Annotated[dict[str, str], Field(min_length=1)]


class Overlay(Section):
    """Published numbers that a figure shows too where the study's `overlay` is on: rows of a table."""

    table: str
    model: str
    """The published model."""
    figures: Names | None = None
    """Of these published figures."""
    benchmarks: Series
    """The published benchmark that stands in a benchmark's panel."""
    arms: Series
    """The published series that stands beside an arm."""


class Figure(Artifact):
    """A figure."""

    draws: Module | None = None
    """The module of `scripts/anatomy/figures/` that draws it; left out: the one of its name."""
    overlay: Overlay | None = None


class Artifacts(Section):
    """Tables and figures of a study, by name."""

    tables: dict[str, Table]
    figures: dict[str, Figure]


# Claims -------------------------------------------------------------------------------------------------


def _is_value(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _value(value: object) -> object:
    if not _is_value(value):
        raise fault(f"{value} is neither a text nor a number")
    return value


def _values(value: object) -> object:
    if not (_is_value(value) or (isinstance(value, list) and value and all(map(_is_value, value)))):
        raise fault(f"{value} is neither a text, a number nor a list of them")
    return value


def _or_reason(value: Any, checked: ValidatorFunctionWrapHandler) -> Any:
    return value if isinstance(value, str) and value else checked(value)


class Evidence(Section):
    """The effects that a claim is about, and where they are expected."""

    table: str
    """A table of the study."""
    where: Annotated[dict[str, Annotated[Any, AfterValidator(_values)]], Field(min_length=1)]
    """Column -> value, or values, of the rows that the claim is about; `k: largest` is each one's last."""
    minus: Annotated[dict[str, Annotated[Any, AfterValidator(_value)]], Field(min_length=1)] | None = None
    """Column -> value of the row that is subtracted from each, as independent."""
    value: str = "estimate"
    """Column of the effect."""
    expected: Literal["above", "below", "within", "beyond"]
    """Where every effect lies: above or below the margin, or no further or further from 0 than it."""
    margin: float | None = None
    """In the table's own unit; needed with `within` and `beyond`, else 0 where it is left out."""
    unit: str = "points"
    """`points` (of shares), or what the column is in."""

    @model_validator(mode="after")
    def _equivalence_has_a_margin(self) -> Self:
        if self.expected in ("within", "beyond") and self.margin is None:
            raise fault(f"the key 'margin' is required where effects are expected {self.expected} it")
        return self


class Statement(Section):
    """What every claim has."""

    statement: str
    source: str


class CounterClaim(Statement):
    """The negation of a claim, about the same effects."""

    counters: str
    """The claim."""


class Claim(Statement):
    """A claim of the literature as a statistical statement."""

    family: str
    """Claims that are corrected for their number together."""
    share: Literal["all", "most", "any"] = "all"
    """How many effects lie as expected."""
    evidence: Annotated[
        dict[
            Annotated[str, Field(pattern="^[a-z]+$")],
            Annotated[Evidence, WrapValidator(_or_reason)],
        ],
        Field(min_length=1),
    ]
    """By scope: the effects, or why there are none."""
