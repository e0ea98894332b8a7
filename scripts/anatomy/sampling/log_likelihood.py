"""How likely a model finds given completions: log-probability, surprisal and entropy, in batches."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Cache

from anatomy.models.store import load


@dataclass(frozen=True)
class Score:
    """One completion under a model, at temperature 1 over the whole vocabulary; in nats.

    tokens: tokens scored, the end token included; logprob: their summed log-probability; surprisal: the
    largest -log p of one of them; entropy: summed entropy of the distributions that they were chosen from.
    All are 0 for a completion without a token.
    """

    tokens: int
    logprob: float
    surprisal: float
    entropy: float


class Scorer:
    """Scores texts with a Hugging Face causal language model in this process."""

    def __init__(self, folder: str | Path, threads: int | None = None):
        if threads:
            torch.set_num_threads(threads)
        self.model, self.tokenizer = load(folder)

    @torch.inference_mode()
    def score(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        truncated: Sequence[bool],
        batch: int = 2048,
    ) -> list[Score]:
        """Score each completion given its prompt; in input order.

        Prompt and completion are tokenised apart, as they are in sampling (where a text that was sampled
        is tokenised otherwise, it is scored as it is tokenised). The end token is scored too, unless the
        completion was truncated. Completions of a prompt share its cache, and equal ones are scored once.

        Args:
            prompts: N prompts.
            completions: N completions.
            truncated: (N,) whether each was cut off.
            batch: Tokens scored together, prompt and padding included; a longer completion is scored alone.

        Raises:
            ValueError: The three differ in length, or a prompt has no token.
        """
        asked: dict[str, dict[tuple[str, bool], list[int]]] = {}
        texts = zip(prompts, completions, truncated, strict=True)
        for at, (prompt, completion, cut) in enumerate(texts):
            asked.setdefault(prompt, {}).setdefault((completion, cut), []).append(at)
        scores: dict[int, Score] = {}
        for prompt, wanted in asked.items():
            given = self.tokenizer(prompt)["input_ids"]
            if not given:
                raise ValueError("a completion cannot be scored after a prompt without a token")
            likelihoods = self._after(given, [self._ids(text, cut) for text, cut in wanted], batch)
            for places, score in zip(wanted.values(), likelihoods, strict=True):
                scores |= dict.fromkeys(places, score)
        return [scores[at] for at in range(len(scores))]

    def _ids(self, completion: str, truncated: bool) -> list[int]:
        # A token that opens a text belongs to the prompt alone.
        ids: list[int] = self.tokenizer(completion, add_special_tokens=False)["input_ids"]
        return ids if truncated else [*ids, int(self.tokenizer.eos_token_id)]

    def _after(self, given: list[int], completions: Sequence[list[int]], batch: int) -> list[Score]:
        """Score completions of one prompt. Its last token is left to them: what follows it is scored."""
        prefix = None
        if len(given) > 1:
            head = torch.tensor([given[:-1]], device=self.model.device)
            prefix = self.model(input_ids=head, use_cache=True, logits_to_keep=1).past_key_values
        order = sorted(range(len(completions)), key=lambda at: len(completions[at]), reverse=True)
        scores: dict[int, Score] = {}
        while order:
            longest = len(completions[order[0]])
            size = max(1, batch // (len(given) + longest))
            # A batch of long and short ones would be mostly padding.
            together = [at for at in order[:size] if 2 * len(completions[at]) >= longest]
            order = order[len(together) :]
            likelihoods = self._score(given[-1], [completions[at] for at in together], prefix)
            scores |= zip(together, likelihoods, strict=True)
        return [scores[at] for at in range(len(completions))]

    def _score(self, last: int, completions: Sequence[list[int]], prefix: Cache | None) -> list[Score]:
        """Score completions, the longest first, in one pass behind a prefix and its last token."""
        lengths = torch.tensor([len(ids) for ids in completions])
        longest = int(lengths[0])
        if not longest:
            return [Score(0, 0.0, 0.0, 0.0)] * len(completions)
        ids = torch.full((len(completions), longest + 1), last)
        for row, completion in enumerate(completions):
            ids[row, 1 : 1 + len(completion)] = torch.tensor(completion)
        ids = ids.to(self.model.device)
        cache = deepcopy(prefix)
        if cache is not None:
            cache.batch_repeat_interleave(len(completions))
        # Right-padded and causal: no token sees the padding behind it, so no mask is needed.
        logits = self.model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=cache is not None).logits
        logprobs = logits.float().log_softmax(dim=-1)
        chosen = logprobs.gather(2, ids[:, 1:, None])[..., 0]
        entropy = torch.special.entr(logprobs.exp()).sum(dim=-1)
        inside = (torch.arange(longest) < lengths[:, None]).to(ids.device)
        chosen, entropy = (torch.where(inside, value.double(), 0.0) for value in (chosen, entropy))
        columns = (lengths, chosen.sum(dim=1), -chosen.amin(dim=1), entropy.sum(dim=1))
        return [Score(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
