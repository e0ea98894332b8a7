"""Scores of given completions against plain transformers and against what decoding reports."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing

import score as script
from anatomy.models import store
from anatomy.models.decoding import Sampling
from anatomy.sampling.engine import Prompt
from anatomy.sampling.log_likelihood import Score, Scorer
from anatomy.sampling.transformers_engine import TransformersEngine
from anatomy.storage import parquet, schemas
from anatomy.world.problems import VOCABULARY

END = 1
WORDS = VOCABULARY
FIELDS = ("tokens", "logprob", "surprisal", "entropy")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model; weights large enough that its distribution depends on the whole context."""
    torch.manual_seed(0)
    tokenizer = store.word_tokenizer(WORDS)
    model = store.create(tokenizer, hidden=32, layers=2, heads=4, kv_heads=2, inner=48)
    for weight in model.parameters():
        weight.data *= 4 if weight.ndim > 1 else 1
    folder = tmp_path_factory.mktemp("models") / "step-3"
    store.save(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def scorer(folder: Path) -> Scorer:
    return Scorer(folder, threads=1)


def asked(count: int = 120, seed: int = 0) -> tuple[list[str], list[str], list[bool]]:
    """Completions of 0 to 40 words, after prompts of 1 to 12."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size)) for size in (1, 2, 3, 12, 7, 7)]
    prompts = [texts[at] for at in rng.integers(len(texts), size=count)]
    completions = [" ".join(rng.choice(WORDS, size)) for size in rng.integers(0, 41, count)]
    return prompts, completions, [bool(cut) for cut in rng.random(count) < 0.3]


@torch.inference_mode()
def plain(scorer: Scorer, prompt: str, completion: str, truncated: bool) -> Score:
    """The same by one pass over the whole text, without cache, padding or batch, and in numpy."""
    given, chosen = (scorer.tokenizer(text)["input_ids"] for text in (prompt, completion))
    ids = [*given, *chosen, *([] if truncated else [END])]
    logits = scorer.model(input_ids=torch.tensor([ids], device=scorer.model.device)).logits[0]
    raw = logits.double().cpu().numpy()
    logprobs = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    at = np.arange(len(given), len(ids))
    each = logprobs[at - 1, np.array(ids)[at]]
    entropy = -(np.exp(logprobs) * logprobs).sum(axis=1)[at - 1]
    return Score(len(at), each.sum(), max(-each, default=0.0), entropy.sum())


def close(found: Sequence[Score], expected: Sequence[Score]) -> None:
    for field in FIELDS:
        assert [getattr(score, field) for score in found] == pytest.approx(
            [getattr(score, field) for score in expected], abs=1e-4
        ), field


def test_scores_are_those_of_plain_passes(scorer: Scorer) -> None:
    texts = asked()
    expected = [plain(scorer, *text) for text in zip(*texts, strict=True)]
    assert len({round(score.logprob / max(score.tokens, 1), 2) for score in expected}) > 50
    close(scorer.score(*texts), expected)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 64, 300, 100_000])
def test_batches_change_nothing(scorer: Scorer, batch: int) -> None:
    texts = asked()
    close(scorer.score(*texts, batch=batch), scorer.score(*texts))


def test_scores_come_in_the_order_of_the_texts(scorer: Scorer) -> None:
    texts = asked()
    order = np.random.default_rng(1).permutation(len(texts[0]))
    shuffled = scorer.score(*([column[at] for at in order] for column in texts))
    whole = scorer.score(*texts)
    close(shuffled, [whole[at] for at in order])
    assert scorer.score(*texts) == whole  # to the bit
    assert scorer.score([], [], []) == []


def test_a_uniform_model_by_hand(scorer: Scorer) -> None:
    flat = Scorer.__new__(Scorer)
    flat.tokenizer = scorer.tokenizer
    flat.model = store.create(scorer.tokenizer, hidden=8, layers=1, heads=2, kv_heads=2, inner=8).eval()
    for weight in flat.model.parameters():
        weight.data.zero_()
    bits = math.log(len(WORDS) + 2)
    ended, cut, one, none = flat.score(["a = 1"] * 4, ["b = 2", "b = 2", "", ""], [False, True, False, True])
    close([ended], [Score(4, -4 * bits, bits, 4 * bits)])
    close([cut], [Score(3, -3 * bits, bits, 3 * bits)])
    close([one], [Score(1, -bits, bits, bits)])
    assert none == Score(0, 0.0, 0.0, 0.0)


def test_a_truncated_completion_lacks_the_end_token_only(scorer: Scorer) -> None:
    ended, cut = scorer.score(["a = 1"] * 2, ["b = a + 2"] * 2, [False, True])
    end = scorer.score(["a = 1 b = a + 2"], [""], [False])[0]
    assert ended.tokens == cut.tokens + 1 == 6
    assert ended.logprob - cut.logprob == pytest.approx(end.logprob, abs=1e-4)
    assert ended.entropy - cut.entropy == pytest.approx(end.entropy, abs=1e-4)


def test_scores_agree_with_decoding(folder: Path, scorer: Scorer) -> None:
    engine = TransformersEngine(folder, threads=1)
    prompts = [Prompt(f"problem-{at}", text) for at, text in enumerate(sorted(set(asked()[0])))]
    sampled = list(engine.sample(prompts, 24, Sampling(1.0, 1.0, 30), (1, "arm")))
    text = {prompt.problem: prompt.text for prompt in prompts}
    # A random model may draw the padding token, which has no text.
    kept = [
        c
        for found in sampled
        for c in found
        if len(c.completion.split()) == c.tokens - (c.finish_reason == "stop")
    ]
    assert {c.finish_reason for c in kept} == {"stop", "length"} and len(kept) > 60
    cut = [c.finish_reason == "length" for c in kept]
    found = scorer.score([text[c.problem] for c in kept], [c.completion for c in kept], cut)
    assert [score.tokens for score in found] == [c.tokens for c in kept]
    for field in ("logprob", "entropy"):
        reported = [getattr(c, field) for c in kept]
        assert [getattr(score, field) for score in found] == pytest.approx(reported, abs=1e-4)


def test_a_token_that_opens_texts_opens_the_prompt_alone(scorer: Scorer) -> None:
    opening = Scorer.__new__(Scorer)
    opening.model, opening.tokenizer = scorer.model, store.word_tokenizer(WORDS)
    first = WORDS[3]
    opening.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A", special_tokens=[(first, opening.tokenizer.get_vocab()[first])]
    )
    assert len(opening.tokenizer("a = 1")["input_ids"]) == 4
    close(opening.score(["a = 1"], ["b ="], [False]), scorer.score([f"{first} a = 1"], ["b ="], [False]))


def test_texts_that_cannot_be_scored_are_refused(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match="zip"):
        scorer.score(["a"], ["b", "c"], [False, False])
    with pytest.raises(ValueError, match="zip"):
        scorer.score(["a"], ["b"], [])
    with pytest.raises(ValueError, match="prompt without a token"):
        scorer.score(["a", ""], ["b", "c"], [False, False])


def passes(scorer: Scorer, batch: int) -> list[tuple[int, int, int]]:
    """Return rows, tokens of each and cached tokens of each for every pass that scores many texts."""
    found = []

    def note(_: Any, __: Any, given: dict[str, Any]) -> None:
        cache = given.get("past_key_values")
        found.append((*given["input_ids"].shape, cache.get_seq_length() if cache is not None else 0))

    handle = scorer.model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        rng = np.random.default_rng(0)
        prompts = [" ".join(rng.choice(WORDS, 40)) for _ in range(4)]
        completions = [" ".join(rng.choice(WORDS, size)) for size in rng.integers(2, 80, 31)]
        scorer.score(
            [prompt for prompt in prompts for _ in range(32)],
            [*completions, completions[0]] * 4,
            [False] * 128,
            batch,
        )
    finally:
        handle.remove()
    return found


@pytest.mark.parametrize("batch", [600, 2048, 8192])
def test_a_batch_has_a_bounded_number_of_tokens(scorer: Scorer, batch: int) -> None:
    sizes = [rows * (cached + length) for rows, length, cached in passes(scorer, batch) if cached]
    assert batch / 4 < max(sizes) <= batch


def test_a_long_completion_is_scored_alone(scorer: Scorer) -> None:
    assert all(rows == 1 for rows, _, _ in passes(scorer, 10))


def test_work_is_shared(scorer: Scorer) -> None:
    found = passes(scorer, 2048)
    assert sum(cached == 0 for _, _, cached in found) == 4  # each prompt once
    assert sum(rows for rows, _, cached in found if cached) == 4 * 31  # the text that occurs twice, once
    done = sum(rows * length for rows, length, _ in found)
    alone = sum(rows * (cached + length) for rows, length, cached in passes(scorer, 1) if cached)
    assert done < 0.75 * alone


# The rule's script --------------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path: Path, folder: Path) -> SimpleNamespace:
    prompts = [
        {"problem": name, "condition": condition, "prompt": text}
        | {"benchmark": "easy", "template": "t", "prefix": ""}
        for name, asked in (("p1", "a = 1 ; ask a ?"), ("p2", "b = 2 ; ask b ?"))
        for condition, text in (("plain", asked), ("guess", f"{asked} guess"))
    ]
    parquet.write(tmp_path / "prompts.parquet", "prompts", prompts)
    problems = [
        dict.fromkeys(schemas.SCHEMAS["problems"].names)
        | {"problem": name, "benchmark": "easy", "text": "t", "answers": ["1"], "solution": solution}
        for name, solution in (("p1", "ans 1"), ("p2", None))
    ]
    parquet.write(tmp_path / "problems.parquet", "problems", problems)
    shards = [tmp_path / "shard-000.parquet", tmp_path / "shard-001.parquet"]
    for shard, name in zip(shards, ("p1", "p2"), strict=True):
        samples = [
            {
                "problem": name,
                "condition": "plain",
                "sample": sample,
                "completion": f"ans {sample}",
                "tokens": 3 - sample % 2,
                "finish_reason": "length" if sample % 2 else "stop",
                "logprob": -1.0,
                "entropy": None,
                "temperature": 1.0,
            }
            for sample in range(4)
        ]
        parquet.write(shard, "samples", samples)
    return SimpleNamespace(
        input=SimpleNamespace(
            model=str(folder.parent),
            prompts=str(tmp_path / "prompts.parquet"),
            texts=[str(shard) for shard in shards],
            problems=str(tmp_path / "problems.parquet"),
        ),
        output=[str(tmp_path / "scores.parquet")],
        params=SimpleNamespace(checkpoint=folder.name, condition="plain", samples=3, gold=False),
        threads=1,
    )


def test_the_script_scores_the_first_samples_of_all_shards(job: SimpleNamespace, scorer: Scorer) -> None:
    told: list[str] = []
    script.main(job, told.append)
    found = parquet.read(job.output[0], "scores")
    assert found[["problem", "sample"]].to_numpy().tolist() == [
        [name, sample] for name in ("p1", "p2") for sample in range(3)
    ]
    assert found["tokens"].tolist() == [3, 2, 3] * 2
    prompts = ["a = 1 ; ask a ?"] * 3 + ["b = 2 ; ask b ?"] * 3
    expected = scorer.score(prompts, ["ans 0", "ans 1", "ans 2"] * 2, [False, True, False] * 2)
    for field in FIELDS:
        assert found[field].tolist() == [getattr(score, field) for score in expected]
    assert len(told) == 1 and told[0].startswith("6 texts")


def test_the_script_prompts_as_asked(job: SimpleNamespace, scorer: Scorer) -> None:
    job.params.condition = "guess"
    script.main(job, print)
    (expected,) = scorer.score(["a = 1 ; ask a ? guess"], ["ans 0"], [False])
    assert parquet.read(job.output[0], "scores")["logprob"][0] == pytest.approx(expected.logprob, abs=1e-5)


def test_the_script_scores_reference_solutions(job: SimpleNamespace, scorer: Scorer) -> None:
    job.params.gold = True
    del job.input.texts
    script.main(job, print)
    (expected,) = scorer.score(["a = 1 ; ask a ?"], ["ans 1"], [False])
    found = parquet.read(job.output[0], "scores").to_dict("records")
    assert found == [{"problem": "p1", "sample": 0, **{field: getattr(expected, field) for field in FIELDS}}]


def test_the_script_sets_the_threads_that_it_is_given(job: SimpleNamespace) -> None:
    job.threads = 2
    script.main(job, print)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
