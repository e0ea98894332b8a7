"""What the workers of tests/test_distributed.py call where no training is needed; quick to import."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from anatomy.errors import AnatomyError

Report = Callable[[str], None]


def meet(job: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Say what was given, and which processes there are."""
    report("one line")
    report("another")
    print("a library's chatter")
    torch.distributed.init_process_group("gloo")
    everyone: list[Any] = [None] * 2
    torch.distributed.all_gather_object(
        everyone, [int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"]), os.getpid()]
    )
    return {"given": job, "everyone": everyone, "threads": torch.get_num_threads()}


def fail(job: Mapping[str, Any], report: Report) -> None:
    """End in one of several ways in the second process, while the first one waits for it."""
    torch.distributed.init_process_group("gloo")
    if os.environ["RANK"] == "1":
        if job["how"] == "message":
            raise AnatomyError("no prompt fits: drop it")
        if job["how"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("an error that nobody foresaw")
    torch.distributed.barrier()


def own_id(job: Mapping[str, Any], report: Report) -> int:
    return os.getpid()


def linger(job: Mapping[str, Any], report: Report) -> None:
    Path(job["folder"], f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    time.sleep(300)
