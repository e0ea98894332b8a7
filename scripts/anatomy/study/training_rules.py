"""What holds of every training, as the study's files ask for it and as the trainer takes it: stated once.

Without pydantic, since the jobs that train read it too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

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


@dataclass(frozen=True)
class Scale:
    """How a training is spread over processes; each has one GPU, or a share of the cores where none is.

    What ``settings.Sharing`` does not have, a line of the sheet of runs says.
    """

    processes: int = 1
    """On each node."""
    nodes: int = 1
    sharding: Sharding = "none"
    """``none``: every process holds the whole model. ``fsdp2``: its part of weights, gradients, moments."""
    rollouts: Rollouts = "decoder"
    """Who draws them: this project's decoder, or vLLM."""
    vllm_mode: VllmMode = "colocate"
    """Within the training's processes, or a server that already runs (its address among TRL's options)."""
    tensor_parallel: int = 1
    """Processes that share one copy of the model in vLLM (colocated)."""
    memory: float = 0.3
    """The share of a GPU's memory that vLLM may take (colocated)."""
    batch: int = 0
    """Rollouts in one forward and backward pass of a process; 0: its whole part of a step."""
    gradient_checkpointing: bool = False
    dtype: Precision = "bfloat16"
    """Of the arithmetic and of the models kept. Master weights are float32."""

    def __post_init__(self) -> None:
        for name, kind in (("sharding", Sharding), ("rollouts", Rollouts), ("vllm_mode", VllmMode)):
            if getattr(self, name) not in get_args(kind):
                raise AnatomyError(
                    f"scale: {name} {getattr(self, name)!r} is none of {', '.join(get_args(kind))}"
                )
        if min(self.processes, self.nodes, self.tensor_parallel) < 1 or self.batch < 0:
            raise AnatomyError(
                "scale: processes, nodes and tensor_parallel must be 1 or more, batch 0 or more"
            )
        if self.sharding == "fsdp2" and self.world == 1:
            raise AnatomyError("scale: sharding fsdp2 needs more than one process")
        if self.processes % self.tensor_parallel:
            raise AnatomyError(
                f"scale: tensor_parallel {self.tensor_parallel} does not divide the {self.processes}"
                " processes of a node, and vLLM's copies must not span nodes"
            )

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.processes * self.nodes
