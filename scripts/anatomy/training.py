"""Training: a base model from scratch, and reinforcement learning from it with TRL.

Both can be killed at any moment: work goes on from the last complete checkpoint. Given the same inputs, seed,
processor and number of threads, an interrupted run ends in the same weights as an uninterrupted one.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import SequentialSampler
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import GRPOConfig, GRPOTrainer

from anatomy import models
from anatomy.decoding import Sampling, decode
from anatomy.rng import generator, key

_COMPLETE = "complete"
"""Written into a checkpoint after everything else, so that a half-written one is never resumed."""


@dataclass(frozen=True)
class Pretraining:
    """How a base model is trained from scratch (next-token loss on completions only)."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    steps: int
    batch: int
    """Documents a step."""
    learning_rate: float
    warmup: int
    """Steps of linear warm-up; the rate is constant until half-way and then falls to zero."""
    checkpoint_every: int


@dataclass(frozen=True)
class Reinforcement:
    """One run of group-relative policy optimisation; ``options`` are further fields of TRL's GRPOConfig."""

    steps: int
    prompts: int
    """Prompts a step."""
    rollouts: int
    """Completions a prompt (the group)."""
    learning_rate: float
    temperature: float
    max_new_tokens: int
    checkpoint_every: int
    kl_every: int
    """The KL to the start model is estimated every so many steps."""
    options: Mapping[str, Any] = field(default_factory=dict)


class _Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Marks complete checkpoints, exports models at named steps, and reports progress."""

    def __init__(
        self,
        work: Path,
        tokenizer: PreTrainedTokenizerBase,
        exports: Sequence[int],
        report: Callable[[str], None],
    ):
        self.work, self.tokenizer, self.exports, self.report = work, tokenizer, set(exports), report
        self.started = self.told = time.monotonic()
        self.first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.started, self.first = time.monotonic(), state.global_step

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: PreTrainedModel,
        **_: Any,
    ) -> None:
        if state.global_step in self.exports:
            folder = self.work / f"step-{state.global_step}"
            with models.atomic_folder(folder) as partial:
                models.save(model, self.tokenizer, partial)
        if time.monotonic() - self.told >= 10 or state.global_step == state.max_steps:
            self.told = time.monotonic()
            done = state.global_step - self.first
            left = (self.told - self.started) / done * (state.max_steps - state.global_step)
            last = state.log_history[-1] if state.log_history else {}
            shown = "  ".join(f"{k} {last[k]:.3f}" for k in ("loss", "reward") if k in last)
            self.report(f"step {state.global_step}/{state.max_steps}  {shown}  {left:.0f} s left")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        # The weights must be on disk before the mark is: a power cut reorders writes.
        os.sync()
        (folder / _COMPLETE).touch()


def _resume_from(work: Path, fingerprint: Mapping[str, Any]) -> str | None:
    """Return the last complete checkpoint in ``work`` if it belongs to the same training, else clear it."""
    mark = work / "fingerprint.json"
    text = json.dumps(fingerprint, sort_keys=True, default=str)
    if not mark.exists() or mark.read_text() != text:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mark.write_text(text)
    found = sorted(
        (int(path.parent.name.rpartition("-")[2]), path.parent)
        for path in work.glob(f"checkpoint-*/{_COMPLETE}")
    )
    return str(found[-1][1]) if found else None


def _common(work: Path, seed: int, steps: int, every: int, learning_rate: float) -> dict[str, Any]:
    return {
        "output_dir": str(work),
        "seed": seed,
        "max_steps": steps,
        "learning_rate": learning_rate,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "use_cpu": not torch.cuda.is_available(),
        "log_level": "error",
    }


# Pretraining ------------------------------------------------------------------------------------------


class _Batches(TorchDataset[dict[str, torch.Tensor]]):
    """Whole batches of tokenised documents, right-padded; the loss ignores prompts and padding."""

    def __init__(self, batches: list[list[tuple[list[int], list[int]]]], pad: int):
        self.batches, self.pad = batches, pad

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        batch = self.batches[index]
        longest = max(len(prompt) + len(completion) for prompt, completion in batch)
        ids = torch.full((len(batch), longest), self.pad)
        labels = torch.full((len(batch), longest), -100)
        for row, (prompt, completion) in enumerate(batch):
            end = len(prompt) + len(completion)
            ids[row, :end] = torch.tensor(prompt + completion)
            labels[row, len(prompt) : end] = torch.tensor(completion)
        return {"input_ids": ids, "labels": labels}


class _Pretrainer(Trainer):  # type: ignore[misc]
    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


_POOL = 8
"""Batches are made from pools of this many, sorted by length, to save padding."""


def batches(
    documents: Iterable[tuple[str, str]],
    encode: Callable[[str], list[int]],
    end: int,
    batch: int,
    steps: int,
    rng: np.random.Generator,
) -> list[list[tuple[list[int], list[int]]]]:
    """Tokenise documents into ``steps`` batches of documents of similar length, in random order."""
    source = iter(documents)
    result: list[list[tuple[list[int], list[int]]]] = []
    while len(result) < steps:
        pool = []
        for _ in range(batch * _POOL):
            prompt, completion = next(source)
            pool.append((encode(prompt), [*encode(completion), end]))
        pool.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        result += [pool[at * batch : (at + 1) * batch] for at in rng.permutation(_POOL)]
    return result[:steps]


def pretrain(
    documents: Iterable[tuple[str, str]],
    vocabulary: Sequence[str],
    config: Pretraining,
    seed: int,
    work: Path,
    output: Path,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train a base model from scratch into ``output/step-<n>``; return its log, one row a step.

    documents: (prompt, completion) pairs, as many as are asked for. ``work`` holds checkpoints until the end.
    """
    tokenizer = models.word_tokenizer(vocabulary)
    ids = tokenizer.get_vocab()
    data = batches(
        documents,
        lambda text: [ids[word] for word in text.split()],
        int(tokenizer.eos_token_id),
        config.batch,
        config.steps,
        generator(seed, "pretraining batches"),
    )
    resume = _resume_from(work, {"config": asdict(config), "seed": seed, "data": key(str(data[:8]))})
    torch.manual_seed(seed)
    model = models.create(
        tokenizer, config.hidden, config.layers, config.heads, config.kv_heads, config.inner
    )
    arguments = TrainingArguments(
        **_common(work, seed, config.steps, config.checkpoint_every, config.learning_rate),
        per_device_train_batch_size=1,
        warmup_steps=config.warmup,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": config.steps // 2},
        adam_beta2=0.98,
        weight_decay=0.01,
    )
    callback = _Checkpoints(work, tokenizer, [config.steps], report)
    trainer = _Pretrainer(
        model=model,
        args=arguments,
        train_dataset=_Batches(data, int(tokenizer.pad_token_id)),
        data_collator=lambda items: items[0],
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=resume)
    _publish(work, output)
    return [row for row in trainer.state.log_history if "loss" in row]


def _publish(work: Path, output: Path) -> None:
    with models.atomic_folder(output) as partial:
        for folder in work.glob("step-*"):
            shutil.copytree(folder, partial / folder.name)
    shutil.rmtree(work)


# Reinforcement learning -------------------------------------------------------------------------------


class _Reinforcer(GRPOTrainer):  # type: ignore[misc]
    """TRL's GRPO trainer, with wall-clock time in its log."""

    seconds = 0.0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self.state.log_history and not self.seconds:
            self.seconds = self.state.log_history[-1].get("seconds", 0.0)  # resumed
        now = time.monotonic()
        self.seconds += now - getattr(self, "_last_log", self._began)
        self._last_log = now
        super().log({**logs, "seconds": self.seconds}, start_time)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        self._began = time.monotonic()
        return super().train(*args, **kwargs)


def reinforce(
    start: Path,
    problems: Sequence[Mapping[str, Any]],
    reward: Callable[[Mapping[str, Any], str, bool], float],
    config: Reinforcement,
    exports: Sequence[int],
    seed: int,
    work: Path,
    output: Path,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train a start model by GRPO into ``output/step-<n>`` for each n of ``exports``; return its log.

    problems: rows with at least ``prompt``; ``reward(row, completion, truncated)`` judges a completion.
    Rollouts are drawn by the fast decoder through TRL's rollout hook, keyed by (seed, step, prompt).
    Source: DeepSeekMath (arXiv 2402.03300), as used by Yue et al. 2025 section 4.3; loss by ``options``.
    """
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    data = Dataset.from_list([{"prompt": row["prompt"], "index": i} for i, row in enumerate(problems)])
    identity = json.loads((start / models.MANIFEST).read_text())
    prompts = key(*(row["prompt"] for row in problems))
    resume = _resume_from(
        work,
        {"config": asdict(config), "seed": seed, "start": identity, "data": prompts, "steps": list(exports)},
    )
    model, tokenizer = models.load(start)
    reference, _ = models.load(start)
    end, pad = int(tokenizer.eos_token_id), int(tokenizer.pad_token_id)
    sampling = Sampling(config.temperature, 1.0, config.max_new_tokens)
    kl: list[float] = []  # of the rollouts in hand, where it is estimated

    def rollout(texts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        step = trainer.state.global_step
        groups = texts[:: config.rollouts]
        shape = (config.rollouts, config.max_new_tokens)
        noise = [
            generator(seed, "rollout", step, place, text).random(shape, np.float32)
            for place, text in enumerate(groups)
        ]
        ids = [tokenizer(text)["input_ids"] for text in groups]
        decoded = decode(trainer.model, ids, np.stack(noise), sampling, [end], pad)
        lengths = decoded.lengths.ravel()
        tokens = decoded.tokens.reshape(len(texts), -1)
        logprobs = decoded.logprobs.reshape(len(texts), -1)
        prompt_ids = [ids[row // config.rollouts] for row in range(len(texts))]
        completion_ids = [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]
        if step % config.kl_every == 0:
            kl.append(_kl(reference, prompt_ids, completion_ids, logprobs, pad))
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": completion_ids,
            "logprobs": [row[:length].tolist() for row, length in zip(logprobs, lengths, strict=True)],
        }

    def rewards(
        completions: list[str],
        completion_ids: list[list[int]],
        index: list[int],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        if kl:
            log_metric("kl", kl.pop())
        return [
            reward(problems[i], text, tokens[-1] != end)
            for i, text, tokens in zip(index, completions, completion_ids, strict=True)
        ]

    arguments = GRPOConfig(
        **_common(work, seed, config.steps, config.checkpoint_every, config.learning_rate),
        per_device_train_batch_size=config.prompts * config.rollouts,
        num_generations=config.rollouts,
        max_completion_length=config.max_new_tokens,
        temperature=config.temperature,
        **{"lr_scheduler_type": "constant", "beta": 0.0, **config.options},
    )
    trainer = _Reinforcer(
        model=model,
        reward_funcs=rewards,
        args=arguments,
        train_dataset=data,
        processing_class=tokenizer,
        rollout_func=rollout,
        callbacks=[_Checkpoints(work, tokenizer, exports, report)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=resume)
    _publish(work, output)
    return [row for row in trainer.state.log_history if "reward" in row]


@torch.inference_mode()
def _kl(
    reference: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[int]],
    logprobs: np.ndarray[Any, np.dtype[np.float32]],
    pad: int,
) -> float:
    """Estimate KL(policy || reference) in nats per token from rollouts of the policy.

    The mean over tokens of r - log r - 1 with r = reference / policy, unbiased and never negative
    (Schulman 2020, "Approximating KL divergence", estimator k3).
    """
    total = count = 0.0
    rows = [[*p, *c] for p, c in zip(prompt_ids, completion_ids, strict=True)]
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad)
    for row, sequence in enumerate(rows):
        ids[row, : len(sequence)] = torch.tensor(sequence)
    # Right-padded and causal: no token sees the padding behind it, so no mask is needed.
    scores = reference(input_ids=ids.to(reference.device)).logits.float().log_softmax(dim=-1).cpu()
    for row, (given, sequence) in enumerate(zip(prompt_ids, rows, strict=True)):
        at = torch.arange(len(given), len(sequence))
        theirs = scores[row, at - 1, ids[row, at]].numpy()
        log_ratio = theirs - logprobs[row, : len(at)]
        total += float(np.sum(np.exp(log_ratio) - log_ratio - 1))
        count += len(at)
    return total / max(count, 1.0) if math.isfinite(total) else float("nan")


def log_rows(run: str, seed: int, log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Turn a trainer's log into rows of the table 'training'."""
    names = {
        "loss": "loss",
        "reward": "reward",
        "length": "completions/mean_length",
        "entropy": "entropy",
        "kl": "kl",
        "zero_signal": "frac_reward_zero_std",
    }
    return [
        {
            "run": run,
            "seed": seed,
            "step": int(row["step"]),
            **{ours: row.get(theirs) for ours, theirs in names.items()},
            "tokens": int(row.get("num_tokens", 0)),
            "seconds": float(row.get("seconds", 0.0)),
        }
        for row in log
    ]
