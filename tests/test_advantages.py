"""Advantages by hand, and against their definitions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anatomy import advantages

REWARDS = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def close(found: torch.Tensor, expected: list[list[float]], tolerance: float = 1e-3) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), atol=tolerance, rtol=0)


def test_grpo_by_hand() -> None:
    # Two of four: mean 1/2, unbiased variance 1/3. One of four: mean 1/4, variance 1/4.
    a = 0.5 * 3**0.5
    close(advantages.grpo(REWARDS), [[a, -a, -a, a], [1.5, -0.5, -0.5, -0.5], [0, 0, 0, 0]])


def test_dr_grpo_by_hand() -> None:
    close(
        advantages.dr_grpo(REWARDS),
        [[0.5, -0.5, -0.5, 0.5], [0.75, -0.25, -0.25, -0.25], [0, 0, 0, 0]],
        1e-6,
    )


def test_rloo_by_hand() -> None:
    third = 1 / 3
    expected = [[2 * third, -2 * third, -2 * third, 2 * third], [1, -third, -third, -third], [0, 0, 0, 0]]
    close(advantages.rloo(REWARDS), expected, 1e-6)


def test_remax_by_hand() -> None:
    close(
        advantages.remax(REWARDS, torch.tensor([1.0, 0.0, 0.0])),
        [[0, -1, -1, 0], [1, 0, 0, 0], [0, 0, 0, 0]],
        1e-6,
    )


groups = st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=4), min_size=1, max_size=5)


@given(groups)
def test_rloo_is_the_reward_less_the_mean_of_the_others(rewards: list[list[float]]) -> None:
    tensor = torch.tensor(rewards)
    for row, group in enumerate(rewards):
        for at, reward in enumerate(group):
            others = [r for place, r in enumerate(group) if place != at]
            found = float(advantages.rloo(tensor)[row, at])
            assert found == pytest.approx(reward - sum(others) / len(others), abs=1e-6)


@given(groups)
def test_group_baselines_sum_to_zero(rewards: list[list[float]]) -> None:
    tensor = torch.tensor(rewards)
    for estimator in (advantages.grpo, advantages.dr_grpo, advantages.rloo):
        assert float(estimator(tensor).sum(dim=1).abs().max()) < 1e-5


def test_reinforce_plus_plus_by_hand() -> None:
    # Tokens: 1, 1, 1 of a right rollout and 0 of a wrong one: mean 3/4, variance 3/16.
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    high, low = 0.25 / (3 / 16) ** 0.5, -0.75 / (3 / 16) ** 0.5
    found = advantages.reinforce_plus_plus(torch.tensor([[1.0, 0.0]]), mask)
    close(found, [[high, high, high], [low, 0, 0]], 1e-5)


def test_whitening_ignores_what_is_masked() -> None:
    values = torch.tensor([[1.0, 2.0, 99.0], [3.0, -7.0, 5.0]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    found = advantages.whiten(values, mask)[mask.bool()]
    assert float(found.mean()) == pytest.approx(0, abs=1e-6)
    assert float((found**2).mean()) == pytest.approx(1, abs=1e-4)
    assert float(advantages.whiten(values, mask)[~mask.bool()].abs().sum()) == 0


def test_gae_by_hand() -> None:
    # gamma 1, lambda 1/2; reward 1 with the second token; values 0.2, 0.6. The last error is 1 - 0.6 = 0.4,
    # the first 0.6 - 0.2 = 0.4, so the first advantage is 0.4 + 0.4 / 2 = 0.6.
    values = torch.tensor([[0.2, 0.6, 9.0]])
    mask = torch.tensor([[1, 1, 0]])
    found, returns = advantages.gae(torch.tensor([1.0]), values, mask, 1.0, 0.5)
    close(found, [[0.6, 0.4, 0]], 1e-6)
    close(returns, [[0.8, 1.0, 0]], 1e-6)


def test_gae_with_lambda_one_is_the_return_less_the_value() -> None:
    torch.manual_seed(0)
    values = torch.rand(5, 7)
    lengths = torch.tensor([7, 1, 3, 4, 6])
    mask = (torch.arange(7)[None] < lengths[:, None]).long()
    rewards = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    found, returns = advantages.gae(rewards, values, mask, 1.0, 1.0)
    torch.testing.assert_close(found, (rewards[:, None] - values) * mask)
    torch.testing.assert_close(returns, rewards[:, None] * mask)


def test_gae_with_lambda_zero_is_the_one_step_error() -> None:
    values = torch.tensor([[0.5, 0.25]])
    found, _ = advantages.gae(torch.tensor([1.0]), values, torch.ones(1, 2), 0.9, 0.0)
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
    found, _ = advantages.gae(torch.tensor([1.0]), values, torch.ones(1, steps), gamma, lam)
    close(found, [expected], 1e-5)


def test_overlong_penalty_by_hand() -> None:
    lengths = torch.tensor([50, 60, 65, 70, 80])
    close(advantages.overlong(lengths, 70, 10)[None], [[0, 0, -0.5, -1, -1]], 1e-6)
