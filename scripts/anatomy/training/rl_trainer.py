"""Reinforcement learning with verifiable rewards, by any algorithm of ``anatomy.algorithms``, on TRL.

TRL draws prompts, optimises the clipped surrogate and keeps checkpoints: its GRPO trainer does. Ours are the
rollouts (the fast decoder, through TRL's hook), their rewards, and the advantages and options of the loss, in
which the algorithms differ.

Several processes (``Reinforcement.scale``) divide a step's prompts among them. Whatever needs the whole batch
(refills, whitening, totals, which rollouts share an optimiser step) is computed from the gathered rollouts,
the same in each process.

What is guaranteed. In a given number of processes on CPUs, with one number of threads: the same weights to
the bit, also for a run that was killed or asked to end and started again. In another number of processes: the
same optimisation, of rollouts that are equal as long as the weights are; both agree up to rounding, until a
rounding difference turns a token. On GPUs, and with vLLM's rollouts: runs of the same distribution.

Source: Yue et al. 2025, section 4.3 and appendix D.4, in the form of verl, with which their runs were made.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import add_fused_lm_head, split_tensor_dict

from anatomy.algorithms import registry
from anatomy.algorithms.registry import Batch
from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.names import AT_TOKENS, MANIFEST
from anatomy.rng import key
from anatomy.training import checkpoints, fsdp
from anatomy.training.decoders import Decoder, OwnDecoder, VllmDecoder
from anatomy.training.rl_config import Reinforcement
from anatomy.training.rl_rollouts import Graded, Reward, Rollouts
from anatomy.training.value_model import Critic


class _Reinforcer(GRPOTrainer):  # type: ignore[misc]
    """TRL's GRPO trainer with the advantages of any of the algorithms, and totals in its log."""

    def __init__(self, rollouts: Rollouts, critic: Critic | None, **arguments: Any):
        super().__init__(rollout_func=rollouts, **arguments)
        self.rollouts, self.critic = rollouts, critic
        self.algorithm = registry.find(rollouts.config.algorithm)
        self._buffered_inputs: list[dict[str, Any]] | None
        self.remove_callback(PrinterCallback)
        self.seconds, self._last_log = 0.0, time.monotonic()

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """As TRL's, but that the rollouts of all processes are shuffled together, and tokens counted by step.

        Which rollouts share an optimiser step is then the same for any number of processes.
        """
        parts = self.args.steps_per_generation
        if self._step % parts == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            order = torch.randperm(self.rollouts.rewards.size, device="cpu")
            self._buffered_inputs = split_tensor_dict(self._dealt(batch, order), parts)
            self._count_tokens(self._buffered_inputs)
        part: dict[str, Any] = self._buffered_inputs[self._step % parts]
        return part

    def _count_tokens(self, passes: Sequence[dict[str, Any]]) -> None:
        """Have the loss be the mean over the tokens of an optimiser step's rollouts (DAPO, eq. 8).

        TRL divides by those of all rollouts of a draw, divided by its optimiser steps.
        """
        updates = self.rollouts.config.updates
        for step in np.array_split(np.arange(len(passes)), updates):
            tokens = self.accelerator.reduce(sum(_taking_part(passes[one]).sum() for one in step))
            for one in step:
                passes[one]["num_items_in_batch"] = tokens * updates

    def _dealt(self, batch: Mapping[str, Any], order: Tensor) -> dict[str, Any]:
        """Deal all processes' rows anew, in an order of which each pass over all processes takes the next."""
        config = self.rollouts.config
        order = order.to(self.accelerator.device)
        if config.world > 1:
            torch.distributed.broadcast(order, 0)
        dealt = order.view(-1, config.world, config.batch)[:, self.accelerator.process_index].flatten()
        return {
            name: value if value is None or not value.ndim
            else checkpoints.rows_of_everyone(value, left=name.startswith("prompt"))[dealt]
            for name, value in batch.items()
        }  # fmt: skip

    def _own(self, whole: Tensor, width: int) -> Tensor:
        """Return this process's rows of what is known of all, (B,) or (B, T) cut to a width."""
        rows = len(whole) // self.accelerator.num_processes
        own = whole[self.accelerator.process_index * rows :][:rows]
        return own if own.ndim == 1 else own[:, :width]

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        whole = output["completion_mask"]
        # TRL's name for what is masked in the loss alone, besides padding.
        used = self._own(torch.from_numpy(self.rollouts.used), 1).to(whole)
        output["tool_mask"] = used[:, None].expand_as(whole)
        mask = _taking_part(output)
        found = self._advantages({**output, "completion_mask": mask}, checkpoints.rows_of_everyone(mask))
        output["advantages"] = self._own(found, whole.shape[1])
        return output

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *rest: Any, **named: Any
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Spare TRL a forward pass: the decoder has told the rollouts' log-probabilities already.

        TRL asks for them without gradients, for the policy that drew them. At another temperature than 1 it
        means those of the scaled distribution, which the decoder does not tell. The decoder works in float32;
        where TRL trains in bfloat16, its own would differ from them in the third decimal.
        """
        told = self.rollouts.logprobs[:, :logits_to_keep]
        drawn = not torch.is_grad_enabled() and model is self.model and self.rollouts.decoder.tells
        if drawn and self.rollouts.config.temperature == 1 and len(told) == len(input_ids):
            return torch.from_numpy(told).to(input_ids.device), None, None
        asked: tuple[Tensor, Tensor | None, Tensor | None]
        asked = super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, logits_to_keep, *rest, **named
        )
        return asked

    def _advantages(self, batch: Mapping[str, Any], mask: Tensor) -> Tensor:
        """Return the advantages, (B,) or (B, T), of all processes' rollouts; mask: (B, T) of their tokens."""

        def tensor(known: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(known).to(mask.device)

        found = self.algorithm.advantages(
            Batch(
                rewards=tensor(self.rollouts.rewards),
                mask=mask,
                greedy=tensor(self.rollouts.greedy) if self.algorithm.greedy else None,
                value_model=_Valued(self, batch, mask) if self.algorithm.value_model else None,
            )
        )
        return found if found.shape == mask.shape else found.flatten()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        now = time.monotonic()
        self.seconds += now - self._last_log
        self._last_log = now
        super().log({**logs, "seconds": self.seconds, "generated": self.rollouts.generated}, start_time)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        self._last_log = time.monotonic()
        return super().train(*args, **kwargs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        state = {"seconds": self.seconds, "generated": self.rollouts.generated}
        critic = self.critic.state() if self.critic else None
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if checkpoints.first():
            torch.save({**state, "critic": critic}, folder / "reinforcement.pt")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            # Only the first of several processes looks at the value model's state.
            shared = self.rollouts.config.world > 1
            state = torch.load(Path(checkpoint) / "reinforcement.pt", weights_only=True, mmap=shared)
            self.seconds, self.rollouts.generated = state["seconds"], state["generated"]
            if self.critic:
                self.critic.restore(state["critic"])


def _taking_part(batch: Mapping[str, Any]) -> Tensor:
    """Return (B, T): 1 for the tokens of responses that take part in the update."""
    mask: Tensor = batch["completion_mask"] * batch["tool_mask"]
    return mask


class _Valued:
    """The value model on the rollouts in hand: ``anatomy.algorithms.registry.ValueModel``."""

    def __init__(self, trainer: _Reinforcer, batch: Mapping[str, Any], mask: Tensor):
        config = trainer.rollouts.config
        assert trainer.critic is not None and config.value is not None
        self.trainer, self.critic, self.config, self.mask = trainer, trainer.critic, config, mask
        self.gamma, self.lam, self.clip = config.value.gamma, config.value.lam, config.value.clip
        names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")
        self.tensors = {name: batch[name] for name in names}
        """This process's rollouts."""

    def values(self) -> Tensor:
        with torch.no_grad():
            self.old = checkpoints.rows_of_everyone(self.critic.values(*self.tensors.values()))
        return self.old

    def fit(self, returns: Tensor) -> None:
        trainer, dealt = self.trainer, {**self.tensors, "old": self.old, "returns": returns}
        if self.config.world > 1:
            # An optimiser step of the value model takes the same rollouts in any number of processes.
            dealt |= {name: trainer._own(dealt[name], self.mask.shape[1]) for name in ("old", "returns")}
            dealt = trainer._dealt(dealt, torch.arange(len(returns)))
        *tensors, old, targets = dealt.values()
        loss = self.critic.fit(tuple(tensors), old, targets, self.clip, self.config.updates)
        trainer._metrics["train"]["value_loss"].append(loss)


class _Kept(checkpoints.Checkpoints):
    """Keeps a model, besides those at named steps, when a number of tokens was generated."""

    def __init__(self, rollouts: Rollouts, tokens: int, *arguments: Any):
        super().__init__(*arguments)
        self.rollouts, self.tokens = rollouts, tokens
        # It may have been kept before the training that this one goes on with was ended.
        self.kept = (self.work / AT_TOKENS).exists()

    def on_step_end(self, args: Any, state: Any, control: Any, model: PreTrainedModel, **_: Any) -> None:
        super().on_step_end(args, state, control, model)
        if self.tokens and self.rollouts.generated >= self.tokens and not self.kept:
            self.export(model, AT_TOKENS)
            self.kept = True


def train(arguments: Mapping[str, Any], report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Call ``reinforce`` with plain values, as ``launcher.run`` has them.

    Args:
        arguments: Those of ``reinforce`` by name; ``reward`` as the fields of ``Graded``.
        report: Takes lines on the progress.

    Returns:
        The log: a row a step.

    Raises:
        AnatomyError: As ``reinforce`` does, and where settings do not agree.
    """
    return reinforce(
        Path(arguments["start"]),
        arguments["problems"],
        Graded(**arguments["reward"]),
        Reinforcement.of(arguments["config"]),
        arguments["exports"],
        arguments["tokens"],
        arguments["seed"],
        Path(arguments["work"]),
        Path(arguments["output"]),
        report,
    )


def reinforce(
    start: Path,
    problems: Sequence[Mapping[str, Any]],
    reward: Reward,
    config: Reinforcement,
    exports: Sequence[int],
    tokens: int,
    seed: int,
    work: Path,
    output: Path,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train a start model into ``output/step-<n>`` for each n of ``exports``.

    Args:
        start: Folder of the start model.
        problems: Rows with at least ``prompt``, and what the reward asks for.
        reward: Judges rollouts.
        config: The run's settings.
        exports: Steps after which the model is kept.
        tokens: Above 0, the model after the step by which so many tokens were generated is kept too, as
            ``output/tokens``.
        seed: The training seed.
        work: Folder for checkpoints, from which an interrupted run goes on; gone when all is done.
        output: Folder for the models.
        report: Takes lines on the progress.

    Returns:
        The log: a row a step.

    Raises:
        AnatomyError: A prompt is too long for the model, or the run ends before ``tokens`` were generated.
    """
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    fsdp.begin(config.scale)
    resume = checkpoints.resume_from(
        work,
        {
            "config": asdict(config),
            "seed": seed,
            "start": json.loads((start / MANIFEST).read_text()),
            "data": key(*(row["prompt"] for row in problems)),
            "kept": [*exports, tokens],
        },
    )
    trainer, kept = _trainer(start, problems, reward, config, exports, tokens, seed, work, report)
    checkpoints.fit(trainer, resume, config.updates)
    if tokens and not kept.kept:
        raise AnatomyError(
            f"the run ended after {trainer.rollouts.generated:,} generated tokens, before the {tokens:,} at"
            " which a model was to be kept: lower the run's `tokens` in the run sheet, or raise its steps"
        )
    checkpoints.publish(work, output, [f"step-{step}" for step in exports] + [AT_TOKENS] * bool(tokens))
    return [row for row in trainer.state.log_history if "loss" in row]


def _trainer(
    start: Path,
    problems: Sequence[Mapping[str, Any]],
    reward: Reward,
    config: Reinforcement,
    exports: Sequence[int],
    tokens: int,
    seed: int,
    work: Path,
    report: Callable[[str], None],
) -> tuple[_Reinforcer, _Kept]:
    """Load all models, and return the trainer and what keeps models for it; see ``reinforce``."""
    scale, options = config.scale, {**registry.find(config.algorithm).options, **config.options}
    reference = _reference(start, config, options)
    model, tokenizer = fsdp.load(start, scale)
    decoder = _decoder(start, model, tokenizer, config)
    critic = _critic(start, config, model.device)
    rollouts = Rollouts(problems, reward, config, tokenizer, decoder, reference, seed)
    longest = max(map(len, rollouts.ids)) + config.max_new_tokens
    _check_context(model, longest, config.max_new_tokens)
    kept = _Kept(rollouts, tokens, work, tokenizer, exports, report, fsdp.kept_dtype(scale))
    passes = config.rows // (config.world * config.batch)
    arguments = GRPOConfig(
        **checkpoints.arguments(work, seed, config.steps, config.checkpoint_every, config.learning_rate),
        per_device_train_batch_size=config.batch,
        gradient_accumulation_steps=passes,
        steps_per_generation=config.updates * passes,
        num_generations=config.rollouts,
        max_completion_length=config.max_new_tokens,
        temperature=config.temperature,
        **{**fsdp.options(scale, longest), **options},
    )
    trainer = _Reinforcer(
        rollouts,
        critic,
        model=store.trainable(model),
        reward_funcs=_given,
        args=fsdp.on_cpus(arguments, scale),
        train_dataset=Dataset.from_list([{"prompt": row["prompt"]} for row in problems]),
        processing_class=tokenizer,
        callbacks=[kept],
    )
    return trainer, kept


def _reference(start: Path, config: Reinforcement, options: Mapping[str, Any]) -> PreTrainedModel | None:
    """Return the start model for the KL to it; nothing where none is estimated, or TRL has one to share."""
    if not config.kl_every or (config.scale and options["beta"]):
        return None
    reference, _ = fsdp.load(start, config.scale)
    if config.scale:
        add_fused_lm_head(reference, temperature=config.temperature)
        reference = fsdp.shard(reference, config.scale)
    return reference


def _decoder(
    start: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: Reinforcement
) -> Decoder:
    ends = model.generation_config.eos_token_id
    ends = [ends] if isinstance(ends, int) else list(ends or [])
    ends = list(dict.fromkeys([int(tokenizer.eos_token_id), *ends]))
    if config.scale and config.scale.rollouts == "vllm":
        server = config.scale.vllm_mode == "server"
        return VllmDecoder(ends, int(tokenizer.pad_token_id), server)
    sharded = config.scale is not None and config.scale.sharding == "fsdp2"
    return OwnDecoder(ends, int(tokenizer.pad_token_id), store.load(start)[0] if sharded else None)


def _critic(start: Path, config: Reinforcement, device: torch.device) -> Critic | None:
    if config.value is None:
        return None
    if config.scale and config.world > 1:
        return fsdp.SharedCritic(start, config.value.learning_rate, device, config.scale)
    return Critic(start, config.value.learning_rate, device)


def _check_context(model: PreTrainedModel, longest: int, new: int) -> None:
    context = getattr(model.config, "max_position_embeddings", None)
    if context and longest > context:
        raise AnatomyError(
            f"the longest prompt has {longest - new} tokens: with max_new_tokens {new} that is more than the"
            f" {context} positions of the model; lower max_new_tokens in the run's preset, or drop the prompt"
        )


def _given(completions: Sequence[str], score: list[float], **_: Any) -> list[float]:
    """TRL's reward function: the rollout hook has judged the completions already."""
    return score
