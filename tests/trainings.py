"""Small trainings of a policy that knows nothing yet; workers call them from here too."""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.names import MANIFEST
from anatomy.training import checkpoints, rl_trainer, supervised
from anatomy.training.rl_config import Reinforcement
from anatomy.training.rl_rollouts import Rollout
from anatomy.world import problems

ROOT = Path(__file__).resolve().parents[1]
WANTED = problems.VOCABULARY[:16]
PROBLEMS = [{"prompt": " ".join(["1 +"] * (a * b % 5)) + f" {a} + {b}"} for a in range(4) for b in range(4)]
VALUE = {"learning_rate": 1e-3, "gamma": 1.0, "lam": 0.95, "clip": 0.5}
WAIT = 600.0
"""Seconds after which a test gives up waiting for another process, however busy the machine is."""
Report = Callable[[str], None]
Log = list[dict[str, Any]]


class BrokenOffError(Exception):
    """What a training fails by where that is wanted."""


def make_start(folder: Path) -> Path:
    """Make the start model; vLLM's CPU build wants heads of 32."""
    tokenizer = store.word_tokenizer(problems.VOCABULARY)
    torch.manual_seed(0)
    store.save(store.create(tokenizer, 64, 2, 2, 1, 64), tokenizer, folder)
    return folder


def config(algorithm: str, scale: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "algorithm": algorithm, "steps": 4, "prompts": 8, "rollouts": 4, "updates": 2,
        "learning_rate": 3e-3, "temperature": 1.0, "max_new_tokens": 6, "checkpoint_every": 2, "kl_every": 1,
        "value": VALUE if algorithm == "ppo" else None,
        "options": {"loss_type": "dr_grpo" if algorithm == "dr-grpo" else "dapo", "bf16": False},
        "scale": {"dtype": "float32", **scale} if scale else None,
    }  # fmt: skip
    if algorithm == "dapo":
        settings |= {"refills": 2, "overlong": 2}
    return {**settings, **changes}


def arguments(start: Path, folder: Path, settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"start": str(start), "folder": str(folder), "config": dict(settings), **more}


def weights(folder: Path, step: int = 4) -> dict[str, torch.Tensor]:
    return load_file(folder / f"model/step-{step}/model.safetensors")


def distance(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> float:
    assert sorted(first) == sorted(second)
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


def rollouts(folder: Path) -> list[str]:
    return sorted(line for path in folder.glob("rollouts-*.txt") for line in path.open())


# What is called in one process, and by workers in several ------------------------------------------------


def train(job: Mapping[str, Any], report: Report) -> Log:
    """Train with a reward that writes down each rollout, and perhaps fails in the middle of a draw."""
    folder, rank = Path(job["folder"]), int(os.environ.get("RANK", 0))
    folder.mkdir(parents=True, exist_ok=True)
    settings = Reinforcement.of(job["config"])
    seen = (folder / f"rollouts-{rank}.txt").open("a")
    judged = 0

    def reward(problem: Mapping[str, Any], completion: str, truncated: bool) -> float:
        nonlocal judged
        judged += 1
        if judged == job.get("breaks_at"):
            raise BrokenOffError
        print(problem["prompt"], "|", completion, file=seen, flush=True)
        half = problem["prompt"][-1] in "01" if settings.algorithm == "dapo" else True
        return float(half and bool(completion) and completion.split()[0] in WANTED)

    def rewards(rollouts: Sequence[Rollout]) -> list[float]:
        return [reward(*rollout) for rollout in rollouts]

    return rl_trainer.reinforce(
        Path(job["start"]), PROBLEMS, rewards, settings, job.get("exports", [settings.steps]), 0, 0,
        folder / "work", folder / "model", report,
    )  # fmt: skip


def tune(job: Mapping[str, Any], report: Report) -> Log:
    documents = [(f"{a} + {b} =", f"{(a + b) % 7} ans {(a + b) % 7}") for a in range(7) for b in range(7)]
    folder, settings = Path(job["folder"]), supervised.Optimisation.of(job["config"])
    return supervised.finetune(
        Path(job["start"]), documents, settings, 0, folder / "work", folder / "model", report
    )


def break_off(job: Mapping[str, Any], report: Report) -> list[str]:
    """Train until that fails, and return the names of the checkpoints that are left."""
    try:
        train(job, report)
    except BrokenOffError:
        return sorted(path.parent.name for path in Path(job["folder"], "work").glob("checkpoint-*/complete"))
    raise AssertionError("the training did not fail")


CALLED: dict[str, Callable[[Mapping[str, Any], Report], Any]] = {
    "train": train, "tune": tune, "break off": break_off, "as the script does": rl_trainer.train
}  # fmt: skip


def several(job: Mapping[str, Any], report: Report) -> list[Any]:
    """Call one function after the other in the same processes, which spares their start."""
    found = []
    for function, given in job["calls"]:
        AcceleratorState._reset_state(True)  # what is left behind by the training before it
        GradientState._reset_state()
        found.append(CALLED[function](given, report))
    return found


def several_with_one_vllm(job: Mapping[str, Any], report: Report) -> list[Any]:
    """As ``several``, but that the trainings of a process share one vLLM: its start takes longest."""
    from trl.generation import vllm_generation

    start, started = vllm_generation.LLM, list[Any]()

    def shared(**options: Any) -> Any:
        if not started:
            started.append(start(**options))
        return started[0]

    vllm_generation.LLM = shared
    return several(job, report)


def disturbed(job: Mapping[str, Any], report: Report) -> Any:
    """Train as the script does, and wait for SIGTERM after a named step; then perhaps go on, and die."""
    rank, processes = (
        int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1))
    )
    original = checkpoints._Ending.on_step_end

    def on_step_end(self: Any, args: Any, state: Any, *rest: Any, **named: Any) -> None:
        if rank == processes - 1 and state.global_step == job.get("dies_after"):
            os.kill(os.getpid(), signal.SIGKILL)
        if state.global_step == job.get("waits_after"):
            Path(f"{job['given']['work']}.waiting-{rank}").touch()
            until = time.monotonic() + WAIT
            while not self.asked:
                if time.monotonic() > until:
                    raise AnatomyError("nobody sent SIGTERM")
                time.sleep(0.01)
        original(self, args, state, *rest, **named)

    checkpoints._Ending.on_step_end = on_step_end  # type: ignore[method-assign]
    try:
        return rl_trainer.train(job["given"], report)
    except AnatomyError as error:
        if "dies_after" not in job:
            raise
        report(str(error))
        AcceleratorState._reset_state(True)
        return rl_trainer.train(job["given"], report)
    finally:
        checkpoints._Ending.on_step_end = original  # type: ignore[method-assign]


def manifest(folder: Path, step: int) -> Any:
    return json.loads((folder / f"model/step-{step}" / MANIFEST).read_text())
