"""PPO's value model: what reward the policy may expect from each point of a response."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForTokenClassification
from transformers.utils import logging

from anatomy.models import store


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

        prompts: (B, S) padded on the left; completions: (B, T) padded on the right; masks of 0 and 1.
        """
        attention = torch.cat([prompt_mask, mask], dim=1)
        scores = self.model(
            input_ids=torch.cat([prompts, completions], dim=1),
            attention_mask=attention,
            position_ids=(attention.cumsum(dim=1) - 1).clamp(min=0),
        ).logits[:, :, 0]
        values: Tensor = scores[:, prompts.shape[1] - 1 : -1]
        return values

    def fit(self, batch: tuple[Tensor, Tensor, Tensor, Tensor], returns: Tensor, parts: int) -> float:
        """Take one optimiser step towards the returns (B, T) on each of ``parts`` parts of a batch.

        Returns the mean squared error over response tokens before the steps.
        """
        losses = []
        for rows in torch.arange(len(returns), device=returns.device).chunk(parts):
            piece = [tensor[rows] for tensor in batch]
            mask = piece[3]
            error = ((self.values(*piece) - returns[rows]) ** 2 * mask).sum() / mask.sum()
            self.optimizer.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            losses.append(float(error.detach()))
        return sum(losses) / len(losses)

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed training needs."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state`` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
