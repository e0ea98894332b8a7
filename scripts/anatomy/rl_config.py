"""What a run of reinforcement learning is told, and what must agree in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anatomy.algorithms import registry
from anatomy.distributed import Scale
from anatomy.errors import AnatomyError


@dataclass(frozen=True)
class Value:
    """A value model and the advantages from it."""

    learning_rate: float
    gamma: float
    """Discount of a token's return."""
    lam: float
    """Lambda of generalised advantage estimation."""


@dataclass(frozen=True)
class Reinforcement:
    """One run; ``options`` are further fields of TRL's GRPOConfig.

    Raises:
        AnatomyError: The algorithm is unknown, or two settings do not agree.
    """

    algorithm: str
    """A module of ``anatomy.algorithms``."""
    steps: int
    """Optimiser steps."""
    prompts: int
    """Prompts that are sampled together."""
    rollouts: int
    """Completions a prompt (the group)."""
    updates: int
    """Optimiser steps that share the rollouts of ``prompts`` prompts, each with its part of them."""
    learning_rate: float
    temperature: float
    max_new_tokens: int
    checkpoint_every: int
    """Steps; a multiple of ``updates``, since rollouts in hand are not kept."""
    kl_every: int
    """The KL to the start model is estimated every so many steps; 0 for never."""
    refills: int = 0
    """How often groups without a signal are drawn anew."""
    overlong: int = 0
    """Tokens before the limit over which the penalty grows to 1; 0 for none."""
    value: Value | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    scale: Scale | None = None
    """How it is spread over processes; nothing for one process with this project's decoder."""

    def __post_init__(self) -> None:
        for name, per in (("checkpoint_every", self.updates), ("steps", self.updates)):
            if getattr(self, name) % per:
                raise AnatomyError(f"{name} {getattr(self, name)} is not a multiple of updates {per}")
        if self.prompts * self.rollouts % self.updates:
            raise AnatomyError(
                f"updates {self.updates} does not divide {self.prompts} prompts x {self.rollouts} rollouts"
            )
        if registry.find(self.algorithm).value_model != (self.value is not None):
            learners = " or ".join(registry.value_learners())
            raise AnatomyError(f"a value model (value: ...) belongs to algorithm {learners}, and to no other")
        if self.prompts % self.world:
            raise AnatomyError(
                f"{self.prompts} prompts cannot be divided among {self.world} processes: change the preset's"
                " prompts, or the run's nodes and gpus"
            )
        if self.rows % (self.world * self.batch):
            raise AnatomyError(
                f"an optimiser step's {self.rows} rollouts cannot be divided among {self.world} processes in"
                f" passes of {self.batch}: change the scale's batch, or the preset's updates"
            )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Reinforcement":
        """Make one from plain values, such as a preset.

        Args:
            values: Fields by name; ``value`` and ``scale`` as mappings of their own fields.

        Raises:
            AnatomyError: The algorithm is unknown, or two settings do not agree.
        """
        parts = {
            name: kind(**values[name])
            for name, kind in (("value", Value), ("scale", Scale))
            if values.get(name) is not None
        }
        return cls(**{**values, **parts})

    @property
    def world(self) -> int:
        """Processes."""
        return self.scale.world if self.scale else 1

    @property
    def rows(self) -> int:
        """Rollouts of an optimiser step."""
        return self.prompts * self.rollouts // self.updates

    @property
    def batch(self) -> int:
        """Rollouts of a forward and backward pass of one process."""
        return (self.scale.batch if self.scale else 0) or max(1, self.rows // self.world)
