"""What a figure is drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Inputs:
    """The tables of a figure, and what config/artifacts.yaml says of it."""

    tables: Sequence[str]
    """Paths of the tables, in the order of their declaration; those to lay over come last."""
    arms: Mapping[str, str] = field(default_factory=dict)
    """Labels of the arms, in the study's order."""
    overlay: Mapping[str, Any] = field(default_factory=dict)
    """What of published tables is laid over (see ``figures.overlay``)."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The figure's own options."""
