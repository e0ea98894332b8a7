"""The whole workflow at the smallest size, in a copy of the repository: run, changed, killed, attacked."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tiny import ROOT, STUDY, command, copy_repository, planned, snakemake

from anatomy.audit import job_record
from anatomy.problems import math_sets
from anatomy.storage import parquet

pytestmark = pytest.mark.slow


def digests(folder: Path) -> dict[str, str]:
    """Return the checksum of every model's weights."""
    return {
        str(path.parent.relative_to(folder)): json.loads(path.read_text())["model.safetensors"]
        for path in sorted(folder.glob(f"{STUDY}/models/**/manifest.json"))
    }


def test_every_artifact_is_there(finished: Path) -> None:
    assert (finished / "paper/tiny.pdf").read_bytes().startswith(b"%PDF")
    artifacts = yaml.safe_load((finished / "tests/tiny/artifacts.yaml").read_text())
    for figure in artifacts["figures"]:
        for suffix in ("pdf", "svg", "png"):
            assert (finished / f"figures/tiny/{figure}.{suffix}").stat().st_size > 1000
    for table in artifacts["tables"]:
        assert len((finished / f"{STUDY}/tables/{table}.csv").read_text().splitlines()) > 1
    numbers = json.loads((finished / f"{STUDY}/numbers.json").read_text())
    passk = numbers["passk/base/all/hard/answer/1/estimate"]
    assert (finished / passk["file"]).exists() and len(passk["interval"]) == 2


def test_no_job_takes_more_than_three_gib(finished: Path) -> None:
    for job in job_record.within(finished / STUDY, finished / "figures/tiny"):
        assert job.run["peak_memory_mib"] < 3 * 1024, f"{job.name}: {job.run['peak_memory_mib']} MiB"


def test_a_finished_study_has_nothing_to_do(finished: Path) -> None:
    assert planned(finished) == {}


def test_file_times_do_not_matter(again: Path) -> None:
    for place, path in enumerate(sorted(again.rglob("*"), reverse=True)):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path, (1_700_000_000 + place, 1_700_000_000 + place))
    assert planned(again) == {}


def test_results_copied_into_a_fresh_clone_need_nothing(finished: Path, tmp_path: Path) -> None:
    clone = copy_repository(tmp_path / "clone")
    for part in ("figures", "results"):
        shutil.copytree(finished / part, clone / part, copy_function=shutil.copy)
    for name in ("tiny.pdf", "tiny.record.json", "tiny-numbers.tex", "tiny-numbers.record.json"):
        shutil.copy(finished / "paper" / name, clone / "paper")
    assert planned(clone) == {}
    command = [sys.executable, "scripts/audit.py", "--study", "tiny", "verify"]
    done = subprocess.run(command, cwd=clone, text=True, capture_output=True)
    assert done.returncode == 0 and done.stdout.startswith("nothing differs"), done.stdout + done.stderr


def test_results_restored_from_a_backup_need_nothing(again: Path) -> None:
    models = again / f"{STUDY}/models"
    shutil.copytree(models, again / "backup")  # with their times
    shutil.rmtree(models)
    assert "pretrain" in planned(again)
    shutil.copytree(again / "backup", models, copy_function=shutil.copy)
    assert planned(again) == {}


def test_other_content_under_an_older_time_counts(again: Path) -> None:
    template = again / "config/templates/world.yaml"
    template.write_text(template.read_text() + "\n# other\n")
    os.utime(template, (1_000_000_000, 1_000_000_000))
    jobs = planned(again)
    assert {"scaffold", "sample", "train"} <= set(jobs) and "pretrain" not in jobs


def test_a_comment_changes_nothing(again: Path) -> None:
    for path in (again / "scripts").rglob("*.py"):
        path.write_text(path.read_text() + "\n# a comment\n")
    assert planned(again) == {}


def test_a_figures_script_reruns_what_it_draws_alone(again: Path) -> None:
    script = again / "scripts/anatomy/figures/passk.py"
    script.write_text(script.read_text().replace('"pass@k"', '"pass at k"'))
    # of problems and of programs
    assert planned(again, "figures") == {"figure": 2, "figures": 1}
    assert planned(again) == {"figure": 2, "ledger": 1, "typeset": 1, "audit_site": 1}
    done = snakemake(again, "figures/tiny/passk.pdf")
    assert done.returncode == 0 and "1 of 1 steps (100%) done" in done.stdout, done.stdout


def test_a_library_module_reruns_only_what_can_reach_it(again: Path) -> None:
    module = again / "scripts/anatomy/statistics/bootstrap.py"
    module.write_text(module.read_text().replace("draws: int = 2000", "draws: int = 2001"))
    jobs = planned(again)
    assert "table" in jobs and not {"pretrain", "train", "sample", "grade", "count"} & set(jobs)


def test_an_algorithm_reruns_its_own_trainings_and_a_new_one_none(again: Path) -> None:
    folder = again / "scripts/anatomy/algorithms"
    text = (folder / "ppo.py").read_text()
    (folder / "own.py").write_text(text.replace("class Ppo", "class Own"))
    assert planned(again) == {}
    (folder / "ppo.py").write_text(text.replace("value_model = True", "value_model = not False"))
    assert planned(again)["train"] == 1


def test_tables_and_figures_are_the_same_bytes_again(again: Path) -> None:
    found = [*again.glob(f"{STUDY}/tables/*"), *again.glob("figures/tiny/*")]
    files = [path for path in found if not path.name.endswith(".record.json")]  # these tell the time
    files += [again / f"{STUDY}/numbers.json", again / "paper/tiny.pdf", again / "paper/tiny-numbers.tex"]
    before = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    assert snakemake(again, "all").returncode == 0
    assert {path: path.read_bytes() for path in files} == before


def test_a_figure_that_was_lost_is_made_again_once(again: Path) -> None:
    (again / "figures/tiny/passk.pdf").unlink()
    assert snakemake(again, "all").returncode == 0
    assert planned(again) == {}


def test_an_edited_table_is_refused_by_name(again: Path) -> None:
    target = again / f"{STUDY}/counts/base/seed-0/hard.parquet"
    content = bytearray(target.read_bytes())
    content[40] ^= 1
    target.write_bytes(content)
    (again / f"{STUDY}/tables/passk.csv").unlink()
    done = snakemake(again, f"{STUDY}/tables/passk.csv")
    assert done.returncode != 0
    assert "counts/base/seed-0/hard.parquet: altered since it was written" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_truncated_table_is_refused_by_name(again: Path) -> None:
    target = again / f"{STUDY}/verdicts/base/seed-0/hard/shard-000.parquet"
    target.write_bytes(target.read_bytes()[:-20])
    (again / f"{STUDY}/counts/base/seed-0/hard.parquet").unlink()
    done = snakemake(again, f"{STUDY}/counts/base/seed-0/hard.parquet")
    assert done.returncode != 0
    assert "hard/shard-000.parquet: altered since it was written" in done.stdout


def test_a_config_mistake_stops_before_any_job(again: Path) -> None:
    done = subprocess.run(
        [*command(), "--config", "sampling={n: many}", "--", "all"],
        cwd=again,
        text=True,
        capture_output=True,
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "sampling.n: 'many' is not a whole number" in said and "Traceback" not in said


def test_a_script_runs_alone(again: Path) -> None:
    target = again / f"{STUDY}/tables/passk.csv"
    before, record = target.read_bytes(), job_record.read(job_record.path_of(target))
    target.unlink()
    script = [sys.executable, "scripts/table.py", f"{STUDY}/tables/passk.csv"]
    done = subprocess.run(
        [*script, "--configfile", "tests/tiny/config.yaml"], cwd=again, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == before
    # Nothing of Snakemake, which was asked what the job is, has come into its record.
    assert job_record.read(job_record.path_of(target)).digest == record.digest


# Additions --------------------------------------------------------------------------------------------


def digest(texts: list[str]) -> str:
    """Return the digest that the benchmark sheet would have of problems with these texts and the answer 2."""
    return math_sets.content_digest(
        {"problem": str(at), "text": text, "answers": ["2"]} for at, text in enumerate(texts)
    )


def add_line(sheet: Path, name: str, **changes: str) -> None:
    """Append a sheet's last line again, with another name and other changes."""
    header, *lines = sheet.read_text().splitlines()
    columns = header.split("\t")
    row = dict(zip(columns, lines[-1].split("\t"), strict=True)) | {columns[0]: name} | changes
    sheet.write_text("\n".join([header, *lines, "\t".join(row[column] for column in columns)]) + "\n")


def test_an_arm_is_a_line(again: Path) -> None:
    sheet = again / "tests/tiny/arms.tsv"
    add_line(sheet, "cooler", model="base", step="last", base="base", benchmarks="-", temperature="0.9")
    jobs = planned(again)
    assert {rule: jobs.get(rule, 0) for rule in ("pretrain", "train", "sample", "grade", "count")} == {
        "pretrain": 0, "train": 0, "sample": 5, "grade": 5, "count": 5,
    }  # fmt: skip


def test_a_run_is_a_line(again: Path) -> None:
    like = {"algorithm": "rloo", "preset": "plain", "start": "base", "benchmark": "train", "failed_by": "-"}
    add_line(again / "tests/tiny/runs.tsv", "rloo", **like, seeds="0")
    arm = {"model": "rloo", "step": "last", "base": "base", "benchmarks": "hard"}
    add_line(again / "tests/tiny/arms.tsv", "rloo", **arm)
    jobs = planned(again)
    assert jobs["train"] == 1 and jobs["sample"] == 1 and "pretrain" not in jobs


def test_a_benchmark_is_a_line(again: Path) -> None:
    whole = {"source": "world", "template": "world", "grader": "world", "splits_domains": "sums"}
    add_line(again / "tests/tiny/benchmarks.tsv", "longest", splits_steps="6", **whole)
    arms = again / "tests/tiny/arms.tsv"
    add_line(arms, "base-again", model="base", step="last", base="-", benchmarks="longest")
    jobs = planned(again)
    assert jobs["world"] == 1 and jobs["sample"] == 1 and not {"pretrain", "train"} & set(jobs)


def test_a_new_analysis_of_old_samples_runs_no_model(again: Path) -> None:
    path = again / "tests/tiny/artifacts.yaml"
    artifacts = yaml.safe_load(path.read_text())
    artifacts["tables"]["other"] = {**artifacts["tables"]["difference"], "analysis": "difference"}
    path.write_text(yaml.safe_dump(artifacts, sort_keys=False))
    assert planned(again, "tables") == {"table": 1, "tables": 1}


@pytest.mark.needs("sandbox")
def test_real_benchmarks_go_through_the_same_rules(tmp_path: Path) -> None:
    folder = Path(os.environ.get("ANATOMY_BENCHMARKS", ROOT.parent / "shared/benchmarks"))
    if not folder.is_dir():
        pytest.skip(f"the real test sets are not at {folder}")
    study = copy_repository(tmp_path / "real")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "2",
            "--config",
            f"benchmarks_folder={folder}",
            "--",
            "benchmarks",
        ],
        cwd=study,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    problems = [
        parquet.read(p, "problems") for p in sorted((study / "results/embedded/problems").glob("*.parquet"))
    ]
    assert sum(map(len, problems)) == 2836
    prompts = [
        parquet.read(p, "prompts") for p in sorted((study / "results/embedded/prompts").glob("*/*.parquet"))
    ]
    conditions = [frame["condition"].value_counts() for frame in prompts]
    assert sum(int(counts["plain"]) for counts in conditions) == 2836
    assert sum(int(counts.get("partial-4", 0)) for counts in conditions) == 2796
    assert "40 of them without a solution" in done.stderr


@pytest.mark.needs("sandbox")
def test_real_benchmarks_are_annotated(tmp_path: Path) -> None:
    study = copy_repository(tmp_path / "annotated")
    texts = ["Add one and one.", "[[plan-wrong]] Add two and two."]
    problem = {"solution": "It is plain.", "answer": "2", "year": "2024"}
    (study / "sets/aime24").mkdir(parents=True)
    lines = [json.dumps({"id": at, "problem": text, **problem}) for at, text in enumerate(texts)]
    (study / "sets/aime24/test.jsonl").write_text("\n".join(lines))
    sheet = study / "config/benchmarks.tsv"
    sheet.write_text(re.sub(r"(?m)^(aime24\t.*\t)[0-9a-f]{64}\t", rf"\1{digest(texts)}\t", sheet.read_text()))
    server = subprocess.Popen([sys.executable, ROOT / "tests/endpoint.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        endpoint = f"{{folder: null, endpoint: {{url: '{url}', model: small}}}}"
        done = subprocess.run(
            [
                *[sys.executable, "-m", "snakemake", "--cores", "1"],
                *["--config", "benchmarks_folder=sets", f"annotations={endpoint}"],
                *["--", "results/embedded/prompts/aime24/qwen-boxed.parquet"],
            ],
            cwd=study,
            text=True,
            capture_output=True,
        )
    finally:
        server.kill()
    assert done.returncode == 0, done.stderr[-3000:]
    assert "1 annotated, 1 partly" in done.stderr
    annotations = parquet.read(study / "results/embedded/annotations/aime24.parquet", "annotations")
    assert list(annotations["status"]) == ["annotated", "partly"]
    prompts = parquet.read(study / "results/embedded/prompts/aime24/qwen-boxed.parquet", "prompts")
    counts = prompts["condition"].value_counts()
    assert [counts[name] for name in ("plain", "plan", "plan-disordered", "subproblem-2")] == [2, 1, 1, 2]
    (plan,) = prompts.loc[prompts["condition"] == "plan", "prompt"]
    assert "1. Count the words from Add on\n2. Name the last one" in plan


# Killed at any moment ---------------------------------------------------------------------------------


def kill_when(folder: Path, glob: str, *targets: str, count: int = 1) -> None:
    """Start the workflow and kill its whole process group as soon as some files have appeared."""
    process = subprocess.Popen(
        command(*targets),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 900
    while len(list(folder.glob(glob))) < count:
        assert process.poll() is None, f"the workflow ended before {glob} appeared"
        assert time.monotonic() < deadline, f"{glob} did not appear"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_and_continued_ends_in_the_same_study(finished: Path, tmp_path: Path) -> None:
    """Killed while models are pretrained, trained and sampled: on the way to a table that needs them all."""
    folder = copy_repository(tmp_path / "killed")
    work, table = f"{STUDY}/work", f"{STUDY}/tables/accuracy_change.csv"
    kill_when(folder, f"{work}/base/seed-0/checkpoint-*/complete", table)
    assert not (folder / f"{STUDY}/models/base/seed-0").exists()
    kill_when(folder, f"{work}/grpo/seed-*/checkpoint-2/complete", table)
    assert f"{STUDY}/models/base/seed-0/step-120" in digests(folder)
    kill_when(folder, f"{STUDY}/samples/**/shard-000.parquet", table, count=4)
    shards = list(folder.glob(f"{STUDY}/samples/**/shard-000.parquet"))
    kept = {path: path.stat().st_mtime_ns for path in shards}
    assert list((folder / ".snakemake/locks").iterdir())  # which it removes, and nobody is asked to
    done = snakemake(folder, table)
    assert done.returncode == 0, done.stdout[-5000:]
    # Only the jobs in flight, at most one a core, may have written their file and not yet be recorded.
    redone = [path for path, at in kept.items() if path.stat().st_mtime_ns != at]
    assert len(kept) >= 4 and len(redone) <= 2, f"finished shards were redone: {redone}"
    assert not list(folder.glob(f"{STUDY}/**/.partial-*")), "half-written files were left behind"
    assert (folder / table).read_bytes() == (finished / table).read_bytes()
    made, uninterrupted = (digests(study) for study in (folder, finished))
    assert f"{STUDY}/models/grpo/seed-1/step-6" in made and made.items() <= uninterrupted.items()
    # Of records the ledger's root is the digest: the same study has the same root.
    told = [
        {job.name: job.digest for job in job_record.within(study / STUDY)} for study in (folder, finished)
    ]
    assert len(told[0]) > 30 and told[0].items() <= told[1].items()
