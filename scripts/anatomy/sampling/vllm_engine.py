"""Sampling with vLLM: many GPUs, large models, continuous batches.

vLLM is given token ids and gives token ids back; texts are made as in the transformers engine, by the same
tokenizer. It is imported only when an engine starts, and starts only when something is sampled.
Source: https://docs.vllm.ai, version 0.31.0.
"""

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.models.decoding import Sampling
from anatomy.rng import key
from anatomy.sampling.engine import Completion, Prompt, Texts

_AHEAD = 4096
"""Completions that vLLM knows of at a time: more than it decodes at once, and few enough for any memory."""
_TEMPERATURES = (0.01, 2.0)
"""vLLM refuses higher temperatures, and takes lower ones than the first, other than 0, for it."""


class VllmEngine:
    """Samples with vLLM, the model being divided among GPUs (tensor parallelism); without a GPU, on the CPU.

    ``logprob`` is that of the distribution at temperature 1 with nothing cut off; there are no entropies.
    """

    def __init__(
        self,
        folder: str | Path,
        threads: int | None = None,
        gpus: int = 0,
        context: int | None = None,
        options: Mapping[str, Any] | None = None,
    ):
        """Check the model; see ``engine.load`` for the arguments. Nothing is started yet."""
        store.check_manifest(Path(folder))
        present = torch.cuda.device_count()
        if gpus > present:
            raise AnatomyError(
                f"{folder}: the model is to be divided among {gpus} GPUs (column gpus of the sheet of"
                f" models), and this job sees {present}; ask for a node with {gpus}, or change the sheet"
            )
        self.folder, self.gpus, self.options = Path(folder), gpus, dict(options or {})
        self.threads = threads
        self.texts = Texts(folder, context)
        self.room = 0
        """Positions of a prompt and its completion that the running engine has."""
        self.engine: Any = None

    def prepare(self, prompts: Sequence[Prompt], sampling: Sampling) -> int:
        """Start vLLM with room for the longest prompt and its completion; see ``Engine.prepare``."""
        needed = self.texts.needed(prompts, sampling)
        self._make_room(needed)
        return needed

    def sample(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, seed: Sequence[object]
    ) -> Iterator[list[Completion]]:
        """Decode the prompts, as many together as there is memory for; see ``Engine.sample``."""
        if sampling.temperature and not _TEMPERATURES[0] <= sampling.temperature <= _TEMPERATURES[1]:
            raise AnatomyError(
                f"temperature {sampling.temperature}: vLLM samples at 0 or between {_TEMPERATURES[0]} and"
                f" {_TEMPERATURES[1]}; choose such a temperature, or sampling.engine transformers"
            )
        if not prompts:
            return
        ids = self.texts.encode(prompts, sampling)
        self._make_room(max(map(len, ids)) + sampling.max_new_tokens)
        waiting = iter([(row, sample) for row in range(len(prompts)) for sample in range(n)])
        known: set[str] = set()
        done: dict[int, list[Completion]] = {row: [] for row in range(len(prompts))}
        row = 0
        try:
            while row < len(prompts):
                while len(known) < _AHEAD and (job := next(waiting, None)):
                    known.add(self._add(job, prompts[job[0]], ids[job[0]], sampling, seed))
                for output in self._step():
                    known.discard(output.request_id)
                    at, sample = map(int, output.request_id.split("/"))
                    done[at].append(self._completion(prompts[at], sample, output.outputs[0], sampling))
                while row < len(prompts) and len(done[row]) == n:
                    yield sorted(done.pop(row), key=lambda completion: completion.sample)
                    row += 1
        finally:
            if known and self.engine is not None:
                self.engine.abort_request(sorted(known))

    def close(self) -> None:
        """Stop vLLM and the processes that it started. The engine can be used again."""
        if self.engine is None:
            return
        from vllm.distributed import cleanup_dist_env_and_memory

        self.engine.engine_core.shutdown()
        self.engine = None
        gc.collect()
        cleanup_dist_env_and_memory()
        self.room = 0

    def _add(
        self,
        job: tuple[int, int],
        prompt: Prompt,
        ids: list[int],
        sampling: Sampling,
        seed: Sequence[object],
    ) -> str:
        """Hand a completion over to vLLM; return its name."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        row, sample = job
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            # 63 bits: a seed is a signed integer, and -1 means none.
            seed=key(*seed, prompt.condition, prompt.problem, sample) >> 65,
            stop=list(sampling.stop),
            stop_token_ids=self.texts.ends,
            detokenize=bool(sampling.stop),
            logprobs=0,  # of the token that was drawn, and of no other
            flat_logprobs=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        name = f"{row}/{sample}"
        self.engine.add_request(name, {"prompt_token_ids": ids}, parameters)
        return name

    def _step(self) -> Sequence[Any]:
        """Decode a token of each running completion; return those that ended."""
        try:
            ended: Sequence[Any] = self.engine.step()
        except Exception as error:
            self.engine = None  # it answers no more
            raise AnatomyError(_failure(self.folder, self.room, "stopped", error)) from error
        return ended

    def _completion(self, prompt: Prompt, sample: int, output: Any, sampling: Sampling) -> Completion:
        if output.finish_reason not in ("stop", "length"):
            raise AnatomyError(
                f"problem {prompt.problem!r}, completion {sample}: vLLM ended it by"
                f" {output.finish_reason!r}; its messages stand in the job's log"
            )
        # vLLM stops at stop strings; where exactly, and the text, are found in the way of all engines.
        ended = output.finish_reason == "stop"
        text, count, reason = self.texts.finish(output.token_ids, ended, sampling.stop)
        logprobs = output.logprobs.logprobs
        assert len(logprobs) == len(output.token_ids)
        return Completion(
            prompt.problem,
            prompt.condition,
            sample,
            text,
            count,
            reason,
            float(sum(logprobs[:count])),
            None,
            sampling.temperature,
        )

    def _make_room(self, needed: int) -> None:
        """Start vLLM where it does not run, or with too few positions."""
        if self.engine is not None and needed <= self.room:
            return
        again = self.engine is not None
        self.close()
        # Prompts that grow in the course of a job should not start it again and again.
        self.room = min(2 * needed, self.texts.context or 2 * needed) if again else needed
        self.engine = self._start()

    def _start(self) -> Any:
        usual: dict[str, Any] = {}
        _set_environment()
        if not torch.cuda.device_count():
            usual = {
                "enforce_eager": True,
                "kv_cache_memory_bytes": 2**30,
                # To divide a prompt, vLLM would turn back a generator, which only those of GPUs can.
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": max(4096, self.room),
            }
            if self.threads:
                torch.set_num_threads(self.threads)
        try:
            from vllm import EngineArgs, LLMEngine
            from vllm.usage.usage_lib import UsageContext
        except ImportError as error:
            raise AnatomyError(
                f"vLLM cannot be imported ({error}): run in the environment of envs/vllm.yaml"
                " (snakemake --sdm conda), or choose sampling.engine transformers"
            ) from error
        wide = self.texts.config.dtype in (None, torch.float32)
        arguments = {
            "model": str(self.folder),
            "skip_tokenizer_init": True,
            "dtype": "float32" if wide else "auto",  # vLLM would narrow float32
            "tensor_parallel_size": max(1, self.gpus),
            "max_model_len": self.room,
            "enable_prefix_caching": True,
            "logprobs_mode": "raw_logprobs",  # before temperature and top-p
            "generation_config": "vllm",  # no sampling parameters but ours
            "disable_log_stats": True,
            **usual,
            **self.options,
        }
        try:
            # The context chooses the size of batches; that of the class LLM is meant for work without a user.
            engine = LLMEngine.from_engine_args(EngineArgs(**arguments), UsageContext.LLM_CLASS)
        except Exception as error:
            raise AnatomyError(_failure(self.folder, self.room, "did not start", error)) from error
        # For stop strings. vLLM itself would choose a tokenizer by the model's architecture.
        engine.output_processor.tokenizer = self.texts.tokenizer
        return engine


def _set_environment() -> None:
    """Set what vLLM reads when it is imported, and its processes inherit."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    # A process that forks from this one could not use a GPU that this one has looked at.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    if not torch.cuda.device_count():
        # In this process: vLLM's own processes would bind themselves to the first cores of the machine,
        # where other jobs may run. Compiling takes longer than what it saves in a small model.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
        torch._dynamo.config.disable = True  # where it is loaded already


def _failure(folder: Path, room: int, what: str, error: Exception) -> str:
    """Return what to tell of an error of vLLM, with what to do about it."""
    reason = " ".join(str(error).split())[:400]
    said = f"{folder}: vLLM {what} ({type(error).__name__}: {reason})"
    reason = reason.lower()
    if isinstance(error, TypeError):
        return f"{said}; check sampling.options, which are arguments of vLLM's EngineArgs"
    if "memory" in reason or "kv cache" in reason:
        return (
            f"{said}; the model and {room} positions do not fit: give it more or larger GPUs (column"
            " gpus of the sheet of models), raise sampling.options.gpu_memory_utilization, lower"
            " max_new_tokens, or end what else runs there"
        )
    if "support" in reason or "architecture" in reason:
        return (
            f"{said}; this vLLM cannot run the model in this way: see sampling.options and the model's"
            " config.json, or choose sampling.engine transformers"
        )
    return (
        f"{said}; where that does not tell the cause, it stands further up in the log. The usual one"
        " is too little GPU memory: more or larger GPUs (column gpus of the sheet of models) mend it"
    )
