"""Advantages by hand and against their definitions, and how an algorithm is found."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anatomy import algorithms
from anatomy.algorithms import registry
from anatomy.algorithms.grpo import Grpo
from anatomy.algorithms.ppo import gae
from anatomy.algorithms.registry import Algorithm, Batch, whiten
from anatomy.errors import AnatomyError
from anatomy.training.rl_rollouts import overlong

ROOT = Path(__file__).resolve().parents[1]
REWARDS = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def close(found: torch.Tensor, expected: list[list[float]], tolerance: float = 1e-3) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), atol=tolerance, rtol=0)


def advantages(name: str, rewards: torch.Tensor = REWARDS, **more: torch.Tensor) -> torch.Tensor:
    """What an algorithm gives; of rewards alone, all rollouts have two tokens."""
    mask = more.pop("mask", torch.ones(rewards.numel(), 2, dtype=torch.long))
    return registry.find(name).advantages(Batch(rewards, mask, **more))


# By hand ------------------------------------------------------------------------------------------------


def test_grpo_by_hand() -> None:
    # Two of four: mean 1/2, unbiased variance 1/3. One of four: mean 1/4, variance 1/4.
    a = 0.5 * 3**0.5
    for name in ("grpo", "dapo"):
        close(advantages(name), [[a, -a, -a, a], [1.5, -0.5, -0.5, -0.5], [0, 0, 0, 0]])


def test_dr_grpo_by_hand() -> None:
    close(
        advantages("dr-grpo"),
        [[0.5, -0.5, -0.5, 0.5], [0.75, -0.25, -0.25, -0.25], [0, 0, 0, 0]],
        1e-6,
    )


def test_rloo_by_hand() -> None:
    third = 1 / 3
    expected = [[2 * third, -2 * third, -2 * third, 2 * third], [1, -third, -third, -third], [0, 0, 0, 0]]
    close(advantages("rloo"), expected, 1e-6)


def test_remax_by_hand() -> None:
    close(
        advantages("remax", greedy=torch.tensor([1.0, 0.0, 0.0])),
        [[0, -1, -1, 0], [1, 0, 0, 0], [0, 0, 0, 0]],
        1e-6,
    )


def test_grpo_of_equal_rewards_is_zero_whatever_rounding_makes_of_their_mean() -> None:
    level = torch.full((1, 8), -0.3)
    assert float((level - level.mean()).abs().max()) > 0
    close(advantages("grpo", level), [[0.0] * 8], 0.0)


groups = st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=4), min_size=1, max_size=5)


@given(groups)
def test_rloo_is_the_reward_less_the_mean_of_the_others(rewards: list[list[float]]) -> None:
    tensor = torch.tensor(rewards)
    for row, group in enumerate(rewards):
        for at, reward in enumerate(group):
            others = [r for place, r in enumerate(group) if place != at]
            found = float(advantages("rloo", tensor)[row, at])
            assert found == pytest.approx(reward - sum(others) / len(others), abs=1e-6)


@given(groups)
def test_group_baselines_sum_to_zero(rewards: list[list[float]]) -> None:
    tensor = torch.tensor(rewards)
    for name in ("grpo", "dr-grpo", "rloo"):
        assert float(advantages(name, tensor).sum(dim=1).abs().max()) < 1e-5


def test_reinforce_plus_plus_by_hand() -> None:
    # Tokens: 1, 1, 1 of a right rollout and 0 of a wrong one: mean 3/4, unbiased variance 1/4.
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    high, low = 0.5, -1.5
    found = advantages("reinforce++", torch.tensor([[1.0, 0.0]]), mask=mask)
    close(found, [[high, high, high], [low, 0, 0]], 1e-5)


def test_whitening_ignores_what_is_masked() -> None:
    values = torch.tensor([[1.0, 2.0, 99.0], [3.0, -7.0, 5.0]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    found = whiten(values, mask)[mask.bool()]
    assert float(found.mean()) == pytest.approx(0, abs=1e-6)
    assert float(found.var()) == pytest.approx(1, abs=1e-4)  # unbiased, as in verl
    assert float(whiten(values, mask)[~mask.bool()].abs().sum()) == 0


def test_gae_by_hand() -> None:
    # gamma 1, lambda 1/2; reward 1 with the second token; values 0.2, 0.6. The last error is 1 - 0.6 = 0.4,
    # the first 0.6 - 0.2 = 0.4, so the first advantage is 0.4 + 0.4 / 2 = 0.6.
    values = torch.tensor([[0.2, 0.6, 9.0]])
    mask = torch.tensor([[1, 1, 0]])
    found, returns = gae(torch.tensor([1.0]), values, mask, 1.0, 0.5)
    close(found, [[0.6, 0.4, 0]], 1e-6)
    close(returns, [[0.8, 1.0, 0]], 1e-6)


def test_gae_with_lambda_one_is_the_return_less_the_value() -> None:
    torch.manual_seed(0)
    values = torch.rand(5, 7)
    lengths = torch.tensor([7, 1, 3, 4, 6])
    mask = (torch.arange(7)[None] < lengths[:, None]).long()
    rewards = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    found, returns = gae(rewards, values, mask, 1.0, 1.0)
    torch.testing.assert_close(found, (rewards[:, None] - values) * mask)
    torch.testing.assert_close(returns, rewards[:, None] * mask)


def test_gae_with_lambda_zero_is_the_one_step_error() -> None:
    values = torch.tensor([[0.5, 0.25]])
    found, _ = gae(torch.tensor([1.0]), values, torch.ones(1, 2), 0.9, 0.0)
    close(found, [[0.9 * 0.25 - 0.5, 1 - 0.25]], 1e-6)


def test_gae_against_its_definition() -> None:
    """The sum over l of (gamma lambda)^l times the error l steps ahead."""
    torch.manual_seed(1)
    steps, gamma, lam = 6, 0.95, 0.9
    values = torch.rand(1, steps)
    errors = [
        (1.0 if t == steps - 1 else 0.0)
        + gamma * (float(values[0, t + 1]) if t + 1 < steps else 0.0)
        - float(values[0, t])
        for t in range(steps)
    ]
    expected = [
        sum((gamma * lam) ** (later - t) * errors[later] for later in range(t, steps)) for t in range(steps)
    ]
    found, _ = gae(torch.tensor([1.0]), values, torch.ones(1, steps), gamma, lam)
    close(found, [expected], 1e-5)


def test_overlong_penalty_by_hand() -> None:
    lengths = np.array([50, 60, 65, 70, 80])
    np.testing.assert_allclose(overlong(lengths, 70, 10), [0, 0, -0.5, -1, -1], atol=1e-6)


@dataclass
class Fixed:
    """A value model of given values."""

    given: torch.Tensor
    gamma: float = 0.9
    lam: float = 0.5
    targets: list[torch.Tensor] = field(default_factory=list)

    def values(self) -> torch.Tensor:
        return self.given

    def fit(self, returns: torch.Tensor) -> None:
        self.targets.append(returns)


def test_ppo_whitens_what_its_value_model_gives_and_trains_it_on_returns() -> None:
    rewards, mask = torch.tensor([[1.0, 0.0]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    model = Fixed(torch.rand(2, 3, generator=torch.manual_seed(0)))
    found, returns = gae(rewards.flatten(), model.given, mask, 0.9, 0.5)
    made = registry.find("ppo").advantages(Batch(rewards, mask, value_model=model))
    torch.testing.assert_close(made, whiten(found, mask))
    assert len(model.targets) == 1
    torch.testing.assert_close(model.targets[0], returns)


# How an algorithm is found ------------------------------------------------------------------------------


def test_the_algorithms_and_what_they_need() -> None:
    seven = ["dapo", "dr-grpo", "grpo", "ppo", "reinforce++", "remax", "rloo"]
    assert set(seven) <= set(registry.names())
    found = {name: registry.find(name) for name in seven}
    assert [name for name in seven if found[name].greedy] == ["remax"]
    assert [name for name in seven if found[name].value_model] == ["ppo"]
    assert [name for name in seven if found[name].options["loss_type"] != "dapo"] == ["dr-grpo"]


@pytest.mark.parametrize("name", registry.names())
def test_an_algorithm_has_its_name_and_explains_itself(name: str) -> None:
    of = type(registry.find(name))
    assert of.__module__ == f"anatomy.algorithms.{registry.module_name(name)}"
    assert of.__doc__ and sys.modules[of.__module__].__doc__


@pytest.mark.parametrize("name", ["grop", "GRPO", "", "registry", "dr_grpo", "reinforce_plus_plus", "sft"])
def test_an_unknown_algorithm_is_a_message_that_lists_the_known(name: str) -> None:
    with pytest.raises(AnatomyError, match=f"unknown algorithm '{name}'; known: .*dr-grpo, grpo"):
        registry.find(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A further folder of algorithms."""
    monkeypatch.setattr(algorithms, "__path__", [*algorithms.__path__, str(tmp_path)])
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"anatomy.algorithms.{path.stem}", None)


def test_a_new_algorithm_is_one_file(folder: Path) -> None:
    (folder / "mean_only_plus.py").write_text(
        "from anatomy.algorithms.grpo import Grpo\n"
        "from anatomy.algorithms.registry import Algorithm\n\n\n"
        "class MeanOnly(Algorithm):\n"
        "    greedy = value_model = True\n\n"
        "    def advantages(self, batch):\n"
        "        return batch.rewards - batch.rewards.mean()\n"
    )
    assert "mean-only+" in registry.names() and "mean-only+" in registry.value_learners()
    found = registry.find("mean-only+")
    assert isinstance(found, Algorithm) and not isinstance(found, Grpo) and found.greedy
    torch.testing.assert_close(advantages("mean-only+"), REWARDS - 0.25)


def test_a_file_without_an_algorithm_is_a_message(folder: Path) -> None:
    (folder / "empty.py").write_text("from anatomy.algorithms.grpo import Grpo\n")
    with pytest.raises(AnatomyError, match=r"empty\.py: it defines no subclass of"):
        registry.find("empty")


def test_whoever_asks_what_algorithms_need_waits_for_no_torch() -> None:
    asks = "from anatomy.algorithms import registry; list(map(registry.find, registry.names()))"
    script = f"import sys; import anatomy.training.rl_config; {asks}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT / "scripts")
