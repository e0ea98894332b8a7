"""Tokens a second of the sampling engine against plain ``generate``: same model, prompts, n and machine.

    python performance/sampling.py [--model FOLDER] [--problems 60] [--n 128] [--threads 1]

The model is by default the embedded study's base model, which `snakemake all` makes. Both ways sample all
completions at several batch sizes, interleaved, twice; the best time of each counts. Under a Python that has
vLLM (`.venv-vllm/bin/python`, after `make vllm`), vLLM samples them too, in batches that it forms itself.
"""

import argparse
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "scripts"))

from anatomy.sampling import engine, load, transformers_engine  # noqa: E402
from anatomy.world import checker  # noqa: E402
from anatomy.world import problems as world_problems  # noqa: E402

MODELS = "results/embedded/models/base/seed-0"
STEPS = (2, 3, 4, 5, 6)


@dataclass
class Result:
    """One pass over all prompts."""

    seconds: float
    completions: list[tuple[str, str, int]]
    """Problem, text and number of tokens, the end token included."""
    right: int

    @property
    def tokens(self) -> int:
        return sum(tokens for _, _, tokens in self.completions)

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds


def newest(folder: Path) -> Path:
    """The model of the largest step in a folder."""
    found = sorted(folder.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    if not found:
        sys.exit(
            f"error: there is no model in {folder}. Random weights never end a completion, so a trained model"
            " is needed: make it with `.venv/bin/snakemake all` (or name another with --model)."
        )
    return found[-1]


def timed(
    work: Callable[[], Iterable[tuple[str, str, int]]], problems: dict[str, world_problems.Problem]
) -> Result:
    began = time.perf_counter()
    completions = list(work())
    seconds = time.perf_counter() - began
    right = sum(checker.check(problems[name], text).answer_right for name, text, _ in completions)
    return Result(seconds, completions, right)


def plain(
    sampler: transformers_engine.TransformersEngine,
    prompts: Sequence[engine.Prompt],
    n: int,
    rows: int,
    limit: int,
) -> Iterable[tuple[str, str, int]]:
    """Sample with ``generate``, ``rows`` completions at a time."""
    tokenizer: Any = sampler.tokenizer
    model: Any = sampler.model
    # Prompts of like lengths together, as the engine takes them.
    for chunk in engine.chunked(prompts, n, max(rows, n)):
        repeated = [prompt for prompt in chunk for _ in range(n)]
        for start in range(0, len(repeated), rows):
            batch = repeated[start : start + rows]
            inputs = tokenizer(
                [p.text for p in batch], return_tensors="pt", padding=True, padding_side="left"
            )
            width = inputs["input_ids"].shape[1]
            with torch.inference_mode():
                output = model.generate(
                    input_ids=inputs["input_ids"].to(model.device),
                    attention_mask=inputs["attention_mask"].to(model.device),
                    do_sample=True,
                    temperature=1.0,
                    top_k=0,
                    top_p=1.0,
                    max_new_tokens=limit,
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=tokenizer.eos_token_id,
                )[:, width:].cpu()
            ends = output == tokenizer.eos_token_id
            lengths = torch.where(ends.any(dim=1), ends.int().argmax(dim=1) + 1, output.shape[1])
            texts = tokenizer.batch_decode(output, skip_special_tokens=True)
            yield from zip((p.problem for p in batch), texts, lengths.tolist(), strict=True)


def ours(
    sampler: engine.Engine,
    prompts: Sequence[engine.Prompt],
    n: int,
    rows: int,
    limit: int,
    seed: int,
) -> Iterable[tuple[str, str, int]]:
    sampling = engine.Sampling(temperature=1.0, top_p=1.0, max_new_tokens=limit)
    for chunk in engine.chunked(prompts, n, rows):
        for completions in sampler.sample(chunk, n, sampling, ("benchmark", seed)):
            yield from ((c.problem, c.completion, c.tokens) for c in completions)


def peak(repeat: int = 5, size: int = 2048) -> float:
    """Floating-point operations a second of a large float32 matrix product, with torch's threads."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    a @ b
    best = math.inf
    for _ in range(repeat):
        began = time.perf_counter()
        product = a @ b
        float(product[0, 0])  # waits for a GPU
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def operations(
    sampler: transformers_engine.TransformersEngine, prompts: Sequence[engine.Prompt], result: Result
) -> float:
    """What the tokens need: two operations a parameter, and attention over what stands before them."""
    model: Any = sampler.model
    config = model.config
    parameters = sum(p.numel() for p in model.parameters())  # the tied embedding counts once, as output
    width = config.num_hidden_layers * config.hidden_size
    tokenizer: Any = sampler.tokenizer
    prefix = {p.problem: len(tokenizer(p.text)["input_ids"]) for p in prompts}
    attention = sum(
        4 * width * tokens * (prefix[name] + tokens / 2) for name, _, tokens in result.completions
    )
    return 2.0 * parameters * result.tokens + attention


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help=f"a model's folder (default: the last step in {MODELS})")
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--n", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128, 256, 512], help="of generate")
    parser.add_argument("--rows", type=int, nargs="+", default=[256, 512, 1024], help="of the engine")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    sampler = transformers_engine.TransformersEngine(
        arguments.model or newest(ROOT / MODELS), arguments.threads
    )
    drawn = world_problems.problems(
        1, "benchmark of sampling", arguments.problems, STEPS, list(world_problems.DOMAINS), "test"
    )
    problems = {problem.name: problem for problem in drawn}
    prompts = [engine.Prompt(problem.name, world_problems.prompt(problem)) for problem in drawn]
    n, limit = arguments.n, arguments.max_new_tokens
    print(f"{len(prompts)} problems x {n} completions, at most {limit} tokens, {arguments.threads} thread(s)")
    # A little of each first, so that none pays for what happens once.
    list(plain(sampler, prompts[:1], 4, 4, 8))
    samplers: dict[str, engine.Engine] = {"engine": sampler}
    if importlib.util.find_spec("vllm"):
        gpus = min(1, torch.cuda.device_count())
        samplers["vllm"] = load.load("vllm", sampler.texts.folder, arguments.threads, gpus)
        samplers["vllm"].prepare(prompts, engine.Sampling(max_new_tokens=limit))
    for one in samplers.values():
        list(ours(one, prompts[:1], 4, 4, 8, 0))
    runs: dict[tuple[str, int], list[Result]] = {}
    best_peak = peak()
    for repetition in range(arguments.rounds):
        pairs = [("generate", size) for size in arguments.batches] + [
            ("engine", size) for size in arguments.rows
        ]
        if "vllm" in samplers:
            pairs.append(("vllm", n * len(prompts)))
        for kind, size in pairs if repetition % 2 == 0 else reversed(pairs):
            if kind == "generate":
                result = timed(lambda size=size: plain(sampler, prompts, n, size, limit), problems)
            else:
                one, seed = samplers[kind], repetition
                result = timed(
                    lambda one=one, size=size, seed=seed: ours(one, prompts, n, size, limit, seed), problems
                )
            runs.setdefault((kind, size), []).append(result)
            print(
                f"  round {repetition + 1}: {kind:8} {size:5} rows: {result.rate:9,.0f} tokens/s"
                f" ({result.tokens:,} tokens in {result.seconds:.1f} s)",
                flush=True,
            )
        best_peak = max(best_peak, peak())
    best = {
        kind: max(
            ((size, result) for (name, size), found in runs.items() if name == kind for result in found),
            key=lambda pair: pair[1].rate,
        )
        for kind in ("generate", *samplers)
    }
    for kind, (size, result) in best.items():
        share = operations(sampler, prompts, result) / result.seconds / best_peak
        print(f"best {kind}: {result.rate:,.0f} tokens/s at {size} rows, {share:.1%} of the arithmetic peak")
    print(f"arithmetic peak: {best_peak / 1e9:,.0f} GFLOP/s (float32 matrix product)")
    print(f"ratio: {best['engine'][1].rate / best['generate'][1].rate:.2f}")
    if "vllm" in samplers:
        print(f"vLLM to engine: {best['vllm'][1].rate / best['engine'][1].rate:.2f}")
    # Engine runs of one round are the same samples at every number of rows: one run a round is independent.
    pooled = {
        "generate": [result for (kind, _), found in runs.items() if kind == "generate" for result in found],
        "engine": runs["engine", arguments.rows[0]],
        "vllm": runs.get(("vllm", n * len(prompts)), []),
    }
    right = {kind: sum(result.right for result in found) for kind, found in pooled.items()}
    total = {kind: sum(len(result.completions) for result in found) for kind, found in pooled.items()}
    for kind in samplers:
        both = (right["generate"] + right[kind]) / (total["generate"] + total[kind])
        error = math.sqrt(max(both * (1 - both), 1e-12) * (1 / total["generate"] + 1 / total[kind]))
        p, q = right["generate"] / total["generate"], right[kind] / total[kind]
        print(
            f"pass@1: generate {p:.4f} of {total['generate']:,}, {kind} {q:.4f} of {total[kind]:,}:"
            f" z = {(q - p) / error:+.2f}"
        )


if __name__ == "__main__":
    main()
