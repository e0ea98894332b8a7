"""Reinforcement learning with verifiable rewards: seven algorithms on TRL's GRPO trainer.

TRL draws prompts, optimises the clipped surrogate and keeps checkpoints. Ours are the rollouts (the fast
decoder, through TRL's hook), their rewards, and the advantages in which the algorithms differ:

=============  ===========================================================================================
grpo           group mean and standard deviation
dr-grpo        group mean alone; the loss is divided by a constant length (``loss_type: dr_grpo``)
rloo           mean of the others of the group
remax          reward of the greedy response
reinforce++    return-to-go, whitened over the batch's tokens
ppo            a learned value model and generalised advantage estimation, whitened over the batch's tokens
dapo           as grpo; groups all right or all wrong are drawn anew (``refills``), long responses are
               penalised (``overlong``), the clip range is wider above (``epsilon_high``)
=============  ===========================================================================================

Several processes (``Reinforcement.scale``) divide a step's prompts among them. Whatever needs the whole batch
(refills, whitening, totals, which rollouts share an optimiser step) is computed from the gathered rollouts,
the same in each process.

What is guaranteed. In a given number of processes on CPUs, with one number of threads: the same weights to
the bit, also for a run that was killed or asked to end and started again. In another number of processes: the
same optimisation, of rollouts that are equal as long as the weights are; both agree up to rounding, until a
rounding difference turns a token. On GPUs, and with vLLM's rollouts: runs of the same distribution.

Source: Yue et al. 2025, section 4.3 and appendix D.4.
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import add_fused_lm_head, split_tensor_dict

from anatomy import advantages, grading, models, scaffold, sharding, training
from anatomy.critic import Critic
from anatomy.decoding import Sampling
from anatomy.distributed import Scale
from anatomy.errors import AnatomyError
from anatomy.rng import generator, key
from anatomy.rollouts import Decoder, Names, OwnDecoder, VllmDecoder
from anatomy.study.training_rules import AT_TOKENS, Division

Rollout = tuple[Mapping[str, Any], str, bool]
"""A problem, a completion, and whether it was cut off."""
Reward = Callable[[Sequence[Rollout]], Sequence[float]]
"""Rewards of rollouts, which are judged together: 1 for a right answer, else 0."""


@dataclass(frozen=True)
class Graded:
    """The reward that a benchmark's grader gives, as plain values: every process makes it for itself."""

    grader: str
    scheme: str
    answer: str
    """How the template has answers marked."""
    tags: str | None
    """The tags that a response consists of, by its template."""
    opening: str
    """What the template opens a partial response with."""
    workers: int = 1
    """Processes that judge at a time."""

    def __call__(self, rollouts: Sequence[Rollout]) -> list[float]:
        items = [
            grading.Item(problem, completion, truncated, problem.get("prefix") or "")
            for problem, completion, truncated in rollouts
        ]
        openings = [
            self.opening if problem["condition"] in scaffold.PARTIAL else "" for problem, *_ in rollouts
        ]
        marks = grading.Marks(self.answer, self.tags)
        return grading.rewards(self.grader, items, marks, self.scheme, openings, self.workers)


@dataclass(frozen=True)
class Value:
    """PPO's value model and its advantages."""

    learning_rate: float
    gamma: float
    """Discount of a token's return."""
    lam: float
    """Lambda of generalised advantage estimation."""


@dataclass(frozen=True)
class Reinforcement:
    """One run; ``options`` are further fields of TRL's GRPOConfig."""

    algorithm: str
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
        self.division.check()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Reinforcement":
        """Make one from plain values, such as a preset."""
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


@dataclass(frozen=True)
class _Groups:
    """Rollouts of P prompts, G each."""

    problems: NDArray[np.int64]  # (P,)
    tokens: NDArray[np.int64]  # (P, G, T)
    lengths: NDArray[np.int64]  # (P, G)
    logprobs: NDArray[np.float32]  # (P, G, T)
    correct: NDArray[np.float32]  # (P, G)

    @property
    def dull(self) -> NDArray[np.bool_]:
        """(P,): all of the group's rollouts have the same reward, so that nothing can be learned from it."""
        level: NDArray[np.bool_] = self.correct.min(axis=1) == self.correct.max(axis=1)
        return level

    def part(self, of: slice) -> "_Groups":
        """Return some of the prompts' rollouts."""
        return _Groups(*(getattr(self, name)[of] for name in _GROUPS))

    @staticmethod
    def joined(parts: Sequence["_Groups"]) -> "_Groups":
        return _Groups(*(np.concatenate([getattr(part, name) for part in parts]) for name in _GROUPS))

    def replace(self, at: NDArray[np.int64], new: "_Groups", which: NDArray[np.int64]) -> None:
        for name in _GROUPS:
            getattr(self, name)[at] = getattr(new, name)[which]


_GROUPS = ("problems", "tokens", "lengths", "logprobs", "correct")


class _Rollouts:
    """TRL's rollout hook: draws a step's rollouts, judges them, and keeps the rewards for the advantages.

    A rollout's randomness is keyed by seed, step, place and prompt, the order of problems by the seed alone.
    Each process draws and judges the rollouts of its share of the prompts; then all of them know all.
    """

    def __init__(
        self,
        problems: Sequence[Mapping[str, Any]],
        reward: Reward,
        config: Reinforcement,
        tokenizer: PreTrainedTokenizerBase,
        decoder: Decoder,
        reference: PreTrainedModel | None,
        seed: int,
    ):
        self.problems, self.reward, self.config = problems, reward, config
        self.tokenizer, self.decoder, self.reference, self.seed = tokenizer, decoder, reference, seed
        self.pad = int(tokenizer.pad_token_id)
        self.ids = [list(tokenizer(row["prompt"])["input_ids"]) for row in problems]
        self.generated = 0
        """Tokens generated so far, those of dropped groups and of greedy responses included."""
        self.rewards = np.zeros((0, 0), np.float32)
        self.greedy = np.zeros(0, np.float32)
        """Of all processes' rollouts, (P, G), and greedy responses, (P,)."""
        self.logprobs = np.zeros((0, 0), np.float32)
        """(B, T) of this process's rollouts' tokens under the policy that drew them."""

    def __call__(self, texts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        config, step = self.config, trainer.state.global_step
        chosen = self._next(step // config.updates)
        with self.decoder.awake(trainer):
            groups = self._draw(trainer, chosen, step, 0)
            trainer._log_metric("zero_signal", float(groups.dull.mean()))
            for attempt in range(1, config.refills + 1):
                dull = np.flatnonzero(groups.dull)
                if not len(dull):
                    break
                rng = generator(self.seed, "refill", step, attempt)
                new = self._draw(trainer, rng.integers(len(self.problems), size=len(dull)), step, attempt)
                good = np.flatnonzero(~new.dull)
                groups.replace(dull[good], new, good)
            if config.algorithm == "remax":
                self.greedy = self._draw(trainer, chosen, step, 0, greedy=True).correct[:, 0]
        self.rewards = groups.correct.copy()
        if config.overlong:
            self.rewards += advantages.overlong(
                torch.from_numpy(groups.lengths), config.max_new_tokens, config.overlong
            ).numpy()
        share = len(chosen) // config.world
        first = trainer.accelerator.process_index * share
        own = groups.part(slice(first, first + share))
        lengths = own.lengths.ravel()
        tokens = own.tokens.reshape(len(texts), -1)
        logprobs = self.logprobs = own.logprobs.reshape(len(texts), -1)
        prompt_ids = [self.ids[problem] for problem in own.problems for _ in range(config.rollouts)]
        completion_ids = [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]
        if config.kl_every and step % config.kl_every == 0:
            trainer._log_metric("kl", self._kl(trainer, prompt_ids, completion_ids, logprobs))
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": completion_ids,
            "logprobs": [row[:length].tolist() for row, length in zip(logprobs, lengths, strict=True)],
            "score": self.rewards[first : first + share].ravel().tolist(),
        }

    def _next(self, draw: int) -> NDArray[np.int64]:
        """Return the problems of the n-th draw: all of them in one random order after the other.

        TRL's own order begins anew when a run is resumed after its first epoch, so it is not followed.
        """
        at = np.arange(draw * self.config.prompts, (draw + 1) * self.config.prompts)
        epoch, place = np.divmod(at, len(self.problems))
        orders = {
            int(number): generator(self.seed, "order", number).permutation(len(self.problems))
            for number in np.unique(epoch)
        }
        return np.array([orders[int(number)][here] for number, here in zip(epoch, place, strict=True)])

    def _draw(
        self, trainer: GRPOTrainer, chosen: NDArray[np.int64], step: int, attempt: int, greedy: bool = False
    ) -> _Groups:
        """Draw and judge rollouts of the chosen problems, or the one greedy response of each."""
        accelerator = trainer.accelerator
        places = np.array_split(np.arange(len(chosen)), self.config.world)[accelerator.process_index]
        names = [
            (self.seed, "rollout", step, attempt, place, self.problems[chosen[place]]["prompt"])
            for place in map(int, places)
        ]
        own = self._judged(trainer, chosen[places], names, greedy)
        groups = own if self.config.world == 1 else _Groups.joined(training.everyone(own))
        self.generated += int(groups.lengths.sum())
        return groups

    def _judged(
        self, trainer: GRPOTrainer, chosen: NDArray[np.int64], names: Sequence[Names], greedy: bool
    ) -> _Groups:
        config = self.config
        sampling = Sampling(0.0 if greedy else config.temperature, 1.0, config.max_new_tokens)
        ids = [self.ids[problem] for problem in chosen]
        decoded = self.decoder.draw(trainer, ids, names, 1 if greedy else config.rollouts, sampling)
        rollouts = [
            (self.problems[problem], text, not decoded.ended[place, rollout])
            for place, problem in enumerate(chosen)
            for rollout, text in enumerate(
                self.tokenizer.batch_decode(decoded.tokens[place], skip_special_tokens=True)
            )
        ]
        correct = np.array(self.reward(rollouts), np.float32).reshape(decoded.lengths.shape)
        return _Groups(chosen.copy(), decoded.tokens, decoded.lengths, decoded.logprobs, correct)

    def _kl(
        self,
        trainer: GRPOTrainer,
        prompt_ids: Sequence[Sequence[int]],
        completion_ids: Sequence[Sequence[int]],
        logprobs: NDArray[np.float32],
    ) -> float:
        """Estimate the KL to the start model from all processes' rollouts; see ``kl``."""
        if self.config.scale is None:
            assert self.reference is not None
            return kl(self.reference, prompt_ids, completion_ids, logprobs, self.pad)
        count = max(map(len, completion_ids))
        rows = [[*p, *c] for p, c in zip(prompt_ids, completion_ids, strict=True)]
        # Completions end together: they are padded behind, and what they are padded to begins with prompts.
        longest = max(map(len, prompt_ids))
        ids = torch.full((len(rows), longest + count), self.pad)
        seen = torch.zeros_like(ids)
        for row, (given, sequence) in enumerate(zip(prompt_ids, rows, strict=True)):
            at = slice(longest - len(given), longest - len(given) + len(sequence))
            ids[row, at], seen[row, at] = torch.tensor(sequence), 1
        device = trainer.accelerator.device
        with torch.no_grad():
            theirs, _, _ = trainer._get_per_token_logps_and_entropies(
                self.reference or trainer.ref_model,
                ids.to(device),
                seen.to(device),
                count,
                batch_size=self.config.batch,
            )
        ratio = theirs - torch.from_numpy(logprobs[:, :count]).to(device)
        mask = seen[:, -count:].to(device)
        total = torch.where(mask.bool(), ratio.exp() - ratio - 1, 0.0).sum(dtype=torch.float64)
        sums = training.rows_of_everyone(torch.stack([total, mask.sum().to(total.dtype)])[None]).sum(dim=0)
        return float(sums[0] / sums[1])


class _Reinforcer(GRPOTrainer):  # type: ignore[misc]
    """TRL's GRPO trainer with the advantages of any of the algorithms, and totals in its log."""

    def __init__(self, rollouts: _Rollouts, critic: Critic | None, **arguments: Any):
        super().__init__(rollout_func=rollouts, **arguments)
        self.rollouts, self.critic = rollouts, critic
        self._buffered_inputs: list[dict[str, Any]] | None
        self.remove_callback(PrinterCallback)
        self.seconds, self._last_log = 0.0, time.monotonic()

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """As TRL's, but that the rollouts of all processes are shuffled together.

        Which rollouts share an optimiser step is then the same for any number of processes.
        """
        if self.accelerator.num_processes == 1:
            inputs: dict[str, Any] = super()._prepare_inputs(generation_batch)
            return inputs
        parts = self.args.steps_per_generation
        if self._step % parts == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            order = torch.randperm(self.rollouts.rewards.size, device="cpu")
            self._buffered_inputs = split_tensor_dict(self._dealt(batch, order), parts)
        part: dict[str, Any] = self._buffered_inputs[self._step % parts]
        return part

    def _dealt(self, batch: Mapping[str, Any], order: torch.Tensor) -> dict[str, Any]:
        """Deal all processes' rows anew, in an order of which each pass over all processes takes the next."""
        config = self.rollouts.config
        order = order.to(self.accelerator.device)
        torch.distributed.broadcast(order, 0)
        dealt = order.view(-1, config.world, config.batch)[:, self.accelerator.process_index].flatten()
        return {
            name: value if value is None or not value.ndim
            else training.rows_of_everyone(value, left=name.startswith("prompt"))[dealt]
            for name, value in batch.items()
        }  # fmt: skip

    def _own(self, whole: torch.Tensor, width: int) -> torch.Tensor:
        """Return this process's rows of what is known of all, (B,) or (B, T) cut to a width."""
        rows = len(whole) // self.accelerator.num_processes
        own = whole[self.accelerator.process_index * rows :][:rows]
        return own if own.ndim == 1 else own[:, :width]

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        found = self._advantages(output, training.rows_of_everyone(output["completion_mask"]))
        output["advantages"] = self._own(found, output["completion_mask"].shape[1])
        return output

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *rest: Any, **named: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Spare TRL a forward pass: the decoder has told the rollouts' log-probabilities already.

        TRL asks for them without gradients, for the policy that drew them. At another temperature than 1 it
        means those of the scaled distribution, which the decoder does not tell. The decoder works in float32;
        where TRL trains in bfloat16, its own would differ from them in the third decimal.
        """
        told = self.rollouts.logprobs[:, :logits_to_keep]
        drawn = not torch.is_grad_enabled() and model is self.model and self.rollouts.decoder.tells
        if drawn and self.rollouts.config.temperature == 1 and len(told) == len(input_ids):
            return torch.from_numpy(told).to(input_ids.device), None, None
        asked: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
        asked = super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, logits_to_keep, *rest, **named
        )
        return asked

    def _advantages(self, batch: Mapping[str, Any], mask: torch.Tensor) -> torch.Tensor:
        """Return the advantages of all processes' rollouts, whose tokens are those of the mask (B, T)."""
        config = self.rollouts.config
        rewards = torch.from_numpy(self.rollouts.rewards).to(mask.device)
        if config.algorithm == "dr-grpo":
            return advantages.dr_grpo(rewards).flatten()
        if config.algorithm == "rloo":
            return advantages.rloo(rewards).flatten()
        if config.algorithm == "remax":
            greedy = torch.from_numpy(self.rollouts.greedy).to(mask.device)
            return advantages.remax(rewards, greedy).flatten()
        if config.algorithm == "reinforce++":
            return advantages.reinforce_plus_plus(rewards, mask)
        if self.critic and config.value:
            names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")
            tensors = tuple(batch[name] for name in names)
            with torch.no_grad():
                values = training.rows_of_everyone(self.critic.values(*tensors))
            found, returns = advantages.gae(
                rewards.flatten(), values, mask, config.value.gamma, config.value.lam
            )
            if config.world > 1:
                # An optimiser step of the value model takes the same rollouts in any number of processes.
                own = dict(zip(names, tensors, strict=True))
                own["returns"] = self._own(returns, mask.shape[1])
                dealt = self._dealt(own, torch.arange(len(returns)))
                tensors, returns = tuple(dealt[name] for name in names), dealt["returns"]
            self._metrics["train"]["value_loss"].append(self.critic.fit(tensors, returns, config.updates))
            return advantages.whiten(found, mask)
        return advantages.grpo(rewards).flatten()

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
        if training.first():
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


class _Kept(training.Checkpoints):
    """Keeps a model, besides those at named steps, when a number of tokens was generated."""

    def __init__(self, rollouts: _Rollouts, tokens: int, *arguments: Any):
        super().__init__(*arguments)
        self.rollouts, self.tokens = rollouts, tokens
        self.kept = (
            self.work / AT_TOKENS
        ).exists()  # before the training that this one goes on with was ended

    def on_step_end(self, args: Any, state: Any, control: Any, model: PreTrainedModel, **_: Any) -> None:
        super().on_step_end(args, state, control, model)
        if self.tokens and self.rollouts.generated >= self.tokens and not self.kept:
            self.export(model, AT_TOKENS)
            self.kept = True


def train(arguments: Mapping[str, Any], report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Call ``reinforce`` with plain values, as ``distributed.run`` has them; the reward is ``Graded``'s."""
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
    """Train a start model into ``output/step-<n>`` for each n of ``exports``; return its log.

    problems: rows with at least ``prompt``. With ``tokens`` above 0, the model after the step by which so
    many tokens were generated is kept as ``output/tokens``; AnatomyError if the run ends before.
    """
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    scale = config.scale
    sharding.begin(scale)
    fingerprint = {
        "config": asdict(config),
        "seed": seed,
        "start": json.loads((start / models.MANIFEST).read_text()),
        "data": key(*(row["prompt"] for row in problems)),
        "kept": [*exports, tokens],
    }
    resume = training.resume_from(work, fingerprint)
    reference = None
    if config.kl_every and (scale is None or not config.options.get("beta")):
        reference, _ = sharding.load(start, scale)
        if scale:
            add_fused_lm_head(reference)
            reference = sharding.shard(reference, scale)
    model, tokenizer = sharding.load(start, scale)
    decoder = _decoder(start, model, tokenizer, config)
    critic = _critic(start, config, model.device)
    rollouts = _Rollouts(problems, reward, config, tokenizer, decoder, reference, seed)
    passes = config.rows // (config.world * config.batch)
    longest = max(map(len, rollouts.ids)) + config.max_new_tokens
    _check_context(model, longest, config.max_new_tokens)
    kept = _Kept(rollouts, tokens, work, tokenizer, exports, report, sharding.kept_dtype(scale))
    arguments = GRPOConfig(
        **training.arguments(work, seed, config.steps, config.checkpoint_every, config.learning_rate),
        per_device_train_batch_size=config.batch,
        gradient_accumulation_steps=passes,
        steps_per_generation=config.updates * passes,
        num_generations=config.rollouts,
        max_completion_length=config.max_new_tokens,
        temperature=config.temperature,
        **{
            "lr_scheduler_type": "constant",
            "beta": 0.0,
            "loss_type": "dapo",
            **sharding.options(scale, longest),
            **config.options,
        },
    )
    trainer = _Reinforcer(
        rollouts,
        critic,
        model=models.trainable(model),
        reward_funcs=_given,
        args=sharding.on_cpus(arguments, scale),
        train_dataset=Dataset.from_list([{"prompt": row["prompt"]} for row in problems]),
        processing_class=tokenizer,
        callbacks=[kept],
    )
    training.fit(trainer, resume, config.updates)
    if tokens and not kept.kept:
        raise AnatomyError(
            f"the run ended after {rollouts.generated:,} generated tokens, before the {tokens:,} at which a"
            " model was to be kept: lower the run's `tokens` in the run sheet, or raise its steps"
        )
    training.publish(work, output, [f"step-{step}" for step in exports] + [AT_TOKENS] * bool(tokens))
    return [row for row in trainer.state.log_history if "loss" in row]


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
    return OwnDecoder(ends, int(tokenizer.pad_token_id), models.load(start)[0] if sharded else None)


def _critic(start: Path, config: Reinforcement, device: torch.device) -> Critic | None:
    if config.value is None:
        return None
    if config.scale and config.world > 1:
        return sharding.SharedCritic(start, config.value.learning_rate, device, config.scale)
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


@torch.inference_mode()
def kl(
    reference: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    logprobs: NDArray[np.float32],
    pad: int,
) -> float:
    """Estimate KL(policy || reference) in nats per token from rollouts of the policy.

    The mean over tokens of r - log r - 1 with r = reference / policy, unbiased and never negative
    (Schulman 2020, "Approximating KL divergence", estimator k3).
    """
    total = count = 0.0
    rows = [[*p, *c] for p, c in zip(prompt_ids, completion_ids, strict=True)]
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad)
    for row, sequence in enumerate(rows):
        ids[row, : len(sequence)] = torch.tensor(sequence)
    # Right-padded and causal: no token sees the padding behind it, so no mask is needed.
    scores = reference(input_ids=ids.to(reference.device)).logits.float().log_softmax(dim=-1).cpu()
    for row, (given, sequence) in enumerate(zip(prompt_ids, rows, strict=True)):
        at = torch.arange(len(given), len(sequence))
        theirs = scores[row, at - 1, ids[row, at]].numpy()
        log_ratio = theirs - logprobs[row, : len(at)]
        total += float(np.sum(np.exp(log_ratio) - log_ratio - 1))
        count += len(at)
    return total / max(count, 1.0) if math.isfinite(total) else float("nan")
