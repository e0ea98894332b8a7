"""What a study costs before it runs: formulas with known answers, sums that add up, and the command."""

import csv
import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import needs
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_workflow import command, copy_repository

from anatomy.errors import AnatomyError
from anatomy.planning import plan, report, sizing, work
from anatomy.planning.plan import Cost, Estimates, Job, Record
from anatomy.storage.csv import write_csv
from anatomy.study import rows as sheet_rows
from anatomy.study import sheets, yaml_files
from anatomy.study.settings import Settings
from anatomy.study.study import Study

ROOT = Path(__file__).resolve().parents[1]


def sheet(path: Path, kind: Any, *rows: Mapping[str, object]) -> list[Any]:
    """Write a sheet with empty cells where a row says nothing, and read it."""
    names = list(kind.model_fields)
    lines = [names, *([str(row.get(name, "-")) for name in names] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines))
    return sheets.sheet(path, kind)


def named(rows: Sequence[Any]) -> dict[str, Any]:
    return {getattr(row, next(iter(type(row).model_fields))): row for row in rows}


SPEEDS = [
    {
        "gpu": gpu,
        "memory": 80,
        "task": task,
        "billions": size,
        "tokens_per_second": speed * factor,
        "source": "us",
    }
    for gpu, factor in (("big", 1), ("small", 0.5))
    for task, size, speed in (
        ("sample", 8, 1000),
        ("sample", 40, 100),
        ("score", 40, 4000),
        ("train", 40, 200),
    )
]
REINFORCEMENT = {
    "learning_rate": 1e-6,
    "checkpoint_every": 20,
    "prompts": 10,
    "rollouts": 4,
    "updates": 2,
    "temperature": 1.0,
    "max_new_tokens": 1000,
    "expected_tokens": 150,
    "kl_every": 3,
    "options": {"beta": 0.0},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of two models, of 5 and 30 billion parameters, the first with a run of each kind."""
    folder = tmp_path_factory.mktemp("sheets")
    settings: dict[str, Any] = {
        "study": "made",
        "title": "Made",
        "seed": 1,
        "sheets": dict.fromkeys(("benchmarks", "models", "runs", "arms", "throughputs"), "made.tsv"),
        "annotations": {"folder": None, "endpoint": None},
        "claims": "none.yaml",
        "artifacts": "none.yaml",
        "statistics": {"draws": 100, "level": 0.95},
        "scale": {"gpu": "big", "shard_hours": 0.5, "cores_per_gpu": 8},
        "presets": {
            "sampling": {"long": {"expected_tokens": 2000}},
            "supervised": {"sft": {"batch": 8, "learning_rate": 1e-5, "warmup": 0, "checkpoint_every": 20}},
            "reinforcement": {
                "grpo": REINFORCEMENT,
                "kl": {**REINFORCEMENT, "options": {"beta": 0.1}, "temperature": 0.6},
                "ppo": {**REINFORCEMENT, "value": {"learning_rate": 1e-5, "gamma": 1, "lam": 1, "clip": 0.2}},
                "dapo": {**REINFORCEMENT, "refills": 2},
                "unsaid": {k: v for k, v in REINFORCEMENT.items() if k != "expected_tokens"},
            },
        },
        "sampling": {
            "engine": "vllm",
            "rows": 8,
            "n": 40,
            "extra": 64,
            "scored": 5,
            "match_n": 4,
            "max_new_tokens": 900,
            "expected_tokens": 500,
            "temperature": 1.0,
            "top_p": 1.0,
            "probes": {"n": 2, "conditions": ["plan", "subproblems"]},
        },
    }
    benchmarks = [{"benchmark": "test", "source": "hub", "grader": "math", "role": "test", "problems": 100}]
    models = [
        {"model": "five", "source": "hub", "billions": 5, "gpus": 1, "steps": 0, "seed": 0},
        {"model": "thirty", "source": "hub", "billions": 30, "gpus": 2, "steps": 0, "seed": 0},
    ]
    usual = {"start": "five", "benchmark": "test", "steps": 20, "nodes": 2, "gpus": 4, "seeds": 0}
    runs = [
        {**usual, "run": "grpo", "algorithm": "grpo", "preset": "grpo", "checkpoints": "5,10"},
        {**usual, "run": "kl", "algorithm": "grpo", "preset": "kl"},
        {**usual, "run": "ppo", "algorithm": "ppo", "preset": "ppo"},
        {**usual, "run": "remax", "algorithm": "remax", "preset": "grpo"},
        {**usual, "run": "dapo", "algorithm": "dapo", "preset": "dapo", "tokens": 100},
        {**usual, "run": "unsaid", "algorithm": "grpo", "preset": "unsaid"},
        {**usual, "run": "sft", "algorithm": "sft", "preset": "sft"},
    ]
    arms = [
        {"arm": "five", "model": "five", "step": "last"},
        {"arm": "long", "model": "thirty", "step": "last", "sampling": "long", "n": 10},
        {"arm": "trained", "model": "grpo", "step": "last"},
    ]
    return Study(
        Settings.model_validate(settings),
        named(
            sheet(
                folder / "benchmarks", sheet_rows.Benchmark, *({**row, "side": "test"} for row in benchmarks)
            )
        ),
        named(sheet(folder / "models", sheet_rows.Model, *models)),
        named(sheet(folder / "runs", sheet_rows.Run, *runs)),
        named(sheet(folder / "arms", sheet_rows.Arm, *arms)),
        sheet(folder / "throughputs", sheet_rows.Throughput, *SPEEDS),
        {"tables": {"a": {"published": "Table 1"}, "b": {}, "c": {}}, "figures": {"d": {}, "e": {}}},
        {},
    )


def small(study: Study) -> Study:
    """The same without a scale: a study of small models, in one shard."""
    sampling = study.settings.sampling.model_copy(update={"shards": 1})
    return replace(study, settings=study.settings.model_copy(update={"scale": None, "sampling": sampling}))


def hours(study: Study, rule: str, **wildcards: str) -> float:
    found, basis = Estimates(study).hours(rule, work.work(study, rule, wildcards))
    assert found is not None and basis == "statements"
    return found


ARM = {"arm": "five", "seed": "0", "benchmark": "test"}


# What one job takes -------------------------------------------------------------------------------------


def test_a_throughput_is_that_of_the_next_larger_model(study: Study) -> None:
    assert sizing.throughput(study, "sample", 8).tokens_per_second == 1000
    assert sizing.throughput(study, "sample", 8.1).tokens_per_second == 100
    assert sizing.throughput(study, "sample", 8, "small").tokens_per_second == 500


def test_a_missing_throughput_is_named(study: Study) -> None:
    for task, size, gpu in (("sample", 41, "big"), ("train", 1, "huge")):
        with pytest.raises(
            AnatomyError, match=rf"made.tsv: no row for gpu '{gpu}', task '{task}'.*big, small"
        ):
            sizing.throughput(study, task, size, gpu)


def test_sampling(study: Study) -> None:
    # 100 problems x 40 x 500 tokens at 1,000 a second: 2,000 s, two shards of half an hour at most.
    assert sizing.shards(study, "five", "test") == 2
    start = work.SECONDS["sample"] + 10 / work.LOADING  # 10 GB of weights
    assert hours(study, "sample", **ARM, shard="000") == pytest.approx((start + 1000) / 3600)
    # 100 x 10 x 2,000 tokens at 100 a second on each of two GPUs: 10,000 s.
    long = {"arm": "long", "seed": "0", "benchmark": "test"}
    assert sizing.shards(study, "long", "test") == 6
    start = work.SECONDS["sample"] + 60 / work.LOADING
    assert hours(study, "sample", **long, shard="003") == pytest.approx((start + 10_000 / 6) / 3600)
    assert work.shard_minutes(study, "long", "test") == 60 + math.ceil(2 * (start + 10_000 / 6) / 60)


def test_the_other_jobs_that_sample(study: Study) -> None:
    def tokens(rule: str, **more: str) -> float:
        return work.work(study, rule, {**ARM, **more}).amounts["sample"]

    assert tokens("probe") == 100 * (1 + work.LINKS) * 2 * 500
    assert tokens("resample", other="long", other_seed="0") == 100 * work.DISAGREEING * 64 * 500
    assert tokens("match_entropy") == work.TRIALS * 100 * 4 * 500


def test_scoring(study: Study) -> None:
    names = {"scorer": "long", "seed": "0", "text_seed": "0", "benchmark": "test"}
    scored = work.work(study, "score", {**names, "text": "five"})
    assert scored.amounts == {"score": 100 * 5 * (work.PROMPT_TOKENS + 500)}
    assert (scored.billions, scored.gpus) == (30, 2)
    gold = work.work(study, "score", {**names, "text": "gold"})
    assert gold.amounts == {"score": 100 * (work.PROMPT_TOKENS + work.SOLUTION_TOKENS)}


def test_training(study: Study) -> None:
    # 10 rounds of 40 completions of 150 tokens; a third begins at a step that is a multiple of kl_every.
    text = 10 * 40 * (work.PROMPT_TOKENS + 150)
    plain = {"sample": 10 * 40 * 150, "train": text, "score": pytest.approx(text / 3)}
    assert work.training_work(study, "grpo") == plain
    assert work.training_work(study, "kl") == {**plain, "score": pytest.approx(text * (2 + 1 / 3))}
    critic = {"train": 2 * text, "score": pytest.approx(text * (1 + 1 / 3))}
    assert work.training_work(study, "ppo") == {**plain, **critic}
    assert work.training_work(study, "remax") == {**plain, "sample": 10 * 50 * 150}
    drawn = 1 + work.WITHOUT_SIGNAL + work.WITHOUT_SIGNAL**2
    assert work.training_work(study, "dapo") == {**plain, "sample": pytest.approx(10 * 40 * drawn * 150)}
    assert work.training_work(study, "unsaid")["sample"] == 10 * 40 * 1000
    learned = 20 * 8 * (work.PROMPT_TOKENS + work.SOLUTION_TOKENS)
    assert work.training_work(study, "sft") == {"train": learned}
    seconds = (10 * 40 * 150 / 1000 + text / 200 + text / 3 / 4000) / 8  # on 2 x 4 GPUs
    start = work.SECONDS["train"] + 10 / work.LOADING
    assert hours(study, "train", run="grpo", seed="0") == pytest.approx((start + seconds) / 3600)
    assert work.training_minutes(study, "grpo") == 60 + math.ceil(2 * (start + seconds) / 60)


def test_a_day_is_the_longest_time_limit_of_a_training(study: Study) -> None:
    slow = replace(
        study, throughputs=[row.model_copy(update={"tokens_per_second": 0.1}) for row in study.throughputs]
    )
    assert hours(slow, "train", run="grpo", seed="0") > 24
    assert work.training_minutes(slow, "grpo") == 24 * 60
    assert work.training_minutes(small(study), "grpo") == 2 * sizing.SMALL_MINUTES


def test_grading_and_counting_go_by_completions(study: Study) -> None:
    rates = work.RATES
    one = hours(study, "grade", **ARM, piece="shard-001") * 3600 - work.SECONDS["grade"]
    assert one == pytest.approx(2000 / rates["grade"])
    probes = hours(study, "grade", **ARM, piece="probes") * 3600 - work.SECONDS["grade"]
    assert probes == pytest.approx(1000 / rates["grade"])
    assert work.work(study, "count", ARM).amounts == {"count": 4000}
    assert work.work(study, "recount", {**ARM, "other": "long"}).amounts == {"count": 320}


def test_disk_and_downloads(study: Study) -> None:
    found = work.work(study, "download_model", {"model": "thirty", "seed": "0"})
    assert (found.amounts, found.disk) == ({"download": 60e9}, 60)
    run = work.work(study, "train", {"run": "grpo", "seed": "0"})
    assert (run.disk, run.scratch) == (3 * 10, 2 * 60)  # steps 5, 10 and 20; two checkpoints
    assert work.work(study, "train", {"run": "dapo", "seed": "0"}).disk == 2 * 10  # step 20, and at tokens
    shard = work.work(study, "sample", ARM)
    one = work.BYTES["completion"] + 500 * work.BYTES["token"]
    assert shard.disk == pytest.approx(2000 * one / 1e9)


# Records of finished jobs -------------------------------------------------------------------------------


def test_records_beat_statements(study: Study) -> None:
    grade = work.work(study, "grade", {**ARM, "piece": "probes"})
    stated, _ = Estimates(study).hours("grade", grade)
    other = {**ARM, "piece": "shard-000"}
    real = 3 * hours(study, "grade", **other) * 3600
    found, basis = Estimates(study, records=[Record("grade", other, real)]).hours("grade", grade)
    assert stated is not None and found == pytest.approx(3 * stated) and basis == "records"


def test_records_of_a_rule_count_together_and_for_that_rule_alone(study: Study) -> None:
    job = {**ARM, "shard": "000"}
    stated = hours(study, "sample", **job)
    records = [Record("sample", job, stated * 3600 * factor) for factor in (1, 2, 3)]
    estimates = Estimates(study, records=records)
    assert estimates.hours("sample", work.work(study, "sample", job)) == (
        pytest.approx(2 * stated),
        "records",
    )
    assert estimates.hours("probe", work.work(study, "probe", ARM))[1] == "statements"


def test_records_say_nothing_of_another_gpu(study: Study) -> None:
    other = report.asked(study, None, "small")
    job, verdicts = {**ARM, "shard": "000"}, {**ARM, "piece": "shard-000"}
    records = [Record("sample", job, 1.0), Record("grade", verdicts, 1.0)]
    estimates = Estimates(study, other, records)
    start = work.SECONDS["sample"] + 10 / work.LOADING
    sampled = estimates.hours("sample", work.work(study, "sample", job))
    assert sampled == (pytest.approx((start + 2000) / 3600), "statements")
    graded = estimates.hours("grade", work.work(study, "grade", verdicts))
    assert graded == (pytest.approx(1 / 3600), "records")


def test_small_models_are_known_by_records_alone(study: Study) -> None:
    tiny = small(study)
    job = work.work(tiny, "sample", ARM)
    assert Estimates(tiny).hours("sample", job) == (None, "unknown")
    half = {**ARM, "arm": "trained"}  # as many completions
    long = {**ARM, "arm": "long"}  # 10 x 2,000 tokens a problem against 40 x 500
    estimates = Estimates(tiny, records=[Record("sample", half, 100.0), Record("probe", ARM, 7.0)])
    assert estimates.hours("sample", job) == (pytest.approx(100 / 3600), "records")
    assert estimates.hours("sample", work.work(tiny, "sample", long))[0] == pytest.approx(100 / 3600)
    fourth = work.work(
        replace(tiny, benchmarks={"test": tiny.benchmarks["test"].model_copy(update={"problems": 25})}),
        "sample",
        ARM,
    )
    assert estimates.hours("sample", fourth)[0] == pytest.approx(25 / 3600)
    assert estimates.hours("table", work.work(tiny, "table", {"table": "a"})) == (None, "unknown")


def test_rules_without_a_known_volume_take_the_mean(study: Study) -> None:
    tiny = small(study)
    records = [Record("table", {"table": name}, seconds) for name, seconds in (("a", 10.0), ("b", 20.0))]
    assert Estimates(tiny, records=records).hours("table", work.work(tiny, "table", {"table": "c"})) == (
        pytest.approx(15 / 3600),
        "records",
    )


# What all jobs cost together ----------------------------------------------------------------------------


def costs(study: Study, jobs: Sequence[Job], seconds: Mapping[str, float]) -> plan.Plan:
    """Plan jobs of a study of small models whose rules take so many seconds."""
    records = [Record(rule, {}, time) for rule, time in seconds.items()]
    return plan.plan(small(study), jobs, Estimates(small(study), records=records))


def table(name: str, *needs: int, todo: bool = True) -> Job:
    return Job("table", {"table": name}, needs, todo=todo)


def figure(name: str, *needs: int) -> Job:
    return Job("figure", {"figure": name}, needs)


def test_a_known_plan(study: Study) -> None:
    jobs = [
        Job("world", {"benchmark": "x"}),
        Job("scaffold", {"benchmark": "x"}, [0], cores=2),
        Job("world", {"benchmark": "y"}),
        table("a", 1),
        table("b", 1, 2),
        figure("d", 3),
        Job("collect_numbers", {}, [3, 4]),
    ]
    found = costs(
        study, jobs, {"world": 3600, "scaffold": 7200, "table": 360, "figure": 36, "collect_numbers": 36}
    )
    assert found.total.cost == Cost(7, 0, cpu_hours=pytest.approx(1 + 4 + 1 + 0.1 + 0.1 + 0.01 + 0.01))
    assert found.total.longest_hours == pytest.approx(1 + 2 + 0.1 + 0.01)
    assert [job.rule for job, _ in found.path] == ["world", "scaffold", "table", "figure"]
    assert [hours for _, hours in found.path] == pytest.approx([1, 2, 0.1, 0.01])
    by_rule = {line.name: line for line in found.of("rule")}
    assert {name: line.cost.jobs for name, line in by_rule.items()} == {
        "world": 2,
        "scaffold": 1,
        "table": 2,
        "figure": 1,
        "collect_numbers": 1,
    }
    assert by_rule["scaffold"].longest_hours == pytest.approx(2) and by_rule["scaffold"].basis == "records"
    alone = {line.name: line for line in found.of("artifact")}
    assert [line.name for line in found.of("artifact")] == ["figure d", "table a", "table b"]
    assert alone["table a"].cost == Cost(3, 0, cpu_hours=pytest.approx(5.1))
    assert alone["table a"].published == "Table 1"
    assert alone["figure d"].longest_hours == pytest.approx(3.11)
    own = {line.name: line.cost for line in found.of("own")}
    assert own == {  # table a is part of figure d
        "figure d": Cost(2, 0, cpu_hours=pytest.approx(0.11)),
        "table b": Cost(2, 0, cpu_hours=pytest.approx(1.1)),
    }
    assert found.of("shared")[0].cost == Cost(2, 0, cpu_hours=pytest.approx(5))
    assert found.of("other")[0].cost == Cost(1, 0, cpu_hours=pytest.approx(0.01))


def test_what_is_finished_costs_nothing(study: Study) -> None:
    jobs = [Job("world", {}, todo=False), table("a", 0, todo=False), table("b", 0), figure("d", 1, 2)]
    found = costs(study, jobs, {"world": 3600, "table": 360, "figure": 36})
    assert found.finished == 2
    assert found.total.cost == Cost(2, 0, cpu_hours=pytest.approx(0.11))
    assert found.total.longest_hours == pytest.approx(0.11)
    assert [job.rule for job, _ in found.path] == ["table", "figure"]
    assert [line.name for line in found.of("artifact")] == ["figure d", "table b"]


def test_unknown_times_are_counted(study: Study) -> None:
    found = costs(study, [Job("world", {}), Job("world", {}), table("a", 0, 1)], {"table": 360})
    assert found.total.cost == Cost(3, 2, cpu_hours=pytest.approx(0.1))
    assert found.total.basis == "records and unknown"
    text = report.printed(found, small(study))
    assert "The time of 2 jobs is unknown" in text and "world" in text.splitlines()[-1]


def test_nothing_left(study: Study) -> None:
    for jobs in ([], [table("a", todo=False)]):
        found = costs(study, jobs, {})
        assert found.total.cost == Cost() and found.path == []
        assert report.printed(found, study)


def test_gpus_downloads_and_disk_are_added(study: Study) -> None:
    jobs = [
        Job("download_model", {"model": "five", "seed": "0"}),
        Job("sample", {**ARM, "shard": "000"}, [0], cores=8, gpus=1),
        Job("train", {"run": "grpo", "seed": "0"}, [0], cores=32, gpus=8),
    ]
    found = plan.plan(study, jobs, Estimates(study)).total.cost
    sampled, trained = hours(study, "sample", **ARM), hours(study, "train", run="grpo")
    assert found.gpu_hours == pytest.approx(sampled + 8 * trained)
    assert found.cpu_hours == pytest.approx(
        8 * sampled + 32 * trained + hours(study, "download_model", model="five")
    )
    assert found.download_gb == 10 and found.scratch_gb == 120
    assert found.disk_gb == pytest.approx(10 + 30 + work.work(study, "sample", ARM).disk)


@st.composite
def workflows(draw: st.DrawFn) -> list[Job]:
    """Any workflow with some of the tables and figures, partly finished."""
    rules = draw(st.lists(st.sampled_from(["world", "scaffold", "collect_numbers"]), max_size=8))
    made = draw(
        st.permutations([("table", "a"), ("table", "b"), ("table", "c"), ("figure", "d"), ("figure", "e")])
    )
    wanted = [*((rule, {}) for rule in rules), *((rule, {rule: name}) for rule, name in made)]
    jobs: list[Job] = []
    for rule, wildcards in draw(st.permutations(wanted)):
        needs = draw(st.sets(st.integers(0, len(jobs) - 1), max_size=3)) if jobs else set()
        jobs.append(Job(rule, wildcards, sorted(needs), draw(st.integers(1, 4)), 0, draw(st.booleans())))
    return jobs


def upstream(jobs: Sequence[Job], place: int) -> set[int]:
    return {place}.union(*(upstream(jobs, needed) for needed in jobs[place].needs))


@given(workflows())
def test_own_shared_and_other_make_the_total(study: Study, jobs: list[Job]) -> None:
    found = costs(study, jobs, {"world": 5, "scaffold": 11, "table": 17, "figure": 2})
    parts = [line.cost for part in ("own", "shared", "other") for line in found.of(part)]
    total = found.total.cost
    assert sum(parts, Cost()) == replace(total, cpu_hours=pytest.approx(total.cpu_hours))
    rules = sum((line.cost for line in found.of("rule")), Cost())
    assert rules == replace(total, cpu_hours=pytest.approx(total.cpu_hours))
    assert sum(hours for _, hours in found.path) == pytest.approx(found.total.longest_hours)
    alone = {line.name: line.cost for line in found.of("artifact")}
    for place, job in enumerate(jobs):
        if job.rule in job.wildcards:
            needed = [jobs[at] for at in upstream(jobs, place) if jobs[at].todo]
            name = f"{job.rule} {job.wildcards[job.rule]}"
            assert alone.get(name, Cost()).jobs == len(needed)
            assert alone.get(name, Cost()).unknown == sum(needy.rule == "collect_numbers" for needy in needed)
    for line in found.of("own"):
        assert line.cost.jobs <= alone[line.name].jobs and line.longest_hours <= found.total.longest_hours


def test_csv_round_trip(study: Study, tmp_path: Path) -> None:
    jobs = [Job("world", {}), table("a", 0), figure("d", 1), Job("download_model", {"model": "five"})]
    found = costs(study, jobs, {"world": 1234.5, "table": 1 / 3, "figure": 7})
    write_csv(tmp_path / "plan.csv", [line.cells() for line in found.lines], exact=True)
    with (tmp_path / "plan.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.lines)
    for row, line in zip(rows, found.lines, strict=True):
        assert row == {name: str(cell) for name, cell in line.cells().items()}
        read = {field.name: type(getattr(line.cost, field.name))(row[field.name]) for field in fields(Cost)}
        assert Cost(**read) == line.cost


# The command --------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "scripts/plan.py", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout if done.returncode == 0 else f"exit status {done.returncode}\n{done.stdout}"


def planned(folder: Path, *arguments: str) -> pd.DataFrame:
    """Run the command and return its CSV, by part and name."""
    shown = run(folder, *arguments, "--csv", "plan.csv")
    assert "exit status" not in shown, shown
    frame = pd.read_csv(folder / "plan.csv", keep_default_na=False)
    assert f"{frame.set_index('part').jobs['total']:,} jobs to run" in shown
    return frame.set_index(["part", "name"])


SEVERAL = """
import contextlib, io, json, runpy, sys
sys.path.insert(0, "scripts")
said = []
for arguments in json.loads(sys.argv[1]):
    sys.argv, shown, status = ["scripts/plan.py", *arguments], io.StringIO(), 0
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            runpy.run_path("scripts/plan.py", run_name="__main__")
        except SystemExit as end:
            status = end.code
    said.append([status, shown.getvalue()])
print(json.dumps(said))
"""
"""Calls the command several times in one process, which spares the start of Snakemake."""


TINY = ("--configfile", "tests/tiny/config.yaml")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which two jobs of the tiny study have run; scaled.yaml is that study on GPUs."""
    needs.require("sandbox")  # the tiny study has programs
    folder = copy_repository(tmp_path_factory.mktemp("clone"))
    settings = yaml.safe_load((folder / "tests/tiny/config.yaml").read_text())
    settings["scale"] = {"gpu": "big", "shard_hours": 0.01, "cores_per_gpu": 2}
    settings["sheets"]["throughputs"] = "made.tsv"
    del settings["sampling"]["shards"]
    settings["sampling"]["max_new_tokens"] = 2000
    (folder / "scaled.yaml").write_text(yaml.safe_dump({**settings, "study": "tiny"}))
    sheet(folder / "made.tsv", sheet_rows.Throughput, *SPEEDS)
    faster = [{**row, "tokens_per_second": 2000} for row in SPEEDS if row["gpu"] == "big"]
    sheet(folder / "faster.tsv", sheet_rows.Throughput, *faster)
    targets = ("results/tiny/problems/hard.parquet", "results/tiny/prompts/hard/world.parquet")
    done = subprocess.run(command(*targets), cwd=folder, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def everything(clone: Path) -> pd.DataFrame:
    return planned(clone, "--all", *TINY)


@pytest.mark.slow
def test_the_plan_has_the_jobs_of_a_dry_run(clone: Path, everything: pd.DataFrame) -> None:
    shown = subprocess.run(command("-n", "--forceall", "all"), cwd=clone, text=True, capture_output=True)
    lines = (shown.stdout + shown.stderr).split("Job stats:\n")[1].split("\n\n")[0].splitlines()[2:]
    stats = {rule: int(count) for rule, count in map(str.split, lines)}
    assert everything.loc["rule"].jobs.to_dict() == {
        rule: n for rule, n in stats.items() if rule not in ("all", "total")
    }


@pytest.mark.slow
def test_finished_jobs_cost_nothing_and_tell_what_others_take(clone: Path, everything: pd.DataFrame) -> None:
    left = planned(clone, *TINY)
    for rule in ("world", "scaffold"):
        assert left.jobs["rule", rule] == everything.jobs["rule", rule] - 1
        assert left.basis["rule", rule] == "records" and left.cpu_hours["rule", rule] > 0
    assert left.basis["rule", "train"] == "unknown" and left.cpu_hours["rule", "train"] == 0
    assert left.unknown["rule", "train"] == left.jobs["rule", "train"]
    assert "Study tiny: 0 jobs to run, 1 finished." in run(clone, "results/tiny/problems/hard.parquet", *TINY)


@pytest.mark.slow
def test_one_artifact(clone: Path) -> None:
    frame = planned(clone, "figures/tiny/passk.pdf", *TINY)
    assert list(frame.loc["own"].index) == ["figure passk"]
    assert frame.jobs["own", "figure passk"] == frame.jobs["total", "all"]
    assert frame.published["artifact", "figure passk"] == "Yue et al. 2025, Figures 2 and 9"


@pytest.mark.slow
def test_other_throughputs_change_the_estimate_and_not_the_shards(clone: Path) -> None:
    study = ("results/tiny/counts/base/seed-0/hard.parquet", "--all", "--configfile", "scaled.yaml")
    plain = planned(clone, *study)
    assert plain.jobs["rule", "sample"] > 1 and plain.basis["rule", "sample"] == "statements"
    for other, factor in ((("--throughputs", "faster.tsv"), 0.5), (("--gpu", "small"), 2)):
        frame = planned(clone, *study, *other)
        assert frame.jobs.equals(plain.jobs)
        start = plain.jobs["rule", "sample"] * work.SECONDS["sample"] / 3600
        assert frame.gpu_hours["rule", "sample"] - start == pytest.approx(
            factor * (plain.gpu_hours["rule", "sample"] - start)
        )


@pytest.mark.slow
def test_every_job_of_the_published_study_has_an_estimate(clone: Path) -> None:
    frame = planned(clone, "--configfile", "config/published.yaml")
    assert frame.basis["total", "all"] == "statements" and frame.unknown["total", "all"] == 0
    # A shard takes what it is meant to take, and the start of the engine.
    longest = yaml_files.read_yaml(clone / "config/published.yaml")["scale"]["shard_hours"]
    assert frame.longest_hours["rule", "sample"] < longest + 0.2


@pytest.mark.slow
def test_mistakes_end_in_one_line(clone: Path) -> None:
    scaled = ("--configfile", "scaled.yaml", "results/tiny/counts/base/seed-0/hard.parquet")
    mistakes = (
        (("nothing.txt", *TINY), "Snakemake cannot plan nothing.txt: No rule to produce nothing.txt"),
        (("--configfile", "absent.yaml"), "absent.yaml: no such file"),
        (("--gpu", "big", *TINY), "study 'tiny' has no `scale`"),
        (("--gpu", "huge", *scaled), "made.tsv: no row for gpu 'huge', task '"),
        (("--throughputs", "absent.tsv", *scaled), "absent.tsv: cannot read the sheet"),
    )
    command = [sys.executable, "-c", SEVERAL, json.dumps([arguments for arguments, _ in mistakes[1:]])]
    done = subprocess.run(command, cwd=clone, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    shown = run(clone, *mistakes[0][0])  # as from a shell
    assert shown.startswith(f"exit status 1\nerror: {mistakes[0][1]}") and shown.count("\n") == 2, shown
    for (_, message), (status, said) in zip(mistakes[1:], json.loads(done.stdout), strict=True):
        assert str(status).startswith(f"error: {message}") and "\n" not in str(status) and not said


@pytest.mark.slow
def test_a_broken_record_is_named(clone: Path) -> None:
    record = clone / "results/tiny/verdicts/base/seed-0/hard/shard-000.record.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"format": 1}')
    try:
        shown = run(clone, *TINY)
        assert "shard-000.record.json: not a job's record" in shown
    finally:
        record.unlink()
