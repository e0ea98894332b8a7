"""PPO: a learned value model, and generalised advantage estimation from its values.

Lambda and the value model's clip range are settings of its preset (``value``).

Source: generalised advantage estimation (arXiv 1506.02438), eq. 16; whitened as in verl.
"""

from typing import TYPE_CHECKING

from anatomy.algorithms.registry import Algorithm, Batch, whiten

if TYPE_CHECKING:
    from torch import Tensor


class Ppo(Algorithm):
    """Generalised advantage estimation, whitened over all response tokens of the batch."""

    value_model = True

    def advantages(self, batch: Batch) -> "Tensor":
        model = batch.value_model
        assert model is not None
        found, returns = gae(batch.rewards.flatten(), model.values(), batch.mask, model.gamma, model.lam)
        model.fit(returns)
        return whiten(found, batch.mask)


def gae(
    rewards: "Tensor", values: "Tensor", mask: "Tensor", gamma: float, lam: float
) -> "tuple[Tensor, Tensor]":
    """Estimate advantages and returns from values; the value after a response's end is 0.

    Args:
        rewards: (B,), given with the last response token.
        values: (B, T), of the state before each token.
        mask: (B, T), of 0 and 1; a response's tokens come first in a row.
        gamma: Discount of a token's return.
        lam: 0 for errors of one step, 1 for whole returns.

    Returns:
        Advantages (B, T), not yet whitened, and returns (B, T), the targets of the value model.
    """
    batch, steps = values.shape
    mask = mask.to(values.dtype)
    last = mask.sum(dim=1).long() - 1
    given = values.new_zeros(values.shape)
    given[range(batch), last] = rewards.reshape(-1).to(values.dtype)
    advantages = values.new_zeros(values.shape)
    following = ahead = values.new_zeros(batch)
    for step in range(steps - 1, -1, -1):
        here = mask[:, step]
        error = given[:, step] + gamma * following - values[:, step]
        ahead = (error + gamma * lam * ahead) * here
        following = values[:, step] * here
        advantages[:, step] = ahead
    return advantages, (advantages + values) * mask
