"""Batched decoding of many samples per prompt with a Hugging Face causal language model.

Plain ``generate`` repeats each prompt's cache for each of its n samples, copies every cache at every step,
and keeps finished rows until the longest one ends. Here a prompt's cache is computed and held once and all
of its samples attend to it (shared-prefix attention), the samples' own caches are written in place, and
finished rows leave the batch. It works through the model's own modules: only the attention function and
the cache are ours, so any architecture that uses the transformers attention interface can be decoded.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "shared_prefix"
_BLOCK = 16
"""New cache space is taken for this many steps, or a quarter more: what is unused slows attention down."""
_KEEP = 0.95
"""Rows are gathered anew when the rows still needed fall below this share of the batch."""


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters; the distribution is softmax(logits / temperature) cut to the top-p nucleus.

    A completion ends at its first stop string, which is no part of its text; see ``cut``.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", tuple(self.stop))  # configurations have lists


@dataclass(frozen=True)
class Decoded:
    """Completions of P prompts, g each, as arrays.

    tokens: (P, g, T) token ids, filled with the padding id; lengths: (P, g) tokens of each completion,
    the end token included; ended: (P, g) whether it ended by itself; logprobs: (P, g, T) natural-log
    probability of each token under the model at temperature 1 with nothing cut off, 0 where padded;
    entropies: (P, g, T) of each token's distribution, in nats, over the full vocabulary at the sampling
    temperature, 0 where padded.
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    ended: NDArray[np.bool_]
    logprobs: NDArray[np.float32]
    entropies: NDArray[np.float32]


class _State:
    """The caches of one decoding: a prefix for each prompt, a suffix for each of its rows."""

    def __init__(self, prefix: DynamicCache, mask: torch.Tensor, group: int):
        self.keys = [layer.keys for layer in prefix.layers]  # (P, kv heads, prefix, d)
        self.values = [layer.values for layer in prefix.layers]
        floor = torch.finfo(self.keys[0].dtype).min
        self.bias = torch.where(mask.bool(), 0.0, floor)[:, None, None, :].to(self.keys[0].dtype)
        self.group = group
        self.length = 0
        self.suffix_keys: list[torch.Tensor] = []  # (P * group, kv heads, space, d)
        self.suffix_values: list[torch.Tensor] = []

    @property
    def prompts(self) -> int:
        return int(self.keys[0].shape[0])

    def grow(self) -> None:
        """Make room for one more step."""
        space = self.suffix_keys[0].shape[2] if self.suffix_keys else 0
        if self.length < space:
            return
        for held, like in ((self.suffix_keys, self.keys), (self.suffix_values, self.values)):
            for layer, prefix in enumerate(like):
                rows, (_, heads, _, width) = self.prompts * self.group, prefix.shape
                room = prefix.new_empty(rows, heads, max(_BLOCK, space // 4), width)
                if space:
                    held[layer] = torch.cat([held[layer], room], dim=2)
                else:
                    held.append(room)

    def keep(self, prompts: torch.Tensor, rows: torch.Tensor) -> None:
        """Keep some prompts, and for each the given rows, (prompts kept, new group size)."""
        for held in (self.keys, self.values):
            held[:] = [tensor[prompts] for tensor in held]
        self.bias = self.bias[prompts]
        for held in (self.suffix_keys, self.suffix_values):
            for layer, tensor in enumerate(held):
                kept = tensor.new_empty(rows.numel(), *tensor.shape[1:])
                kept[:, :, : self.length] = tensor[rows.flatten(), :, : self.length]
                held[layer] = kept
        self.group = rows.shape[1]

    # The transformers Cache interface, as far as a decoding step uses it.
    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.suffix_keys[layer][:, :, self.length] = key[:, :, 0]
        self.suffix_values[layer][:, :, self.length] = value[:, :, 0]
        return key, value

    def get_seq_length(self, *_: Any) -> int:
        return self.bias.shape[-1] + self.length


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    decoding: _State | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one decoding step; without a decoding state, the ordinary sdpa attention."""
    if decoding is None:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return output, None
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    rows, heads, _, width = query.shape
    prefix_keys, prefix_values = decoding.keys[layer], decoding.values[layer]
    prompts, kv_heads, prefix, _ = prefix_keys.shape
    repeat = heads // kv_heads
    end = decoding.length + 1
    query = query * (scaling if scaling is not None else width**-0.5)
    own = query.view(rows, kv_heads, repeat, width)
    # All rows of a prompt against the one copy of its keys: one matrix product per prompt and head.
    shared = own.view(prompts, decoding.group, kv_heads, repeat, width).transpose(1, 2)
    shared = shared.reshape(prompts, kv_heads, decoding.group * repeat, width)
    scores_prefix = shared @ prefix_keys.transpose(2, 3) + decoding.bias
    scores_prefix = scores_prefix.view(prompts, kv_heads, decoding.group, repeat, prefix)
    scores_prefix = scores_prefix.transpose(1, 2).reshape(rows, kv_heads, repeat, prefix)
    scores_own = own @ decoding.suffix_keys[layer][:, :, :end].transpose(2, 3)
    weights = torch.cat([scores_prefix, scores_own], dim=-1).softmax(dim=-1)
    output = weights[..., prefix:] @ decoding.suffix_values[layer][:, :, :end]
    shared = weights[..., :prefix].view(prompts, decoding.group, kv_heads, repeat, prefix)
    shared = shared.transpose(1, 2).reshape(prompts, kv_heads, decoding.group * repeat, prefix)
    shared = (shared @ prefix_values).view(prompts, kv_heads, decoding.group, repeat, width)
    output = output + shared.transpose(1, 2).reshape(rows, kv_heads, repeat, width)
    return output.reshape(rows, 1, heads, width), None


AttentionInterface.register(ATTENTION, _attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


@contextmanager
def _attention(model: PreTrainedModel) -> Iterator[None]:
    before = model.config._attn_implementation
    training = model.training
    model.config._attn_implementation = ATTENTION
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.config._attn_implementation = before
        model.train(training)


def cut(
    tokens: Sequence[int], stop: Sequence[str], decode: Callable[[Sequence[int]], str]
) -> tuple[str, int] | None:
    """Return a completion's text before its first stop string, and how many tokens complete that string.

    The first stop string is the one that is complete first; of several that end together, the longest.
    None where the completion has none.
    """

    def stops(length: int) -> bool:
        text = decode(tokens[:length])
        return any(string in text for string in stop)

    if not stop or not stops(len(tokens)):
        return None
    length = bisect_left(range(len(tokens)), True, key=stops)
    text = decode(tokens[:length])
    starts = [(text.index(string), string) for string in stop if string in text]
    _, start = min((start + len(string), start) for start, string in starts)
    return text[:start], length


def left_pad(
    prompts: Sequence[Sequence[int]], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and attention mask, both (prompts, longest), padded on the left."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _choose(
    logits: torch.Tensor, uniform: torch.Tensor, sampling: Sampling
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw a token for each row by inverting the cumulative distribution at a uniform number in [0, 1).

    Returns tokens, their log-probabilities at temperature 1, and the entropies at the sampling temperature.
    """
    logprobs = logits.float().log_softmax(dim=-1)
    if sampling.temperature == 0:
        tokens = logprobs.argmax(dim=-1)
        return tokens, logprobs.gather(1, tokens[:, None])[:, 0], torch.zeros_like(logprobs[:, 0])
    scaled = logprobs
    if sampling.temperature != 1:
        scaled = (logprobs / sampling.temperature).log_softmax(dim=-1)
    probabilities = scaled.exp()
    # 0 log 0 is 0: a probability that underflows has a finite logarithm here.
    entropies = -(probabilities * scaled.clamp(min=-1e4)).sum(dim=-1)
    if sampling.top_p >= 1:
        tokens = _invert(probabilities, uniform)
    else:
        ordered, order = probabilities.sort(dim=-1, descending=True)
        nucleus = ordered.cumsum(dim=-1) - ordered < sampling.top_p
        tokens = order.gather(1, _invert(ordered * nucleus, uniform)[:, None])[:, 0]
    return tokens, logprobs.gather(1, tokens[:, None])[:, 0], entropies


def _invert(probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    cumulative = probabilities.cumsum(dim=-1)
    target = uniform[:, None] * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, target, right=True)[:, 0]
    # Rounding may put the target at the very end: then the last token with any probability is meant.
    last = probabilities.shape[-1] - 1 - (probabilities.flip(-1) > 0).int().argmax(dim=-1)
    return torch.minimum(chosen, last)


def _check(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    uniforms: NDArray[np.float32],
    sampling: Sampling,
) -> None:
    count, _, steps = uniforms.shape
    if count != len(prompts) or steps != sampling.max_new_tokens or not all(map(len, prompts)):
        raise ValueError(f"uniforms {uniforms.shape} do not fit {len(prompts)} non-empty prompts")
    if "sliding_attention" in (getattr(model.config, "layer_types", None) or []):
        raise ValueError(
            "models with sliding-window attention cannot be decoded: their window is not applied"
        )


def _first(marked: torch.Tensor) -> torch.Tensor:
    """Return the first marked column of each row; the number of columns where none is."""
    columns = torch.arange(marked.shape[1], device=marked.device)[None, :]
    return torch.where(marked, columns, marked.shape[1]).min(dim=1).values


def _prefilled(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], group: int, pad: int
) -> tuple[_State, torch.Tensor, torch.Tensor]:
    """Run P prompts through the model once.

    Returns:
        The caches; of each row the logits of its first token, (P * group, vocabulary), and that token's
        position, (P * group).
    """
    ids, mask = left_pad(prompts, pad, model.device)
    cache = DynamicCache(config=model.config)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    positions = mask.sum(dim=1).repeat_interleave(group)
    return _State(cache, mask, group), logits.repeat_interleave(group, dim=0), positions


def _narrowed(state: _State, live: torch.Tensor) -> torch.Tensor | None:
    """Gather the rows that are still needed, where few enough are, and return their indices; else None.

    Args:
        state: The caches.
        live: (rows,) whether each goes on.
    """
    alive = live.view(state.prompts, state.group)
    needed = alive.sum(dim=1)
    prompts_left = needed > 0
    width = int(needed.max())
    if int(prompts_left.sum()) * width > _KEEP * live.numel():
        return None
    # Live rows first (stable), then as many of them as the fullest prompt still needs.
    order = (~alive[prompts_left]).int().argsort(dim=1, stable=True)[:, :width]
    picked = prompts_left.nonzero() * state.group + order
    state.keep(prompts_left.nonzero()[:, 0], picked)
    return picked.flatten()


def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    uniforms: NDArray[np.float32],
    sampling: Sampling,
    end_tokens: Sequence[int],
    pad: int,
) -> Decoded:
    """Sample completions of tokenised prompts.

    Args:
        model: The model.
        prompts: P prompts, as token ids.
        uniforms: (P, g, T) numbers in [0, 1), one for each token that may be drawn; they alone decide the
            samples, together with the model. T must be ``sampling.max_new_tokens``.
        sampling: The sampling parameters.
        end_tokens: Token ids that end a completion.
        pad: The padding id.

    Raises:
        ValueError: The shapes do not fit, a prompt is empty, or the model has a sliding window.
    """
    _check(model, prompts, uniforms, sampling)
    count, group, steps = uniforms.shape
    device = model.device
    rows = count * group
    tokens = torch.full((rows, steps), pad, dtype=torch.long, device=device)
    logprobs = torch.zeros((rows, steps), dtype=torch.float32, device=device)
    entropies = torch.zeros((rows, steps), dtype=torch.float32, device=device)
    ended = torch.zeros(rows, dtype=torch.bool, device=device)
    ends = torch.tensor(list(end_tokens), device=device)
    noise = torch.as_tensor(uniforms.reshape(rows, steps)).to(device).T.contiguous()
    with _attention(model):
        state, logits, position = _prefilled(model, prompts, group, pad)
        where = torch.arange(rows, device=device)  # row of the batch -> row of the result
        live = torch.ones(rows, dtype=torch.bool, device=device)
        # A mask of four dimensions is passed through as it is; our attention has no use for one.
        no_mask = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=device)
        for step in range(steps):
            chosen, logprob, entropy = _choose(logits, noise[step][where], sampling)
            drawn = where[live]
            tokens[drawn, step] = chosen[live]
            logprobs[drawn, step] = logprob[live]
            entropies[drawn, step] = entropy[live]
            done = live & torch.isin(chosen, ends)
            ended[where[done]] = True
            live &= ~done
            if step + 1 == steps or not live.any():
                break
            picked = _narrowed(state, live)
            if picked is not None:
                where, live, position = where[picked], live[picked], position[picked]
                chosen = chosen[picked]
            state.grow()
            logits = model(
                input_ids=chosen[:, None],
                attention_mask=no_mask,
                position_ids=(position + step)[:, None],
                past_key_values=state,
                use_cache=True,
                decoding=state,
            ).logits[:, -1]
            state.length += 1
    lengths = torch.where(ended, _first(torch.isin(tokens, ends)) + 1, steps)
    shape = (count, group)
    return Decoded(
        tokens.view(*shape, steps).cpu().numpy(),
        lengths.view(shape).cpu().numpy(),
        ended.view(shape).cpu().numpy(),
        logprobs.view(*shape, steps).cpu().numpy(),
        entropies.view(*shape, steps).cpu().numpy(),
    )
