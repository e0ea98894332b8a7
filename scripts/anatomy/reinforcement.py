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

from anatomy import advantages, models, training
from anatomy.critic import Critic
from anatomy.decoding import Sampling, decode
from anatomy.errors import AnatomyError
from anatomy.rng import generator, key

AT_TOKENS = "tokens"
"""Name of the model that is kept when a given number of tokens was generated."""

Reward = Callable[[Mapping[str, Any], str, bool], float]
"""``reward(problem, completion, truncated)``: 1 for a right answer, else 0."""


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
    """The KL to the start model is estimated every so many steps."""
    refills: int = 0
    """How often groups without a signal are drawn anew."""
    overlong: int = 0
    """Tokens before the limit over which the penalty grows to 1; 0 for none."""
    value: Value | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, per in (("checkpoint_every", self.updates), ("steps", self.updates)):
            if getattr(self, name) % per:
                raise AnatomyError(f"{name} {getattr(self, name)} is not a multiple of updates {per}")
        if self.prompts * self.rollouts % self.updates:
            raise AnatomyError(
                f"updates {self.updates} does not divide {self.prompts} prompts x {self.rollouts} rollouts"
            )
        if (self.algorithm == "ppo") != (self.value is not None):
            raise AnatomyError("a value model (value: ...) belongs to algorithm ppo, and to no other")


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

    def replace(self, at: NDArray[np.int64], new: "_Groups", which: NDArray[np.int64]) -> None:
        for name in ("problems", "tokens", "lengths", "logprobs", "correct"):
            getattr(self, name)[at] = getattr(new, name)[which]


class _Rollouts:
    """TRL's rollout hook: draws a step's rollouts, judges them, and keeps the rewards for the advantages.

    A rollout's randomness is keyed by seed, step, place and prompt, the order of problems by the seed alone.
    """

    def __init__(
        self,
        problems: Sequence[Mapping[str, Any]],
        reward: Reward,
        config: Reinforcement,
        tokenizer: PreTrainedTokenizerBase,
        reference: PreTrainedModel,
        seed: int,
    ):
        self.problems, self.reward, self.config = problems, reward, config
        self.tokenizer, self.reference, self.seed = tokenizer, reference, seed
        self.end, self.pad = int(tokenizer.eos_token_id), int(tokenizer.pad_token_id)
        self.ids = [list(tokenizer(row["prompt"])["input_ids"]) for row in problems]
        self.generated = 0
        """Tokens generated so far, those of dropped groups and of greedy responses included."""
        self.rewards = np.zeros((0, 0), np.float32)
        self.greedy = np.zeros(0, np.float32)
        self.logprobs = np.zeros((0, 0), np.float32)
        """(B, T) of the rollouts' tokens under the policy that drew them."""

    def __call__(self, texts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        config, step = self.config, trainer.state.global_step
        chosen = self._next(step // config.updates)
        groups = self._draw(trainer.model, chosen, step, 0)
        trainer._log_metric("zero_signal", float(groups.dull.mean()))
        for attempt in range(1, config.refills + 1):
            dull = np.flatnonzero(groups.dull)
            if not len(dull):
                break
            rng = generator(self.seed, "refill", step, attempt)
            new = self._draw(trainer.model, rng.integers(len(self.problems), size=len(dull)), step, attempt)
            good = np.flatnonzero(~new.dull)
            groups.replace(dull[good], new, good)
        if config.algorithm == "remax":
            self.greedy = self._decode(trainer.model, chosen, None).correct[:, 0]
        self.rewards = groups.correct.copy()
        if config.overlong:
            self.rewards += advantages.overlong(
                torch.from_numpy(groups.lengths), config.max_new_tokens, config.overlong
            ).numpy()
        lengths = groups.lengths.ravel()
        tokens = groups.tokens.reshape(len(texts), -1)
        logprobs = self.logprobs = groups.logprobs.reshape(len(texts), -1)
        prompt_ids = [self.ids[problem] for problem in groups.problems for _ in range(config.rollouts)]
        completion_ids = [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]
        if step % config.kl_every == 0:
            trainer._log_metric("kl", kl(self.reference, prompt_ids, completion_ids, logprobs, self.pad))
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": completion_ids,
            "logprobs": [row[:length].tolist() for row, length in zip(logprobs, lengths, strict=True)],
            "score": self.rewards.ravel().tolist(),
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

    def _draw(self, model: PreTrainedModel, chosen: NDArray[np.int64], step: int, attempt: int) -> _Groups:
        shape = (self.config.rollouts, self.config.max_new_tokens)
        noise = [
            generator(self.seed, "rollout", step, attempt, place, self.problems[problem]["prompt"])
            for place, problem in enumerate(chosen)
        ]
        return self._decode(model, chosen, np.stack([rng.random(shape, np.float32) for rng in noise]))

    def _decode(
        self, model: PreTrainedModel, chosen: NDArray[np.int64], noise: NDArray[np.float32] | None
    ) -> _Groups:
        """Decode and judge; without noise, the one greedy response of each prompt."""
        limit = self.config.max_new_tokens
        sampling = Sampling(self.config.temperature if noise is not None else 0.0, 1.0, limit)
        if noise is None:
            noise = np.zeros((len(chosen), 1, limit), np.float32)
        ids = [self.ids[problem] for problem in chosen]
        decoded = decode(model, ids, noise, sampling, [self.end], self.pad)
        self.generated += int(decoded.lengths.sum())
        correct = np.zeros(decoded.lengths.shape, np.float32)
        for place, problem in enumerate(chosen):
            texts = self.tokenizer.batch_decode(decoded.tokens[place], skip_special_tokens=True)
            for rollout, text in enumerate(texts):
                truncated = not decoded.ended[place, rollout]
                correct[place, rollout] = self.reward(self.problems[problem], text, truncated)
        return _Groups(chosen.copy(), decoded.tokens, decoded.lengths, decoded.logprobs, correct)


class _Reinforcer(GRPOTrainer):  # type: ignore[misc]
    """TRL's GRPO trainer with the advantages of any of the algorithms, and totals in its log."""

    def __init__(self, rollouts: _Rollouts, critic: Critic | None, **arguments: Any):
        super().__init__(rollout_func=rollouts, **arguments)
        self.rollouts, self.critic = rollouts, critic
        self.remove_callback(PrinterCallback)
        self.seconds, self._last_log = 0.0, time.monotonic()

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        output["advantages"] = self._advantages(output)
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
        drawn = not torch.is_grad_enabled() and model is self.model
        if drawn and self.rollouts.config.temperature == 1 and len(told) == len(input_ids):
            return torch.from_numpy(told).to(input_ids.device), None, None
        asked: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
        asked = super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, logits_to_keep, *rest, **named
        )
        return asked

    def _advantages(self, batch: Mapping[str, Any]) -> torch.Tensor:
        mask = batch["completion_mask"]
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
                values = self.critic.values(*tensors)
            found, returns = advantages.gae(
                rewards.flatten(), values, mask, config.value.gamma, config.value.lam
            )
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
        torch.save({**state, "critic": critic}, folder / "reinforcement.pt")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            state = torch.load(Path(checkpoint) / "reinforcement.pt", weights_only=True)
            self.seconds, self.rollouts.generated = state["seconds"], state["generated"]
            if self.critic:
                self.critic.restore(state["critic"])


class _Kept(training.Checkpoints):
    """Keeps a model, besides those at named steps, when a number of tokens was generated."""

    def __init__(self, rollouts: _Rollouts, tokens: int, *arguments: Any):
        super().__init__(*arguments)
        self.rollouts, self.tokens = rollouts, tokens

    def on_step_end(self, args: Any, state: Any, control: Any, model: PreTrainedModel, **_: Any) -> None:
        super().on_step_end(args, state, control, model)
        reached = self.tokens and self.rollouts.generated >= self.tokens
        if reached and not (self.work / AT_TOKENS).exists():
            self.export(model, AT_TOKENS)


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
    fingerprint = {
        "config": asdict(config),
        "seed": seed,
        "start": json.loads((start / models.MANIFEST).read_text()),
        "data": key(*(row["prompt"] for row in problems)),
        "kept": [*exports, tokens],
    }
    resume = training.resume_from(work, fingerprint)
    model, tokenizer = models.load(start)
    reference, _ = models.load(start)
    critic = Critic(start, config.value.learning_rate, model.device) if config.value else None
    rollouts = _Rollouts(problems, reward, config, tokenizer, reference, seed)
    trainer = _Reinforcer(
        rollouts,
        critic,
        model=models.trainable(model),
        reward_funcs=_given,
        args=GRPOConfig(
            **training.arguments(work, seed, config.steps, config.checkpoint_every, config.learning_rate),
            per_device_train_batch_size=config.prompts * config.rollouts // config.updates,
            steps_per_generation=config.updates,
            num_generations=config.rollouts,
            max_completion_length=config.max_new_tokens,
            temperature=config.temperature,
            **{"lr_scheduler_type": "constant", "beta": 0.0, "loss_type": "dapo", **config.options},
        ),
        train_dataset=Dataset.from_list([{"prompt": row["prompt"]} for row in problems]),
        processing_class=tokenizer,
        callbacks=[_Kept(rollouts, tokens, work, tokenizer, exports, report)],
    )
    trainer.train(resume_from_checkpoint=resume)
    if tokens and not (work / AT_TOKENS).exists():
        raise AnatomyError(
            f"the run ended after {rollouts.generated:,} generated tokens, before the {tokens:,} at which a"
            " model was to be kept: lower the run's `tokens` in the run sheet, or raise its steps"
        )
    kept = [f"step-{step}" for step in exports] + [AT_TOKENS] * bool(tokens)
    training.publish(work, output, kept)
    return [row for row in trainer.state.log_history if "loss" in row]


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
