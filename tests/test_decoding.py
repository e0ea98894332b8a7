"""Decoding and the transformers engine against plain transformers; models on disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    TopPLogitsWarper,
)

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.models.decoding import Decoded, Sampling, decode
from anatomy.names import MANIFEST
from anatomy.sampling import engine
from anatomy.sampling.engine import Completion, Prompt
from anatomy.sampling.transformers_engine import TransformersEngine
from anatomy.storage import atomic

PAD, END, WORDS = 0, 1, 12
PROMPTS = [[3], [5, 2, 8, 4, 11, 7, 2], [4, 4, 9], [10, 3, 2, 6, 5], [2, 9]]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(kind: str, words: int = WORDS, seed: int = 0, spread: float = 0.3) -> PreTrainedModel:
    """A random model; weights large enough that its distribution depends on the whole context."""
    shape = {
        "vocab_size": words,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4 if kind == "qwen" else 2,
        "intermediate_size": 48,
        "initializer_range": spread,
        "max_position_embeddings": 256,
        "pad_token_id": PAD,
        "eos_token_id": END,
        "bos_token_id": None,
    }
    torch.manual_seed(seed)
    model = (
        Qwen2ForCausalLM(Qwen2Config(**shape)) if kind == "qwen" else LlamaForCausalLM(LlamaConfig(**shape))
    )
    return model.eval()


@pytest.fixture(scope="module", params=["qwen", "llama"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return tiny(request.param)


def uniforms(prompts: int, group: int, steps: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((prompts, group, steps), np.float32)


def sampled(
    model: PreTrainedModel, group: int = 16, steps: int = 40, sampling: Sampling | None = None
) -> Decoded:
    sampling = sampling or Sampling(max_new_tokens=steps)
    return decode(model, PROMPTS, uniforms(len(PROMPTS), group, steps), sampling, [END], PAD)


@torch.inference_mode()
def forward(model: PreTrainedModel, ids: Sequence[int]) -> torch.Tensor:
    """Log-probabilities after every token of a sequence, by one plain pass without cache or padding."""
    logprobs: torch.Tensor = model(input_ids=torch.tensor([list(ids)])).logits[0].float().log_softmax(dim=-1)
    return logprobs


# The distribution ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_greedy_decoding_is_that_of_generate(model: PreTrainedModel) -> None:
    found = sampled(model, group=2, sampling=Sampling(temperature=0, max_new_tokens=40))
    seen = set()
    for row, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        expected = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40, pad_token_id=PAD
        )[0, len(prompt) :].tolist()
        for sample in range(2):
            length = int(found.lengths[row, sample])
            assert found.tokens[row, sample, :length].tolist() == expected
            assert bool(found.ended[row, sample]) == (expected[-1] == END)
        seen.add(tuple(expected))
    assert len(seen) > 2  # the prompts matter


@pytest.mark.slow
def test_logprobs_are_those_of_a_plain_forward_pass(model: PreTrainedModel) -> None:
    for sampling in (Sampling(1.0, 1.0, 40), Sampling(0.6, 0.9, 40)):
        found = sampled(model, sampling=sampling)
        for row, prompt in enumerate(PROMPTS):
            for sample in range(found.tokens.shape[1]):
                length = int(found.lengths[row, sample])
                drawn = found.tokens[row, sample, :length].tolist()
                logprobs = forward(model, [*prompt, *drawn])[len(prompt) - 1 : -1]
                expected = logprobs[range(length), drawn].numpy()
                assert np.abs(found.logprobs[row, sample, :length] - expected).max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [Sampling(1.0, 1.0, 2), Sampling(0.6, 1.0, 2), Sampling(1.2, 0.7, 2)])
def test_the_distribution_of_two_tokens_is_the_models(sampling: Sampling) -> None:
    words, count = 6, 30_000
    model = tiny("llama", words, spread=0.12)  # no word all but certain
    prompts = [[3, 2, 5], [4]]
    found = decode(model, prompts, uniforms(2, count, 2, seed=5), sampling, [END], PAD)
    nucleus = TopPLogitsWarper(sampling.top_p) if sampling.top_p < 1 else None

    def after(ids: list[int]) -> NDArray[np.float64]:
        logits = forward(model, ids)[-1:] / sampling.temperature
        if nucleus:
            logits = nucleus(None, logits)
        return logits.softmax(dim=-1)[0].double().numpy()

    for row, prompt in enumerate(prompts):
        expected = np.zeros((words, words))
        for token, share in enumerate(after(prompt)):
            expected[token] = share * (np.eye(words)[PAD] if token == END else after([*prompt, token]))
        tokens = found.tokens[row]
        observed = np.bincount(tokens[:, 0] * words + tokens[:, 1], minlength=words * words)
        flat = expected.ravel()
        assert observed[flat == 0].sum() == 0  # nothing from outside the nucleus
        common = flat * count >= 5
        observed = np.append(observed[common], observed[~common].sum())
        shares = np.append(flat[common], flat[~common].sum())
        used = shares > 0
        assert used.sum() > 4
        assert stats.chisquare(observed[used], count * shares[used] / shares[used].sum()).pvalue > 1e-3
        first = np.bincount(tokens[:, 0], minlength=words)
        assert (first > 0).sum() > 1


def test_the_next_token_depends_on_the_samples_own_past(model: PreTrainedModel) -> None:
    found = sampled(model)
    assert len({tuple(row) for row in found.tokens.reshape(-1, 40).tolist()}) > 0.8 * len(PROMPTS) * 16


# Rows that end ------------------------------------------------------------------------------------------


def test_rows_that_end_leave_padding_behind(model: PreTrainedModel) -> None:
    found = sampled(model)
    assert found.ended.mean() > 0.1
    assert len(set(found.lengths[found.ended].tolist())) > 5
    for index in np.ndindex(found.lengths.shape):
        length, tokens = int(found.lengths[index]), found.tokens[index]
        assert END not in tokens[: length - 1]
        assert bool(found.ended[index]) == (tokens[length - 1] == END)
        assert found.ended[index] or length == 40
        assert (tokens[length:] == PAD).all()
        assert (found.logprobs[index][length:] == 0).all() and (found.logprobs[index][:length] < 0).all()


@pytest.mark.slow
def test_rows_that_end_change_nothing_for_the_others(model: PreTrainedModel) -> None:
    together = sampled(model)
    noise = uniforms(len(PROMPTS), 16, 40)
    for row, prompt in enumerate(PROMPTS):
        for sample in (0, 7, 15):
            alone = decode(
                model, [prompt], noise[row : row + 1, sample : sample + 1], Sampling(1, 1, 40), [END], PAD
            )
            assert alone.tokens[0, 0].tolist() == together.tokens[row, sample].tolist()
            assert alone.logprobs[0, 0] == pytest.approx(together.logprobs[row, sample], abs=1e-4)


def test_every_end_token_ends(model: PreTrainedModel) -> None:
    noise = uniforms(len(PROMPTS), 8, 30)
    found = decode(model, PROMPTS, noise, Sampling(1, 1, 30), [END, 5], PAD)
    last = np.take_along_axis(found.tokens, found.lengths[..., None] - 1, axis=2)[..., 0]
    assert {END, 5} == set(last[found.ended].tolist())
    for index in np.ndindex(found.lengths.shape):
        assert not {END, 5} & set(found.tokens[index][: found.lengths[index] - 1].tolist())


def test_the_model_comes_back_as_it_was(model: PreTrainedModel) -> None:
    before = model.config._attn_implementation
    model.train()
    sampled(model, group=2, steps=4)
    assert model.training and model.config._attn_implementation == before
    model.eval()
    sampled(model, group=2, steps=4)
    assert not model.training


@pytest.mark.parametrize(
    ("prompts", "shape"),
    [(PROMPTS, (5, 2, 7)), (PROMPTS, (4, 2, 8)), ([[3], []], (2, 2, 8)), (PROMPTS[:1], (2, 2, 8))],
)
def test_shapes_that_do_not_fit_are_refused(prompts: list[list[int]], shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        decode(tiny("qwen"), prompts, uniforms(*shape), Sampling(max_new_tokens=8), [END], PAD)


# The engine ---------------------------------------------------------------------------------------------

VOCABULARY = [f"w{index}" for index in range(10)]
SAMPLING = Sampling(1.0, 1.0, 24)
ASKED = [
    Prompt(f"problem-{index}", " ".join(VOCABULARY[(index * 7 + at) % 10] for at in range(1 + index % 5)))
    for index in range(11)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    store.save(tiny("qwen"), store.word_tokenizer(VOCABULARY), folder)
    return folder


@pytest.fixture(scope="module")
def sampler(folder: Path) -> TransformersEngine:
    return TransformersEngine(folder, threads=1)


Table = dict[tuple[str, int], Completion]


def table(
    sampler: TransformersEngine,
    n: int = 8,
    shards: int = 1,
    rows: int = 24,
    seed: Sequence[object] = (1, "arm"),
) -> Table:
    chunks = engine.chunked(ASKED, n, rows)
    found: Table = {}
    for index in range(shards):
        for chunk in engine.shard(chunks, index, shards):
            for completions in sampler.sample(chunk, n, SAMPLING, seed):
                assert [c.sample for c in completions] == list(range(n))
                assert len({c.problem for c in completions}) == 1
                found |= {(c.problem, c.sample): c for c in completions}
    return found


def test_shards_hold_every_chunk_once() -> None:
    chunks = engine.chunked(ASKED, 8, 24)
    assert [len(chunk) for chunk in chunks] == [3, 3, 3, 2]
    assert sorted(p.problem for chunk in chunks for p in chunk) == sorted(p.problem for p in ASKED)
    for count in (1, 2, 3, 7):
        held = [chunk for index in range(count) for chunk in engine.shard(chunks, index, count)]
        assert sorted(map(str, held)) == sorted(map(str, chunks))
    assert engine.chunked(list(reversed(ASKED)), 8, 24) == chunks
    assert [len(chunk) for chunk in engine.chunked(ASKED, 100, 24)] == [1] * 11


@pytest.mark.slow
def test_shards_do_not_change_a_completion(sampler: TransformersEngine) -> None:
    whole = table(sampler)
    assert len(whole) == 8 * len(ASKED)
    for shards in (2, 3, 20):
        assert table(sampler, shards=shards) == whole


@pytest.mark.slow
def test_neither_do_chunks_but_for_rounding(sampler: TransformersEngine) -> None:
    whole, other = table(sampler), table(sampler, rows=8)
    for name, completion in whole.items():
        assert other[name].completion == completion.completion
        assert other[name].logprob == pytest.approx(completion.logprob, abs=1e-3)


def test_the_first_samples_do_not_depend_on_n(sampler: TransformersEngine) -> None:
    few, many = table(sampler, n=4), table(sampler, n=8)
    assert all(many[name].completion == completion.completion for name, completion in few.items())


def test_completions_depend_on_seed_condition_problem_and_sample(sampler: TransformersEngine) -> None:
    def texts(problem: str, seed: Sequence[object], condition: str = "plain") -> list[str]:
        (found,) = sampler.sample([Prompt(problem, "w1 w2", condition)], 8, SAMPLING, seed)
        assert {completion.condition for completion in found} == {condition}
        return [completion.completion for completion in found]

    first = texts("one", (1, "arm"))
    assert texts("one", (1, "arm")) == first
    assert len(set(first)) > 4
    others = (
        texts("two", (1, "arm")),
        texts("one", (2, "arm")),
        texts("one", (1, "other")),
        texts("one", (1, "arm"), "plan"),
    )
    for other in others:
        assert sum(a == b for a, b in zip(first, other, strict=True)) < 4


def test_a_truncated_completion_is_recorded_as_truncated(sampler: TransformersEngine) -> None:
    whole = table(sampler)
    assert {c.finish_reason for c in whole.values()} == {"stop", "length"}
    for completion in whole.values():
        assert completion.tokens <= 24
        if completion.finish_reason == "length":
            assert completion.tokens == 24
    for (short,) in ([c] for c in next(sampler.sample(ASKED[:1], 8, Sampling(1, 1, 2), (1,)))):
        assert short.finish_reason == "stop" or short.tokens == 2
        assert (short.finish_reason == "stop") == (len(short.completion.split()) < short.tokens)


# Models on disk -----------------------------------------------------------------------------------------


def test_the_word_tokenizer_comes_back_as_itself(folder: Path) -> None:
    ours = store.word_tokenizer(VOCABULARY)
    model, back = store.load(folder)
    assert type(back) is PreTrainedTokenizerFast
    assert back.get_vocab() == ours.get_vocab() and len(back) == WORDS
    assert (back.pad_token_id, back.eos_token_id, back.padding_side) == (PAD, END, "left")
    assert back("w3 w0 w9")["input_ids"] == ours("w3 w0 w9")["input_ids"] == [5, 2, 11]
    assert back.decode([5, 2, 11, END, PAD], skip_special_tokens=True) == "w3 w0 w9"
    weights, expected = model.state_dict(), tiny("qwen").state_dict()
    assert all(torch.equal(weights[name].cpu(), expected[name]) for name in expected)
    assert not model.training


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_an_altered_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    store.save(tiny("qwen"), store.word_tokenizer(VOCABULARY), tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    data[-2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AnatomyError, match=name):
        store.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(AnatomyError, match=name):
        store.load(tmp_path)


def test_an_unfinished_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match=r"not a complete model"):
        store.load(tmp_path / "nothing")
    store.save(tiny("qwen"), store.word_tokenizer(VOCABULARY), tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(AnatomyError, match=r"not a complete model"):
        store.load(tmp_path)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model"
    with atomic.atomic_folder(target) as partial:
        (partial / "a").write_text("1")
        assert not target.exists()
    assert [p.name for p in target.parent.iterdir()] == ["model"] and (target / "a").read_text() == "1"
    with pytest.raises(RuntimeError), atomic.atomic_folder(target) as partial:  # noqa: PT012
        (partial / "a").write_text("2")
        raise RuntimeError
    assert [p.name for p in target.parent.iterdir()] == ["model"] and (target / "a").read_text() == "1"


def test_create_makes_the_shape_that_it_is_asked_for() -> None:
    model = store.create(store.word_tokenizer(VOCABULARY), hidden=32, layers=3, heads=4, kv_heads=2, inner=40)
    assert model.config.num_key_value_heads == 2 and len(model.model.layers) == 3
    assert model.model.embed_tokens.weight.shape == (WORDS, 32)
    assert (model.config.pad_token_id, model.config.eos_token_id) == (PAD, END)


def test_a_model_with_a_sliding_window_is_refused() -> None:
    config = Qwen2Config(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=16, use_sliding_window=True, sliding_window=4, max_window_layers=1,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    with pytest.raises(ValueError, match="sliding-window"):
        decode(model, [[3]], np.zeros((1, 1, 2), np.float32), Sampling(max_new_tokens=2), [1], 0)
