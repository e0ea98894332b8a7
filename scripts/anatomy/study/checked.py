"""What all models of the study's files share, and what a user reads where a file does not fit one."""

import re
from collections.abc import Hashable
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from anatomy.errors import AnatomyError

EMPTY = "-"
"""How a sheet writes an empty cell."""


class Section(BaseModel):
    """A mapping of a YAML file: with the keys of the model and no other, and values as they stand."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)
    NULLABLE: ClassVar[frozenset[str]] = frozenset()
    """Keys that may be null; others are left out where nothing is meant."""

    @model_validator(mode="before")
    @classmethod
    def _no_other_keys(cls, content: Any) -> Any:
        unknown = [key for key in content if key not in cls.model_fields] if isinstance(content, dict) else []
        if unknown:
            raise fault(f"unknown key '{unknown[0]}'; allowed keys: {', '.join(sorted(cls.model_fields))}")
        for name, field in cls.model_fields.items():
            left_out = field.default is None and name not in cls.NULLABLE
            if left_out and isinstance(content, dict) and content.get(name, "") is None:
                raise fault(f"the key '{name}' is null; leave it out where nothing is meant")
        return content


def as_given(section: Section) -> dict[str, Any]:
    """Return the keys of a section that its file gives, as plain values: what is left out stays out."""
    return section.model_dump(exclude_unset=True)


def fault(message: str) -> PydanticCustomError:
    """Return the exception by which a model refuses what it is given, with a message as it stands."""
    return PydanticCustomError("fault", "{message}", {"message": message})


def _distinct(values: list[Any]) -> list[Any]:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise fault(f"'{twice}' stands twice")
    return values


Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
Distinct = AfterValidator(_distinct)
Names = Annotated[list[str], Field(min_length=1)]
Model = TypeVar("Model", bound=BaseModel)

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "{} or more"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "{} or less"),
    "less_than": ("lt", "less than {}"),
}


def explained(error: ErrorDetails) -> str:
    """Return what is wrong and what is allowed, of one of pydantic's errors."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    shown = f"'{given}'" if isinstance(given, str) else str(given)
    if kind == "missing":
        return f"the key '{error['loc'][-1]}' is required"
    if kind == "literal_error":
        allowed = (name or EMPTY for name in re.findall(r"'([^']*)'", context["expected"]))
        return f"unknown {shown}; allowed: {', '.join(allowed)}"
    if kind in _BOUNDS:
        name, form = _BOUNDS[kind]
        return f"{shown}; allowed: {form.format(f'{context[name]:g}')}"
    if kind == "string_pattern_mismatch":
        return f"{shown} is not of the form {context['pattern']}"
    if kind == "string_too_short":
        return "the text is empty"
    if kind in ("too_short", "too_long"):
        few = kind == "too_short"
        bound = f"{context['min_length']} or more" if few else f"at most {context['max_length']}"
        return f"{shown} is too {'short' if few else 'long'}; allowed: {bound} entries"
    expected = _KINDS.get(kind.partition("_")[0])
    return f"{shown} is not {expected}" if expected else error["msg"]


def first(error: ValidationError) -> ErrorDetails:
    """Return the error that is told: of several the one that is least deep, as the cause of the others."""
    return min(error.errors(include_url=False), key=lambda detail: len(detail["loc"]))


def checked(model: type[Model], content: object, where: str, within: tuple[Hashable, ...] = ()) -> Model:
    """Return the model of a file's content.

    Args:
        model: what the content has to fit.
        content: as YAML gives it.
        where: how messages call the file.
        within: the keys under which the content stands in the file.

    Raises:
        AnatomyError: the content does not fit; the message names place, value and what is allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        detail = first(error)
        keys = [*within, *(detail["loc"][:-1] if detail["type"] == "missing" else detail["loc"])]
        raise AnatomyError(
            f"{where}: {'.'.join(map(str, keys)) or 'top level'}: {explained(detail)}"
        ) from error
