"""Golden updates: losses and gradients are those of the published equations, to 1e-5.

The equations are written down here a second time, one rollout and one token after the other, without padding
and without anything of the trainer; the trainer draws real rollouts of a policy that knows nothing, of which
some end and some are cut off at the limit. But for one case each, there are several optimiser steps on the
same rollouts, so that ratios leave the clip range, and gradients are accumulated over several passes.

Sources, by what is computed: ``advantages`` and ``loss``.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainerCallback

from anatomy.models import store
from anatomy.training import rl_trainer
from anatomy.training.rl_config import Reinforcement
from anatomy.training.rl_rollouts import KL
from anatomy.world import problems

PROBLEMS = [{"prompt": "1 + " * ((a + b) % 4) + f"{a} + {b}"} for a in range(6) for b in range(6)]
WANTED = set(problems.VOCABULARY[:20])
LIMIT, PROMPTS, GROUP, UPDATES, SEED = 5, 6, 4, 2, 3


def right(prompt: str, text: str) -> bool:
    """Some problems are never solved."""
    return prompt[-1] in "1234" and bool(text) and text.split()[0] in WANTED


@dataclass(frozen=True)
class Case:
    algorithm: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of TRL."""
    passes: int = 2
    """Forward and backward passes of an optimiser step, over which gradients are accumulated."""
    updates: int = UPDATES
    """Optimiser steps on the same rollouts."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Of the run."""

    @property
    def rows(self) -> int:
        """Rollouts of an optimiser step."""
        return PROMPTS * GROUP // self.updates

    @property
    def settings(self) -> Reinforcement:
        return Reinforcement.of(
            {
                "algorithm": self.algorithm, "steps": self.updates, "prompts": PROMPTS, "rollouts": GROUP,
                "updates": self.updates, "learning_rate": 0.1, "temperature": 1.0, "max_new_tokens": LIMIT,
                "checkpoint_every": self.updates, "kl_every": 0, **self.more,
                "options": {"epsilon": 0.2, "max_grad_norm": 0.0, **self.options},
                "scale": {"dtype": "float32", "batch": self.rows // self.passes},
            }
        )  # fmt: skip


VALUE = {"learning_rate": 0.003, "gamma": 0.95, "lam": 0.9, "clip": 0.02}
CASES = {
    "grpo": Case("grpo"),
    "grpo-on-policy": Case("grpo", updates=1),
    "grpo-as-published": Case("grpo", {"loss_type": "grpo", "beta": 0.1}),
    "grpo-sparkle": Case(
        "grpo", {"beta": 0.1, "entropy_coef": 0.05}, 1, more={"temperature": 0.6, "kl_every": 2}
    ),
    "grpo-dual-clip": Case("grpo", {"delta": 1.3}),
    "dr-grpo": Case("dr-grpo"),
    "rloo": Case("rloo"),
    "remax": Case("remax"),
    "reinforce++": Case("reinforce++"),
    "ppo": Case("ppo", more={"value": VALUE}),
    "dapo": Case("dapo", {"epsilon_high": 0.28}, more={"refills": 1, "overlong": 2}),
}


# What happens in a training --------------------------------------------------------------------------------


@dataclass
class Update:
    """An optimiser step."""

    model: Any
    """With the weights before it."""
    rows: list[int] = field(default_factory=list)
    """Its rollouts."""
    loss: float = 0.0
    gradient: Tensor = field(default_factory=lambda: torch.zeros(0))


@dataclass
class Recorded:
    case: Case
    start: Any
    """The policy that drew."""
    prompts: list[tuple[int, ...]]
    completions: list[tuple[int, ...]]
    right: list[bool]
    updates: list[Update]
    critic: list[Update]
    """Of PPO."""
    log: list[dict[str, float]] = field(default_factory=list)


def copied(model: Any) -> Any:
    twin = type(model)(model.config).eval()
    twin.load_state_dict(model.state_dict())
    return twin


def flat(model: Any) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def recorded(case: Case, start: Path, folder: Path) -> Recorded:
    """Train for one draw of rollouts, and write down what it is made of."""
    signed = case.algorithm == "dapo"

    def reward(rollouts: Sequence[Any]) -> list[float]:
        judged = [right(problem["prompt"], text) for problem, text, _ in rollouts]
        return [float(verdict) - (signed and not verdict) for verdict in judged]

    trainer, _ = rl_trainer._trainer(
        start, PROBLEMS, reward, case.settings, [], 0, SEED, folder, lambda _: None
    )
    found = Recorded(case, copied(trainer.model), [], [], [], [], [])
    draw, compute = trainer.rollout_func, trainer._compute_loss

    def drawing(*arguments: Any) -> Any:
        made = draw(*arguments)
        found.prompts = [tuple(ids) for ids in made["prompt_ids"]]
        found.completions = [tuple(ids) for ids in made["completion_ids"]]
        texts = [
            trainer.processing_class.batch_decode(ids, skip_special_tokens=True)
            for ids in (found.prompts, found.completions)
        ]
        found.right = list(map(right, *texts))
        return made

    def computing(model: Any, inputs: Mapping[str, Any]) -> Any:
        loss = compute(model, inputs)
        if len(found.updates) == trainer.state.global_step:
            found.updates.append(Update(copied(model)))
        update = found.updates[-1]
        update.loss += float(loss.detach())
        for row in range(len(inputs["prompt_ids"])):
            prompt, completion = (
                tuple(inputs[f"{part}_ids"][row][inputs[f"{part}_mask"][row].bool()].tolist())
                for part in ("prompt", "completion")
            )
            # A rollout that is another's twin has the same reward, in the same group.
            update.rows.append(
                next(
                    at
                    for at, pair in enumerate(zip(found.prompts, found.completions, strict=True))
                    if pair == (prompt, completion)
                )
            )
        return loss

    class Watching(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
            found.updates[-1].gradient = flat(model)

    trainer.rollout_func, trainer._compute_loss = drawing, computing
    trainer.add_callback(Watching())
    if trainer.critic:
        watch(trainer.critic, found.critic)
    trainer.train()
    found.log = trainer.state.log_history
    groups = [set(found.prompts[at : at + GROUP]) for at in range(0, PROMPTS * GROUP, GROUP)]
    assert all(len(group) == 1 for group in groups) and len(set.union(*groups)) == PROMPTS
    return found


def watch(critic: Any, updates: list[Update]) -> None:
    """Let values be of different sizes from the start, and write down the value model's optimiser steps."""
    torch.nn.init.normal_(critic.model.score.weight, std=0.1, generator=torch.manual_seed(1))
    step = critic.optimizer.step

    def stepping(*arguments: Any) -> Any:
        updates.append(Update(copied(critic.model), gradient=flat(critic.model)))
        return step(*arguments)

    critic.optimizer.step = stepping


# The equations ---------------------------------------------------------------------------------------------


def logprobs(model: Any, prompt: Sequence[int], completion: Sequence[int], temperature: float) -> Tensor:
    """Of each token of a completion."""
    logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
    return (logits / temperature).log_softmax(-1)[range(len(completion)), list(completion)]


def entropy(model: Any, prompt: Sequence[int], completion: Sequence[int], temperature: float) -> Tensor:
    logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
    scores = (logits / temperature).log_softmax(-1)
    return -(scores.exp() * scores).sum(-1)


def values(critic: Any, prompt: Sequence[int], completion: Sequence[int]) -> Tensor:
    """Of the state before each token of a completion."""
    scores: Tensor = critic(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, :, 0]
    return scores[len(prompt) - 1 : -1]


def greedy_reward(of: Recorded, prompt: Sequence[int], ends: Sequence[int], words: Any) -> float:
    completion: list[int] = []
    while len(completion) < LIMIT and not (completion and completion[-1] in ends):
        logits = of.start(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, -1]
        completion.append(int(logits.argmax()))
    return float(right(*(words.decode(ids, skip_special_tokens=True) for ids in (prompt, completion))))


def mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def deviation(numbers: Sequence[float]) -> float:
    """The square root of the unbiased variance, as verl has it in groups and in batches."""
    return math.sqrt(math.fsum((x - mean(numbers)) ** 2 for x in numbers) / (len(numbers) - 1))


def rewards(of: Recorded) -> list[float]:
    """1 or 0; DAPO, eq. 7 and 13: 1 or -1, and a penalty over the last tokens before the limit."""
    found = list(map(float, of.right))
    if of.case.algorithm == "dapo":
        cache_ = of.case.more["overlong"]
        found = [
            2 * reward - 1 - max(0.0, (len(tokens) - (LIMIT - cache_)) / cache_)
            for reward, tokens in zip(found, of.completions, strict=True)
        ]
    return found


def part(of: Recorded) -> list[bool]:
    """Whether a rollout takes part. DAPO, eq. 8: its group is neither all right nor all wrong."""
    if of.case.algorithm != "dapo":
        return [True] * len(of.right)
    groups = [of.right[at : at + GROUP] for at in range(0, len(of.right), GROUP)]
    return [0 < sum(group) < GROUP for group in groups for _ in group]


def advantages(of: Recorded, words: Any, ends: Sequence[int]) -> list[list[float]]:
    """One a token of each rollout.

    GRPO: DeepSeekMath (2402.03300), section 4.1.2; DAPO (2503.14476), eq. 9. Dr. GRPO (2503.20783), section
    3.2. RLOO (2402.14740), eq. 7. ReMax (2310.10505), algorithm 1. REINFORCE++ (2501.03262), eq. 4 to 6. PPO:
    generalised advantage estimation (1506.02438), eq. 16, whitened.
    """
    name, given = of.case.algorithm, rewards(of)
    if name in ("reinforce++", "ppo"):
        raw = [[reward] * len(tokens) for reward, tokens in zip(given, of.completions, strict=True)]
        if name == "ppo":
            raw = [gae(of, row) for row in range(len(given))]
        every = [number for row in raw for number in row]
        return [[(number - mean(every)) / deviation(every) for number in row] for row in raw]
    found: list[float] = []
    for at in range(0, len(given), GROUP):
        group = given[at : at + GROUP]
        for reward in group:
            if name in ("grpo", "dapo"):
                found.append((reward - mean(group)) / deviation(group) if max(group) > min(group) else 0.0)
            elif name == "dr-grpo":
                found.append(reward - mean(group))
            elif name == "rloo":
                found.append(reward - (math.fsum(group) - reward) / (GROUP - 1))
            else:
                found.append(reward - greedy_reward(of, of.prompts[at], ends, words))
    return [[number] * len(tokens) for number, tokens in zip(found, of.completions, strict=True)]


def gae(of: Recorded, row: int) -> list[float]:
    """The sum over l of (gamma lambda)^l times the error l steps ahead; the reward comes at the end."""
    reward, steps = rewards(of)[row], len(of.completions[row])
    known = values(of.critic[0].model, of.prompts[row], of.completions[row]).tolist()
    errors = [(reward if t == steps - 1 else VALUE["gamma"] * known[t + 1]) - known[t] for t in range(steps)]
    return [
        math.fsum((VALUE["gamma"] * VALUE["lam"]) ** (later - t) * errors[later] for later in range(t, steps))
        for t in range(steps)
    ]


@dataclass
class Seen:
    """How many tokens were beyond which limit."""

    above: int = 0
    below: int = 0
    far: int = 0


def loss(of: Recorded, update: Update, multipliers: Sequence[Sequence[float]], seen: Seen) -> Tensor:
    """The loss of one optimiser step's rollouts.

    PPO (1707.06347), eq. 7, with two limits as in DAPO, eq. 8; dual clip: Ye et al. 2020 (1912.09729), eq. 5.
    The mean over all tokens: DAPO, eq. 8. Over rollouts of their means: DeepSeekMath, eq. 3. The sum over a
    constant: Dr. GRPO, section 3.2. KL: k3 in the loss, DeepSeekMath, eq. 4.
    """
    options, settings = of.case.settings.options, of.case.settings
    low, high = options["epsilon"], options.get("epsilon_high", options["epsilon"])
    beta, temperature = options.get("beta", 0.0), settings.temperature
    terms, entropies = [], []
    for row in update.rows:
        if not part(of)[row]:
            continue
        pair = (of.prompts[row], of.completions[row], temperature)
        now, drawn = logprobs(update.model, *pair), logprobs(of.start, *pair).detach()
        ratios, a = (now - drawn).exp(), multipliers[row]
        term = []
        for t, ratio in enumerate(ratios):
            gain = torch.minimum(ratio * a[t], ratio.clamp(1 - low, 1 + high) * a[t])
            if "delta" in options and a[t] < 0:
                gain = torch.maximum(gain, torch.tensor(options["delta"] * a[t]))
            seen.above += bool(a[t] > 0 and ratio > 1 + high)
            seen.below += bool(a[t] < 0 and ratio < 1 - low)
            seen.far += bool(a[t] < 0 and ratio > options.get("delta", math.inf))
            k3 = (drawn[t] - now[t]).exp() - (drawn[t] - now[t]) - 1  # the start is the reference
            term.append(beta * k3 - gain)
        terms.append(torch.stack(term))
        entropies.append(entropy(update.model, *pair))
    bonus = options.get("entropy_coef", 0.0) * torch.cat(entropies).mean()
    if of.case.algorithm == "dr-grpo":
        return torch.cat(terms).sum() / (len(update.rows) * LIMIT)
    if options.get("loss_type") == "grpo":
        return torch.stack([term.mean() for term in terms]).mean()
    return torch.cat(terms).mean() - bonus


# The tests -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that knows nothing yet; every fifth word ends a completion, so that lengths differ."""
    tokenizer = store.word_tokenizer(problems.VOCABULARY)
    torch.manual_seed(0)
    model = store.create(tokenizer, 16, 1, 2, 1, 32)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(20, len(tokenizer), 5)]
    folder = tmp_path_factory.mktemp("start")
    store.save(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same(found: Tensor, expected: Tensor) -> None:
    """Equal to 1e-5, where some of them are 0.01 at least."""
    assert float(expected.abs().max()) > 0.01
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_an_update_is_that_of_the_equations(name: str, start: Path, tmp_path: Path) -> None:
    of = recorded(CASES[name], start, tmp_path)
    tokenizer = store.load_tokenizer(start)
    model = store.load(start)[0]
    ends = model.generation_config.eos_token_id
    lengths = [len(tokens) for tokens in of.completions]
    cut = [len(tokens) == LIMIT and tokens[-1] not in ends for tokens in of.completions]
    assert any(cut) and not all(cut) and len(set(lengths)) > 2
    assert 0 < sum(of.right) < len(of.right)
    if name == "dapo":
        assert 0 < sum(part(of)) < len(of.right)
    multipliers, seen = advantages(of, tokenizer, ends), Seen()
    assert len(of.updates) == of.case.updates
    for update in of.updates:
        assert len(update.rows) == of.case.rows
        expected = loss(of, update, multipliers, seen)
        expected.backward()
        assert update.loss == pytest.approx(expected.item(), abs=1e-5)
        same(update.gradient, flat(update.model))
    if of.case.updates > 1:
        assert seen.below and (seen.above or name == "remax")
        assert bool(seen.far) == ("delta" in of.case.options)
    if name == "ppo":
        check_values(of)
    # The policy that draws is still the start model; TRL's own estimate, on other terms, is no part of it.
    assert [row[KL] for row in of.log if KL in row] == (
        [pytest.approx(0, abs=1e-6)] if "kl_every" in of.case.more else []
    )


def check_values(of: Recorded) -> None:
    """PPO's value model: half the squared error, clipped as in verl; gradients of a norm above 1 are cut."""
    rows, clipped = of.case.rows, 0
    assert len(of.critic) == of.case.updates
    for number, update in enumerate(of.critic):
        losses = []
        for row in range(number * rows, (number + 1) * rows):
            pair = of.prompts[row], of.completions[row]
            old, now = values(of.critic[0].model, *pair).detach(), values(update.model, *pair)
            returns = old + torch.tensor(gae(of, row))
            near = torch.minimum(torch.maximum(now, old - VALUE["clip"]), old + VALUE["clip"])
            clipped += int(((near - returns) ** 2 > (now - returns) ** 2).sum())
            losses.append(0.5 * torch.maximum((now - returns) ** 2, (near - returns) ** 2))
        torch.cat(losses).mean().backward()
        gradient = flat(update.model)
        same(update.gradient, gradient / max(1.0, float(gradient.norm())))
    assert clipped
