"""What every training has in common: checkpoints that can be resumed, models kept at named points, logs.

A training can be killed at any moment: work goes on from the last complete checkpoint. Asked to end by
SIGTERM, it first saves one. Given the same inputs, seed, processor, number of threads and of processes, an
interrupted run on CPUs ends in the same weights as an uninterrupted one; on GPUs, in weights of the same
distribution.

With several processes all of them go through the same functions; the first one alone writes.
"""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule
from transformers import (
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.storage import atomic

_COMPLETE = "complete"
"""Written into a checkpoint after everything else, so that a half-written one is never resumed."""


def first() -> bool:
    """Tell whether this is the first process of the training, which writes for all."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def wait() -> None:
    """Wait until every process of the training has come here."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def any_of(flag: bool, device: torch.device) -> bool:
    """Tell, in every process alike, whether the flag is true in any of them."""
    if not torch.distributed.is_initialized():
        return flag
    any_flag = torch.tensor(float(flag), device=device)
    torch.distributed.all_reduce(any_flag, torch.distributed.ReduceOp.MAX)
    return bool(any_flag)


def everyone(value: Any) -> list[Any]:
    """Return what each process gave, in their order."""
    if not torch.distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def rows_of_everyone(rows: torch.Tensor, left: bool = False) -> torch.Tensor:
    """Return all processes' rows, (B,) or (B, T), of the same B; T is padded by 0 behind or on the left."""
    if not torch.distributed.is_initialized():
        return rows
    if rows.ndim > 1:
        longest = torch.tensor(rows.shape[1], device=rows.device)
        torch.distributed.all_reduce(longest, torch.distributed.ReduceOp.MAX)
        missing = int(longest) - rows.shape[1]
        rows = torch.nn.functional.pad(rows, (missing, 0) if left else (0, missing))
    parts = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


class Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Marks complete checkpoints, keeps models at named steps in ``work/step-<n>``, and reports progress.

    With ``dtype``, models are kept in that type instead of the one they are trained in.
    """

    def __init__(
        self,
        work: Path,
        tokenizer: PreTrainedTokenizerBase,
        exports: Sequence[int],
        report: Callable[[str], None],
        dtype: torch.dtype | None = None,
    ):
        self.work, self.tokenizer, self.exports, self.report = work, tokenizer, set(exports), report
        self.dtype = dtype
        self.started = self.reported = time.monotonic()
        self.first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Begin to measure the time."""
        self.started, self.first = time.monotonic(), state.global_step

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: PreTrainedModel,
        **_: Any,
    ) -> None:
        """Export the model where it is to be kept, and report the progress."""
        if state.global_step in self.exports:
            self.export(model, f"step-{state.global_step}")
        if time.monotonic() - self.reported >= 10 or state.global_step == state.max_steps:
            self.reported = time.monotonic()
            done = state.global_step - self.first
            left = (self.reported - self.started) / done * (state.max_steps - state.global_step)
            last: dict[str, float] = {}
            for row in state.log_history[-8:]:
                last |= row
            shown = "  ".join(f"{k} {last[k]:.3f}" for k in ("loss", "reward") if k in last)
            self.report(f"step {state.global_step}/{state.max_steps}  {shown}  {left:.0f} s left")

    def export(self, model: PreTrainedModel, name: str) -> None:
        """Keep the model as ``work/<name>``; every process must call it."""
        if self.dtype or isinstance(model, FSDPModule):
            model = _gathered(model, self.dtype)
        if first():
            with atomic.atomic_folder(self.work / name) as partial:
                store.save(model, self.tokenizer, partial)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Mark a checkpoint as whole."""
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        # The weights must be on disk before the mark is: a power cut reorders writes.
        os.sync()
        wait()
        if first():
            (folder / _COMPLETE).touch()


def _gathered(model: PreTrainedModel, dtype: torch.dtype | None) -> PreTrainedModel:
    """Return the whole model on the CPU, in a type, from all processes' shares; of use in the first one."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    dtype = dtype or model.dtype
    whole_state: dict[str, Any] = dict(get_model_state_dict(model, options=options))
    state = {name: tensor.to(dtype) for name, tensor in whole_state.items()}
    with torch.device("meta"):
        whole: PreTrainedModel = AutoModelForCausalLM.from_config(model.config, dtype=dtype)
    whole.load_state_dict(state, strict=False, assign=True)
    whole.tie_weights()
    whole.generation_config = model.generation_config
    return whole


class _Ending(TrainerCallback):  # type: ignore[misc]
    """Saves and ends the training at the next step that is a multiple of ``unit``, once that is asked for."""

    def __init__(self, unit: int):
        self.unit, self.asked = unit, False
        self.at: int | None = None

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: PreTrainedModel,
        **_: Any,
    ) -> None:
        done = state.global_step
        # Processes are told at different moments: they must agree on a step.
        if done % self.unit == 0 and done < state.max_steps and any_of(self.asked, model.device):
            self.at = done
            control.should_save = control.should_training_stop = True


def fit(trainer: Trainer, resume: str | None, unit: int = 1) -> None:
    """Train from a checkpoint, or from the start.

    On SIGTERM, as Slurm sends it some time before it ends a job, the next step that is a multiple of ``unit``
    is saved and AnatomyError raised: the same training, started again, goes on from there.
    """
    ending = _Ending(unit)
    trainer.add_callback(ending)

    def ask(*_: object) -> None:
        ending.asked = True

    # Only the main thread may handle signals; elsewhere SIGTERM keeps its meaning.
    heard = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, ask) if heard else None
    try:
        trainer.train(resume_from_checkpoint=resume)
        wait()
    finally:
        if heard:
            signal.signal(signal.SIGTERM, before)
    if ending.at is not None:
        raise AnatomyError(
            f"ended by SIGTERM after step {ending.at} of {trainer.state.max_steps}, which is saved:"
            " run the same again and it goes on from there"
        )


def resume_from(work: Path, fingerprint: Mapping[str, Any]) -> str | None:
    """Return the last complete checkpoint in ``work`` if it belongs to the same training, else clear it."""
    mark = work / "fingerprint.json"
    text = json.dumps(fingerprint, sort_keys=True, default=str)
    if first() and (not mark.exists() or mark.read_text() != text):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mark.write_text(text)
    wait()
    checkpoints = sorted(
        (int(path.parent.name.rpartition("-")[2]), path.parent)
        for path in work.glob(f"checkpoint-*/{_COMPLETE}")
    )
    return str(checkpoints[-1][1]) if checkpoints else None


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
    wait()
    if first():
        with atomic.atomic_folder(output) as partial:
            for name in kept:
                shutil.copytree(work / name, partial / name)
        shutil.rmtree(work)
    wait()


def log_rows(
    run: str, seed: int, log: Sequence[Mapping[str, Any]], signed: bool = False
) -> list[dict[str, Any]]:
    """Turn a trainer's log into rows of the table 'training'.

    Args:
        run: The run's name.
        seed: The training seed.
        log: A row a step.
        signed: Whether rewards were 1 and -1: they are told as of 1 and 0, to compare with other runs'.
    """
    names = {
        "loss": "loss",
        "reward": "reward",
        "length": "completions/mean_length",
        "entropy": "entropy",
        "kl": "kl_to_start",
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
            # Steps that draw no rollouts of their own have none.
            **({"reward": (row["reward"] + 1) / 2} if signed and "reward" in row else {}),
            "generated": int(row.get("generated", 0)),
            "tokens": int(row.get("num_tokens", 0)),
        }
        for row in log
    ]
