"""Sampling engines: prompts, n, sampling parameters and a seed in; completions out.

Every engine draws a completion's randomness from (seed, condition, problem, sample index) alone. The
transformers engine also decodes in fixed chunks of problems, which shards never divide, so one shard or
twenty give the same completions, to the bit, on one kind of processor with one number of threads. On another
processor a rounding difference may now and then turn a token; the distribution is the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from anatomy.decoding import Sampling, decode
from anatomy.models import load
from anatomy.rng import generator

__all__ = ["Completion", "Engine", "Prompt", "Sampling", "TransformersEngine", "chunked", "shard"]


@dataclass(frozen=True)
class Prompt:
    """A prompt and the problem that it belongs to."""

    problem: str
    text: str
    condition: str = "plain"


@dataclass(frozen=True)
class Completion:
    """One completion, in the columns of the table 'samples'."""

    problem: str
    condition: str
    sample: int
    completion: str
    tokens: int
    finish_reason: str
    logprob: float
    entropy: float | None
    temperature: float


class Engine(Protocol):
    """What every engine does."""

    def sample(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, seed: Sequence[object]
    ) -> Iterator[list[Completion]]:
        """Yield completions, n for each prompt, a prompt at a time, in order of their index."""
        ...


def chunked(prompts: Sequence[Prompt], n: int, rows: int) -> list[list[Prompt]]:
    """Divide prompts into the chunks that are decoded together: at most ``rows`` completions each.

    Prompts are taken in order of length, so that those of a chunk end at about the same time.
    """
    ordered = sorted(prompts, key=lambda prompt: (len(prompt.text), prompt.problem, prompt.condition))
    size = max(1, rows // n)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def shard(chunks: Sequence[list[Prompt]], index: int, count: int) -> list[list[Prompt]]:
    """Return the chunks of shard ``index`` of ``count``; together the shards hold every chunk once."""
    return list(chunks[index::count])


class TransformersEngine:
    """Samples with a Hugging Face model in this process."""

    def __init__(self, folder: str | Path, threads: int | None = None):
        if threads:
            torch.set_num_threads(threads)
        self.model, self.tokenizer = load(folder)

    def sample(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, seed: Sequence[object]
    ) -> Iterator[list[Completion]]:
        """Decode the prompts together as one chunk; see ``Engine.sample``."""
        # One row of uniforms a sample: the first 128 of 256 samples are those that n = 128 gives.
        shape = (n, sampling.max_new_tokens)
        uniforms = np.stack(
            [generator(*seed, p.condition, p.problem).random(shape, np.float32) for p in prompts]
        )
        end, pad = self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        ids = [self.tokenizer(prompt.text)["input_ids"] for prompt in prompts]
        decoded = decode(self.model, ids, uniforms, sampling, [end], pad)
        for row, prompt in enumerate(prompts):
            texts = self.tokenizer.batch_decode(decoded.tokens[row], skip_special_tokens=True)
            yield [
                Completion(
                    prompt.problem,
                    prompt.condition,
                    sample,
                    text,
                    int(decoded.lengths[row, sample]),
                    "stop" if decoded.ended[row, sample] else "length",
                    float(decoded.logprobs[row, sample].sum(dtype=np.float64)),
                    float(decoded.entropies[row, sample]),
                    sampling.temperature,
                )
                for sample, text in enumerate(texts)
            ]
