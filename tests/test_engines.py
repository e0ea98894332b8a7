"""The two engines against each other and against exact probabilities; stop rules; the limits of a context.

vLLM runs in an environment of its own, `.venv-vllm` (`make vllm`), by way of tests/vllm_runner.py.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from needs import VLLM
from numpy.typing import NDArray
from scipy import stats
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as tokenizer_models
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.models.decoding import Sampling, cut
from anatomy.sampling import load
from anatomy.sampling.engine import Completion, Engine, Prompt
from anatomy.sampling.transformers_engine import TransformersEngine

ROOT = Path(__file__).resolve().parents[1]
WORDS = 10
"""Of the word-level vocabulary, besides padding and end token."""
CONTEXT = 64
TOLERANCE = 1e-3
"""Of a completion's log-probability, about -50, between two float32 computations."""
ROOM = 16
"""Tokens of a completion unless a test has its reasons."""


@pytest.fixture(autouse=True, scope="module")
def environment() -> Iterator[None]:
    """What an engine sets for its own process and those that it starts is not for the tests after these."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Models -------------------------------------------------------------------------------------------------


def shape(size: int, ends: int | list[int], pad: int | None) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=size, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=96, max_position_embeddings=CONTEXT, eos_token_id=ends, pad_token_id=pad,
        bos_token_id=None, initializer_range=0.2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of words, whose distribution depends on the whole context."""
    folder = tmp_path_factory.mktemp("words")
    torch.manual_seed(5)
    model = Qwen2ForCausalLM(shape(WORDS + 2, 1, 0))
    store.save(model, store.word_tokenizer([f"w{at}" for at in range(WORDS)]), folder)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of byte pairs like those of the hub: two end tokens and no padding token."""
    folder = tmp_path_factory.mktemp("texts")
    pairs = Tokenizer(tokenizer_models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=specials, show_progress=False
    )
    pairs.train_from_iterator(["Question: what is 1 + 2?\n\nAnswer: 3, as was to be found.\n\n"], trainer)
    learned = json.loads(pairs.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        eos_token="<|im_end|>",
        pad_token=None,
    )
    torch.manual_seed(6)
    store.save(Qwen2ForCausalLM(shape(len(tokenizer), [0, 1], None)), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def plain(words: Path) -> TransformersEngine:
    return TransformersEngine(words, threads=1)


@pytest.fixture(scope="module")
def plain_texts(texts: Path) -> TransformersEngine:
    return TransformersEngine(texts, threads=1)


@torch.inference_mode()
def probabilities(sampler: TransformersEngine, ids: Sequence[int]) -> NDArray[np.float64]:
    """Return the distribution of the token behind each, by one plain pass: (tokens, vocabulary)."""
    logits = sampler.model(input_ids=torch.tensor([list(ids)], device=sampler.model.device)).logits[0]
    return logits.double().softmax(dim=-1).cpu().numpy()


def logprob(sampler: TransformersEngine, prompt: str, ids: Sequence[int]) -> tuple[float, float]:
    """Return a completion's log-probability and summed entropy at temperature 1."""
    given_ids = sampler.tokenizer(prompt)["input_ids"]
    found = probabilities(sampler, [*given_ids, *ids])[len(given_ids) - 1 : -1]
    chosen = found[np.arange(len(ids)), list(ids)]
    return float(np.log(chosen).sum()), float(-(found * np.log(found)).sum())


PROMPTS = [
    Prompt(f"p{at}", " ".join(f"w{(at * 3 + step) % WORDS}" for step in range(1 + at % 5))) for at in range(8)
]
QUESTIONS = [Prompt(f"q{at}", f"Question: what is {at} + {at * at}?\n\nAnswer:") for at in range(6)]
STOPS = ("Q", "\n", "an", "w", " ", "12", "e", "3,", "ö", "?")


# Stop rules ---------------------------------------------------------------------------------------------


def naive(pieces: Sequence[str], stop: Sequence[str]) -> tuple[str, int] | None:
    """Append token by token, character by character, until a stop string is complete."""
    text = ""
    for count, piece in enumerate(pieces, start=1):
        for character in piece:
            text += character
            ends = [string for string in stop if text.endswith(string)]
            if ends:
                return text[: -max(map(len, ends))], count
    return None


@given(
    st.lists(st.text("ab\n", max_size=3), max_size=12),
    st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
)
def test_a_completion_is_cut_at_its_first_stop_string(pieces: list[str], stop: list[str]) -> None:
    found = cut(range(len(pieces)), stop, lambda ids: "".join(pieces[at] for at in ids))
    assert found == naive(pieces, stop)


def test_stop_rules_that_come_as_a_list_are_those_of_a_tuple() -> None:
    assert Sampling(stop=["a", "b"]) == Sampling(stop=("a", "b"))  # type: ignore[arg-type]
    assert hash(Sampling(stop=["a"])) == hash(Sampling(stop=("a",)))  # type: ignore[arg-type]


def test_stop_rules_in_the_transformers_engine(plain_texts: TransformersEngine) -> None:
    """The same completions as without stop rules, cut."""
    n = 24
    whole = [c for found in plain_texts.sample(QUESTIONS, n, Sampling(1, 1, ROOM), (1,)) for c in found]
    stopped = [
        c for found in plain_texts.sample(QUESTIONS, n, Sampling(1, 1, ROOM, STOPS), (1,)) for c in found
    ]
    shortened = 0
    for before, after in zip(whole, stopped, strict=True):
        starts = [before.completion.find(string) for string in STOPS if string in before.completion]
        if not starts:
            assert after == before
            continue
        assert after.finish_reason == "stop" and after.completion == before.completion[: min(starts)]
        assert after.tokens <= before.tokens and after.logprob >= before.logprob
        assert after.entropy is not None and before.entropy is not None and after.entropy <= before.entropy
        shortened += after.tokens < before.tokens - 1
    assert shortened > 40
    assert len(stopped) == n * len(QUESTIONS)


def test_figures_of_a_stopped_completion_are_those_of_its_tokens(plain: TransformersEngine) -> None:
    """Words are their tokens, so that a stopped completion can be read back."""
    (found,) = plain.sample(PROMPTS[:1], 200, Sampling(1, 1, ROOM, ("w3",)), (1,))
    stopped = [c for c in found if c.finish_reason == "stop" and len(c.completion.split()) == c.tokens - 1]
    ends = Counter()
    for c in stopped:
        ids = plain.tokenizer(c.completion)["input_ids"]
        for end in (1, plain.tokenizer("w3")["input_ids"][0]):
            expected, entropy = logprob(plain, PROMPTS[0].text, [*ids, end])
            if c.logprob == pytest.approx(expected, abs=TOLERANCE):
                assert c.entropy == pytest.approx(entropy, abs=TOLERANCE)
                ends[end] += 1
                break
        else:
            pytest.fail(f"no way in which {c} can have ended")
    assert len(ends) == 2 and min(ends.values()) > 10
    assert not any("w3" in c.completion for c in found)


def test_either_end_token_ends_a_completion(plain_texts: TransformersEngine) -> None:
    assert plain_texts.texts.ends == [0, 1]
    (found,) = plain_texts.sample(QUESTIONS[:1], 400, Sampling(1, 1, 6), (1,))
    lengths = Counter(c.tokens for c in found if c.finish_reason == "stop")
    ids = plain_texts.tokenizer(QUESTIONS[0].text)["input_ids"]
    expected = probabilities(plain_texts, ids)[-1, [0, 1]]
    assert expected.min() > 0
    assert stats.binomtest(lengths[1], 400, expected.sum()).pvalue > 0.001


# The context --------------------------------------------------------------------------------------------


def test_what_does_not_fit_the_context_is_refused(words: Path, plain: TransformersEngine) -> None:
    longest = Prompt("long", " ".join(["w1"] * 40), "plan")
    fits = Sampling(max_new_tokens=CONTEXT - 40)
    assert plain.prepare([PROMPTS[0], longest], fits) == CONTEXT
    assert len(next(plain.sample([longest], 2, fits, (1,)))) == 2
    too_many = Sampling(max_new_tokens=CONTEXT - 39)
    message = (
        rf"'long', condition 'plan': a prompt of 40 tokens and max_new_tokens 25 need 65 .* has {CONTEXT}"
    )
    with pytest.raises(AnatomyError, match=message + r".*max_new_tokens may be 24 at most"):
        plain.prepare([PROMPTS[0], longest], too_many)
    with pytest.raises(AnatomyError, match=message):
        next(plain.sample([PROMPTS[0], longest], 2, too_many, (1,)))
    held = TransformersEngine(words, context=50)
    with pytest.raises(AnatomyError, match=r"need 64 .* has 50 .*max_new_tokens may be 10 at most"):
        held.prepare([longest], fits)
    with pytest.raises(AnatomyError, match="shorten the prompt"):
        TransformersEngine(words, context=40).prepare([longest], fits)
    assert TransformersEngine(words, context=1000).texts.context == CONTEXT  # it cannot be more


def test_engines_are_chosen_by_name(words: Path) -> None:
    assert isinstance(load.load("transformers", words, threads=1), TransformersEngine)
    with pytest.raises(AnatomyError, match=r"sampling\.engine: 'vlm' is no engine"):
        load.load("vlm", words)


def test_vllm_is_missed_only_when_it_starts(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)  # as where it is not installed
    sampler = load.load("vllm", words)
    with pytest.raises(AnatomyError, match=r"vLLM cannot be imported .*envs/vllm\.yaml"):
        sampler.prepare(PROMPTS, Sampling(max_new_tokens=4))
    with pytest.raises(AnatomyError, match="a prompt of 1 tokens and max_new_tokens 64 need 65"):
        sampler.prepare(PROMPTS[:1], Sampling(max_new_tokens=64))


def test_a_model_for_more_gpus_than_there_are_is_refused(words: Path) -> None:
    gpus = torch.cuda.device_count() + 1
    with pytest.raises(AnatomyError, match=rf"divided among {gpus} GPUs .* sees {gpus - 1}"):
        load.load("vllm", words, gpus=gpus)


def test_both_engines_refuse_an_altered_model(words: Path, tmp_path: Path) -> None:
    for path in words.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() + b" " * (path.name == "model.safetensors"))
    for kind in ("transformers", "vllm"):
        with pytest.raises(AnatomyError, match=r"model\.safetensors: missing or altered"):
            load.load(kind, tmp_path)


# vLLM ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """What an engine is asked for."""

    prompts: Sequence[Prompt]
    n: int
    sampling: Sampling
    seed: tuple[object, ...] = (1, "arm")
    prepare: bool = False
    first: bool = False

    def answer(self, sampler: Engine) -> list[Completion]:
        found = sampler.sample(self.prompts, self.n, self.sampling, self.seed)
        return [completion for completions in found for completion in completions]


LONG = Prompt("long", " ".join(["w1"] * 50))
FIRST = Sampling(1, 1, 1)
WORD_QUESTIONS = {
    "usual": Question(PROMPTS, 16, Sampling(1, 1, ROOM)),
    "subset": Question(PROMPTS[5:1:-1], 8, Sampling(1, 1, ROOM)),
    "other seed": Question(PROMPTS, 16, Sampling(1, 1, ROOM), (2, "arm")),
    "greedy": Question(PROMPTS, 2, Sampling(0, 1, ROOM)),
    "first": Question(PROMPTS[3:4], 2000, FIRST),
    "cold": Question(PROMPTS[3:4], 1000, Sampling(0.6, 1, 1)),
    "nucleus": Question(PROMPTS[3:4], 1000, Sampling(1.2, 0.7, 1)),
    "lengths": Question(PROMPTS[4:5], 1000, Sampling(1, 1, ROOM)),
    "stop": Question(PROMPTS, 16, Sampling(1, 1, ROOM, ("w3", "w5 w1"))),
    "abandoned": Question(PROMPTS, 16, Sampling(1, 1, ROOM), first=True),
    "again": Question(PROMPTS, 16, Sampling(1, 1, ROOM)),
    "hot": Question(PROMPTS, 2, Sampling(2.5, 1, ROOM)),
    "too long": Question([PROMPTS[0], LONG], 2, Sampling(1, 1, 15)),
    "longer": Question([LONG], 4, Sampling(1, 1, 14)),  # starts vLLM again
    "crowd": Question([LONG], 150, Sampling(1, 1, 4)),  # more tokens of prompts than vLLM takes at a time
}
TEXT_QUESTIONS = {
    "room": Question(QUESTIONS, 0, Sampling(1, 1, ROOM), prepare=True),
    "usual": Question(QUESTIONS, 64, Sampling(1, 1, ROOM)),
    "stop": Question(QUESTIONS, 64, Sampling(1, 1, ROOM, STOPS)),
    "nucleus": Question(QUESTIONS, 64, Sampling(0.8, 0.8, ROOM)),
}


vllm = pytest.mark.needs("vllm")


def gone(group: int, seconds: float = 60) -> bool:
    """Return whether all processes of a group end; Python's helpers end a moment after their parents.

    One that has ended counts, whether its new parent has noticed or not.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(_runs(process, group) for process in psutil.process_iter()):
            return True
        time.sleep(0.05)
    return False


def _runs(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def ask(jobs: list[dict[str, Any]], **environment: str) -> list[list[Any]]:
    """Run jobs in the environment of vLLM; fail if they leave a process behind."""
    process = subprocess.Popen(
        [VLLM / "bin/python", ROOT / "tests/vllm_runner.py"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )  # fmt: skip
    try:
        output, said = process.communicate(json.dumps(jobs))
        assert process.returncode == 0, said[-3000:]
        assert gone(process.pid), "vLLM left a process behind"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    answers: list[list[Any]] = json.loads(output)
    return answers


def job(folder: Path, questions: Sequence[Question], **more: Any) -> dict[str, Any]:
    return {"folder": str(folder), "questions": [asdict(question) for question in questions], **more}


@dataclass(frozen=True)
class Sampled(Completion):
    """A completion with all tokens that vLLM gave."""

    ids: tuple[int, ...] = ()


def read(answer: Any) -> Any:
    if isinstance(answer, list):
        return [Sampled(**{**row, "ids": tuple(row["ids"])}) for row in answer]
    return answer


@pytest.fixture(scope="module")
def vllm_answers(words: Path, texts: Path) -> dict[str, dict[str, Any]]:
    """All that is asked of vLLM, by one process."""
    first, second, small, unknown, narrow = ask(
        [
            job(words, list(WORD_QUESTIONS.values())),
            job(texts, list(TEXT_QUESTIONS.values())),
            job(words, [Question(PROMPTS, 1, FIRST)], options={"kv_cache_memory_bytes": 1000}),
            job(words, [Question(PROMPTS, 1, FIRST)], options={"no_such_option": 1}),
            job(words, [Question([LONG], 1, Sampling(1, 1, 4))], context=50),
        ]
    )
    return {
        "words": dict(zip(WORD_QUESTIONS, map(read, first), strict=True)),
        "texts": dict(zip(TEXT_QUESTIONS, map(read, second), strict=True)),
        "errors": {"small": small[0], "unknown": unknown[0], "narrow": narrow[0]},
    }


@pytest.fixture(scope="module")
def asked(vllm_answers: dict[str, dict[str, Any]]) -> dict[str, list[Sampled]]:
    return vllm_answers["words"]


@pytest.fixture(scope="module")
def asked_texts(vllm_answers: dict[str, dict[str, Any]]) -> dict[str, list[Sampled]]:
    return vllm_answers["texts"]


def name(completion: Completion) -> tuple[str, int]:
    return completion.problem, completion.sample


def outcome(completion: Completion) -> tuple[str, int, str]:
    return completion.completion, completion.tokens, completion.finish_reason


def alike(first: Sequence[int], second: Sequence[int]) -> float:
    """Return the p-value that two samples have one distribution; values seen rarely are taken together."""
    counts = [Counter(first), Counter(second)]
    values = [value for value, count in (counts[0] + counts[1]).items() if count >= 10]
    table = [
        [*(count[value] for value in values), sum(n for v, n in count.items() if v not in values)]
        for count in counts
    ]
    kept = np.array(table)[:, np.sum(table, axis=0) > 0]
    return float(stats.chi2_contingency(kept).pvalue)


def fits(drawn: Sequence[int], expected: NDArray[np.float64]) -> float:
    """Return the p-value that tokens were drawn with given probabilities; none has probability 0."""
    counts = np.bincount(drawn, minlength=len(expected))
    assert not counts[expected == 0].any()
    often = expected * len(drawn) >= 5
    pooled = [[*values[often], values[~often].sum()] for values in (counts, expected * len(drawn))]
    observed, wanted = np.array(pooled)[:, np.array(pooled[1]) > 0]
    return float(stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue)


@vllm
@pytest.mark.slow
def test_vllm_gives_n_completions_a_prompt_in_order(asked: dict[str, list[Sampled]]) -> None:
    for key in ("usual", "subset", "greedy", "stop", "lengths", "longer", "crowd"):
        question = WORD_QUESTIONS[key]
        expected = [(prompt.problem, sample) for prompt in question.prompts for sample in range(question.n)]
        assert [name(c) for c in asked[key]] == expected
        assert all(c.entropy is None and c.condition == "plain" for c in asked[key])
        assert {c.temperature for c in asked[key]} == {question.sampling.temperature}


@vllm
@pytest.mark.slow
@pytest.mark.parametrize("key", ["usual", "stop", "greedy", "longer", "crowd"])
def test_log_probabilities_of_vllm_are_those_of_a_plain_pass(
    asked: dict[str, list[Sampled]], plain: TransformersEngine, key: str
) -> None:
    text = {prompt.problem: prompt.text for prompt in WORD_QUESTIONS[key].prompts}
    for c in asked[key]:
        expected, _ = logprob(plain, text[c.problem], c.ids[: c.tokens])
        assert c.logprob == pytest.approx(expected, abs=TOLERANCE)
        assert c.completion == " ".join(f"w{at - 2}" for at in c.ids[: c.tokens] if at > 1) or key == "stop"


@vllm
@pytest.mark.slow
@pytest.mark.parametrize("key", ["usual", "stop", "nucleus"])
def test_log_probabilities_with_byte_pairs_and_two_ends(
    asked_texts: dict[str, list[Sampled]], plain_texts: TransformersEngine, key: str
) -> None:
    """At any temperature and nucleus they are those at temperature 1 with nothing cut off."""
    text = {prompt.problem: prompt.text for prompt in QUESTIONS}
    for c in asked_texts[key][::7]:
        expected, _ = logprob(plain_texts, text[c.problem], c.ids[: c.tokens])
        assert c.logprob == pytest.approx(expected, abs=TOLERANCE)
    if key == "usual":
        assert {c.ids[-1] for c in asked_texts[key] if c.finish_reason == "stop"} == {0, 1}


@vllm
@pytest.mark.slow
def test_first_tokens_have_the_models_probabilities(
    asked: dict[str, list[Sampled]], plain: TransformersEngine
) -> None:
    exact = probabilities(plain, plain.tokenizer(PROMPTS[3].text)["input_ids"])[-1]
    warm = exact ** (1 / 1.2)
    warm /= warm.sum()
    order = warm.argsort()[::-1]
    outside = order[np.cumsum(warm[order]) - warm[order] >= 0.7]  # what stands before reaches 0.7 already
    nucleus = warm.copy()
    nucleus[outside] = 0
    assert 1 < np.sum(nucleus > 0) < len(exact)
    for key, expected in (("first", exact), ("cold", exact ** (1 / 0.6)), ("nucleus", nucleus)):
        assert fits([c.ids[0] for c in asked[key]], expected / expected.sum()) > 0.001, key
    # The test sees a difference where there is one.
    assert fits([c.ids[0] for c in asked["cold"]], exact) < 1e-6


@vllm
@pytest.mark.slow
def test_both_engines_draw_from_one_distribution(
    asked: dict[str, list[Sampled]], plain: TransformersEngine
) -> None:
    for key in ("first", "cold", "nucleus", "lengths"):
        theirs = WORD_QUESTIONS[key].answer(plain)
        numbers = {text: at for at, text in enumerate(sorted({c.completion for c in [*theirs, *asked[key]]}))}
        if key != "lengths":
            ours = [numbers[c.completion] for c in asked[key]]
            assert alike(ours, [numbers[c.completion] for c in theirs]) > 0.001, key
        else:
            assert alike(*([c.tokens for c in found] for found in (asked[key], theirs))) > 0.001
    # The test sees a difference where there is one.
    colder = Question(PROMPTS[4:5], 1000, Sampling(0.5, 1, ROOM)).answer(plain)
    assert alike([c.tokens for c in asked["lengths"]], [c.tokens for c in colder]) < 1e-6


@vllm
@pytest.mark.slow
def test_greedy_completions_are_the_same(asked: dict[str, list[Sampled]], plain: TransformersEngine) -> None:
    theirs = WORD_QUESTIONS["greedy"].answer(plain)
    assert list(map(outcome, asked["greedy"])) == list(map(outcome, theirs))
    assert [c.logprob for c in asked["greedy"]] == pytest.approx([c.logprob for c in theirs], abs=TOLERANCE)


@vllm
@pytest.mark.slow
def test_seeds_alone_decide_vllms_samples(asked: dict[str, list[Sampled]]) -> None:
    usual = {name(c): outcome(c) for c in asked["usual"]}
    assert len(set(usual.values())) > 100
    # A subset of the prompts in another order, and fewer samples: the same completions.
    assert all(usual[name(c)] == outcome(c) for c in asked["subset"]) and len(asked["subset"]) == 32
    # After a sampling that was abandoned, too.
    assert [name(c) for c in asked["abandoned"]] == [("p0", sample) for sample in range(16)]
    assert list(map(outcome, asked["again"])) == list(usual.values())
    other = {name(c): outcome(c) for c in asked["other seed"]}
    assert sum(usual[key] == other[key] for key in usual) < len(usual) / 4


@vllm
@pytest.mark.slow
def test_truncation_is_alike(asked: dict[str, list[Sampled]]) -> None:
    assert {c.finish_reason for c in asked["usual"]} == {"stop", "length"}
    for c in [*asked["usual"], *asked["lengths"], *asked["longer"]]:
        assert (c.finish_reason == "stop") == (c.ids[-1] == 1)
        assert c.tokens == len(c.ids) and (
            c.finish_reason == "stop" or c.tokens == (ROOM if c.problem != "long" else 14)
        )
    # A completion that ends with the last token that it may have has ended.
    assert any(c.finish_reason == "stop" and c.tokens == ROOM for c in asked["lengths"])


@vllm
@pytest.mark.slow
def test_stop_rules_are_alike(
    vllm_answers: dict[str, dict[str, Any]], plain: TransformersEngine, plain_texts: TransformersEngine
) -> None:
    for kind, questions, sampler in (
        ("words", WORD_QUESTIONS, plain),
        ("texts", TEXT_QUESTIONS, plain_texts),
    ):
        found = vllm_answers[kind]
        stop = questions["stop"].sampling.stop
        whole = {name(c): c for c in found["usual"]}
        early = 0
        for c in found["stop"]:
            # The completion of the same seed without stop rules, cut where the other engine cuts.
            before = whole[name(c)]
            ended = before.finish_reason == "stop"
            assert outcome(c) == sampler.texts.finish(before.ids, ended, stop)
            assert not any(string in c.completion for string in stop)
            assert c.ids == before.ids[: c.tokens]  # no token was decoded behind it
            early += len(c.ids) < len(before.ids)
        assert early > 40, kind
        theirs = questions["stop"].answer(sampler)
        assert alike([c.tokens for c in found["stop"]], [c.tokens for c in theirs]) > 0.001
        assert alike([len(c.completion) for c in found["stop"]], [len(c.completion) for c in theirs]) > 0.001


@vllm
@pytest.mark.slow
def test_vllm_has_room_for_what_it_is_asked_and_no_more(vllm_answers: dict[str, dict[str, Any]]) -> None:
    longest = max(len(prompt.text) for prompt in QUESTIONS)
    room = vllm_answers["texts"]["room"]
    assert room["needed"] == room["room"] < min(CONTEXT, longest + ROOM)
    assert "a prompt of 50 tokens and max_new_tokens 15 need 65" in vllm_answers["words"]["too long"]["error"]
    assert "need 54 positions" in vllm_answers["errors"]["narrow"]["error"]
    assert "temperature 2.5: vLLM samples at 0 or between" in vllm_answers["words"]["hot"]["error"]


@vllm
@pytest.mark.slow
def test_what_keeps_vllm_from_starting_is_said(vllm_answers: dict[str, dict[str, Any]]) -> None:
    errors = vllm_answers["errors"]
    assert (
        "did not start" in errors["small"]["error"] and "gpu_memory_utilization" in errors["small"]["error"]
    )
    assert "no_such_option" in errors["unknown"]["error"] and "sampling.options" in errors["unknown"]["error"]


@vllm
@pytest.mark.slow
def test_a_model_that_processes_share_gives_the_same_completions(
    asked: dict[str, list[Sampled]], words: Path, plain: TransformersEngine
) -> None:
    """As on several GPUs: processes of vLLM's own with half of the model each, none left behind."""
    question = WORD_QUESTIONS["usual"]
    shared = job(words, [question], options={"tensor_parallel_size": 2})
    # Not bound to cores, which other programs use.
    environment = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    ((answer,),) = ask([shared], **environment)
    found: list[Sampled] = read(answer)
    # Halves are added in another order, which now and then turns a token.
    same = sum(outcome(ours) == outcome(theirs) for ours, theirs in zip(found, asked["usual"], strict=True))
    assert same >= 0.95 * len(found)
    text = {prompt.problem: prompt.text for prompt in PROMPTS}
    for c in found:
        assert c.logprob == pytest.approx(logprob(plain, text[c.problem], c.ids)[0], abs=TOLERANCE)
