"""Every algorithm on a toy policy: what its first update does, what it resumes from, what it counts."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from trl import GRPOTrainer

from anatomy.algorithms import registry
from anatomy.algorithms.registry import Batch
from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.names import MANIFEST
from anatomy.sampling import log_likelihood
from anatomy.training import rl_rollouts, rl_trainer
from anatomy.training.rl_config import Reinforcement, Value
from anatomy.training.value_model import Critic
from anatomy.world import problems

ALGORITHMS = registry.names()
WANTED = problems.VOCABULARY[:16]
"""The words with which a rewarded completion begins: a third of the vocabulary."""
PROBLEMS = [{"prompt": f"{a} + {b}"} for a in range(4) for b in range(4)]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that knows nothing yet."""
    folder = tmp_path_factory.mktemp("start")
    tokenizer = store.word_tokenizer(problems.VOCABULARY)
    torch.manual_seed(0)
    store.save(store.create(tokenizer, 16, 1, 2, 1, 32), tokenizer, folder)
    return folder


def learns_values(algorithm: str) -> bool:
    return algorithm in registry.value_learners()


def config(algorithm: str, **changes: Any) -> Reinforcement:
    settings: dict[str, Any] = {
        "algorithm": algorithm, "steps": 1, "prompts": 8, "rollouts": 8, "updates": 1,
        "learning_rate": 3e-3, "temperature": 1.0, "max_new_tokens": 4, "checkpoint_every": 2,
        "kl_every": 1, "value": Value(1e-3, 1.0, 0.95, 0.5) if learns_values(algorithm) else None,
        "options": {"loss_type": "dr_grpo" if algorithm == "dr-grpo" else "dapo"},
    }  # fmt: skip
    if algorithm == "dapo":
        settings |= {"refills": 2, "overlong": 2}
        settings["options"]["epsilon_high"] = 0.28
    return Reinforcement(**{**settings, **changes})


def begins_well(problem: Mapping[str, Any], completion: str, truncated: bool) -> float:
    return float(bool(completion) and completion.split()[0] in WANTED)


Reward = Callable[[Mapping[str, Any], str, bool], float]


def each(reward: Reward) -> rl_rollouts.Reward:
    """A reward of many rollouts that looks at each by itself."""
    return lambda rollouts: [reward(*rollout) for rollout in rollouts]


def train(
    start: Path, folder: Path, settings: Reinforcement, reward: Reward = begins_well, tokens: int = 0
) -> list[dict[str, Any]]:
    return rl_trainer.reinforce(
        start, PROBLEMS, each(reward), settings, [settings.steps], tokens, 0, folder / "w", folder / "o",
        lambda text: None,
    )  # fmt: skip


def mass(folder: Path) -> float:
    """The probability that a completion begins with a wanted word, the mean over problems."""
    prompts = [row["prompt"] for row in PROBLEMS for _ in WANTED]
    scores = log_likelihood.Scorer(folder).score(prompts, list(WANTED) * len(PROBLEMS), [True] * len(prompts))
    return float(np.exp([score.logprob for score in scores]).sum() / len(PROBLEMS))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_first_update_goes_towards_reward(algorithm: str, start: Path, tmp_path: Path) -> None:
    before = mass(start)
    train(start, tmp_path / "up", config(algorithm))
    train(start, tmp_path / "down", config(algorithm), lambda *arguments: 1 - begins_well(*arguments))
    up, down = mass(tmp_path / "up/o/step-1"), mass(tmp_path / "down/o/step-1")
    assert down < before - 0.002 < before + 0.002 < up


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_update_where_all_rewards_are_equal(algorithm: str, start: Path, tmp_path: Path) -> None:
    """But for PPO's: its value model begins at 0, and whitening removes the mean."""
    settings = config(algorithm, overlong=0)
    train(start, tmp_path, settings, lambda *_: 1.0)
    moved = abs(mass(tmp_path / "o/step-1") - mass(start))
    assert moved < (0.1 if learns_values(algorithm) else 1e-5)


@pytest.mark.slow
def test_advantages_of_grpo_are_trls_own(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = []
    original = GRPOTrainer._generate_and_score_completions
    ours = rl_trainer._Reinforcer._generate_and_score_completions

    def both(trainer: Any, inputs: Any) -> Any:
        output = ours(trainer, inputs)
        pairs.append(output["advantages"].clone())
        return output

    def theirs(trainer: Any, inputs: Any) -> Any:
        output = original(trainer, inputs)
        pairs.append(output["advantages"].clone())
        return output

    monkeypatch.setattr(GRPOTrainer, "_generate_and_score_completions", theirs)
    monkeypatch.setattr(rl_trainer._Reinforcer, "_generate_and_score_completions", both)
    train(start, tmp_path, config("grpo", steps=2))
    assert len(pairs) == 4 and float(pairs[0].abs().max()) > 0.5
    # TRL adds 1e-4 to the deviation.
    torch.testing.assert_close(pairs[0], pairs[1], atol=0, rtol=1e-3)
    torch.testing.assert_close(pairs[2], pairs[3], atol=0, rtol=1e-3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_gets_what_it_asks_for_and_nothing_else(algorithm: str) -> None:
    """Its advantages are those of the rollouts, one a rollout or one a token."""
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    greedy, values = torch.tensor([1.0, 0.0]), torch.rand(8, 3, generator=torch.manual_seed(0))
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]] * 4)
    of = registry.find(algorithm)
    losses: defaultdict[str, list[float]] = defaultdict(list)
    trainer: Any = SimpleNamespace(
        rollouts=SimpleNamespace(config=config(algorithm), rewards=rewards.numpy(), greedy=greedy.numpy()),
        critic=SimpleNamespace(values=lambda *_: values, fit=lambda *_: 0.25) if of.value_model else None,
        algorithm=SimpleNamespace(greedy=of.greedy, value_model=of.value_model),
        _metrics={"train": losses},
    )
    asked: list[Batch] = []
    trainer.algorithm.advantages = lambda batch: asked.append(batch) or of.advantages(batch)
    batch = dict.fromkeys(("prompt_ids", "prompt_mask", "completion_ids", "completion_mask"), mask)
    made = rl_trainer._Reinforcer._advantages(trainer, batch, mask)
    (given,) = asked
    assert (given.greedy is not None, given.value_model is not None) == (of.greedy, of.value_model)
    assert dict(losses) == ({"value_loss": [0.25]} if of.value_model else {})
    expected = of.advantages(given)
    assert made.shape == (mask.shape if expected.shape == mask.shape else (8,))
    torch.testing.assert_close(made.flatten(), expected.flatten())


@pytest.mark.parametrize("algorithm", ["grop", "sft", ""])
def test_no_run_is_of_an_unknown_algorithm(algorithm: str) -> None:
    with pytest.raises(AnatomyError, match=f"unknown algorithm '{algorithm}'; known: .*grpo, ppo"):
        config(algorithm)


def test_a_value_is_of_the_state_before_its_token(start: Path) -> None:
    critic = Critic(start, 1e-3, torch.device("cpu"))
    torch.nn.init.normal_(critic.model.score.weight, generator=torch.manual_seed(0))
    prompts, seen = torch.tensor([[5, 6, 7]] * 2), torch.ones(2, 3, dtype=torch.long)
    completions = torch.tensor([[8, 9, 10, 11], [8, 9, 12, 11]])  # the third token differs
    with torch.no_grad():
        first, second = critic.values(prompts, seen, completions, torch.ones(2, 4, dtype=torch.long))
    torch.testing.assert_close(first[:3], second[:3])
    assert abs(float(first[3] - second[3])) > 1e-3 and float(first.std()) > 1e-3


@pytest.mark.slow
def test_dapo_draws_groups_without_signal_anew(start: Path, tmp_path: Path) -> None:
    """Half of the problems are never solved: without refills half of the groups teach nothing."""

    def half(problem: Mapping[str, Any], completion: str, truncated: bool) -> float:
        return begins_well(problem, completion, truncated) * (problem["prompt"][0] in "01")

    def used(refills: int) -> tuple[float, int]:
        folder = tmp_path / str(refills)
        (row,) = train(start, folder, config("dapo", refills=refills, overlong=0), half)
        assert row["zero_signal"] > 0.2  # as drawn first
        return row["frac_reward_zero_std"], row["generated"]

    none, tokens = used(0)
    some, more = used(4)
    assert none > 0.2 and some < none / 2 and more > tokens


@pytest.mark.slow
def test_remax_counts_its_greedy_responses(start: Path, tmp_path: Path) -> None:
    (with_greedy,) = train(start, tmp_path / "a", config("remax"))
    (without,) = train(start, tmp_path / "b", config("rloo"))
    assert 0 < with_greedy["generated"] - without["generated"] <= 8 * 4
    assert with_greedy["reward"] == without["reward"]  # the same rollouts


@pytest.mark.slow
def test_overlong_responses_are_penalised(start: Path, tmp_path: Path) -> None:
    (row,) = train(start, tmp_path, config("dapo", refills=0), lambda *_: 0.0)
    assert row["reward"] < 0


class KilledError(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["ppo", "dapo"])
def test_a_killed_run_ends_in_the_same_weights(algorithm: str, start: Path, tmp_path: Path) -> None:
    """Of those that keep most: a value model, and draws anew; tests/test_distributed.py has grpo too."""
    settings = config(algorithm, steps=8, updates=2, checkpoint_every=4)
    calls = 0

    def dies(*arguments: Any) -> float:
        nonlocal calls
        calls += 1
        if calls > 64 * 3:  # within the fourth of four draws, at the earliest
            raise KilledError
        return begins_well(*arguments)

    whole = train(start, tmp_path / "whole", settings)
    with pytest.raises(KilledError):
        train(start, tmp_path / "killed", settings, dies)
    assert (tmp_path / "killed/w/checkpoint-4").exists() and not (tmp_path / "killed/o").exists()
    resumed = train(start, tmp_path / "killed", settings)
    manifests = [(tmp_path / name / "o/step-8" / MANIFEST).read_text() for name in ("whole", "killed")]
    assert manifests[0] == manifests[1]
    assert [row["generated"] for row in resumed] == [row["generated"] for row in whole]


@pytest.mark.slow
def test_a_model_is_kept_at_a_number_of_tokens(start: Path, tmp_path: Path) -> None:
    log = train(start, tmp_path, config("grpo", steps=4), tokens=500)
    reached = next(row["step"] for row in log if row["generated"] >= 500)
    assert 1 < reached < 4
    kept = tmp_path / "o/tokens" / MANIFEST
    assert kept.exists() and kept.read_text() != (tmp_path / "o/step-4" / MANIFEST).read_text()


@pytest.mark.slow
def test_a_number_of_tokens_that_is_not_reached_is_a_message(start: Path, tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match="before the 1,000,000 at which a model was to be kept"):
        train(start, tmp_path, config("grpo"), tokens=1_000_000)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"updates": 2}, "steps 1 is not a multiple of updates 2"),
        ({"steps": 3, "updates": 3, "checkpoint_every": 3}, "updates 3 does not divide 8 prompts"),
        ({"value": Value(1e-3, 1.0, 1.0, 0.5)}, "belongs to algorithm ppo"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnatomyError, match=said):
        config("grpo", **changes)


def test_kl_of_a_model_to_itself_is_zero_and_to_another_positive() -> None:
    tokenizer = store.word_tokenizer(problems.VOCABULARY)
    torch.manual_seed(0)
    model, other = (store.create(tokenizer, 16, 1, 2, 1, 32).eval() for _ in range(2))
    prompts, completions = [[3, 4, 5], [6]], [[7, 8, 1], [9, 1]]
    logprobs = np.zeros((2, 3), np.float32)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        scores = model(input_ids=torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        for at, token in enumerate(completion):
            logprobs[row, at] = scores[len(prompt) + at - 1, token].item()
    assert rl_rollouts.kl(model, prompts, completions, logprobs, 0) == pytest.approx(0, abs=1e-6)
    assert rl_rollouts.kl(other, prompts, completions, logprobs, 0) > 1e-5
    # Every token is half as likely under the policy: r = 2, and r - log r - 1 = 1 - log 2.
    halved = logprobs - np.float32(np.log(2))
    assert rl_rollouts.kl(model, prompts, completions, halved, 0) == pytest.approx(1 - np.log(2), abs=1e-5)
    # At another temperature it is that of the distributions drawn from.
    scaled = rl_rollouts.token_logprobs(model, prompts, completions, 0, 0.5)
    assert rl_rollouts.kl(model, prompts, completions, scaled, 0, 0.5) == pytest.approx(0, abs=1e-6)
    assert rl_rollouts.kl(model, prompts, completions, logprobs, 0, 0.5) > 1e-5


@pytest.mark.slow
def test_the_rollouts_own_logprobs_are_what_trl_would_compute(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    differences = []
    ours = rl_trainer._Reinforcer._get_per_token_logps_and_entropies

    def both(trainer: Any, model: Any, *arguments: Any, **named: Any) -> Any:
        found = ours(trainer, model, *arguments, **named)
        if not torch.is_grad_enabled():
            theirs, _, _ = GRPOTrainer._get_per_token_logps_and_entropies(trainer, model, *arguments, **named)
            at = torch.from_numpy(trainer.rollouts.logprobs != 0)[:, : theirs.shape[1]]
            differences.append(float((found[0] - theirs)[at].abs().max()))
        return found

    monkeypatch.setattr(rl_trainer._Reinforcer, "_get_per_token_logps_and_entropies", both)
    train(start, tmp_path, config("grpo", steps=4, updates=2, options={"bf16": False}))
    assert len(differences) == 2 and max(differences) < 1e-4
