"""GRPO: rewards are compared within the group of a prompt's rollouts, in units of the group's deviation.

Source: DeepSeekMath (arXiv 2402.03300), eq. 21.
"""

from typing import TYPE_CHECKING

from anatomy.algorithms.registry import Algorithm, Batch

if TYPE_CHECKING:
    from torch import Tensor


class Grpo(Algorithm):
    """(R - mean of the group) / standard deviation of the group, unbiased; 0 where all rewards are equal."""

    def advantages(self, batch: Batch) -> "Tensor":
        rewards = batch.rewards
        centred = rewards - rewards.mean(dim=1, keepdim=True)
        level = rewards.amin(dim=1, keepdim=True) == rewards.amax(dim=1, keepdim=True)
        # Told apart, and not by a small number under the fraction: the mean of equal rewards may be off by
        # rounding, and divided by a deviation as small that would count.
        return (centred / rewards.std(dim=1, keepdim=True)).masked_fill(level, 0.0)
