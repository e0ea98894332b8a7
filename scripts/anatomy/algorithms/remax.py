"""ReMax: a rollout's baseline is the reward of its prompt's greedy response.

Source: ReMax (arXiv 2310.10505), algorithm 1.
"""

from typing import TYPE_CHECKING

from anatomy.algorithms.registry import Algorithm, Batch

if TYPE_CHECKING:
    from torch import Tensor


class Remax(Algorithm):
    """R - reward of the prompt's greedy response."""

    greedy = True

    def advantages(self, batch: Batch) -> "Tensor":
        assert batch.greedy is not None
        return batch.rewards - batch.greedy[:, None]
