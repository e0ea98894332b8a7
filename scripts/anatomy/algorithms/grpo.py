"""GRPO: rewards are compared within the group of a prompt's rollouts, in units of the group's deviation.

Source: DeepSeekMath (arXiv 2402.03300), eq. 21.
"""

from typing import TYPE_CHECKING

from anatomy.algorithms.registry import Algorithm, Batch

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-4
"""Added to standard deviations (TRL's value; verl's is 1e-6). Rewards are 0 or 1, so it hardly matters."""


class Grpo(Algorithm):
    """(R - mean of the group) / standard deviation of the group, unbiased; 0 where all rewards are equal."""

    def advantages(self, batch: Batch) -> "Tensor":
        rewards = batch.rewards
        centred = rewards - rewards.mean(dim=1, keepdim=True)
        return centred / (rewards.std(dim=1, keepdim=True) + EPSILON)
