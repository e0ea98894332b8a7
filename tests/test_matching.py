"""The temperature at which one arm's mean token entropy equals another's."""

import math
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from anatomy.errors import AnatomyError
from anatomy.grading.counts import count
from anatomy.models import store
from anatomy.models.decoding import Sampling
from anatomy.sampling.engine import Completion, Prompt
from anatomy.sampling.entropy_matching import RANGE, TOLERANCE, match, mean_entropy
from anatomy.sampling.transformers_engine import TransformersEngine
from anatomy.storage import parquet
from anatomy.storage.verdicts import COUNTED

PROMPTS = [Prompt(f"p{at}", "w " * (1 + at % 3)) for at in range(7)]
ENTROPIES: dict[str, Callable[[float], float]] = {  # nats a token at a temperature, all increasing
    "convex": lambda temperature: temperature**2,
    "saturating": lambda temperature: math.tanh(temperature),
    "steep": lambda temperature: 2 / (1 + math.exp(-8 * (temperature - 1.1))),
}


class Fake:
    """An engine whose mean token entropy is a known function of the temperature; it remembers its calls."""

    def __init__(self, entropy: Callable[[float], float | None]):
        self.entropy = entropy
        self.calls: list[tuple[tuple[Prompt, ...], int, Sampling, tuple[object, ...]]] = []

    @property
    def temperatures(self) -> list[float]:
        return list(dict.fromkeys(sampling.temperature for _, _, sampling, _ in self.calls))

    def sample(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, seed: Sequence[object]
    ) -> Iterator[list[Completion]]:
        self.calls.append((tuple(prompts), n, sampling, tuple(seed)))
        told = self.entropy(sampling.temperature)
        for prompt in prompts:
            yield [
                # Entropy and length vary together: a mean over completions would not be one over tokens.
                Completion(
                    prompt.problem,
                    prompt.condition,
                    sample,
                    "",
                    tokens,
                    "stop",
                    -1.0,
                    None if told is None else told * (tokens + (-1) ** sample),
                    sampling.temperature,
                )
                for sample, tokens in enumerate(2 + sample // 2 for sample in range(n))
            ]


def found(
    engine: Fake | TransformersEngine,
    target: float,
    prompts: Sequence[Prompt] = PROMPTS,
    n: int = 4,
    rows: int = 12,
    sampling: Sampling | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    return match(engine, prompts, target, n, rows, sampling or Sampling(), (1, "match"), report)


# The target ---------------------------------------------------------------------------------------------


def test_mean_entropy_by_hand() -> None:
    first = pd.DataFrame({"entropy": [3.0, 1.0], "tokens": [10, 6]})
    second = pd.DataFrame({"entropy": [2.0], "tokens": [4]})
    # Over tokens: (3 + 1 + 2) / (10 + 6 + 4), not the mean of 0.3, 0.167 and 0.5.
    assert mean_entropy([first, second]) == pytest.approx(0.3)
    assert mean_entropy(iter([second])) == pytest.approx(0.5)


@pytest.mark.parametrize("entropy", [[None, 1.0], [None, None]])
def test_an_entropy_that_is_untold_is_refused(tmp_path: Path, entropy: list[float | None]) -> None:
    row = {"condition": "plain", "n": 1, "answer": 0, "derivation": None, "chain": None, "lenient": None}
    row |= {**dict.fromkeys(COUNTED, 0), "tokens": 4, "temperature": 1.0}
    rows = [{**row, "problem": f"p{at}", "entropy": told} for at, told in enumerate(entropy)]
    parquet.write(tmp_path / "counts.parquet", "counts", rows)
    whole = pd.DataFrame({"entropy": [1.0], "tokens": [4]})
    with pytest.raises(AnatomyError, match="tells no entropies"):
        mean_entropy([whole, parquet.read(tmp_path / "counts.parquet", "counts")])


# The search, with a known answer ------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0.3, 1.0, 2.8])
@pytest.mark.parametrize("temperature", [0.21, 0.45, 0.87, 1.0, 1.26, 1.9, 2.95])
@pytest.mark.parametrize("name", ENTROPIES)
def test_the_temperature_is_found(name: str, temperature: float, start: float) -> None:
    entropy = ENTROPIES[name]
    engine = Fake(entropy)
    result = found(engine, entropy(temperature), sampling=Sampling(temperature=start))
    # Brent's method adds 0.1% to the width at which it ends.
    assert abs(result["temperature"] - temperature) <= TOLERANCE + 1e-3 * temperature
    assert result["entropy"] == pytest.approx(entropy(result["temperature"]), rel=1e-3)
    assert result["target"] == entropy(temperature)
    assert len(engine.temperatures) < 25


@pytest.mark.parametrize("temperature", RANGE)
def test_the_ends_of_the_range_are_found(temperature: float) -> None:
    result = found(Fake(math.tanh), math.tanh(temperature))
    assert result["temperature"] == pytest.approx(temperature, abs=TOLERANCE + 1e-3 * temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("name", ENTROPIES)
def test_an_arms_own_entropy_gives_its_own_temperature_at_once(name: str, temperature: float) -> None:
    engine = Fake(lambda temperature: 0.5 * round(4 * ENTROPIES[name](temperature)))  # exact sums
    target = engine.entropy(temperature)
    assert target is not None
    result = found(engine, target, sampling=Sampling(temperature=temperature))
    assert result["temperature"] == temperature and result["entropy"] == target
    assert engine.temperatures == [temperature]


def test_every_trial_is_told_and_has_the_same_draws() -> None:
    engine, said = Fake(ENTROPIES["saturating"]), list[str]()
    sampling = Sampling(1.0, 0.9, 33)
    result = found(engine, 0.95, n=4, rows=12, sampling=sampling, report=said.append)
    assert list(result) == ["temperature", "target", "entropy", "tried"]
    assert len(result["tried"]) == len(said) == len(engine.temperatures) > 3
    assert list(result["tried"]) == [f"{temperature:.4f}" for temperature in sorted(engine.temperatures)]
    at = f"{result['temperature']:.4f}"
    assert (
        result["tried"][at] == result["entropy"] == pytest.approx(math.tanh(result["temperature"]), rel=1e-4)
    )
    assert all(f"temperature {one:.3f}" in line for one, line in zip(engine.temperatures, said, strict=True))
    assert {(n, one.top_p, one.max_new_tokens, seed) for _, n, one, seed in engine.calls} == {
        (4, 0.9, 33, (1, "match"))
    }
    for temperature in engine.temperatures:
        chunks = [prompts for prompts, _, one, _ in engine.calls if one.temperature == temperature]
        assert max(map(len, chunks)) == 3  # 12 rows for 4 completions a prompt
        assert sorted(prompt.problem for chunk in chunks for prompt in chunk) == [f"p{at}" for at in range(7)]


@pytest.mark.parametrize("target", [0.9 * RANGE[0] ** 2, 1.1 * RANGE[1] ** 2])
@pytest.mark.parametrize("start", [0.4, 1.0, 2.5])
def test_a_target_out_of_range_is_refused(target: float, start: float) -> None:
    with pytest.raises(AnatomyError, match=rf"no temperature from 0\.2 to 3\.0 gives {target:.4f} nats"):
        found(Fake(ENTROPIES["convex"]), target, sampling=Sampling(temperature=start))


def test_an_engine_that_tells_no_entropies_is_refused() -> None:
    with pytest.raises(AnatomyError, match="tells no entropies"):
        found(Fake(lambda _: None), 1.0)


def test_the_search_from_greedy_decoding_ends() -> None:
    def no_end(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, no_end)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        result = found(Fake(ENTROPIES["convex"]), 1.44, sampling=Sampling(temperature=0.0))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert result["temperature"] == pytest.approx(1.2, abs=0.01)


# The search, with a model -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersEngine]:
    """A random model, peaked enough that its entropy depends on the temperature."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = store.word_tokenizer([f"w{at}" for at in range(20)])
    torch.manual_seed(3)
    model = store.create(tokenizer, hidden=16, layers=1, heads=2, kv_heads=1, inner=24)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(3)
    store.save(model, tokenizer, folder)
    before = torch.get_num_threads()
    yield TransformersEngine(folder, threads=1)
    torch.set_num_threads(before)


WORDS = [Prompt(f"p{at}", f"w{at} w{(7 * at) % 20}") for at in range(16)]


def sampled(engine: TransformersEngine, temperature: float, n: int, seed: str) -> float:
    """Mean token entropy by way of the tables, with draws of its own."""
    samples, verdicts = [], []
    for completions in engine.sample(WORDS, n, Sampling(temperature, 1.0, 24), (seed,)):
        samples += [asdict(one) for one in completions]
        verdicts += [
            {"problem": one.problem, "condition": one.condition, "sample": one.sample}
            | {"verdict": "wrong", "lenient": None, "derivation_right": None}
            for one in completions
        ]
    return mean_entropy([pd.DataFrame(count(samples, verdicts, n))])


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.6, 1.4])
def test_a_models_entropy_is_matched(engine: TransformersEngine, temperature: float) -> None:
    target = sampled(engine, temperature, 64, "other")
    result = found(engine, target, WORDS, n=64, rows=512, sampling=Sampling(1.0, 1.0, 24))
    assert result["entropy"] == pytest.approx(target, rel=0.01)
    assert result["temperature"] == pytest.approx(temperature, rel=0.05)
    # Also in completions that the search did not see: 1% standard error, 1.5% by the tolerance.
    assert sampled(engine, result["temperature"], 128, "new") == pytest.approx(target, rel=0.04)
