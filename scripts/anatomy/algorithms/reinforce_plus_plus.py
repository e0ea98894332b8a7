"""REINFORCE++: returns, whitened over the whole batch instead of a group.

Source: REINFORCE++ (arXiv 2501.03262), eq. 4 to 6, without the KL penalty in the reward.
"""

from typing import TYPE_CHECKING

from anatomy.algorithms.registry import Algorithm, Batch, whiten

if TYPE_CHECKING:
    from torch import Tensor


class ReinforcePlusPlus(Algorithm):
    """Return-to-go of every token, whitened over all response tokens of the batch.

    The reward comes at the end and is not discounted, so a rollout's tokens all have its reward as their
    return.
    """

    def advantages(self, batch: Batch) -> "Tensor":
        return whiten(batch.rewards.reshape(-1, 1) * batch.mask, batch.mask)
