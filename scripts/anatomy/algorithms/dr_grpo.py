"""Dr. GRPO: GRPO without the two divisions that favour some groups and some lengths over others.

Source: Dr. GRPO (arXiv 2503.20783), section 3.2.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from anatomy.algorithms.registry import Algorithm, Batch

if TYPE_CHECKING:
    from torch import Tensor


class DrGrpo(Algorithm):
    """R - mean of the group, without a division; the loss is divided by a constant length."""

    options: ClassVar[Mapping[str, Any]] = {**Algorithm.options, "loss_type": "dr_grpo"}

    def advantages(self, batch: Batch) -> "Tensor":
        return batch.rewards - batch.rewards.mean(dim=1, keepdim=True)
