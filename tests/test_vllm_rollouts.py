"""Trainings whose rollouts vLLM draws, through TRL, on CPUs.

vLLM runs in an environment of its own, `.venv-vllm` (`make vllm`). A process of it takes long to start, so
two of them train all that is looked at.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from needs import VLLM
from safetensors.torch import load_file
from trainings import (
    ROOT,
    WAIT,
    Log,
    arguments,
    config,
    distance,
    make_start,
    rollouts,
    weights,
)

from anatomy.models import store
from anatomy.training.rl_rollouts import KL

pytestmark = [pytest.mark.slow, pytest.mark.needs("vllm")]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_start(tmp_path_factory.mktemp("start") / "model")


def vllm_environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests")]),
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "TORCH_COMPILE_DISABLE": "1",  # compiling takes longer than the trainings
    }


START = (
    "import json, sys; from pathlib import Path; from anatomy.training import launcher;"
    "job, scale, folder = map(json.loads, sys.argv[1:]);"
    "scale = launcher.Scale(**scale);"
    "log = launcher.run('trainings:several_with_one_vllm', job, scale, Path(folder) / 'w', 2, print);"
    "(Path(folder) / 'log.json').write_text(json.dumps(log))"
)


@dataclass(frozen=True)
class Trained:
    folders: dict[str, Path]
    logs: dict[str, Log]


@pytest.fixture(scope="module")
def trained(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trainings of sharded models in two processes, with a vLLM in each."""
    folder = tmp_path_factory.mktemp("trained")
    scale = {"processes": 2, "sharding": "fsdp2", "rollouts": "vllm"}
    chosen = {
        "grpo": config("grpo", scale, learning_rate=3e-2, steps=6),
        "remax": config("remax", scale, steps=2),
        "dapo": config("dapo", scale, steps=2),
        "again": config("grpo", scale, learning_rate=3e-2, steps=2),
    }
    folders = {name: folder / name for name in chosen}
    calls = [("train", arguments(start, folders[name], settings)) for name, settings in chosen.items()]
    done = subprocess.run(
        [VLLM / "bin/python", "-W", "ignore", "-c", START,
         *map(json.dumps, ({"calls": calls}, scale, str(folder)))],
        env=vllm_environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    logs = json.loads((folder / "log.json").read_text())
    return Trained(folders, dict(zip(chosen, logs, strict=True)))


def drawn(trained: Trained, name: str) -> list[list[str]]:
    return [line.split("|")[1].split() for line in rollouts(trained.folders[name])]


def test_rollouts_are_those_of_the_weights_as_they_are(trained: Trained) -> None:
    """TRL hands the gathered weights of a sharded model to the vLLM in each process.

    It compares the log-probabilities of what was drawn, told by vLLM in bfloat16, with those of the model
    that is trained, in float32. At this learning rate stale weights would be off by 0.5 after two steps.
    """
    for name, log in trained.logs.items():
        differences = [row["sampling/sampling_logp_difference/mean"] for row in log[::2]]
        assert len(differences) == (3 if name == "grpo" else 1) and 0 < max(differences) < 0.03, name
    log = trained.logs["grpo"]
    assert log[0][KL] < 0.01 < log[2][KL]
    words = drawn(trained, "grpo")
    assert len(words) == 3 * 32 and all(len(one) <= 6 for one in words)
    assert len({tuple(one) for one in words}) > 48  # every completion has a seed of its own


def test_algorithms_see_nothing_of_who_draws(trained: Trained, start: Path) -> None:
    assert len(drawn(trained, "remax")) == 32 + 8  # the greedy ones too
    # Groups without a signal are drawn anew.
    assert trained.logs["dapo"][0]["zero_signal"] > 0 and len(drawn(trained, "dapo")) > 32
    for name, folder in trained.folders.items():
        log = trained.logs[name]
        assert log[-1]["generated"] >= len(rollouts(folder)) and log[0][KL] < 0.01
        assert distance(weights(folder, len(log)), load_file(start / "model.safetensors")) > 3e-3


def test_seeds_are_keyed(trained: Trained) -> None:
    """The first draw, from the same weights, is the same."""
    assert len(drawn(trained, "again")) == 32
    assert trained.logs["again"][0]["reward"] == trained.logs["grpo"][0]["reward"]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert process.poll() is None, "the process ended before what was waited for"
        assert time.monotonic() < deadline
        time.sleep(0.05)


ASK = """
import json, sys
from types import SimpleNamespace
import torch
from trl.generation.vllm_client import VLLMClient
from anatomy.models.decoding import Sampling
from anatomy.errors import AnatomyError
from anatomy.training.decoders import VllmDecoder
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
        wait_for(lambda: "startup complete" in (tmp_path / "log").read_text(), server)
        done = subprocess.run(
            [VLLM / "bin/python", "-W", "ignore", "-c", ASK, f"http://127.0.0.1:{port}"],
            env=vllm_environment(), capture_output=True, text=True,
        )  # fmt: skip
    finally:
        server.terminate()
        server.wait(WAIT)
    assert done.returncode == 0, done.stderr[-5000:]
    first, second, greedy, said, refused = json.loads(done.stdout.splitlines()[-1])
    # Names alone decide, not the order of prompts; every completion is another one.
    assert first["tokens"] == second["tokens"][::-1]
    assert len({tuple(tokens) for prompt in first["tokens"] for tokens in prompt}) > 12
    assert [len(prompt) for prompt in first["tokens"]] == [8, 8] and len(greedy["tokens"][0]) == 1
    assert (torch.tensor(first["ended"]) | (torch.tensor(first["lengths"]) == 6)).all()
    scores = torch.tensor(first["logprobs"])
    model, _ = store.load(start)
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
