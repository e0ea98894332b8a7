"""Training's own parts; that runs resume and end in the same weights is tested on the whole workflow."""

import json
from pathlib import Path

import pytest

from anatomy.errors import AnatomyError
from anatomy.names import MANIFEST
from anatomy.rng import generator
from anatomy.sampling import log_likelihood
from anatomy.storage import schemas
from anatomy.training import checkpoints, supervised
from anatomy.world import documents as world_documents
from anatomy.world import problems

MIXTURE = world_documents.Mixture(0, 0.1, 0.3, 0.15, 0.3, 0.1, 0.1, 0.1, 0.0)
SHAPE = supervised.Shape(hidden=16, layers=1, heads=2, kv_heads=1, inner=32)
OPTIMISATION = supervised.Optimisation(steps=4, batch=4, learning_rate=1e-3, warmup=1, checkpoint_every=2)


def documents(seed: int = 1) -> list[tuple[str, str]]:
    source = world_documents.documents(seed, MIXTURE, [1, 2], list(problems.DOMAINS))
    return [next(source) for _ in range(200)]


def pretrain(folder: Path, report: list[str] | None = None) -> Path:
    said: list[str] = [] if report is None else report
    supervised.pretrain(
        documents(), problems.VOCABULARY, SHAPE, OPTIMISATION, 0, folder / "work", folder / "out", said.append
    )
    return folder / "out" / "step-4"


def test_batches_hold_every_document_once_in_rows_of_like_length() -> None:
    source = [("a " * (number % 7 + 1), str(number)) for number in range(64)]
    made = supervised.batches(source, lambda text: text.split(), 1, 8, 8, generator("t"))  # type: ignore[arg-type, return-value]
    assert sorted(int(c[0]) for batch in made for _, c in batch) == list(range(64))
    spreads = [max(len(p) for p, _ in batch) - min(len(p) for p, _ in batch) for batch in made]
    assert max(spreads) <= 1


def test_the_loss_sees_completions_only() -> None:
    batch = supervised._Batches([[([5, 6], [7, 1]), ([5], [8, 9, 1])]], pad=0)[0]
    assert batch["labels"].tolist() == [[-100, -100, 7, 1], [-100, 8, 9, 1]]
    assert batch["input_ids"].tolist() == [[5, 6, 7, 1], [5, 8, 9, 1]]


@pytest.mark.slow
def test_pretraining_is_reproducible_and_leaves_no_work(tmp_path: Path) -> None:
    first, second = pretrain(tmp_path / "a"), pretrain(tmp_path / "b")
    assert (first / MANIFEST).read_text() == (second / MANIFEST).read_text()
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
    assert checkpoints.resume_from(tmp_path / "w", mark) is None
    for step, complete in ((2, True), (10, True), (12, False)):
        (tmp_path / f"w/checkpoint-{step}").mkdir()
        if complete:
            (tmp_path / f"w/checkpoint-{step}/complete").touch()
    assert checkpoints.resume_from(tmp_path / "w", mark) == str(tmp_path / "w/checkpoint-10")
    assert checkpoints.resume_from(tmp_path / "w", {"seed": 1}) is None


def test_log_rows_have_the_tables_columns() -> None:
    row = {"step": 3, "loss": 0.5, "reward": 0.25, "completions/mean_length": 20.0, "entropy": 0.4}
    (made,) = checkpoints.log_rows("grpo", 1, [{**row, "num_tokens": 99.0, "seconds": 1.5}])
    assert made["length"] == 20.0 and made["kl"] is None and made["tokens"] == 99
    assert set(made) == set(schemas.SCHEMAS["training"].names)
    json.dumps(made)
    log = [{**row, "reward": -0.5}, {"step": 4, "loss": 0.5}]  # the second draws no rollouts
    first, second = checkpoints.log_rows("dapo", 1, log, signed=True)
    assert (first["reward"], second["reward"]) == (0.25, None)  # a quarter is right


@pytest.mark.slow
def test_fine_tuning_raises_the_likelihood_of_its_documents(tmp_path: Path) -> None:
    start = pretrain(tmp_path / "base")
    given = [document for document in documents(2) if document[0] != "drill"][:8]
    config = supervised.Optimisation(steps=20, batch=4, learning_rate=3e-3, warmup=1, checkpoint_every=10)

    def fit(name: str) -> Path:
        supervised.finetune(start, given, config, 0, tmp_path / name / "w", tmp_path / name / "o", print)
        return tmp_path / name / "o" / "step-20"

    def likelihood(folder: Path) -> float:
        prompts, completions = zip(*given, strict=True)
        scores = log_likelihood.Scorer(folder).score(prompts, completions, [False] * len(given))
        return sum(score.logprob for score in scores)

    first = fit("a")
    assert likelihood(first) > likelihood(start) + 10
    assert (first / MANIFEST).read_text() == (fit("b") / MANIFEST).read_text()


def test_nothing_to_fine_tune_on(tmp_path: Path) -> None:
    config = supervised.Optimisation(steps=1, batch=1, learning_rate=1e-3, warmup=0, checkpoint_every=1)
    with pytest.raises(AnatomyError, match="no document to fine-tune on"):
        supervised.finetune(tmp_path, [], config, 0, tmp_path / "work", tmp_path / "model")
