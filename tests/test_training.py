"""Training's own parts; that runs resume and end in the same weights is tested on the whole workflow."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from anatomy import models, training, world
from anatomy.rng import generator

MIXTURE = world.Mixture(0, 0.1, 0.3, 0.15, 0.3, 0.1, 0.1)
PRETRAINING = training.Pretraining(
    hidden=16, layers=1, heads=2, kv_heads=1, inner=32, steps=4, batch=4,
    learning_rate=1e-3, warmup=1, checkpoint_every=2,
)  # fmt: skip


def documents(seed: int = 1) -> list[tuple[str, str]]:
    source = world.documents(seed, MIXTURE, [1, 2], list(world.DOMAINS))
    return [next(source) for _ in range(200)]


def pretrain(folder: Path, report: list[str] | None = None) -> Path:
    said: list[str] = [] if report is None else report
    training.pretrain(
        documents(), world.VOCABULARY, PRETRAINING, 0, folder / "work", folder / "out", said.append
    )
    return folder / "out" / "step-4"


def test_batches_hold_every_document_once_in_rows_of_like_length() -> None:
    source = [("a " * (number % 7 + 1), str(number)) for number in range(64)]
    made = training.batches(source, lambda text: text.split(), 1, 8, 8, generator("t"))  # type: ignore[arg-type, return-value]
    assert sorted(int(c[0]) for batch in made for _, c in batch) == list(range(64))
    spreads = [max(len(p) for p, _ in batch) - min(len(p) for p, _ in batch) for batch in made]
    assert max(spreads) <= 1


def test_the_loss_sees_completions_only() -> None:
    batch = training._Batches([[([5, 6], [7, 1]), ([5], [8, 9, 1])]], pad=0)[0]
    assert batch["labels"].tolist() == [[-100, -100, 7, 1], [-100, 8, 9, 1]]
    assert batch["input_ids"].tolist() == [[5, 6, 7, 1], [5, 8, 9, 1]]


def test_pretraining_is_reproducible_and_leaves_no_work(tmp_path: Path) -> None:
    first, second = pretrain(tmp_path / "a"), pretrain(tmp_path / "b")
    assert (first / models.MANIFEST).read_text() == (second / models.MANIFEST).read_text()
    assert not (tmp_path / "a/work").exists()


def test_a_checkpoint_of_another_training_is_not_resumed(tmp_path: Path) -> None:
    work = tmp_path / "a/work"
    work.mkdir(parents=True)
    (work / "fingerprint.json").write_text("{}")
    (work / "checkpoint-3").mkdir()
    (work / "checkpoint-3/complete").touch()
    said: list[str] = []
    pretrain(tmp_path / "a", said)
    assert said[-1].startswith("step 4/4")


def test_only_complete_checkpoints_are_resumed(tmp_path: Path) -> None:
    mark = {"seed": 0}
    assert training._resume_from(tmp_path / "w", mark) is None
    for step, complete in ((2, True), (10, True), (12, False)):
        (tmp_path / f"w/checkpoint-{step}").mkdir()
        if complete:
            (tmp_path / f"w/checkpoint-{step}/complete").touch()
    assert training._resume_from(tmp_path / "w", mark) == str(tmp_path / "w/checkpoint-10")
    assert training._resume_from(tmp_path / "w", {"seed": 1}) is None


def test_kl_of_a_model_to_itself_is_zero_and_to_another_positive() -> None:
    tokenizer = models.word_tokenizer(world.VOCABULARY)
    torch.manual_seed(0)
    model, other = (models.create(tokenizer, 16, 1, 2, 1, 32).eval() for _ in range(2))
    prompts, completions = [[3, 4, 5], [6]], [[7, 8, 1], [9, 1]]
    logprobs = np.zeros((2, 3), np.float32)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        scores = model(input_ids=torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        for at, token in enumerate(completion):
            logprobs[row, at] = scores[len(prompt) + at - 1, token].item()
    assert training._kl(model, prompts, completions, logprobs, 0) == pytest.approx(0, abs=1e-6)
    assert training._kl(other, prompts, completions, logprobs, 0) > 1e-5


def test_log_rows_have_the_tables_columns() -> None:
    row = {"step": 3, "loss": 0.5, "reward": 0.25, "completions/mean_length": 20.0, "entropy": 0.4}
    (made,) = training.log_rows("grpo", 1, [{**row, "num_tokens": 99.0, "seconds": 1.5}])
    assert made["length"] == 20.0 and made["kl"] is None and made["tokens"] == 99
    json.dumps(made)
