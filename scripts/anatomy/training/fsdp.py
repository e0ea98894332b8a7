"""How a model is loaded, divided among processes, and put together again; what TRL is told of it."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.study.training_rules import Scale
from anatomy.training import checkpoints
from anatomy.training.value_model import Critic, Rows, value_loss


def begin(scale: Scale | None) -> None:
    """Let this process find the others.

    Raises:
        AnatomyError: Their number is not the scale's.
    """
    if scale is None:
        return
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if processes != scale.world:
        raise AnatomyError(
            f"scale: {processes} processes run a training of {scale.world}; start it by distributed.run"
        )
    if scale.world > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def load(start: Path, scale: Scale | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Read a model, in float32, and its tokenizer; a model that is to be sharded, into the host's memory."""
    if scale is None or scale.sharding == "none":
        return store.load(start)
    if checkpoints.first():
        store.check_manifest(start)
    checkpoints.wait()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    return model.eval(), store.load_tokenizer(start)


def kept_dtype(scale: Scale | None) -> torch.dtype | None:
    """Return the type in which models are kept; nothing for that in which they are trained."""
    return torch.bfloat16 if scale and scale.dtype == "bfloat16" else None


def options(scale: Scale | None, context: int) -> dict[str, Any]:
    """Return the fields of GRPOConfig that a scale sets.

    Args:
        scale: How the GPUs share the training.
        context: Tokens of the longest sequence.
    """
    if scale is None:
        return {}
    options: dict[str, Any] = {
        "bf16": scale.dtype == "bfloat16",
        "gradient_checkpointing": scale.gradient_checkpointing,
    }
    if scale.world > 1:
        options["ddp_find_unused_parameters"] = False
    if scale.sharding == "fsdp2":
        # Every process writes its own share of a checkpoint.
        options |= {"fsdp": True, "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT"}}
    if scale.rollouts == "vllm":
        options |= {
            "use_vllm": True,
            "vllm_mode": scale.vllm_mode,
            "vllm_tensor_parallel_size": scale.tensor_parallel,
            "vllm_gpu_memory_utilization": scale.memory,
            "vllm_max_model_length": context,
            "vllm_enable_sleep_mode": torch.cuda.is_available() and scale.vllm_mode == "colocate",
        }
    return options


def on_cpus(arguments: TrainingArguments, scale: Scale | None) -> TrainingArguments:
    """Have Accelerate shard on CPUs too: PyTorch can, but Accelerate 1.15 passes over the setting there."""
    if scale and scale.sharding == "fsdp2" and arguments.device.type == "cpu":
        state = arguments.distributed_state
        state.distributed_type = type(state.distributed_type).MULTI_GPU
    return arguments


def shard(model: PreTrainedModel, scale: Scale, always: bool = False) -> PreTrainedModel:
    """Divide a model among the processes, where the scale says so, or ``always``."""
    if scale.sharding == "none" and not always:
        return model
    half = torch.bfloat16 if scale.dtype == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32 if half else None)
    for layer in model.base_model.layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    return model


class SharedCritic(Critic):
    """A value model that all processes hold and train together, each with its part of the rollouts."""

    def __init__(self, start: Path, learning_rate: float, device: torch.device, scale: Scale):
        super().__init__(start, learning_rate, device)
        self.rows = scale.batch
        shard(self.model, scale, always=True)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=learning_rate, weight_decay=0.0)

    def values(self, prompts: Tensor, prompt_mask: Tensor, completions: Tensor, mask: Tensor) -> Tensor:
        """Return the values, some rows at a time; see ``Critic.values``."""
        tensors, rows = (prompts, prompt_mask, completions, mask), self.rows or len(mask)
        passes = zip(*(torch.split(tensor, rows) for tensor in tensors), strict=True)
        return torch.cat([super(SharedCritic, self).values(*part).float() for part in passes])

    def fit(self, batch: Rows, old: Tensor, returns: Tensor, clip: float, parts: int) -> float:
        """Fit the values, each process on its part of the rows; see ``Critic.fit``."""
        world = torch.distributed.get_world_size()
        losses = []
        for rows in torch.arange(len(returns), device=returns.device).chunk(parts):
            count = batch[3][rows].sum()
            torch.distributed.all_reduce(count)
            self.optimizer.zero_grad()
            loss = torch.zeros((), device=returns.device)
            for few in torch.split(rows, self.rows or len(rows)):
                piece = [tensor[few] for tensor in batch]
                # Gradients are averaged over processes, losses over all processes' tokens.
                losses_of = value_loss(self.values(*piece), old[few], returns[few], clip)
                part = (losses_of * piece[3]).sum() * world / count.clamp(min=1)
                part.backward()  # type: ignore[no-untyped-call]
                loss += part.detach()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            torch.distributed.all_reduce(loss)
            losses.append(float(loss) / world)
        return sum(losses) / len(losses)

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed training needs, in the first process; all must call it."""
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        model, optimizer = get_state_dict(self.model, self.optimizer, options=whole)
        return {"model": model, "optimizer": optimizer}

    def restore(self, state: dict[str, Any]) -> None:
        """Take weights and moments from a checkpoint, which the first process has read."""
        whole = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_state_dict(
            self.model,
            self.optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=whole,
        )
