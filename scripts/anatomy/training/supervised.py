"""Supervised training: a base model from scratch, or a start model on given documents (distillation, SFT)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import SequentialSampler
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.names import MANIFEST
from anatomy.rng import generator, key
from anatomy.study.training_rules import Scale
from anatomy.training import checkpoints, fsdp


@dataclass(frozen=True)
class Shape:
    """The shape of a model that is made from scratch."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int


@dataclass(frozen=True)
class Optimisation:
    """How a model is trained on documents (next-token loss on completions only)."""

    steps: int
    batch: int
    """Documents a step."""
    learning_rate: float
    warmup: int
    """Steps of linear warm-up; the rate is constant until half-way and then falls to zero."""
    checkpoint_every: int
    scale: Scale | None = None
    """How fine-tuning is spread over processes; nothing for one process."""

    def __post_init__(self) -> None:
        if self.batch % self.parts:
            raise AnatomyError(
                f"a batch of {self.batch} documents cannot be divided into {self.parts} equal parts"
                " (processes, times passes of the scale's batch): change the preset's batch, or the scale"
            )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Optimisation":
        """Make one from plain values, such as a preset."""
        scale = values.get("scale")
        return cls(**{**values, "scale": Scale(**scale) if scale else None})

    @property
    def passes(self) -> int:
        """Forward and backward passes of each process in a step."""
        world, rows = (self.scale.world, self.scale.batch) if self.scale else (1, 0)
        return max(1, self.batch // (world * rows)) if rows else 1

    @property
    def parts(self) -> int:
        """Parts of a batch that are computed apart."""
        return (self.scale.world if self.scale else 1) * self.passes


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
    shape: Shape,
    config: Optimisation,
    seed: int,
    work: Path,
    output: Path,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train a model from scratch into ``output/step-<n>``; return its log, one row a step.

    Args:
        documents: (prompt, completion) pairs, as many as are asked for.
        vocabulary: Words of the tokenizer.
        shape: Of the model.
        config: Of the optimiser.
        seed: Of the weights.
        work: Holds checkpoints until the end.
        output: The folder of models.
        report: Takes a line for people.
    """
    tokenizer = store.word_tokenizer(vocabulary)
    ids = tokenizer.get_vocab()
    torch.manual_seed(seed)
    model = store.create(tokenizer, shape.hidden, shape.layers, shape.heads, shape.kv_heads, shape.inner)
    return _fit(
        model,
        tokenizer,
        documents,
        lambda text: [ids[word] for word in text.split()],
        config,
        {"shape": asdict(shape)},
        seed,
        work,
        output,
        report,
    )


def finetune(
    start: Path,
    documents: Sequence[tuple[str, str]],
    config: Optimisation,
    seed: int,
    work: Path,
    output: Path,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Fine-tune a start model on (prompt, completion) pairs; see ``pretrain``.

    The documents are gone through in a new random order as often as the number of steps needs.
    Source: Yue et al. 2025, section 4.2 (distillation, from the base); Wang et al. 2025, section 5 (SFT on
    the solutions of hard problems, from the stage-1 model).
    """
    if not documents:
        raise AnatomyError("there is no document to fine-tune on: none of the problems has a solution")
    fsdp.begin(config.scale)
    model, tokenizer = fsdp.load(start, config.scale)
    rng = generator(seed, "fine-tuning order")

    def repeated() -> Iterator[tuple[str, str]]:
        while True:
            yield from (documents[at] for at in rng.permutation(len(documents)))

    return _fit(
        model.train(),
        tokenizer,
        repeated(),
        lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"]),
        config,
        {"start": (start / MANIFEST).read_text(), "documents": key(*documents)},
        seed,
        work,
        output,
        report,
    )


def tune(arguments: Mapping[str, Any], report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Call ``finetune`` with plain values, as ``launcher.run`` has them."""
    return finetune(
        Path(arguments["start"]),
        [(prompt, completion) for prompt, completion in arguments["documents"]],
        Optimisation.of(arguments["config"]),
        arguments["seed"],
        Path(arguments["work"]),
        Path(arguments["output"]),
        report,
    )


def _fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    documents: Iterable[tuple[str, str]],
    encode: Callable[[str], list[int]],
    config: Optimisation,
    identity: Mapping[str, Any],
    seed: int,
    work: Path,
    output: Path,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    end, pad = int(tokenizer.eos_token_id), int(tokenizer.pad_token_id)
    rng = generator(seed, "pretraining batches")
    data = batches(documents, encode, end, config.batch, config.steps, rng)
    fingerprint = {**identity, "config": asdict(config), "seed": seed, "data": key(str(data[:8]))}
    resume = checkpoints.resume_from(work, fingerprint)
    if config.parts > 1:
        rows = config.batch // config.parts
        data = [batch[at : at + rows] for batch in data for at in range(0, config.batch, rows)]
    scale = replace(config.scale, rollouts="decoder") if config.scale else None
    arguments = TrainingArguments(
        **checkpoints.arguments(work, seed, config.steps, config.checkpoint_every, config.learning_rate),
        **fsdp.options(scale, 0),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=config.passes,
        warmup_steps=config.warmup,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": config.steps // 2},
        adam_beta2=0.98,
        weight_decay=0.01,
    )
    trainer = _Pretrainer(
        model=store.trainable(model),
        args=fsdp.on_cpus(arguments, scale),
        train_dataset=_Batches(data, pad),
        data_collator=lambda items: items[0],
        callbacks=[checkpoints.Checkpoints(work, tokenizer, [config.steps], report, fsdp.kept_dtype(scale))],
    )
    trainer.remove_callback(PrinterCallback)
    checkpoints.fit(trainer, resume)
    checkpoints.publish(work, output, [f"step-{config.steps}"])
    return [row for row in trainer.state.log_history if "loss" in row]
