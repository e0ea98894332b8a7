"""Advantages of RL algorithms, from rewards to what the policy loss multiplies a token's ratio with.

Rewards are (P, G): P prompts with G rollouts each. Sequence-level estimators return (P, G), one number for
all tokens of a rollout; token-level ones return (B, T) under a mask (B, T) of response tokens, 0 elsewhere.
Source of the definitions: Yue et al. 2025, section 4.3 and appendix D.4, in the form of verl's
``core_algos.py``, with which their runs were made.
"""

import torch
from torch import Tensor

EPSILON = 1e-4
"""Added to standard deviations (TRL's value; verl's is 1e-6). Rewards are 0 or 1, so it hardly matters."""


def grpo(rewards: Tensor) -> Tensor:
    """(R - mean of the group) / standard deviation of the group, unbiased. DeepSeekMath (2402.03300), eq. 21.

    DAPO (2503.14476) uses it too; a group whose rewards are all equal has advantage 0.
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return centred / (rewards.std(dim=1, keepdim=True) + EPSILON)


def dr_grpo(rewards: Tensor) -> Tensor:
    """R - mean of the group, without a division. Dr. GRPO (2503.20783), section 3.2."""
    return rewards - rewards.mean(dim=1, keepdim=True)


def rloo(rewards: Tensor) -> Tensor:
    """R - mean of the others of the group. RLOO (2402.14740), eq. 7."""
    group = rewards.shape[1]
    return (rewards - rewards.mean(dim=1, keepdim=True)) * group / (group - 1)


def remax(rewards: Tensor, greedy: Tensor) -> Tensor:
    """R - reward of the prompt's greedy response (P,). ReMax (2310.10505), algorithm 1."""
    return rewards - greedy[:, None]


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Shift and scale to mean 0 and variance 1 over the mask's tokens; 0 elsewhere."""
    count = mask.sum()
    mean = (values * mask).sum() / count
    variance = ((values - mean) ** 2 * mask).sum() / count
    return (values - mean) * torch.rsqrt(variance + 1e-8) * mask


def reinforce_plus_plus(rewards: Tensor, mask: Tensor) -> Tensor:
    """Return-to-go of every token, whitened over all response tokens of the batch: (B, T).

    The reward comes at the end and is not discounted, so a rollout's tokens all have its reward as their
    return. REINFORCE++ (2501.03262), eq. 4 to 6, without the KL penalty in the reward.
    """
    return whiten(rewards.reshape(-1, 1) * mask, mask)


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Return advantages (B, T), not yet whitened, and returns (B, T), the targets of the value model.

    rewards: (B,), given with the last response token; values: (B, T), of the state before each token. Tokens
    of the mask come first in a row. Generalised advantage estimation (1506.02438), eq. 16; the value after
    the end is 0.
    """
    batch, steps = values.shape
    mask = mask.to(values.dtype)
    last = mask.sum(dim=1).long() - 1
    given = torch.zeros_like(values)
    given[torch.arange(batch), last] = rewards.reshape(-1).to(values.dtype)
    advantages = torch.zeros_like(values)
    following = torch.zeros_like(values[:, 0])
    ahead = torch.zeros_like(values[:, 0])
    for step in range(steps - 1, -1, -1):
        here = mask[:, step]
        error = given[:, step] + gamma * following - values[:, step]
        ahead = (error + gamma * lam * ahead) * here
        following = values[:, step] * here
        advantages[:, step] = ahead
    return advantages, (advantages + values) * mask


def overlong(lengths: Tensor, limit: int, buffer: int) -> Tensor:
    """DAPO's soft penalty (B,): 0 up to ``limit - buffer`` tokens, then falling linearly to -1 at ``limit``.

    DAPO (2503.14476), eq. 13.
    """
    return -((lengths - (limit - buffer)) / buffer).clamp(0, 1)
