"""RLOO: a rollout's baseline is the mean reward of the others of its group.

Source: RLOO (arXiv 2402.14740), eq. 7.
"""

from typing import TYPE_CHECKING

from anatomy.algorithms.registry import Algorithm, Batch

if TYPE_CHECKING:
    from torch import Tensor


class Rloo(Algorithm):
    """R - mean of the others of the group."""

    def advantages(self, batch: Batch) -> "Tensor":
        rewards = batch.rewards
        group = rewards.shape[1]
        return (rewards - rewards.mean(dim=1, keepdim=True)) * group / (group - 1)
