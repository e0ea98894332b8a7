"""Seconds an RL step: the study's GRPO preset as it is, and with TRL's and PyTorch's defaults in its place.

python performance/reinforcement.py MODEL [--steps 12] [--threads 1] [--algorithms grpo ppo dapo ...]

MODEL is a model folder of the study, such as results/embedded/models/base/seed-0/step-1800. Each variant
undoes one choice: rollouts by ``generate`` instead of the shared-prefix decoder, the fused attention kernel,
recomputed activations. Ratios are to the preset's own time in the same run.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from anatomy.grading import graders, rewards
from anatomy.models import decoding, store
from anatomy.training import decoders, rl_trainer
from anatomy.training.rl_config import Reinforcement
from anatomy.training.rl_rollouts import Rollout
from anatomy.world import problems as world_problems

ROOT = Path(__file__).resolve().parents[1]


def by_generate(model: Any, prompts: Any, uniforms: Any, sampling: Any, ends: Any, pad: int) -> Any:
    """What ``decode`` returns, from the library's own ``generate``; its randomness is torch's."""
    count, group, steps = uniforms.shape
    ids, mask = decoding.left_pad(prompts, pad, model.device)
    training = model.training
    model.eval()
    with torch.inference_mode():
        output = model.generate(
            input_ids=ids.repeat_interleave(group, 0),
            attention_mask=mask.repeat_interleave(group, 0),
            max_new_tokens=steps,
            do_sample=True,
            temperature=sampling.temperature,
            top_k=0,
            pad_token_id=pad,
            eos_token_id=list(ends),
        )[:, ids.shape[1] :]
    model.train(training)
    tokens = torch.full((count * group, steps), pad)
    tokens[:, : output.shape[1]] = output
    found = torch.isin(tokens, torch.tensor(list(ends)))
    ended = found.any(dim=1)
    lengths = torch.where(ended, found.int().argmax(dim=1) + 1, steps)
    shape = (count, group)
    return decoding.Decoded(
        tokens.view(*shape, steps).numpy(),
        lengths.view(shape).numpy(),
        ended.view(shape).numpy(),
        np.zeros((*shape, steps), np.float32),
        np.zeros(shape, np.float32),
    )


def measure(start: Path, problems: list[dict[str, Any]], config: Reinforcement) -> float:
    """Return seconds a step, the first two left out."""

    def reward(rollouts: Sequence[Rollout]) -> list[float]:
        return rewards.rewards("world", [graders.Item(*rollout) for rollout in rollouts])

    with tempfile.TemporaryDirectory() as folder:
        log = rl_trainer.reinforce(
            start, problems, reward, config, [config.steps], 0, 0,
            Path(folder) / "work", Path(folder) / "out", lambda text: None,
        )  # fmt: skip
    seconds = [row["seconds"] for row in log]
    return (seconds[-1] - seconds[1]) / (len(seconds) - 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--algorithms", nargs="*", default=[], help="further algorithms, by preset")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = yaml.safe_load((ROOT / "config/embedded.yaml").read_text(encoding="utf-8"))
    presets = settings["presets"]["reinforcement"]
    drawn = world_problems.problems(
        1, "benchmark", 200, [2, 3, 4, 5], list(world_problems.DOMAINS), "training"
    )
    problems = [{"text": one.text, "prompt": one.text, "answers": [one.answer]} for one in drawn]

    def config(algorithm: str, preset: str) -> Reinforcement:
        # Long enough between checkpoints that none is written.
        own = {"algorithm": algorithm, "steps": arguments.steps, "checkpoint_every": 10_000}
        return Reinforcement.of({**presets[preset], **own})

    grpo = config("grpo", "grpo")
    reference = measure(arguments.model, problems, grpo)
    print(f"{'grpo':<28}{reference:6.2f} s a step")

    def variant(name: str, change: Callable[[], None], undo: Callable[[], None], used: Any = grpo) -> None:
        change()
        try:
            seconds = measure(arguments.model, problems, used)
        finally:
            undo()
        print(f"{name:<28}{seconds:6.2f} s a step, {seconds / reference:.2f} times grpo's")

    ours, trainable = decoders.decode, store.trainable
    variant(
        "  rollouts by generate",
        lambda: setattr(decoders, "decode", by_generate),
        lambda: setattr(decoders, "decode", ours),
    )
    variant(
        "  fused attention kernel",
        lambda: setattr(store, "trainable", lambda model: model),
        lambda: setattr(store, "trainable", trainable),
    )
    recomputing = replace(grpo, options={**grpo.options, "gradient_checkpointing": True})
    variant("  recomputed activations", lambda: None, lambda: None, recomputing)
    for algorithm in arguments.algorithms:
        preset = algorithm if algorithm in presets else "plain"
        variant(algorithm, lambda: None, lambda: None, config(algorithm, preset))


if __name__ == "__main__":
    main()
