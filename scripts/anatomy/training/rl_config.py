"""What a run of reinforcement learning is told, and what must agree in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anatomy.study.training_rules import Division
from anatomy.training.launcher import Scale


@dataclass(frozen=True)
class Value:
    """A value model and the advantages from it."""

    learning_rate: float
    gamma: float
    """Discount of a token's return."""
    lam: float
    """Lambda of generalised advantage estimation."""
    clip: float
    """How far a value may move from that of the rollouts before its loss no longer pulls it further."""


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
    """How often groups without a signal are drawn anew; where it is above 0, those that still have none take
    no part in the update."""
    overlong: int = 0
    """Tokens before the limit over which the penalty grows to 1; 0 for none."""
    value: Value | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    scale: Scale | None = None
    """How it is spread over processes; nothing for one process with this project's decoder."""

    def __post_init__(self) -> None:
        self.division.check()

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
    def division(self) -> Division:
        """How steps and rollouts are divided."""
        return Division(
            algorithm=self.algorithm,
            steps=self.steps,
            checkpoint_every=self.checkpoint_every,
            prompts=self.prompts,
            rollouts=self.rollouts,
            updates=self.updates,
            value=self.value is not None,
            processes=self.world,
            passes_of=self.scale.batch if self.scale else 0,
        )

    @property
    def rows(self) -> int:
        """Rollouts of an optimiser step."""
        return self.division.rows

    @property
    def batch(self) -> int:
        """Rollouts of a forward and backward pass of one process."""
        return self.division.batch
