"""Grading, counting and tables of many completions: known shares come back, in memory that does not grow."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anatomy.storage import parquet

SCRIPT = Path(__file__).resolve().parents[1] / "performance/volume.py"


def volume() -> Any:
    spec = importlib.util.spec_from_file_location("volume", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["volume"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def run(folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *options[:1], folder, *options[1:], "--csv", folder / "used.csv"]
    folder.mkdir(exist_ok=True)
    return subprocess.run(list(map(str, command)), text=True, capture_output=True)


def peaks(folder: Path) -> dict[str, float]:
    """Peak memory of a stage's largest job, MiB."""
    with (folder / "used.csv").open(encoding="utf-8") as file:
        return {row["stage"]: float(row["peak_mib"]) for row in csv.DictReader(file)}


@pytest.mark.slow
def test_known_shares_come_back_within_a_memory_limit(tmp_path: Path) -> None:
    done = run(tmp_path, 2_000, "--n", 100, "--memory", 700)
    assert done.returncode == 0, done.stderr
    assert "known shares came back exactly" in done.stdout
    assert all(peak < 700 for peak in peaks(tmp_path).values())
    # All kinds of answers, and all verdicts.
    verdicts = parquet.read(tmp_path / "verdicts/base/shard-000.parquet", "verdicts")
    found = verdicts.groupby("verdict").size().to_dict()
    put = [volume().shares(0, index, 10, 100) for index in range(10)]
    assert found["right"] == sum(one["right"] for one in put) > 0
    assert found["wrong"] == sum(one["wrong"] for one in put) > 0
    assert found["unparsable"] == sum(one["endless"] for one in put) > 0
    assert (
        found["no_answer"] == sum(one[name] for one in put for name in ("missing", "empty", "unclosed")) > 0
    )
    assert found["truncated"] == sum(one["truncated"] for one in put) > 0
    # The benchmark would have noticed another count.
    counts = tmp_path / "counts/base.parquet"
    rows = list(parquet.records(counts, "counts"))
    rows[3]["answer"] += 1
    parquet.write(counts, "counts", rows)
    module = volume()
    with pytest.raises(AssertionError, match="problem-00003"):
        module.check(module.Volume(2_000, tmp_path, 100, 1000, 50_000))


GROWING = """
import json, sys
from pathlib import Path
import volume
volume.ARMS = ("base",)
used = {}
for completions in map(int, sys.argv[2:]):
    made = volume.Volume(completions, Path(sys.argv[1]), completions // 4, 1_000, 50_000)
    runner = volume.Runner(made, 2048, 1)
    for stage in ("make", "grade", "count"):
        runner.stage(stage)
    used[completions] = {stage: usage.peak for stage, usage in runner.used.items()}
print(json.dumps(used))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_shard(tmp_path: Path) -> None:
    """Of two problems, whose answers are numbers, in one shard: 2,500 and 10,000 completions."""
    # A small process starts the jobs: a child's peak counts what it was forked from.
    command = [sys.executable, "-c", GROWING, tmp_path, 5_000, 20_000]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    small, large = json.loads(done.stdout).values()
    for stage in ("grade", "count"):
        assert large[stage] < small[stage] + 40, (small, large)


def test_a_job_over_its_memory_is_an_error(tmp_path: Path) -> None:
    done = run(tmp_path, 40, "--n", 2, "--memory", 60)
    assert done.returncode == 1
    assert "2 of 2 jobs of stage make failed" in done.stderr
    assert not list(tmp_path.rglob("*.parquet"))
