"""A real Slurm of one node with two devices in place of GPUs, and the studies' own profile on it.

The one thing that is not as on a user's cluster: no accounting, so states are read with squeue, and often.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from tiny import ROOT, copy_repository

import _snakemake
from anatomy.audit import job_record
from anatomy.cluster import orphans

HERE = ROOT / "tests/cluster"
FEW = "tests/tiny/config.yaml"

pytestmark = pytest.mark.slow


# Cluster and projects ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running Slurm; stopped whatever happens. A machine has one at a time, so tests elsewhere wait."""
    folder = tmp_path_factory.mktemp("slurm")
    with FileLock(Path(tempfile.gettempdir()) / "anatomy-tests-slurm.lock"):
        try:
            started = subprocess.run([HERE / "start", folder], capture_output=True, text=True, timeout=60)
            assert started.returncode == 0, started.stderr
            yield folder
        finally:
            subprocess.run([HERE / "stop", folder], timeout=60)
            # Without cgroups, Slurm may lose sight of what a job that it ends has started.
            left = f"snakemake --snakefile {tmp_path_factory.getbasetemp()}/"
            subprocess.run(["pkill", "-KILL", "-f", left])


def command(configuration: str, *targets: str) -> list[str]:
    """Return the command of a user, whose cluster keeps no accounts and who has no conda."""
    return [
        *[sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", configuration],
        *["--software-deployment-method", "env-modules", "--latency-wait", "10"],
        *["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"],
        *["--", *targets],
    ]


@dataclass
class Run:
    """A Snakemake that runs in a folder and writes what it says to a file."""

    folder: Path
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, folder: Path, configuration: str, *targets: str) -> "Run":
        log = folder / f"said-{len(list(folder.glob('said-*')))}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                command(configuration, *targets), cwd=folder, stdout=out, stderr=out, start_new_session=True
            )
        return cls(folder, process, log)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def until(self, condition: Callable[[], object], what: str, seconds: float = 900) -> None:
        """Wait until a condition holds, while the workflow runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the workflow ended before {what}:\n{self.said[-3000:]}"
            assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}\n{self.said[-3000:]}"
            time.sleep(0.2)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, seconds: float = 1800) -> int:
        try:
            return self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.kill()


def ask(*words: str) -> str:
    """Return what a command of Slurm says."""
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout


def slurm_jobs(*states: str) -> dict[str, str]:
    """Return the state of each job that Slurm remembers, in these states."""
    shown = ask("squeue", "--noheader", "--states=all", "--format=%i %T")
    jobs = dict(line.split() for line in shown.splitlines())
    return {job: state for job, state in jobs.items() if not states or state in states}


def cut_sheet(path: Path, rows: dict[str, dict[str, str]]) -> None:
    """Keep these rows of a sheet, with these changes."""
    header, *lines = path.read_text().splitlines()
    columns = header.split("\t")
    kept = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]
    kept = [row | rows[row[columns[0]]] for row in kept if row[columns[0]] in rows]
    path.write_text("\n".join([header, *("\t".join(row.values()) for row in kept)]) + "\n")


def small_study(folder: Path) -> Path:
    """Copy what a clone has, with the tiny study cut to a few jobs of each kind.

    Rules of the same kind as others, which ask for the same, are left out: ``ALIKE``.
    """
    tiny = copy_repository(folder) / "tests/tiny"
    cut_sheet(tiny / "benchmarks.tsv", {"train": {}, "hard": {"n": "4"}, "code-hard": {}})
    cut_sheet(tiny / "models.tsv", {"base": {}})
    cut_sheet(tiny / "runs.tsv", {"grpo": {"seeds": "0", "gpus": "2"}})
    arms = {"base": "hard,code-hard", "grpo": "hard"}
    cut_sheet(tiny / "arms.tsv", {arm: {"benchmarks": tests, "probed": "-"} for arm, tests in arms.items()})
    sheet = tiny / "arms.tsv"
    sheet.write_text(re.sub(r"(?m)^(base\t.*\thard,code-hard\t)-", r"\1hard", sheet.read_text()))

    artifacts = yaml.safe_load((tiny / "artifacts.yaml").read_text())
    tables = {name: artifacts["tables"][name] for name in ("passk", "crossover", "resampled", "perplexity")}
    tables["resampled"] |= {"pairs": [["grpo", "base"]], "benchmarks": ["hard"]}
    tables["perplexity"]["texts"] = [["base", "base"], ["base", "gold"]]
    tables["conditions"] = artifacts["tables"]["conditions"] | {"arms": ["base"], "benchmarks": ["hard"]}
    figures = {"passk": artifacts["figures"]["passk"] | {"arms": ["base", "grpo"]}}
    (tiny / "artifacts.yaml").write_text(yaml.safe_dump({"tables": tables, "figures": figures}))
    (tiny / "claims.yaml").write_text("{}\n")
    (folder / "paper/main.typ").write_text("#json(sys.inputs.numbers).len() numbers\n")
    return folder


# Listings of Slurm ------------------------------------------------------------------------------------


def test_only_jobs_of_this_folder_and_of_our_name_are_left_behind() -> None:
    listing = [
        "1|anatomy_5f0c|/home/a study|with a bar",
        "2|anatomy_5f0c|/home/other",
        "3|wrap|/home/a study|with a bar",
        "",
    ]
    assert orphans.orphans(listing, Path("/home/a study|with a bar")) == ["1"]
    assert orphans.orphans(listing, Path("/home")) == []


# The embedded study: killed, run again, the node drained and resumed --------------------------------------


@dataclass
class Finished:
    """A study that was run on the cluster, and what was seen on the way."""

    folder: Path
    runs: list[Run]
    kept: dict[Path, int]
    flying: set[str]
    left: set[str]
    waited: set[str]
    states: dict[str, str]


def written(folder: Path) -> dict[Path, int]:
    """Return when each result of a study was written: files of tables, and models by their manifests."""
    results = folder / "results/tiny"
    files = [path for path in results.rglob("*.parquet") if "work" not in path.parts and path.name[0] != "."]
    files += results.glob("models/*/seed-*/step-*/manifest.json")
    return {path: path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="module")
def finished(slurm: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = small_study(tmp_path_factory.mktemp("study"))
    results = folder / "results/tiny"
    first = Run.start(folder, FEW, "all")
    first.until(
        lambda: list(results.glob("counts/base/**/*.parquet")) and slurm_jobs("RUNNING"), "the first counts"
    )
    first.kill()
    flying, left = set(slurm_jobs("RUNNING")), set(slurm_jobs("RUNNING", "PENDING"))
    kept = written(folder)

    second = Run.start(folder, FEW, "all")
    second.until(lambda: set(slurm_jobs("RUNNING")) - left, "a job of the second run")
    node = f"nodename={ask('sinfo', '--noheader', '--format=%n', '--partition=cpu').strip()}"
    ask("scontrol", "update", node, "state=drain", "reason=test")
    try:
        second.until(lambda: not slurm_jobs("RUNNING", "COMPLETING"), "the drained node is free")
        second.until(lambda: slurm_jobs("PENDING"), "jobs wait for the drained node")
        waited = set(slurm_jobs("PENDING"))
    finally:
        ask("scontrol", "update", node, "state=resume")
    assert second.wait() == 0, second.said[-5000:]
    return Finished(folder, [first, second], kept, flying, left, waited, slurm_jobs())


ALIKE = {
    "distill": ("models/student/seed-0", "models/base/seed-0"),  # pretrain
    "finetune": ("models/stage2-sft/seed-0", "models/stage1/seed-0"),  # train
    "match_entropy": (
        "temperatures/grpo-matched/seed-0/hard.json",
        "samples/base/seed-0/hard/shard-000.parquet",
    ),
}
"""Rules that are not run on the cluster: a file of each, and one of a rule that is and asks for the same."""


@pytest.mark.parametrize("rule", ALIKE)
def test_rules_that_are_alike_ask_for_the_same(rule: str) -> None:
    one, other = (_snakemake.resolve(f"results/tiny/{file}", [ROOT / FEW]) for file in ALIKE[rule])
    assert one.rule.name == rule != other.rule.name and one.threads == other.threads
    asked = [
        {name: dict(job.resources).get(name) for name in ("gpu", "nodes", "mpi")} for job in (one, other)
    ]
    assert asked[0] == asked[1]


def test_every_kind_of_rule_of_the_embedded_study_runs_on_the_cluster(finished: Finished) -> None:
    rules = set(re.findall(r"(?m)^\s*rule (\w+):", "\n".join(run.said for run in finished.runs)))
    declared = "\n".join(path.read_text() for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
    of_the_hub = {"download_model", "download_benchmark", "benchmark", "split", "annotate"}
    targets = {"all", "figures", "tables", "published", "paper", "audit", "benchmarks", "check"}
    assert (
        rules
        >= set(re.findall(r"(?m)^(?:use )?rule (?:\w+ as )?(\w+)", declared))
        - of_the_hub
        - targets
        - ALIKE.keys()
    )
    assert (finished.folder / "paper/tiny.pdf").read_bytes().startswith(b"%PDF")


def test_the_cluster_and_one_machine_make_the_same_tables(finished: Finished, tmp_path: Path) -> None:
    here = small_study(tmp_path / "here")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", FEW, "--", "tables"],
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    tables = {path.name: path.read_bytes() for path in here.glob("results/tiny/tables/*.csv")}
    assert len(tables) >= 5
    for name, content in tables.items():
        assert (finished.folder / "results/tiny/tables" / name).read_bytes() == content, name


def test_models_are_scheduled_on_gpus_and_nothing_else_is(finished: Finished) -> None:
    shown = ask("scontrol", "--oneliner", "show", "job")
    gpus: dict[str, set[int]] = {}
    for line in shown.splitlines():
        if rule := re.search(r"Comment=rule_([a-z_]+?)(?:_wildcards_\S+)? ", line):
            number = re.search(r"TresPerJob=gres:gpu:h100:([1-9]\d*)", line)
            gpus.setdefault(rule[1], set()).add(int(number[1]) if number else 0)
            assert (" Partition=gpu " in line) == bool(number), line
    for rule in ("sample", "resample", "probe", "score"):
        assert gpus[rule] == {1}, rule
    assert gpus["train"] == {2}
    assert gpus["world"] == gpus["tasks"] == gpus["scaffold"] == gpus["pretrain"] == {0}


def test_short_jobs_share_a_slurm_job(finished: Finished) -> None:
    jobs = job_record.within(finished.folder / "results/tiny", finished.folder / "figures/tiny")
    assert list(finished.states.values()).count("COMPLETED") < 0.8 * len(jobs)
    said = "\n".join(run.said for run in finished.runs)
    submitted = re.findall(r"has been submitted .*slurm_logs/(\w+)", said)
    assert not {f"rule_{rule}" for rule in ("grade", "count", "table", "figure", "typeset")} & set(submitted)


def test_no_finished_job_runs_again(finished: Finished) -> None:
    now = written(finished.folder)
    again = [path for path, at in finished.kept.items() if now[path] != at]
    # A job in flight may have written its file and not yet be over.
    assert len(finished.kept) >= 10 and len(again) <= len(finished.flying), again


def test_a_finished_study_has_nothing_to_do(finished: Finished) -> None:
    shown = subprocess.run(
        [*command(FEW, "all")[:-2], "--dry-run", "--", "all"],
        cwd=finished.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Nothing to be done" in shown.stdout + shown.stderr


def test_what_a_killed_snakemake_left_in_the_queue_is_cancelled(finished: Finished) -> None:
    states = {finished.states[job] for job in finished.left}
    assert "CANCELLED" in states <= {"CANCELLED", "COMPLETED"}
    assert not list(finished.folder.glob("results/tiny/**/.partial-*")), "half-written files were left behind"


def test_jobs_wait_for_a_drained_node(finished: Finished) -> None:
    assert {finished.states[job] for job in finished.waited} == {"COMPLETED"}


# Jobs that go wrong -----------------------------------------------------------------------------------

SNAKEFILE = """
rule all:
    input: "two-gpus", "gpu-0", "gpu-1", "memory", "time", "requeued"

# Rules with names of the studies' are given what the profile sets for those.
rule sample:
    output: "two-gpus"
    resources: gpu=2, mem_mb=1000
    shell: "env > {output}"

# Two jobs that end when both are there. They come after the job of two GPUs: it, waiting between them,
# would keep the second from starting.
rule score:
    input: "two-gpus"
    output: "gpu-{number}"
    resources: gpu=1, mem_mb=1000
    shell:
        "touch here-{wildcards.number};"
        " until [ -e here-0 ] && [ -e here-1 ]; do sleep 0.2; done; env > {output}"

rule memory:
    output: "memory"
    resources: mem_mb=lambda wildcards, attempt: 800 * attempt
    shell: "{PYTHON} hold.py; echo {resources.mem_mb} > {output}"

rule slow:
    output: "time"
    retries: 0
    resources: mem_mb=1000, runtime=1
    shell:
        "echo half > {output};"
        " [ -e time-begun ] || {{ touch time-begun; sleep 600; }};"
        " echo whole >> {output}"

rule train:
    output: "requeued"
    resources: mem_mb=1000, runtime=10
    shell: "{PYTHON} train.py {output}"
"""

TRAINING = """
import signal, sys, time
from pathlib import Path

kept = Path("checkpoint")
step = int(kept.read_text()) if kept.exists() else 0
first = step


def keep(*_):
    kept.write_text(str(step))
    sys.exit("told to stop")


signal.signal(signal.SIGTERM, keep)
while step < 100 and not first:
    step += 1
    Path("training").write_text(str(step))
    time.sleep(0.5)
Path(sys.argv[1]).write_text(f"{first}")
"""


@dataclass
class Troubled:
    folder: Path
    first: Run
    second: Run
    restarts: int
    half_written: bool


@pytest.fixture(scope="module")
def troubled(slurm: Path, tmp_path_factory: pytest.TempPathFactory) -> Troubled:
    folder = tmp_path_factory.mktemp("troubled")
    shutil.copytree(ROOT / "slurm", folder / "slurm")
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    (folder / "Snakefile").write_text(f"PYTHON = {sys.executable!r}\n{SNAKEFILE}")
    (folder / "train.py").write_text(TRAINING)
    (folder / "hold.py").write_text("import time\nheld = b'x' * 800_000_000\ntime.sleep(4)\n")
    (folder / "empty.yaml").write_text("{}\n")
    first = Run.start(folder, "empty.yaml", "all")
    first.until(lambda: (folder / "training").exists(), "the training begins")
    shown = ask("squeue", "--noheader", "--format=%i %k")
    (job,) = [line.split()[0] for line in shown.splitlines() if line.endswith("rule_train")]
    ask("scontrol", "requeue", job)
    first.wait()
    half_written = (folder / "time").exists()
    restarts = re.search(r"Restarts=(\d+)", ask("scontrol", "show", "job", job))
    second = Run.start(folder, "empty.yaml", "all")
    second.wait()
    return Troubled(folder, first, second, int(restarts[1]) if restarts else 0, half_written)


def environment(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def test_a_job_of_two_gpus_is_one_task_on_one_node_that_sees_both(troubled: Troubled) -> None:
    job = environment(troubled.folder / "two-gpus")
    assert job["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert job["SLURM_NTASKS"] == job["SLURM_NNODES"] == job["SLURM_STEP_NUM_NODES"] == "1"
    assert job["SLURM_JOB_PARTITION"] == "gpu"


def test_jobs_of_one_gpu_run_side_by_side_each_on_its_own(troubled: Troubled) -> None:
    devices = [environment(troubled.folder / f"gpu-{n}")["CUDA_VISIBLE_DEVICES"] for n in (0, 1)]
    assert sorted(devices) == ["0", "1"]


def test_a_job_that_ran_out_of_memory_succeeds_with_more(troubled: Troubled) -> None:
    assert (troubled.folder / "memory").read_text() == "1600\n"
    assert re.search(r"Error in rule memory:\s+message: SLURM-job '\d+' failed", troubled.first.said)
    assert "Exceeded job memory limit" in troubled.first.said


def test_a_job_over_its_time_limit_is_named_and_leaves_nothing(troubled: Troubled) -> None:
    assert troubled.first.process.returncode != 0
    assert re.search(
        r"Error in rule slow:\s+message: SLURM-job '\d+' failed, SLURM status is: 'TIMEOUT'",
        troubled.first.said,
    )
    assert "DUE TO TIME LIMIT" in troubled.first.said
    assert not troubled.half_written
    assert troubled.second.process.returncode == 0, troubled.second.said[-3000:]
    assert (troubled.folder / "time").read_text() == "half\nwhole\n"
    assert re.findall(r"(?m)^rule (\w+):", troubled.second.said) == ["slow"]


def test_a_requeued_job_was_told_in_time_to_keep_its_state_and_goes_on_from_it(troubled: Troubled) -> None:
    assert troubled.restarts == 1
    assert int((troubled.folder / "requeued").read_text()) >= 1
    assert "Error in rule train" not in troubled.first.said
