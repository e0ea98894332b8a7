"""PPO's value model: what reward the policy may expect from each point of a response."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForTokenClassification
from transformers.utils import logging

from anatomy.models import store

Rows = tuple[Tensor, Tensor, Tensor, Tensor]
"""What a value model reads: prompts and their mask, completions and theirs, as ``Critic.values`` has them."""


class Critic:
    """A copy of the start model with one number instead of the vocabulary at its end, trained on returns."""

    def __init__(self, start: Path, learning_rate: float, device: torch.device):
        said = logging.get_verbosity()
        logging.set_verbosity_error()  # that the head is new is meant
        model = AutoModelForTokenClassification.from_pretrained(start, num_labels=1, dtype=torch.float32)
        logging.set_verbosity(said)
        # Before anything is learned every value is 0; dropout would make values differ from call to call.
        torch.nn.init.zeros_(model.score.weight)
        torch.nn.init.zeros_(model.score.bias)
        self.model = store.trainable(model.to(device).eval())
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=learning_rate, weight_decay=0.0)

    def values(self, prompts: Tensor, prompt_mask: Tensor, completions: Tensor, mask: Tensor) -> Tensor:
        """Return (B, T): the value of the state before each completion token.

        Args:
            prompts: (B, S), padded on the left.
            prompt_mask: (B, S), of 0 and 1.
            completions: (B, T), padded on the right.
            mask: (B, T), of 0 and 1.
        """
        attention = torch.cat([prompt_mask, mask], dim=1)
        scores = self.model(
            input_ids=torch.cat([prompts, completions], dim=1),
            attention_mask=attention,
            position_ids=(attention.cumsum(dim=1) - 1).clamp(min=0),
        ).logits[:, :, 0]
        values: Tensor = scores[:, prompts.shape[1] - 1 : -1]
        return values

    def fit(self, batch: Rows, old: Tensor, returns: Tensor, clip: float, parts: int) -> float:
        """Take one optimiser step towards the returns on each of ``parts`` parts of a batch.

        Args:
            batch: What ``values`` takes.
            old: (B, T), the values before the first of these steps.
            returns: (B, T).
            clip: See ``value_loss``.
            parts: A divisor of B.

        Returns:
            The loss, a mean over response tokens before each step, then over the steps.
        """
        losses = []
        for rows in torch.arange(len(returns), device=returns.device).chunk(parts):
            piece = [tensor[rows] for tensor in batch]
            mask = piece[3]
            loss = value_loss(self.values(*piece), old[rows], returns[rows], clip)
            mean = (loss * mask).sum() / mask.sum().clamp(min=1)
            self.optimizer.zero_grad()
            mean.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            losses.append(float(mean.detach()))
        return sum(losses) / len(losses)

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed training needs."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state`` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def value_loss(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Return half the squared error of each value, or of the value kept near the old one if that is larger.

    So a value that has moved further than ``clip`` towards its return is pulled no further.
    Source: the value clipping of PPO's first implementation, in verl's form (``cliprange_value``).

    Args:
        values: (B, T).
        old: (B, T), those of the rollouts, before any step on them.
        returns: (B, T).
        clip: In units of the reward.

    Returns:
        (B, T).
    """
    near = old + (values - old).clamp(-clip, clip)
    return torch.maximum((values - returns) ** 2, (near - returns) ** 2) / 2
