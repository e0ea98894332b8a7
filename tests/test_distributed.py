"""Trainings in several processes: started, ended, killed, resumed, and the same as in one process.

Workers call the functions of tests/workers.py, and where they train those of tests/trainings.py. A process
takes seconds to import what a training needs: so two of them train all that nobody disturbs (``trained``).
Everything runs on CPUs (gloo), sharded models too; on several nodes only as far as a stand-in for ``srun``
goes, which starts two agents here.
"""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from trainings import (
    ROOT,
    WAIT,
    Log,
    arguments,
    config,
    distance,
    make_start,
    manifest,
    rollouts,
    train,
    tune,
    weights,
)

import _job
import _replay
import train as train_script
from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.storage import parquet, schemas
from anatomy.study.training_rules import Scale
from anatomy.training import checkpoints, launcher, supervised
from anatomy.training.rl_config import Reinforcement
from anatomy.training.rl_rollouts import KL
from anatomy.world import problems as world_problems

ALGORITHMS = ("grpo", "dr-grpo", "rloo", "remax", "reinforce++", "ppo", "dapo")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def _path() -> Iterator[None]:
    """Let workers find tests/workers.py and tests/trainings.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests"))
        yield


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_start(tmp_path_factory.mktemp("start") / "model")


# Processes ---------------------------------------------------------------------------------------------

TWO = Scale(processes=2)


@pytest.mark.slow
def test_every_process_calls_the_function_and_the_first_one_answers(tmp_path: Path) -> None:
    said: list[str] = []
    found = launcher.run("workers:meet", {"a": [1, "x"]}, TWO, tmp_path / "w", 2, said.append)
    assert found["given"] == {"a": [1, "x"]} and found["threads"] == 1
    assert [one[:2] for one in found["everyone"]] == [[0, 0], [1, 1]]
    assert said == ["one line", "another"]  # and nothing of what is printed
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("scale", [None, Scale()])
def test_one_process_needs_no_other(scale: Scale | None, tmp_path: Path) -> None:
    assert launcher.run("workers:own_id", {}, scale, tmp_path / "w", 2, print) == os.getpid()


SRUN = f"""#!{sys.executable}
import os, subprocess, sys
count = next(int(word.partition("=")[2]) for word in sys.argv if word.startswith("--nodes="))
command = sys.argv[next(at for at, word in enumerate(sys.argv) if at and not word.startswith("--")):]
nodes = [subprocess.Popen(command, env={{**os.environ, "SLURM_NODEID": str(node)}}) for node in range(count)]
sys.exit(max(node.wait() for node in nodes))
"""


@pytest.mark.slow
def test_agents_on_several_nodes_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for ``srun``, which starts the agents of both nodes on this machine."""
    srun = tmp_path / "srun"
    srun.write_text(SRUN)
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    scale = Scale(processes=1, nodes=2)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(AnatomyError, match="2 nodes are wanted outside a Slurm job"):
        launcher.run("workers:meet", {}, scale, tmp_path / "w", 2, print)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    found = launcher.run("workers:meet", {}, scale, tmp_path / "w", 2, print)
    assert [one[:2] for one in found["everyone"]] == [[0, 0], [1, 0]] and found["threads"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("message", "^no prompt fits: drop it$"),
        ("killed", "process 1 of 2 was ended by SIGKILL: most likely for want of memory"),
        ("error", r"process 1 of 2 failed with status 1; its log \(.*rank-1.log\) ends:\n(.*\n)*.*nobody"),
    ],
)
def test_a_process_that_fails_ends_all_with_its_message(how: str, said: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(AnatomyError, match=said):
        launcher.run("workers:fail", {"how": how}, TWO, tmp_path / "w", 2, print)
    assert time.monotonic() - begun < 300  # far below the 30 minutes that gloo waits


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_no_process_outlives_the_caller(tmp_path: Path) -> None:
    code = (
        "from anatomy.training import launcher; from pathlib import Path;"
        f"launcher.run('workers:linger', {{'folder': {str(tmp_path)!r}}},"
        f" launcher.Scale(processes=2), Path({str(tmp_path / 'w')!r}), 2, print)"
    )
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests")])
    caller = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    files = [tmp_path / f"pid-{rank}" for rank in (0, 1)]
    wait_for(lambda: all(file.exists() and file.read_text() for file in files), caller)
    caller.kill()
    caller.wait()
    pids = [int(file.read_text()) for file in files]
    deadline = time.monotonic() + WAIT
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any], seconds: float = WAIT) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended before what was waited for"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sharding": "zero"}, "sharding 'zero' is none of none, fsdp2"),
        ({"rollouts": "x"}, "rollouts 'x' is none of decoder, vllm"),
        ({"processes": 0}, "must be 1 or more"),
        ({"sharding": "fsdp2"}, "needs more than one process"),
        ({"processes": 3, "tensor_parallel": 2}, "tensor_parallel 2 does not divide the 3 processes"),
    ],
)
def test_a_scale_that_cannot_be(values: dict[str, Any], said: str) -> None:
    with pytest.raises(AnatomyError, match=said):
        Scale(**values)


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ({"processes": 3}, "8 prompts cannot be divided among 3 processes"),
        ({"processes": 2, "batch": 3}, "16 rollouts cannot be divided among 2 processes in passes of 3"),
    ],
)
def test_a_batch_that_cannot_be_divided(scale: dict[str, Any], said: str) -> None:
    with pytest.raises(AnatomyError, match=said):
        Reinforcement.of(config("grpo", scale))
    with pytest.raises(AnatomyError, match="32 documents cannot be divided into 3 equal parts"):
        supervised.Optimisation(4, 32, 1e-3, 0, 2, Scale(processes=3))


def test_a_prompt_that_leaves_too_little_room_is_refused(start: Path, tmp_path: Path) -> None:
    with pytest.raises(
        AnatomyError, match=r"longest prompt has \d+ tokens: with max_new_tokens 1020 that is"
    ):
        train(arguments(start, tmp_path, config("grpo", max_new_tokens=1020)), print)


# The same training -------------------------------------------------------------------------------------


def both(algorithm: str, sharding: str) -> dict[str, Any]:
    """Two processes, in passes of a part of their rollouts."""
    return config(algorithm, {"processes": 2, "sharding": sharding, "batch": 4})


PENALISED = both("grpo", "fsdp2")
PENALISED["options"]["beta"] = 0.1  # a reference model of TRL's own
TRAININGS = {f"{name}-none": both(name, "none") for name in ALGORITHMS}
# Whether the model is sharded matters to who draws, to what is gathered and to the value model, but not to
# how rewards become advantages: of the algorithms that differ in nothing else there is one.
TRAININGS |= {
    "penalised-fsdp2": PENALISED,
    "ppo-fsdp2": both("ppo", "fsdp2"),
    "dapo-fsdp2": both("dapo", "fsdp2"),
}
BROKEN = ("grpo-none", "ppo-fsdp2")
"""What is broken off too, and gone on with."""
TUNING = {"steps": 4, "batch": 16, "learning_rate": 3e-3, "warmup": 1, "checkpoint_every": 2}
STEPS = 8
"""Of the script's training."""


@dataclass(frozen=True)
class Trained:
    """What two processes did: a folder for each training, and what was returned."""

    folder: Path
    found: dict[str, Any]


@pytest.fixture(scope="module")
def trained(start: Path, ended: "Ended", tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """All that is trained in two processes without being disturbed from outside."""
    folder = tmp_path_factory.mktemp("two")
    calls: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, settings in TRAININGS.items():
        calls[name] = ("train", arguments(start, folder / name, settings, exports=[2, 4]))
    for name in BROKEN:
        job = arguments(start, folder / f"broken-{name}", TRAININGS[name], exports=[2, 4])
        # A process judges 16 rollouts in a draw: this is in the second one, after the checkpoint of step 2.
        calls[f"left-{name}"] = ("break off", {**job, "breaks_at": 20})
        calls[f"broken-{name}"] = ("train", job)
    for sharding in ("none", "fsdp2"):
        scale = {"processes": 2, "sharding": sharding, "batch": 4, "dtype": "float32"}
        job = arguments(start, folder / f"tuned-{sharding}", {**TUNING, "scale": scale})
        calls[f"tuned-{sharding}"] = ("tune", job)
    whole = {"work": str(folder / "script/work"), "output": str(folder / "script/model")}
    calls["script"] = ("as the script does", {**ended.given, **whole})
    calls["ended"] = ("as the script does", ended.given)
    scale = Scale(processes=2)
    found = launcher.run("trainings:several", {"calls": list(calls.values())}, scale, folder / "w", 2, print)
    return Trained(folder, dict(zip(calls, found, strict=True)))


@pytest.fixture(scope="module")
def alone(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Log]]:
    """Trains as ``TRAININGS`` say, but in this process alone, each once."""
    folder = tmp_path_factory.mktemp("one")

    @cache
    def run(name: str) -> tuple[Path, Log]:
        settings = {**TRAININGS[name], "scale": None}
        return folder / name, train(arguments(start, folder / name, settings), print)

    return lambda name: run(name if name == "penalised-fsdp2" else f"{name.rpartition('-')[0]}-none")


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_as_one_does(
    name: str, trained: Trained, alone: Callable[[str], tuple[Path, Log]], start: Path
) -> None:
    """The same rollouts, and weights that differ by rounding: at most 1e-4, where they have moved by 1e-2.

    Adam divides a gradient by its own size, so that of gradients near 0 the rounding shows too.
    """
    one, whole = alone(name)
    two, log = trained.folder / name, trained.found[name]
    assert rollouts(one) == rollouts(two) and len(rollouts(one)) >= 64
    moved = distance(weights(one), load_file(start / "model.safetensors"))
    assert distance(weights(one), weights(two)) < 1e-4 < 1e-2 < moved
    for column in ("reward", "reward_std", "generated", "zero_signal", "num_tokens", "value_loss", KL):
        assert [row.get(column) for row in log] == pytest.approx([row.get(column) for row in whole], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_two_processes_that_fail_and_go_on_end_in_the_same_weights(name: str, trained: Trained) -> None:
    assert trained.found[f"left-{name}"] == ["checkpoint-2"]
    for step in (2, 4):
        broken, whole = (manifest(trained.folder / folder, step) for folder in (f"broken-{name}", name))
        assert broken == whole
    rows, expected = trained.found[f"broken-{name}"], trained.found[name]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert [row["generated"] for row in rows] == [row["generated"] for row in expected]


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "fsdp2"])
def test_fine_tuning_in_two_processes_is_as_in_one(
    sharding: str, trained: Trained, start: Path, tmp_path: Path
) -> None:
    tune(arguments(start, tmp_path, TUNING), print)
    assert len(trained.found[f"tuned-{sharding}"]) == 4
    moved = distance(weights(tmp_path), load_file(start / "model.safetensors"))
    assert distance(weights(tmp_path), weights(trained.folder / f"tuned-{sharding}")) < 1e-4 < 5e-3 < moved


@pytest.mark.slow
def test_models_are_kept_in_the_type_that_was_asked_for(start: Path, tmp_path: Path) -> None:
    settings = config("grpo", {"processes": 1, "dtype": "bfloat16"}, steps=2)
    train(arguments(start, tmp_path / "half", settings), print)
    train(arguments(start, tmp_path / "full", config("grpo", {"processes": 1}, steps=2)), print)
    half, full = weights(tmp_path / "half", 2), weights(tmp_path / "full", 2)
    assert {tensor.dtype for tensor in half.values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in full.values()} == {torch.float32}
    assert json.loads((tmp_path / "half/model/step-2/config.json").read_text())["dtype"] == "bfloat16"
    assert all(torch.equal(half[name], full[name].bfloat16()) for name in full)
    store.load(tmp_path / "half/model/step-2")


# SIGTERM -----------------------------------------------------------------------------------------------


def asked_to_end_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SIGTERM sent, once, when a training has done a step."""
    original = checkpoints.Checkpoints.on_step_end

    def on_step_end(self: Any, args: Any, state: Any, *rest: Any, **named: Any) -> None:
        original(self, args, state, *rest, **named)
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)
            monkeypatch.setattr(checkpoints.Checkpoints, "on_step_end", original)

    monkeypatch.setattr(checkpoints.Checkpoints, "on_step_end", on_step_end)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_reinforcement_that_is_asked_to_end_saves_and_goes_on(
    algorithm: str, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next step at which no rollouts are in hand is saved: 6, and no checkpoint was due there."""
    settings = config(algorithm, steps=8, checkpoint_every=8)
    train(arguments(start, tmp_path / "whole", settings), print)
    job = arguments(start, tmp_path / "ended", settings)
    before = signal.getsignal(signal.SIGTERM)
    asked_to_end_at(5, monkeypatch)
    with pytest.raises(
        AnatomyError, match="ended by SIGTERM after step 6 of 8, which is saved: run the same"
    ):
        train(job, print)
    assert signal.getsignal(signal.SIGTERM) == before
    assert (tmp_path / "ended/work/checkpoint-6/complete").exists()
    log = train(job, print)
    assert [row["step"] for row in log] == list(range(1, 9))
    assert distance(weights(tmp_path / "whole", 8), weights(tmp_path / "ended", 8)) == 0


@pytest.mark.slow
def test_a_training_that_is_done_does_not_end_by_a_signal(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_to_end_at(4, monkeypatch)
    train(arguments(start, tmp_path, config("grpo")), print)
    assert weights(tmp_path)


@pytest.mark.slow
def test_fine_tuning_that_is_asked_to_end_saves_and_goes_on(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"steps": 6, "batch": 4, "learning_rate": 1e-3, "warmup": 1, "checkpoint_every": 6}
    tune(arguments(start, tmp_path / "whole", settings), print)
    asked_to_end_at(3, monkeypatch)
    with pytest.raises(AnatomyError, match="ended by SIGTERM after step 3 of 6"):
        tune(arguments(start, tmp_path / "ended", settings), print)
    tune(arguments(start, tmp_path / "ended", settings), print)
    assert distance(weights(tmp_path / "whole", 6), weights(tmp_path / "ended", 6)) == 0


def script_job(start: Path, folder: Path, steps: int, scale: Mapping[str, Any] | None) -> dict[str, Any]:
    """The job of the rule 'train' as its script sees it, on real tables."""
    folder.mkdir(parents=True)
    problems, prompts = [], []
    for problem in world_problems.problems(1, "train", 8, [1], list(world_problems.DOMAINS), "training"):
        none = dict.fromkeys(schemas.SCHEMAS["problems"].names)
        named = {"problem": problem.name, "benchmark": "train", "text": problem.text}
        problems.append({**none, **named, "answers": [problem.answer], "solution": problem.solution})
        asked = {"condition": "plain", "template": "world", "prompt": problem.text, "prefix": ""}
        prompts.append({"problem": problem.name, "benchmark": "train", **asked})
    parquet.write(folder / "problems.parquet", "problems", problems)
    parquet.write(folder / "prompts.parquet", "prompts", prompts)
    # Nothing is right, so that lengths alone decide.
    settings = config("dapo", scale, steps=steps, refills=0, kl_every=10, checkpoint_every=4)
    inputs = {
        "start": str(start.parent),
        "problems": str(folder / "problems.parquet"),
        "prompts": str(folder / "prompts.parquet"),
        "template": str(ROOT / "config/templates/world.yaml"),
    }
    outputs = {"model": str(folder / "model"), "log": str(folder / "training.parquet")}
    return {
        "threads": 1,
        "gpu": 0,
        "rule": "train",
        "wildcards": {},
        "log": [str(folder / "log")],
        "inputs": list(inputs.values()),
        "outputs": list(outputs.values()),
        "named": {"inputs": inputs | {"failed": []}, "outputs": outputs},
        "params": {
            "run": "dapo", "seed": 0, "start_checkpoint": start.name, "grader": "world", "reward": "outcome",
            "conditions": ["plain"], "easier": 0, "exports": [steps], "tokens": 0, "config": settings,
            "work": str(folder / "work"),
        },
    }  # fmt: skip


@dataclass(frozen=True)
class Said:
    """How the script ended, and what it wrote."""

    status: int
    text: str


def run_script(given: Mapping[str, Any], **how: int) -> tuple[Said, dict[str, Any]]:
    """Run the script of the rule 'train' in this process, its training perhaps disturbed.

    Returns also what the script has the training called with. SIGTERM is sent to this process, as Snakemake's
    job would get it, when all of the training's processes wait for it (``waits_after``).
    """
    scale = given["params"]["config"]["scale"]
    ranks = range(scale["processes"] if scale else 1)
    waiting = [Path(f"{given['params']['work']}.waiting-{rank}") for rank in ranks]
    for path in waiting:
        path.unlink(missing_ok=True)
    begun, over = {}, threading.Event()
    original = launcher.run

    def start_workers(function: str, values: Mapping[str, Any], *rest: Any) -> Any:
        assert function == "anatomy.training.rl_trainer:train"
        begun.update(values)
        return original("trainings:disturbed", {"given": values, **how}, *rest)

    def terminate() -> None:
        while not over.wait(0.01):
            if all(path.exists() for path in waiting):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def unheard(*_: object) -> None:
        raise AssertionError("nobody handled SIGTERM")

    said, status = io.StringIO(), 0
    before = signal.signal(signal.SIGTERM, unheard)
    sender = threading.Thread(target=terminate)
    sender.start()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(said):
        patch.setattr(launcher, "run", start_workers)
        try:
            _job.run(train_script.main, _replay.rebuilt(given))
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            over.set()
            sender.join()
            signal.signal(signal.SIGTERM, before)
    return Said(status, said.getvalue()), begun


TERMINATED = (
    f"ended by SIGTERM after step 6 of {STEPS}, which is saved: run the same again and it goes on from there"
)


@pytest.mark.slow
def test_the_script_that_is_asked_to_end_goes_on_to_the_same_weights(start: Path, tmp_path: Path) -> None:
    """The step at which no rollouts are in hand is saved: 6, and no checkpoint was due there."""
    whole, ended = (script_job(start, tmp_path / name, STEPS, None) for name in ("whole", "ended"))
    said, _ = run_script(whole)
    assert said.status == 0, said.text
    said, _ = run_script(ended, waits_after=5)
    assert said.status == 1 and f"error: {TERMINATED}" in said.text
    assert "Traceback" not in said.text and not (tmp_path / "ended/model").exists()
    assert (tmp_path / "ended/work/checkpoint-6/complete").exists()
    said, _ = run_script(ended)
    assert said.status == 0, said.text
    assert manifest(tmp_path / "whole", STEPS) == manifest(tmp_path / "ended", STEPS)
    assert distance(weights(tmp_path / "ended", STEPS), load_file(start / "model.safetensors")) > 1e-3
    tables_of = [
        parquet.read(tmp_path / name / "training.parquet", "training") for name in ("whole", "ended")
    ]
    assert (tables_of[0]["generated"] == tables_of[1]["generated"]).all() and len(tables_of[0]) == STEPS


@dataclass(frozen=True)
class Ended:
    """A training of the script in two processes that was asked to end, went on in them, and was killed."""

    folder: Path
    said: Said
    saved: list[str]
    """Checkpoints."""
    kept: bool
    """Whether there is a model."""
    given: dict[str, Any]
    """What the training was called with."""


@pytest.fixture(scope="module")
def ended(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("ended") / "study"
    asked = script_job(start, folder, STEPS, {"processes": 2, "sharding": "fsdp2"})
    said, given = run_script(asked, waits_after=5, dies_after=7)
    saved = sorted(path.parent.name for path in folder.glob("work/checkpoint-*/complete"))
    return Ended(folder, said, saved, (folder / "model").exists(), given)


@pytest.mark.slow
def test_a_script_hands_sigterm_to_its_workers_and_says_which_one_was_killed(ended: Ended) -> None:
    """Asked to end at step 5 they save step 6: no rollouts are in hand there, and no checkpoint was due."""
    assert TERMINATED in ended.said.text
    assert ended.said.status == 1
    assert "error: process 1 of 2 was ended by SIGKILL: most likely for want of memory" in ended.said.text
    assert "Traceback" not in ended.said.text and not ended.kept
    assert ended.saved == ["checkpoint-4", "checkpoint-6"]


@pytest.mark.slow
def test_a_training_that_was_asked_to_end_and_killed_ends_in_the_same_weights(
    ended: Ended, trained: Trained, start: Path
) -> None:
    """In other processes it goes on from step 6, the last one that was saved."""
    assert manifest(ended.folder, STEPS) == manifest(trained.folder / "script", STEPS)
    assert distance(weights(ended.folder, STEPS), load_file(start / "model.safetensors")) > 1e-3
    rows, whole = trained.found["ended"], trained.found["script"]
    assert [row["generated"] for row in rows] == [row["generated"] for row in whole] and len(rows) == STEPS


def test_vllm_that_is_not_there_is_a_message(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(AnatomyError, match=r"vLLM cannot be imported \(.*in the environment of envs/vllm"):
        train(arguments(start, tmp_path, config("grpo", {"rollouts": "vllm"})), print)
