"""Sampling engines: prompts, n, sampling parameters and a seed in; completions out.

Every engine draws a completion's randomness from (seed, condition, problem, sample index) alone. The
transformers engine also decodes in fixed chunks of problems, which shards never divide, so one shard or
twenty give the same completions, to the bit, on one kind of processor with one number of threads. On another
processor a rounding difference may now and then turn a token; the distribution is the same. vLLM forms its
batches as it sees fit, so that its completions are the same up to such rounding only.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from transformers import AutoConfig, PreTrainedTokenizerBase

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.models.decoding import Sampling, cut


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

    def prepare(self, prompts: Sequence[Prompt], sampling: Sampling) -> int:
        """Return the positions that the longest prompt and its completion need, before anything is sampled.

        Raises:
            AnatomyError: The model has fewer.
        """
        ...

    def sample(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, seed: Sequence[object]
    ) -> Iterator[list[Completion]]:
        """Yield completions, n for each prompt, a prompt at a time, in order of their index.

        Raises:
            AnatomyError: A prompt and its completion do not fit into the model's context.
        """
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


class Texts:
    """Prompts to tokens and tokens to texts, in one way for all engines; and what ends a completion."""

    def __init__(self, folder: str | Path, context: int | None = None):
        """Read the tokenizer; ``context``: positions to which the model is held, if fewer than its own."""
        self.folder = Path(folder)
        self.tokenizer: PreTrainedTokenizerBase = store.load_tokenizer(folder)
        self.config = AutoConfig.from_pretrained(folder)
        positions = getattr(self.config, "max_position_embeddings", None)
        self.context: int | None = min(filter(None, (context, positions)), default=None)
        path = self.folder / "generation_config.json"
        generation = json.loads(path.read_text()) if path.is_file() else {}
        ends = generation.get("eos_token_id", getattr(self.config, "eos_token_id", None))
        listed = ends if isinstance(ends, list) else [ends]
        self.ends = sorted({self.tokenizer.eos_token_id, *listed} - {None})
        """A chat model may end a turn or a text, each with a token of its own."""
        pad = self.tokenizer.pad_token_id
        self.pad: int = self.ends[0] if pad is None else pad

    def encode(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[int]]:
        """Return the token ids of each prompt. AnatomyError where one leaves no room for a completion."""
        ids: list[list[int]] = [self.tokenizer(prompt.text)["input_ids"] for prompt in prompts]
        if not ids:
            return ids
        longest, prompt = max(zip(map(len, ids), prompts, strict=True), key=lambda pair: pair[0])
        if self.context is not None and longest + sampling.max_new_tokens > self.context:
            raise AnatomyError(
                f"problem {prompt.problem!r}, condition {prompt.condition!r}: a prompt of {longest} tokens"
                f" and max_new_tokens {sampling.max_new_tokens} need {longest + sampling.max_new_tokens}"
                f" positions, and {self.folder} has {self.context} (its max_position_embeddings, or the"
                " column context of the sheet of models); "
                + (
                    f"max_new_tokens may be {self.context - longest} at most, for all arms of a comparison"
                    if longest < self.context
                    else "shorten the prompt or leave the problem out"
                )
            )
        return ids

    def needed(self, prompts: Sequence[Prompt], sampling: Sampling) -> int:
        """Return the positions that the longest prompt and its completion need; raises as ``encode``."""
        return max(map(len, self.encode(prompts, sampling)), default=0) + sampling.max_new_tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        text: str = self.tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def finish(self, tokens: Sequence[int], ended: bool, stop: Sequence[str]) -> tuple[str, int, str]:
        """Return the text of a completion's tokens, how many of them count, and why it ended."""
        stopped = cut(tokens, stop, self.decode)
        if stopped:
            return *stopped, "stop"
        return self.decode(tokens), len(tokens), "stop" if ended else "length"
