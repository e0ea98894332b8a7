"""The engine of transformers: decodes in fixed chunks of problems."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from anatomy.models import store
from anatomy.models.decoding import Sampling, decode
from anatomy.rng import generator
from anatomy.sampling.engine import Completion, Prompt, Texts


class TransformersEngine:
    """Samples with a Hugging Face model in this process."""

    def __init__(self, folder: str | Path, threads: int | None = None, context: int | None = None):
        if threads:
            torch.set_num_threads(threads)
        self.model, self.tokenizer = store.load(folder)
        self.texts = Texts(folder, context)

    def prepare(self, prompts: Sequence[Prompt], sampling: Sampling) -> int:
        """See ``Engine.prepare``."""
        return self.texts.needed(prompts, sampling)

    def sample(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, seed: Sequence[object]
    ) -> Iterator[list[Completion]]:
        """Decode the prompts together as one chunk; see ``Engine.sample``."""
        # One row of uniforms a sample: the first 128 of 256 samples are those that n = 128 gives.
        shape = (n, sampling.max_new_tokens)
        ids = self.texts.encode(prompts, sampling)
        uniforms = np.stack(
            [generator(*seed, p.condition, p.problem).random(shape, np.float32) for p in prompts]
        )
        decoded = decode(self.model, ids, uniforms, sampling, self.texts.ends, self.texts.pad)
        for row, prompt in enumerate(prompts):
            completions = []
            for sample in range(n):
                tokens = decoded.tokens[row, sample, : decoded.lengths[row, sample]].tolist()
                ended = bool(decoded.ended[row, sample])
                text, count, reason = self.texts.finish(tokens, ended, sampling.stop)
                # What was decoded behind a stop string does not count.
                kept = np.arange(sampling.max_new_tokens) < count
                completions.append(
                    Completion(
                        prompt.problem,
                        prompt.condition,
                        sample,
                        text,
                        count,
                        reason,
                        float((decoded.logprobs[row, sample] * kept).sum(dtype=np.float64)),
                        float((decoded.entropies[row, sample] * kept).cumsum(dtype=np.float32)[-1]),
                        sampling.temperature,
                    )
                )
            yield completions
