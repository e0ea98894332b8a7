"""What every training has in common: checkpoints that can be resumed, models kept at named points, logs.

A training can be killed at any moment: work goes on from the last complete checkpoint. Given the same inputs,
seed, processor and number of threads, an interrupted run ends in the same weights as an uninterrupted one.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from anatomy import models

_COMPLETE = "complete"
"""Written into a checkpoint after everything else, so that a half-written one is never resumed."""


class Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Marks complete checkpoints, keeps models at named steps in ``work/step-<n>``, and reports progress."""

    def __init__(
        self,
        work: Path,
        tokenizer: PreTrainedTokenizerBase,
        exports: Sequence[int],
        report: Callable[[str], None],
    ):
        self.work, self.tokenizer, self.exports, self.report = work, tokenizer, set(exports), report
        self.started = self.told = time.monotonic()
        self.first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.started, self.first = time.monotonic(), state.global_step

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: PreTrainedModel,
        **_: Any,
    ) -> None:
        if state.global_step in self.exports:
            self.export(model, f"step-{state.global_step}")
        if time.monotonic() - self.told >= 10 or state.global_step == state.max_steps:
            self.told = time.monotonic()
            done = state.global_step - self.first
            left = (self.told - self.started) / done * (state.max_steps - state.global_step)
            last: dict[str, float] = {}
            for row in state.log_history[-8:]:
                last |= row
            shown = "  ".join(f"{k} {last[k]:.3f}" for k in ("loss", "reward") if k in last)
            self.report(f"step {state.global_step}/{state.max_steps}  {shown}  {left:.0f} s left")

    def export(self, model: PreTrainedModel, name: str) -> None:
        """Keep the model as ``work/<name>``."""
        with models.atomic_folder(self.work / name) as partial:
            models.save(model, self.tokenizer, partial)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        # The weights must be on disk before the mark is: a power cut reorders writes.
        os.sync()
        (folder / _COMPLETE).touch()


def resume_from(work: Path, fingerprint: Mapping[str, Any]) -> str | None:
    """Return the last complete checkpoint in ``work`` if it belongs to the same training, else clear it."""
    mark = work / "fingerprint.json"
    text = json.dumps(fingerprint, sort_keys=True, default=str)
    if not mark.exists() or mark.read_text() != text:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mark.write_text(text)
    found = sorted(
        (int(path.parent.name.rpartition("-")[2]), path.parent)
        for path in work.glob(f"checkpoint-*/{_COMPLETE}")
    )
    return str(found[-1][1]) if found else None


def arguments(work: Path, seed: int, steps: int, every: int, learning_rate: float) -> dict[str, Any]:
    """Return the trainer's arguments that all trainings share; a checkpoint ``every`` so many steps."""
    return {
        "output_dir": str(work),
        "seed": seed,
        "max_steps": steps,
        "learning_rate": learning_rate,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "use_cpu": not torch.cuda.is_available(),
        "log_level": "error",
    }


def publish(work: Path, output: Path, kept: Sequence[str]) -> None:
    """Move the kept models of a finished training to ``output`` and drop everything else of its work."""
    with models.atomic_folder(output) as partial:
        for name in kept:
            shutil.copytree(work / name, partial / name)
    shutil.rmtree(work)


def log_rows(run: str, seed: int, log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Turn a trainer's log into rows of the table 'training'."""
    names = {
        "loss": "loss",
        "reward": "reward",
        "length": "completions/mean_length",
        "entropy": "entropy",
        "kl": "kl",
        "zero_signal": "zero_signal",
        "clipped": "clip_ratio/region_mean",
        "value_loss": "value_loss",
    }
    return [
        {
            "run": run,
            "seed": seed,
            "step": int(row["step"]),
            **{ours: row.get(theirs) for ours, theirs in names.items()},
            "generated": int(row.get("generated", 0)),
            "tokens": int(row.get("num_tokens", 0)),
            "seconds": float(row.get("seconds", 0.0)),
        }
        for row in log
    ]
