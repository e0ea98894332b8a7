"""Who draws a training's completions: this project's decoder, or vLLM through TRL's own integration.

Both are given names for each prompt's randomness (seed, step, place, prompt ...) and nothing else that could
depend on how prompts are divided among processes. The decoder's completions then depend on names and weights
alone, up to rounding; vLLM's random numbers are keyed by a seed from the names, but its arithmetic may depend
on what else it is computing at the time, so that of its completions only the distribution is promised.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager as Context
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PreTrainedModel
from trl import GRPOTrainer

from anatomy.errors import AnatomyError
from anatomy.models.decoding import Decoded, Sampling, decode
from anatomy.rng import generator, key
from anatomy.training import checkpoints

Names = Sequence[object]
_REQUESTS = 64
"""Requests to a vLLM server at a time."""


class Decoder(Protocol):
    """Draws completions of the policy as it is at a trainer's present step."""

    tells: bool
    """Whether its log-probabilities are those that the training's own forward pass would give."""

    def awake(self, trainer: GRPOTrainer) -> Context[None]:
        """Be ready to draw while the context lasts. Every process must enter it."""
        ...

    def draw(
        self,
        trainer: GRPOTrainer,
        prompts: Sequence[list[int]],
        names: Sequence[Names],
        group: int,
        sampling: Sampling,
    ) -> Decoded:
        """Draw ``group`` completions of each of this process's prompts; every process must call it."""
        ...


class OwnDecoder:
    """Decodes in the training's own process; ``player`` is a whole copy of a model that is sharded."""

    tells = True

    def __init__(self, ends: Sequence[int], pad: int, player: PreTrainedModel | None = None):
        self.ends, self.pad, self.player = ends, pad, player

    @contextmanager
    def awake(self, trainer: GRPOTrainer) -> Iterator[None]:
        """Take over the policy's present weights, where it is sharded; see ``Decoder.awake``."""
        if self.player is not None:
            own, shared = dict(self.player.named_parameters()), trainer.model.named_parameters()
            with torch.no_grad():
                for name, parameter in shared:
                    own[name.replace("_checkpoint_wrapped_module.", "")].copy_(parameter.full_tensor())
        yield

    def draw(
        self,
        trainer: GRPOTrainer,
        prompts: Sequence[list[int]],
        names: Sequence[Names],
        group: int,
        sampling: Sampling,
    ) -> Decoded:
        """Draw completions; see ``Decoder.draw``."""
        shape = (group, sampling.max_new_tokens)
        if not prompts:
            return _arrays([], [], group, sampling.max_new_tokens, self.ends, self.pad)
        if sampling.temperature:
            noise = np.stack([generator(*name).random(shape, np.float32) for name in names])
        else:
            noise = np.zeros((len(prompts), *shape), np.float32)
        return decode(self.player or trainer.model, prompts, noise, sampling, self.ends, self.pad)


class VllmDecoder:
    """Draws with the vLLM that TRL keeps in step with the training, in its processes or behind a server.

    A prompt's completions are one request; completion i has the request's seed plus i.
    """

    tells = False

    def __init__(self, ends: Sequence[int], pad: int, server: bool = False):
        self.ends, self.pad = list(ends), pad
        try:
            from vllm.model_executor.layers import utils
        except ImportError as error:
            raise AnatomyError(
                f"vLLM cannot be imported ({error}): run in the environment of envs/vllm.yaml"
                " (snakemake --sdm conda), or set the scale's rollouts to decoder"
            ) from error
        if not torch.cuda.is_available():
            if server:
                raise AnatomyError(
                    "a vLLM server takes new weights by NCCL, which needs GPUs: set the scale's vllm_mode to"
                    " colocate"
                )
            # vLLM's CPU build packs weights once for all, and drops what TRL writes new ones into. Compiling
            # takes longer than what it saves in models that a CPU can train.
            utils.dispatch_cpu_unquantized_gemm = _unpacked
            torch._dynamo.config.disable = True

    @contextmanager
    def awake(self, trainer: GRPOTrainer) -> Iterator[None]:
        """Give vLLM its memory, and the policy's present weights; see ``Decoder.awake``."""
        engine = trainer.vllm_generation
        sleeps = engine.mode == "colocate" and engine.enable_sleep_mode
        if sleeps:
            if engine._llm_weights_sleeping:
                engine.sync_weights()
            engine.llm.wake_up(tags=["kv_cache"])
        yield
        if sleeps:
            engine.llm.sleep(level=2)
            engine._llm_weights_sleeping = True

    def draw(
        self,
        trainer: GRPOTrainer,
        prompts: Sequence[list[int]],
        names: Sequence[Names],
        group: int,
        sampling: Sampling,
    ) -> Decoded:
        """Draw completions; see ``Decoder.draw``."""
        requests = [(prompt, key(*name) % 2**62) for prompt, name in zip(prompts, names, strict=True)]
        engine = trainer.vllm_generation
        draw = self._served if engine.mode == "server" else self._colocated
        drawn = draw(engine, requests, group, sampling)
        tokens = [tokens for tokens, _ in drawn]
        logprobs = [[entry[0] for entry in logprobs] for _, logprobs in drawn]
        return _arrays(tokens, logprobs, group, sampling.max_new_tokens, self.ends, self.pad)

    def _colocated(
        self, engine: Any, requests: list[tuple[list[int], int]], group: int, sampling: Sampling
    ) -> list[tuple[list[int], list[list[float]]]]:
        from trl.generation.vllm_generation import extract_logprobs
        from vllm import SamplingParams

        first, last = 0, len(requests)
        if engine.tensor_parallel_size > 1:
            # Processes that share a copy of the model compute all of their requests together.
            shares: list[Any] = [None] * engine.tensor_parallel_size
            torch.distributed.all_gather_object(shares, requests, group=engine.tp_group)
            first = sum(map(len, shares[: torch.distributed.get_rank(engine.tp_group)]))
            last = first + len(requests)
            requests = [request for share in shares for request in share]
        if not requests:
            return []
        outputs = engine.llm.generate(
            [{"prompt_token_ids": prompt} for prompt, _ in requests],
            [
                SamplingParams(
                    n=group,
                    seed=seed,
                    temperature=sampling.temperature,
                    max_tokens=sampling.max_new_tokens,
                    stop_token_ids=self.ends,
                    logprobs=0,
                    detokenize=False,
                )
                for _, seed in requests
            ],
            use_tqdm=False,
        )[first:last]
        tokens = [list(completion.token_ids) for output in outputs for completion in output.outputs]
        logprobs, _ = extract_logprobs(outputs)
        return list(zip(tokens, logprobs or [], strict=True))

    def _served(
        self, engine: Any, requests: list[tuple[list[int], int]], group: int, sampling: Sampling
    ) -> list[tuple[list[int], list[list[float]]]]:
        def ask(request: tuple[list[int], int]) -> list[tuple[list[int], list[list[float]]]]:
            answer = engine.vllm_client.generate(
                [request[0]],
                n=group,
                temperature=sampling.temperature,
                max_tokens=sampling.max_new_tokens,
                logprobs=0,
                generation_kwargs={"seed": request[1], "stop_token_ids": self.ends},
            )
            return list(zip(answer["completion_ids"], answer["logprobs"], strict=True))

        shares, answers = checkpoints.everyone(requests), None
        if checkpoints.first():
            with ThreadPoolExecutor(_REQUESTS) as pool:
                answers = [list(pool.map(ask, share)) for share in shares]
        answers = checkpoints.everyone(answers)[0]
        return [sequence for answer in answers[engine.accelerator.process_index] for sequence in answer]


def _unpacked(layer: Any, remove_weight: bool) -> None:
    layer.cpu_linear = torch.nn.functional.linear


def _arrays(
    tokens: Sequence[list[int]],
    logprobs: Sequence[Sequence[float | None]],
    group: int,
    limit: int,
    ends: Sequence[int],
    pad: int,
) -> Decoded:
    """Turn lists of completions, ``group`` in a row of one prompt, into arrays; entropies are not told."""
    shape = (len(tokens) // group, group)
    ids = np.full((len(tokens), limit), pad, np.int64)
    scores = np.zeros((len(tokens), limit), np.float32)
    lengths = np.array([len(row) for row in tokens], np.int64)
    for row, (sequence, sequence_logprobs) in enumerate(zip(tokens, logprobs, strict=True)):
        ids[row, : len(sequence)] = sequence
        scores[row, : len(sequence)] = [np.nan if score is None else score for score in sequence_logprobs]
    ended = np.array([bool(row) and row[-1] in ends for row in tokens], np.bool_)
    return Decoded(
        ids.reshape(*shape, limit),
        lengths.reshape(shape),
        ended.reshape(shape),
        scores.reshape(*shape, limit),
        np.zeros(shape, np.float32),
    )
