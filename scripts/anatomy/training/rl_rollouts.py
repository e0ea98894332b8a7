"""The rollouts of reinforcement learning: drawn, judged, and known to all processes of a training."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import GRPOTrainer

from anatomy.algorithms import registry
from anatomy.grading import graders, rewards
from anatomy.models.decoding import Sampling
from anatomy.prompts import templates
from anatomy.rng import generator
from anatomy.training import checkpoints
from anatomy.training.decoders import Decoder, Names
from anatomy.training.rl_config import Reinforcement

Rollout = tuple[Mapping[str, Any], str, bool]
"""A problem, a completion, and whether it was cut off."""
Reward = Callable[[Sequence[Rollout]], Sequence[float]]
"""Rewards of rollouts, which are judged together, on any scale."""
KL = "kl_to_start"
"""The name of ``kl`` in logs, where TRL has a ``kl`` of its own: of the policy after some updates, on tokens
that it did not draw."""


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
            graders.Item(problem, completion, truncated, problem.get("prefix") or "")
            for problem, completion, truncated in rollouts
        ]
        openings = [
            self.opening if problem["condition"] in templates.PARTIAL else "" for problem, *_ in rollouts
        ]
        marks = graders.Marks(self.answer, self.tags)
        return rewards.rewards(self.grader, items, marks, self.scheme, openings, self.workers)


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


class Rollouts:
    """TRL's rollout hook: draws a step's rollouts, judges them, and keeps the rewards for the advantages.

    A rollout's randomness is keyed by seed, step, place and prompt, the order of problems by the seed alone.
    Each process draws and judges the rollouts of its share of the prompts; then all of them know all.

    Args:
        problems: Rows with at least ``prompt``, and what the reward asks for.
        reward: Judges rollouts.
        config: The run's settings.
        tokenizer: The policy's.
        decoder: Draws completions from the policy.
        reference: The start model, for the KL to it; nothing where no KL is estimated, or TRL has one.
        seed: The training seed.
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
        self.greedily = registry.find(config.algorithm).greedy
        self.pad = int(tokenizer.pad_token_id)
        self.ids = [list(tokenizer(row["prompt"])["input_ids"]) for row in problems]
        self.generated = 0
        """Tokens generated so far, those of dropped groups and of greedy responses included."""
        self.rewards = np.zeros((0, 0), np.float32)
        self.greedy = np.zeros(0, np.float32)
        """Of all processes' rollouts, (P, G), and greedy responses, (P,)."""
        self.used = np.zeros(0, np.bool_)
        """(P x G,): whether a rollout takes part in the update."""
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
            if self.greedily:
                self.greedy = self._draw(trainer, chosen, step, 0, greedy=True).correct[:, 0]
        self.rewards = groups.correct.copy()
        # DAPO, eq. 8 and 11: a group is one of neither all right nor all wrong rollouts.
        self.used = np.repeat(~groups.dull | (not config.refills), config.rollouts)
        if config.overlong:
            self.rewards += overlong(groups.lengths, config.max_new_tokens, config.overlong)
        share = len(chosen) // config.world
        first = trainer.accelerator.process_index * share
        own = groups.part(slice(first, first + share))
        lengths = own.lengths.ravel()
        tokens = own.tokens.reshape(len(texts), -1)
        logprobs = self.logprobs = own.logprobs.reshape(len(texts), -1)
        prompt_ids = [self.ids[problem] for problem in own.problems for _ in range(config.rollouts)]
        completion_ids = [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]
        if config.kl_every and step % config.kl_every == 0:
            trainer._log_metric(KL, self._kl(trainer, prompt_ids, completion_ids, logprobs))
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
        groups = own if self.config.world == 1 else _Groups.joined(checkpoints.everyone(own))
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
        """Estimate the KL to the start model from all processes' rollouts; see ``kl``.

        It is that of the distributions that rollouts are drawn from, at their temperature.
        """
        told = not self.decoder.tells or self.config.temperature == 1
        if self.config.scale is None:
            assert self.reference is not None
            rest = (self.pad, self.config.temperature)
            if not told:
                logprobs = token_logprobs(trainer.model, prompt_ids, completion_ids, *rest)
            return kl(self.reference, prompt_ids, completion_ids, logprobs, *rest)
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

        def scores(model: Any) -> torch.Tensor:
            found: torch.Tensor
            with torch.no_grad():
                found, _, _ = trainer._get_per_token_logps_and_entropies(
                    model, ids.to(device), seen.to(device), count, batch_size=self.config.batch
                )
            return found

        drawn = torch.from_numpy(logprobs[:, :count]).to(device) if told else scores(trainer.model)
        ratio = scores(self.reference or trainer.ref_model) - drawn
        mask = seen[:, -count:].to(device)
        total = torch.where(mask.bool(), ratio.exp() - ratio - 1, 0.0).sum(dtype=torch.float64)
        sums = checkpoints.rows_of_everyone(torch.stack([total, mask.sum().to(total.dtype)])[None]).sum(dim=0)
        return float(sums[0] / sums[1])


def overlong(lengths: NDArray[np.int64], limit: int, buffer: int) -> NDArray[np.float32]:
    """Return the soft penalty of long responses. Source: DAPO (arXiv 2503.14476), eq. 13.

    Args:
        lengths: Tokens of the responses, in any shape.
        limit: Tokens that a response may have.
        buffer: Tokens before the limit over which the penalty grows.

    Returns:
        Of the same shape: 0 up to ``limit - buffer`` tokens, then falling linearly to -1 at ``limit``.
    """
    over = (lengths - (limit - buffer)).astype(np.float32) / np.float32(buffer)
    penalty: NDArray[np.float32] = -np.clip(over, 0, 1)
    return penalty


def kl(
    reference: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    logprobs: NDArray[np.float32],
    pad: int,
    temperature: float = 1.0,
) -> float:
    """Estimate KL(policy || reference) from rollouts of the policy.

    The mean over tokens of r - log r - 1 with r = reference / policy, unbiased and never negative.
    Source: Schulman 2020, "Approximating KL divergence", estimator k3.

    Args:
        reference: The other model.
        prompt_ids: Tokens of B prompts.
        completion_ids: Tokens of a completion of each.
        logprobs: (B, T), of the completions' tokens under the policy that drew them.
        pad: The padding token.
        temperature: At which they were drawn, and for which ``logprobs`` hold.

    Returns:
        Nats a token; not a number where that is infinite.
    """
    theirs = token_logprobs(reference, prompt_ids, completion_ids, pad, temperature)
    total = count = 0.0
    for row, tokens in enumerate(completion_ids):
        log_ratio = theirs[row, : len(tokens)] - logprobs[row, : len(tokens)]
        total += float(np.sum(np.exp(log_ratio) - log_ratio - 1))
        count += len(tokens)
    return total / max(count, 1.0) if math.isfinite(total) else float("nan")


@torch.inference_mode()
def token_logprobs(
    model: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    pad: int,
    temperature: float,
) -> NDArray[np.float32]:
    """Return (B, T), the log-probabilities of completions' tokens, 0 behind them; see ``kl``."""
    rows = [[*p, *c] for p, c in zip(prompt_ids, completion_ids, strict=True)]
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad)
    for row, sequence in enumerate(rows):
        ids[row, : len(sequence)] = torch.tensor(sequence)
    # Right-padded and causal: no token sees the padding behind it, so no mask is needed.
    logits = model(input_ids=ids.to(model.device)).logits.float() / temperature
    scores = logits.log_softmax(dim=-1).cpu()
    found = np.zeros((len(rows), max(map(len, completion_ids))), np.float32)
    for row, (given, sequence) in enumerate(zip(prompt_ids, rows, strict=True)):
        at = torch.arange(len(given), len(sequence))
        found[row, : len(at)] = scores[row, at - 1, ids[row, at]].numpy()
    return found
