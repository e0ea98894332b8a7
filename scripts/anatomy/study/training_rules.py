"""What holds of every training, as the study's files ask for it and as the trainer takes it: stated once.

Without pydantic, since the jobs that train read it too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from anatomy.algorithms import registry
from anatomy.errors import AnatomyError

if TYPE_CHECKING:
    Algorithm = str
else:
    Algorithm = Literal[(*registry.names(), "sft")]
    """Of a run: ``sft`` fine-tunes on reference solutions, every other one is reinforcement learning."""
Sharding = Literal["none", "fsdp2"]
Rollouts = Literal["decoder", "vllm"]
VllmMode = Literal["colocate", "server"]
Precision = Literal["bfloat16", "float32"]


@dataclass(frozen=True)
class Division:
    """How a run of reinforcement learning divides its steps and rollouts."""

    algorithm: str
    steps: int
    """Optimiser steps."""
    checkpoint_every: int
    """Steps."""
    prompts: int
    """Prompts that are sampled together."""
    rollouts: int
    """Completions a prompt."""
    updates: int
    """Optimiser steps that share the rollouts."""
    value: bool
    """Whether there is a value model."""
    processes: int = 1
    passes_of: int = 0
    """Rollouts of a process's forward and backward pass; 0: its whole part of a step."""

    @property
    def rows(self) -> int:
        """Rollouts of an optimiser step."""
        return self.prompts * self.rollouts // self.updates

    @property
    def batch(self) -> int:
        """Rollouts of a forward and backward pass of one process."""
        return self.passes_of or max(1, self.rows // self.processes)

    def check(self) -> None:
        """Raise AnatomyError, with what to change, where something does not divide or go together."""
        for name, number in (("steps", self.steps), ("checkpoint_every", self.checkpoint_every)):
            if number % self.updates:
                raise AnatomyError(f"{name} {number} is not a multiple of updates {self.updates}")
        if self.prompts * self.rollouts % self.updates:
            raise AnatomyError(
                f"updates {self.updates} does not divide {self.prompts} prompts x {self.rollouts} rollouts"
            )
        if registry.find(self.algorithm).value_model != self.value:
            learners = " or ".join(registry.value_learners())
            raise AnatomyError(f"a value model (`value`) belongs to algorithm {learners}, and to no other")
        if self.prompts % self.processes:
            raise AnatomyError(
                f"{self.prompts} prompts cannot be divided among {self.processes} processes: change the"
                " preset's prompts, or the run's nodes and gpus"
            )
        if self.rows % (self.processes * self.batch):
            raise AnatomyError(
                f"an optimiser step's {self.rows} rollouts cannot be divided among {self.processes} processes"
                f" in passes of {self.batch}: change the preset's scale.batch or updates, or the run's nodes"
                " and gpus"
            )
