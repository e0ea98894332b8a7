"""Trainings in several processes: started, ended, killed, resumed, and the same as in one process.

Workers import this module for the functions that they are to call. Everything runs on CPUs (gloo), sharded
models too; on several nodes only as far as a stand-in for ``srun`` goes, which starts two agents here.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from needs import VLLM
from safetensors.torch import load_file

from anatomy import distributed, models, pretraining, reinforcement, tables, training, world
from anatomy.distributed import Scale
from anatomy.errors import AnatomyError
from anatomy.reinforcement import Reinforcement

ROOT = Path(__file__).resolve().parents[1]
ALGORITHMS = ("grpo", "dr-grpo", "rloo", "remax", "reinforce++", "ppo", "dapo")
WANTED = world.VOCABULARY[:16]
PROBLEMS = [{"prompt": " ".join(["1 +"] * (a * b % 5)) + f" {a} + {b}"} for a in range(4) for b in range(4)]
Report = Callable[[str], None]
Log = list[dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers find this module."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that knows nothing yet; vLLM's CPU build wants heads of 32."""
    folder = tmp_path_factory.mktemp("start")
    tokenizer = models.word_tokenizer(world.VOCABULARY)
    torch.manual_seed(0)
    models.save(models.create(tokenizer, 64, 2, 2, 1, 64), tokenizer, folder)
    return folder


def config(algorithm: str, scale: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "algorithm": algorithm, "steps": 4, "prompts": 8, "rollouts": 4, "updates": 2,
        "learning_rate": 3e-3, "temperature": 1.0, "max_new_tokens": 6, "checkpoint_every": 2, "kl_every": 1,
        "value": {"learning_rate": 1e-3, "gamma": 1.0, "lam": 0.95} if algorithm == "ppo" else None,
        "options": {"loss_type": "dr_grpo" if algorithm == "dr-grpo" else "dapo", "bf16": False},
        "scale": {"dtype": "float32", **scale} if scale else None,
    }  # fmt: skip
    if algorithm == "dapo":
        settings |= {"refills": 2, "overlong": 2}
    return {**settings, **changes}


def arguments(start: Path, folder: Path, settings: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"start": str(start), "folder": str(folder), "config": dict(settings), **more}


# What workers call -------------------------------------------------------------------------------------


def train(job: Mapping[str, Any], report: Report) -> Log:
    """Train with a reward that writes down each rollout, and perhaps dies or ends the process."""
    folder, rank = Path(job["folder"]), int(os.environ.get("RANK", 0))
    folder.mkdir(parents=True, exist_ok=True)
    settings = Reinforcement.of(job["config"])
    seen = (folder / f"rollouts-{rank}.txt").open("a")
    judged = 0

    def reward(problem: Mapping[str, Any], completion: str, truncated: bool) -> float:
        nonlocal judged
        judged += 1
        if rank == settings.world - 1 and judged == job.get("dies_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        print(problem["prompt"], "|", completion, file=seen, flush=True)
        half = problem["prompt"][-1] in "01" if settings.algorithm == "dapo" else True
        return float(half and bool(completion) and completion.split()[0] in WANTED)

    def rewards(rollouts: Sequence[reinforcement.Rollout]) -> list[float]:
        return [reward(*rollout) for rollout in rollouts]

    return reinforcement.reinforce(
        Path(job["start"]), PROBLEMS, rewards, settings, job.get("exports", [settings.steps]), 0, 0,
        folder / "work", folder / "model", report,
    )  # fmt: skip


def train_several(job: Mapping[str, Any], report: Report) -> list[Log]:
    """One training after the other in the same processes, which spares their start."""
    return [train(one, report) for one in job["jobs"]]


def tune(job: Mapping[str, Any], report: Report) -> Log:
    documents = [(f"{a} + {b} =", f"{(a + b) % 7} ans {(a + b) % 7}") for a in range(7) for b in range(7)]
    folder, settings = Path(job["folder"]), pretraining.Optimisation.of(job["config"])
    return pretraining.finetune(
        Path(job["start"]), documents, settings, 0, folder / "work", folder / "model", report
    )


# Processes ---------------------------------------------------------------------------------------------

TWO = Scale(processes=2)


def test_every_process_calls_the_function_and_the_first_one_answers(tmp_path: Path) -> None:
    said: list[str] = []
    found = distributed.run("workers:meet", {"a": [1, "x"]}, TWO, tmp_path / "w", 2, said.append)
    assert found["given"] == {"a": [1, "x"]} and found["threads"] == 1
    assert [one[:2] for one in found["everyone"]] == [[0, 0], [1, 1]]
    assert said == ["one line", "another"]  # and nothing of what is printed
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("scale", [None, Scale()])
def test_one_process_needs_no_other(scale: Scale | None, tmp_path: Path) -> None:
    assert distributed.run("workers:own_id", {}, scale, tmp_path / "w", 2, print) == os.getpid()


SRUN = f"""#!{sys.executable}
import os, subprocess, sys
count = next(int(word.partition("=")[2]) for word in sys.argv if word.startswith("--nodes="))
command = sys.argv[next(at for at, word in enumerate(sys.argv) if at and not word.startswith("--")):]
nodes = [subprocess.Popen(command, env={{**os.environ, "SLURM_NODEID": str(node)}}) for node in range(count)]
sys.exit(max(node.wait() for node in nodes))
"""


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
        distributed.run("workers:meet", {}, scale, tmp_path / "w", 2, print)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    found = distributed.run("workers:meet", {}, scale, tmp_path / "w", 2, print)
    assert [one[:2] for one in found["everyone"]] == [[0, 0], [1, 0]] and found["threads"] == 2


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
        distributed.run("workers:fail", {"how": how}, TWO, tmp_path / "w", 2, print)
    assert time.monotonic() - begun < 300  # far below the 30 minutes that gloo waits


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_no_process_outlives_the_caller(tmp_path: Path) -> None:
    code = (
        "from anatomy import distributed; from pathlib import Path;"
        f"distributed.run('workers:linger', {{'folder': {str(tmp_path)!r}}},"
        f" distributed.Scale(processes=2), Path({str(tmp_path / 'w')!r}), 2, print)"
    )
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests")])
    caller = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    files = [tmp_path / f"pid-{rank}" for rank in (0, 1)]
    wait_for(lambda: all(file.exists() and file.read_text() for file in files), caller)
    caller.kill()
    caller.wait()
    pids = [int(file.read_text()) for file in files]
    deadline = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any], seconds: float = 300) -> None:
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
        pretraining.Optimisation(4, 32, 1e-3, 0, 2, Scale(processes=3))


def test_a_prompt_that_leaves_too_little_room_is_refused(start: Path, tmp_path: Path) -> None:
    with pytest.raises(
        AnatomyError, match=r"longest prompt has \d+ tokens: with max_new_tokens 1020 that is"
    ):
        train(arguments(start, tmp_path, config("grpo", max_new_tokens=1020)), print)


# The same training -------------------------------------------------------------------------------------


def weights(folder: Path, step: int = 4) -> dict[str, torch.Tensor]:
    return load_file(folder / f"model/step-{step}/model.safetensors")


def distance(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> float:
    assert sorted(first) == sorted(second)
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


def rollouts(folder: Path) -> list[str]:
    return sorted(line for path in folder.glob("rollouts-*.txt") for line in path.open())


def both(algorithm: str, sharding: str) -> dict[str, Any]:
    """Two processes, in passes of a part of their rollouts."""
    return config(algorithm, {"processes": 2, "sharding": sharding, "batch": 4})


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "fsdp2"])
def test_two_processes_train_as_one_does(sharding: str, start: Path, tmp_path: Path) -> None:
    """The same rollouts, and weights that differ by rounding: at most 1e-4, where they have moved by 1e-2.

    Adam divides a gradient by its own size, so that of gradients near 0 the rounding shows too.
    """
    jobs = [arguments(start, tmp_path / name / "two", both(name, sharding)) for name in ALGORITHMS]
    if sharding == "fsdp2":
        penalised = both("grpo", sharding)
        penalised["options"]["beta"] = 0.1  # a reference model of TRL's own
        jobs.append(arguments(start, tmp_path / "kl/two", penalised))
    scale = Scale(**jobs[0]["config"]["scale"])
    logs = distributed.run("test_distributed:train_several", {"jobs": jobs}, scale, tmp_path / "w", 2, print)
    for job, log in zip(jobs, logs, strict=True):
        two = Path(job["folder"])
        one = two.with_name("one")
        whole = train(arguments(start, one, {**job["config"], "scale": None}), print)
        assert rollouts(one) == rollouts(two) and len(rollouts(one)) >= 64
        moved = distance(weights(one), load_file(start / "model.safetensors"))
        assert distance(weights(one), weights(two)) < 1e-4 < 1e-2 < moved, two
        for name in ("reward", "reward_std", "generated", "zero_signal", "num_tokens", "value_loss", "kl"):
            if name == "kl" and "beta" in job["config"]["options"]:
                continue  # TRL's own is a mean of passes, of which one process makes fewer here
            assert [row.get(name) for row in log] == pytest.approx([row.get(name) for row in whole], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "sharding"), [("ppo", "fsdp2"), ("grpo", "none")])
def test_two_processes_killed_and_continued_end_in_the_same_weights(
    algorithm: str, sharding: str, start: Path, tmp_path: Path
) -> None:
    settings = both(algorithm, sharding)
    scale = Scale(**settings["scale"])

    def run(name: str, **more: Any) -> Log:
        job = arguments(start, tmp_path / name, settings, exports=[2, 4], **more)
        found: Log = distributed.run("test_distributed:train", job, scale, tmp_path / "w", 2, print)
        return found

    whole = run("whole")
    with pytest.raises(AnatomyError, match="process 1 of 2 was ended by SIGKILL"):
        run("killed", dies_at=20)  # of 16 in a draw: in the second
    assert (tmp_path / "killed/work/checkpoint-2/complete").exists()
    assert sharding == "none" or (tmp_path / "killed/work/checkpoint-2/pytorch_model_fsdp_0").is_dir()
    resumed = run("killed")
    for step in (2, 4):
        manifests = [tmp_path / name / f"model/step-{step}" / models.MANIFEST for name in ("whole", "killed")]
        assert manifests[0].read_text() == manifests[1].read_text()
    assert [row["generated"] for row in resumed] == [row["generated"] for row in whole]


def test_models_are_kept_in_the_type_that_was_asked_for(start: Path, tmp_path: Path) -> None:
    settings = config("grpo", {"processes": 1, "dtype": "bfloat16"}, steps=2)
    train(arguments(start, tmp_path / "half", settings), print)
    train(arguments(start, tmp_path / "full", config("grpo", {"processes": 1}, steps=2)), print)
    half, full = weights(tmp_path / "half", 2), weights(tmp_path / "full", 2)
    assert {tensor.dtype for tensor in half.values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in full.values()} == {torch.float32}
    assert json.loads((tmp_path / "half/model/step-2/config.json").read_text())["dtype"] == "bfloat16"
    assert all(torch.equal(half[name], full[name].bfloat16()) for name in full)
    models.load(tmp_path / "half/model/step-2")


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "fsdp2"])
def test_fine_tuning_in_two_processes_is_as_in_one(sharding: str, start: Path, tmp_path: Path) -> None:
    settings = {"steps": 4, "batch": 16, "learning_rate": 3e-3, "warmup": 1, "checkpoint_every": 2}
    scale = {"processes": 2, "sharding": sharding, "batch": 4, "dtype": "float32"}
    tune(arguments(start, tmp_path / "one", settings), print)
    job = arguments(start, tmp_path / "two", {**settings, "scale": scale})
    log = distributed.run("test_distributed:tune", job, Scale(**scale), tmp_path / "w", 2, print)
    assert len(log) == 4
    moved = distance(weights(tmp_path / "one"), load_file(start / "model.safetensors"))
    assert distance(weights(tmp_path / "one"), weights(tmp_path / "two")) < 1e-4 < 5e-3 < moved


# SIGTERM -----------------------------------------------------------------------------------------------


def asked_to_end_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SIGTERM sent, once, when a training has done a step."""
    original = training.Checkpoints.on_step_end

    def on_step_end(self: Any, args: Any, state: Any, *rest: Any, **named: Any) -> None:
        original(self, args, state, *rest, **named)
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)
            monkeypatch.setattr(training.Checkpoints, "on_step_end", original)

    monkeypatch.setattr(training.Checkpoints, "on_step_end", on_step_end)


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


def test_a_training_that_is_done_does_not_end_by_a_signal(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_to_end_at(4, monkeypatch)
    train(arguments(start, tmp_path, config("grpo")), print)
    assert weights(tmp_path)


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


DRIVER = """
import json, sys
import job, replay, train
job.run(train.main, replay.rebuilt(json.loads(sys.argv[1])))
"""


def script_job(start: Path, folder: Path, steps: int, scale: Mapping[str, Any] | None) -> dict[str, Any]:
    """The job of the rule 'train' as its script sees it, on real tables."""
    folder.mkdir(parents=True)
    problems, prompts = [], []
    for problem in world.problems(1, "train", 8, [1], list(world.DOMAINS), "training"):
        none = dict.fromkeys(tables.SCHEMAS["problems"].names)
        named = {"problem": problem.name, "benchmark": "train", "text": problem.text}
        problems.append({**none, **named, "answers": [problem.answer], "solution": problem.solution})
        asked = {"condition": "plain", "template": "world", "prompt": problem.text, "prefix": ""}
        prompts.append({"problem": problem.name, "benchmark": "train", **asked})
    tables.write(folder / "problems.parquet", "problems", problems)
    tables.write(folder / "prompts.parquet", "prompts", prompts)
    # Nothing is right, so that lengths alone decide.
    settings = config("dapo", scale, steps=steps, refills=0, kl_every=10, checkpoint_every=10)
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


@pytest.mark.slow
@pytest.mark.parametrize("scale", [None, {"processes": 2, "sharding": "fsdp2"}])
def test_the_script_that_is_asked_to_end_goes_on_to_the_same_weights(
    scale: Mapping[str, Any] | None, start: Path, tmp_path: Path
) -> None:
    """SIGTERM to the process that Snakemake starts, which hands it to its workers."""

    def begin(job: Mapping[str, Any]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", DRIVER, json.dumps(job)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
            stderr=subprocess.PIPE,
            text=True,
        )

    steps = 40
    whole, ended = (script_job(start, tmp_path / name, steps, scale) for name in ("whole", "ended"))
    process = begin(whole)
    assert process.wait() == 0, process.stderr and process.stderr.read()
    process = begin(ended)
    wait_for(lambda: bool(list(tmp_path.glob("ended/work/checkpoint-*/complete"))), process)
    process.terminate()
    said = process.communicate()[1]
    assert process.returncode == 1, said
    assert f"of {steps}, which is saved: run the same again and it goes on from there" in said
    assert "Traceback" not in said and not (tmp_path / "ended/model").exists()
    process = begin(ended)
    assert process.wait() == 0, process.stderr and process.stderr.read()
    files = [tmp_path / name / f"model/step-{steps}" / models.MANIFEST for name in ("whole", "ended")]
    assert files[0].read_text() == files[1].read_text()
    assert distance(weights(tmp_path / "ended", steps), load_file(start / "model.safetensors")) > 1e-3
    tables_of = [tables.read(tmp_path / name / "training.parquet", "training") for name in ("whole", "ended")]
    assert (tables_of[0]["generated"] == tables_of[1]["generated"]).all() and len(tables_of[0]) == steps


# vLLM --------------------------------------------------------------------------------------------------


vllm = pytest.mark.needs("vllm")


def vllm_environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests")]),
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }


def in_vllm(job: Mapping[str, Any], scale: Scale, folder: Path) -> list[Log]:
    """Run trainings with vLLM's rollouts in its environment."""
    code = (
        "import json, sys; from pathlib import Path; from anatomy import distributed;"
        "job, scale, folder = map(json.loads, sys.argv[1:]);"
        "log = distributed.run('test_distributed:train_several', job, distributed.Scale(**scale),"
        " Path(folder) / 'w', 2, print);"
        "(Path(folder) / 'log.json').write_text(json.dumps(log))"
    )
    done = subprocess.run(
        [VLLM / "bin/python", "-W", "ignore", "-c", code, *map(json.dumps, (job, vars(scale), str(folder)))],
        env=vllm_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    log: list[Log] = json.loads((folder / "log.json").read_text())
    return log


@pytest.mark.slow
@vllm
def test_rollouts_by_vllm_are_those_of_the_weights_as_they_are(start: Path, tmp_path: Path) -> None:
    """Really sampled, by TRL's colocated vLLM on CPUs; the algorithms see nothing of who draws.

    TRL compares the log-probabilities of what was drawn, told by vLLM in bfloat16, with those of the model
    that is trained, in float32. At this learning rate stale weights would be off by 0.5 after two steps.
    """
    scale = {"rollouts": "vllm", "dtype": "float32"}
    large = {"learning_rate": 3e-2, "steps": 6}
    chosen = [
        config("grpo", scale, **large),
        config("remax", scale, steps=2),
        config("dapo", scale, steps=2),
        config("grpo", scale, **large),
    ]
    jobs = [arguments(start, tmp_path / f"run-{at}", settings) for at, settings in enumerate(chosen)]
    logs = in_vllm({"jobs": jobs}, Scale(**scale), tmp_path)
    differences = [row["sampling/sampling_logp_difference/mean"] for row in logs[0][::2]]
    assert len(differences) == 3 and 0 < max(differences) < 0.03
    drawn = [[line.split("|")[1].split() for line in rollouts(Path(job["folder"]))] for job in jobs]
    assert len(drawn[0]) == 3 * 32 and all(len(words) <= 6 for words in drawn[0])
    assert len({tuple(words) for words in drawn[0]}) > 48  # every completion has a seed of its own
    assert len(drawn[1]) == 32 + 8  # the greedy ones too
    assert logs[2][0]["zero_signal"] > 0 and len(drawn[2]) > 32  # groups without a signal are drawn anew
    for job, log in zip(jobs, logs, strict=True):
        assert log[-1]["generated"] >= len(rollouts(Path(job["folder"]))) and log[0]["kl"] < 0.01
        assert distance(weights(Path(job["folder"]), len(log)), load_file(start / "model.safetensors")) > 3e-3
    # Seeds are keyed: the first draw, from the same weights, is the same.
    assert drawn[3][:1] and logs[0][0]["reward"] == logs[3][0]["reward"]


@pytest.mark.slow
@vllm
def test_rollouts_by_vllm_in_two_processes(start: Path, tmp_path: Path) -> None:
    """Of a sharded model: TRL hands its gathered weights to a vLLM in each process."""
    scale = {"processes": 2, "sharding": "fsdp2", "rollouts": "vllm", "dtype": "float32"}
    job = arguments(start, tmp_path / "run", config("grpo", scale, learning_rate=3e-2))
    (log,) = in_vllm({"jobs": [job]}, Scale(**scale), tmp_path)
    assert max(row["sampling/sampling_logp_difference/mean"] for row in log[::2]) < 0.03
    assert len(rollouts(tmp_path / "run")) == 64 and log[0]["kl"] < 0.01 < log[2]["kl"]


ASK = """
import json, sys
from types import SimpleNamespace
import torch
from trl.generation.vllm_client import VLLMClient
from anatomy.decoding import Sampling
from anatomy.errors import AnatomyError
from anatomy.rollouts import VllmDecoder
client = VLLMClient(base_url=sys.argv[1], connection_timeout=120)
engine = SimpleNamespace(mode="server", vllm_client=client, accelerator=SimpleNamespace(process_index=0))
decoder = VllmDecoder([1], 0)
def draw(prompts, names, group, temperature):
    trainer = SimpleNamespace(vllm_generation=engine)
    drawn = decoder.draw(trainer, prompts, names, group, Sampling(temperature, 1.0, 6))
    return {name: getattr(drawn, name).tolist() for name in ("tokens", "lengths", "ended", "logprobs")}
found = [
    draw([[3, 4, 5], [6, 7]], [("a",), ("b",)], 8, 1.0),
    draw([[6, 7], [3, 4, 5]], [("b",), ("a",)], 8, 1.0),
    draw([[6, 7]], [("c",)], 1, 0.0),
]
try:
    client.init_communicator(torch.device("cpu"))
except NotImplementedError as error:
    found.append(str(error))
try:
    VllmDecoder([1], 0, server=True)
except AnatomyError as error:
    found.append(str(error))
print(json.dumps(found))
"""


@pytest.mark.slow
@vllm
def test_a_server_draws_but_takes_new_weights_by_nccl_alone(start: Path, tmp_path: Path) -> None:
    """A real server of vLLM on CPUs: why a whole training with one (vllm_mode: server) needs GPUs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [
        VLLM / "bin/python", "-m", "vllm.entrypoints.openai.api_server", "--model", start,
        "--host", "127.0.0.1", "--port", port, "--enforce-eager", "--dtype", "float32",
        "--max-model-len", "64", "--max-num-seqs", "8",
        "--skip-tokenizer-init", "--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1",
        "--weight-transfer-config", '{"backend": "nccl"}',
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        environment = {**vllm_environment(), "VLLM_SERVER_DEV_MODE": "1", "TORCHDYNAMO_DISABLE": "1"}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: "startup complete" in (tmp_path / "log").read_text(), server, 400)
        done = subprocess.run(
            [VLLM / "bin/python", "-W", "ignore", "-c", ASK, f"http://127.0.0.1:{port}"],
            env=vllm_environment(), capture_output=True, text=True,
        )  # fmt: skip
    finally:
        server.terminate()
        server.wait(60)
    assert done.returncode == 0, done.stderr[-5000:]
    first, second, greedy, said, refused = json.loads(done.stdout.splitlines()[-1])
    # Names alone decide, not the order of prompts; every completion is another one.
    assert first["tokens"] == second["tokens"][::-1]
    assert len({tuple(tokens) for prompt in first["tokens"] for tokens in prompt}) > 12
    assert [len(prompt) for prompt in first["tokens"]] == [8, 8] and len(greedy["tokens"][0]) == 1
    assert (torch.tensor(first["ended"]) | (torch.tensor(first["lengths"]) == 6)).all()
    scores = torch.tensor(first["logprobs"])
    model, _ = models.load(start)
    for at, prompt in enumerate([[3, 4, 5], [6, 7]]):
        tokens = torch.tensor(first["tokens"][at])
        ids = torch.cat([torch.tensor([prompt] * 8), tokens], dim=1)
        told = (
            model(ids).logits[:, len(prompt) - 1 : -1].log_softmax(-1).gather(2, tokens[:, :, None])[..., 0]
        )
        within = torch.arange(6) < torch.tensor(first["lengths"][at])[:, None]
        assert float((told - scores[at])[within].abs().max()) < 1e-3
    assert "NCCL weight-transfer engine, which needs a CUDA device, got 'cpu'" in said
    assert refused.startswith("a vLLM server takes new weights by NCCL, which needs GPUs")


def test_vllm_that_is_not_there_is_a_message(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(AnatomyError, match=r"vLLM cannot be imported \(.*in the environment of envs/vllm"):
        train(arguments(start, tmp_path, config("grpo", {"rollouts": "vllm"})), print)
