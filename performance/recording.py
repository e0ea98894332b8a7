"""What records cost: of a small job, with and without; and their share of a study's time.

    python performance/recording.py [STUDY]

The small job is `grade`'s: three inputs, one output, the modules of the library that it imports. Both
sides run in this process, alternately; what is printed is the median of each. STUDY (default: embedded) is
one that is finished: its records tell how long each job took, and how long recording took of that.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import grade  # noqa: E402, F401  (what a job of the rule has imported)
from anatomy.audit import job_record  # noqa: E402
from anatomy.audit.recorder import Recorder  # noqa: E402
from anatomy.storage import parquet  # noqa: E402
from anatomy.storage.verdicts import COUNTED  # noqa: E402

REPEATS = 60


def small_job() -> None:
    """Print the milliseconds of a small job with and without its record."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("scripts", "envs"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
        os.chdir(folder)
        inputs = [f"results/s/{name}.parquet" for name in ("samples", "problems", "prompts")]
        same = {
            "condition": "plain",
            "n": 128,
            "derivation": 0,
            "chain": None,
            "lenient": 0,
            **dict.fromkeys(COUNTED, 0),
        }
        same |= {"tokens": 5000, "entropy": 1.0, "temperature": 1.0}
        rows = [{"problem": f"p{row}", "answer": row % 128, **same} for row in range(50)]
        for path in inputs:
            parquet.write(path, "counts", rows)
        names = {"rule": "grade", "wildcards": {"arm": "base", "seed": "0"}, "params": {"grader": "world"}}
        job = SimpleNamespace(
            input=inputs, output=["results/s/out.parquet"], threads=1, resources={}, **names
        )
        took: dict[bool, list[float]] = {True: [], False: []}
        for repeat in range(2 * REPEATS):
            recorded = bool(repeat % 2)
            began = time.perf_counter()
            recorder = Recorder(job, Path("scripts/grade.py").resolve()) if recorded else None
            parquet.write(job.output[0], "counts", rows)
            if recorder:
                recorder.write()
            took[recorded].append(1000 * (time.perf_counter() - began))
        with_record, without = (statistics.median(took[recorded]) for recorded in (True, False))
        print(f"small job: {without:.1f} ms without a record, {with_record:.1f} ms with it:"
              f" {with_record - without:.1f} ms more")  # fmt: skip
        os.chdir(ROOT)


def share(study: str) -> None:
    """Print the share of a finished study's time that recording took."""
    found = {
        record["digest"]: record["run"]
        for path in (ROOT / "results" / study).rglob(f"*{job_record.SUFFIX}")
        for record in [json.loads(path.read_text())]
    }
    if not found:
        print(f"{study}: no records; make the study first")
        return
    took = sorted(run["recording_seconds"] for run in found.values())
    jobs = sum(run["seconds"] for run in found.values())
    print(
        f"{study}: {len(found)} jobs of {jobs:.0f} s; records took {sum(took):.1f} s, {sum(took) / jobs:.2%}"
    )
    middle, most, largest = (
        1000 * part for part in (statistics.median(took), took[int(0.95 * len(took))], took[-1])
    )
    print(f"a job's record: median {middle:.0f} ms, 95 % within {most:.0f} ms, largest {largest:.0f} ms")


if __name__ == "__main__":
    small_job()
    share(sys.argv[1] if len(sys.argv) > 1 else "embedded")
