"""Chains run again from their records: the same results, from the recorded code, or the reason why not."""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny import ROOT, STUDY

from anatomy.audit import hashing, job_record
from anatomy.audit.job_record import Record
from anatomy.audit.provenance import Trail
from anatomy.audit.reproduce import plan as reproduce_plan
from anatomy.audit.reproduce.agreement_result import DIFFERENT, IDENTICAL
from anatomy.audit.reproduce.environment import build
from anatomy.audit.reproduce.result import FAILED, GIVEN, NOT_RUN, Outcome, lines
from anatomy.audit.reproduce.run import reproduce
from anatomy.errors import AnatomyError

LUCK = "luck/base/hard/1/estimate"
MODEL = f"{STUDY}/models/base/seed-0"


def ran(trail: Trail, name: str, work: Path, **how: Any) -> Outcome:
    return reproduce(trail, name, work, report=lambda _: None, **how)


def outcomes(found: Outcome) -> dict[str, str]:
    return {step.job: step.outcome for step in found.steps if step.outcome != GIVEN}


def record(folder: Path, path: str) -> Record:
    return job_record.read(folder / job_record.path_of(path))


def rewrite(folder: Path, path: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a record's result, and give it the digest that belongs to that."""
    found = record(folder, path)
    result = json.loads(json.dumps(found.result))
    change(result)
    for place in {job_record.path_of(output["path"]) for output in result["outputs"]}:
        job_record.write(folder / place, result, found.run)


# A small study of three jobs, made without Snakemake ----------------------------------------------------

SMALL = "results/small"
PROBLEMS, PROMPTS = f"{SMALL}/problems/own.parquet", f"{SMALL}/prompts/own/world.parquet"
QUESTIONS = [{"q": f"What is {i} + {i}?", "a": str(2 * i)} for i in range(5)]


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def job(folder: Path, script: str, inputs: dict[str, str] | list[str], output: str, **params: Any) -> None:
    """Run a script as the workflow would; it leaves its record."""
    named = inputs if isinstance(inputs, dict) else {}
    told = {
        "script": f"scripts/{script}.py",
        "rule": script,
        "wildcards": {"benchmark": "own"},
        "inputs": [path for path in (named.values() if named else inputs) if path],
        "outputs": [output],
        "named": {"inputs": {name: path or [] for name, path in named.items()}, "outputs": {}},
        "params": params,
        "threads": 1,
        "gpu": 0,
    }
    runner = [sys.executable, str(ROOT / "scripts/_replay.py")]
    with subprocess.Popen(runner, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stderr
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
        said = process.stderr.read()
        assert process.wait() == 0, said.decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two jobs in a repository of its own, with problems from a file elsewhere."""
    outside = tmp_path_factory.mktemp("elsewhere") / "own.jsonl"
    outside.write_text("".join(json.dumps(one) + "\n" for one in QUESTIONS))
    folder = tmp_path_factory.mktemp("small") / "study"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=leave)
    shutil.copytree(ROOT / "config/templates", folder / "config/templates")
    shutil.copytree(ROOT / "envs", folder / "envs")
    (folder / ".gitignore").write_text("results/\n__pycache__/\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "The workflow")
    fields = {"question": "q", "answer": "a", "answer_from": "field"}
    names = dict.fromkeys(("solution", "id", "difficulty", "domain"), "")
    job(folder, "benchmark", [str(outside)], PROBLEMS, benchmark="own", fields=fields | names, sha256="")
    # A comment changes nothing, but the code is another one from here on.
    script = folder / "scripts/scaffold.py"
    script.write_text(script.read_text() + "# The end\n")
    given = {"problems": PROBLEMS, "template": "config/templates/world.yaml", "annotations": ""}
    job(folder, "scaffold", given, PROMPTS, conditions=["plain"])
    git(folder, "checkout", "-q", "--", "scripts")
    (folder / SMALL / "numbers.json").write_text("{}")
    outside.unlink()
    return folder


@pytest.fixture
def small(made: Path, tmp_path: Path) -> Path:
    """A copy of the small study that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "study"))


@pytest.mark.slow
def test_code_and_inputs_come_from_what_was_kept(small: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    found = ran(Trail("small", small), PROMPTS, work)
    assert outcomes(found) == {"benchmark own": IDENTICAL, "scaffold own": IDENTICAL} and found.ok
    commit, changed = git(small, "rev-parse", "HEAD")[:12], record(small, PROMPTS)
    other = f"code/{changed.run['sources'][:12]}"
    assert found.code == [
        f"Code of 1 job: commit {commit}, unchanged",
        f"Code of 1 job (in {other}): commit {commit} with changes to 1 of its {len(changed.code)} files,"
        " which the study kept (scripts/scaffold.py)",
        f"First run on: {changed.run['cpu']}",
    ]
    told = json.loads(json.dumps(found.to_json()))
    assert told["ok"] and told["steps"][1]["outputs"] == [
        {"path": PROMPTS, "outcome": IDENTICAL, "detail": ""}
    ]
    assert (work / other / "scripts/scaffold.py").read_text().endswith("# The end\n")
    assert not (work / "scripts/scaffold.py").read_text().endswith("# The end\n")
    # The file with problems lies nowhere any more but in the store.
    (problems,) = record(small, PROBLEMS).inputs
    assert not Path(problems.path).exists()
    kept = work / "outside" / problems.sha256[:12] / "own.jsonl"
    assert kept.read_text().count("\n") == len(QUESTIONS)


@pytest.mark.slow
def test_a_job_run_again_leaves_the_same_record(small: Path, tmp_path: Path) -> None:
    assert ran(Trail("small", small), PROMPTS, tmp_path / "work").ok
    # The path of its input is another one there, and so are the digests that follow from it.
    again, first = record(tmp_path / "work", PROMPTS).result, record(small, PROMPTS).result
    same = ("rule", "wildcards", "params", "threads", "seeds", "outputs", "named", "environment")
    assert {part: again[part] for part in same} == {part: first[part] for part in same}
    assert set(again["code"].values()) == set(first["code"].values())


@pytest.mark.slow
def test_a_commit_that_the_repository_does_not_have_is_said(small: Path, tmp_path: Path) -> None:
    shutil.rmtree(small / ".git")
    found = ran(Trail("small", small), PROBLEMS, tmp_path / "work")
    assert found.ok and "is not in this repository; its files are those that the study kept" in found.code[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "inside", ["scripts/scaffold.py", "config/templates/world.yaml", "envs/requirements.txt"]
)
def test_a_kept_source_that_was_altered_is_refused_by_name(small: Path, tmp_path: Path, inside: str) -> None:
    found = record(small, PROMPTS)
    store = small / SMALL / "sources"
    listed = json.loads((store / found.run["sources"]).read_text())
    digest = {**listed, **{file.path: file.sha256 for file in found.inputs}}[inside]
    (store / digest).write_bytes((store / digest).read_bytes() + b"\n")
    with pytest.raises(AnatomyError, match=f"{SMALL}/sources/{digest}: {inside}, altered since it was kept"):
        ran(Trail("small", small), PROMPTS, tmp_path / "work")
    assert not list((tmp_path / "work").glob("*")), "what was laid before the mistake was found is left"
    (store / digest).unlink()
    if inside == "config/templates/world.yaml":  # it still lies in the repository, as it was
        assert ran(Trail("small", small), PROMPTS, tmp_path / "work").ok
        (small / inside).write_text("response: another\n")
        with pytest.raises(AnatomyError, match=f"{inside}: altered since it was recorded"):
            ran(Trail("small", small), PROMPTS, tmp_path / "other")
        return
    with pytest.raises(AnatomyError, match=f"{digest}: {inside} is not kept here any more"):
        ran(Trail("small", small), PROMPTS, tmp_path / "work")


def test_a_list_of_sources_of_other_code_is_refused(small: Path, tmp_path: Path) -> None:
    path = small / job_record.path_of(PROMPTS)
    content = json.loads(path.read_text())
    content["run"]["sources"] = record(small, PROBLEMS).run["sources"]
    path.write_text(json.dumps(content))
    with pytest.raises(
        AnatomyError, match="the list of sources that it names is not of the code that it ran"
    ):
        ran(Trail("small", small), PROMPTS, tmp_path / "work")


def test_a_list_of_sources_never_leaves_the_folder(small: Path, tmp_path: Path) -> None:
    path = small / job_record.path_of(PROBLEMS)
    content = json.loads(path.read_text())
    listed = json.loads((small / SMALL / "sources" / content["run"]["sources"]).read_text())
    listed["../escaped.py"] = listed["scripts/_job.py"]
    text = json.dumps(listed).encode()
    content["run"]["sources"] = hashing.of_bytes(text)
    (small / SMALL / "sources" / content["run"]["sources"]).write_bytes(text)
    path.write_text(json.dumps(content))
    with pytest.raises(AnatomyError, match=r"lists \.\./escaped\.py, which is not in the repository"):
        ran(Trail("small", small), PROBLEMS, tmp_path / "work")
    assert not (tmp_path / "escaped.py").exists()


def test_an_edited_record_and_one_that_is_gone_are_refused(small: Path, tmp_path: Path) -> None:
    trail, path = Trail("small", small), small / job_record.path_of(PROBLEMS)
    text = path.read_text()
    path.write_text(text.replace('"answer": "a"', '"answer": "q"'))
    with pytest.raises(AnatomyError, match=r"own\.record\.json: edited since it was written"):
        ran(trail, PROMPTS, tmp_path / "work")
    path.write_text(text)
    rewrite(small, PROBLEMS, lambda result: result["params"].update(benchmark="other"))
    with pytest.raises(
        AnatomyError, match=r"made it for scaffold own \(.*own\.record\.json\) is another one now"
    ):
        ran(trail, PROMPTS, tmp_path / "work")
    path.unlink()
    with pytest.raises(AnatomyError, match="the record of the job that made it for scaffold own is gone"):
        ran(trail, PROMPTS, tmp_path / "work")
    with pytest.raises(AnatomyError, match="no job made it, or its record is gone"):
        ran(trail, PROBLEMS, tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_the_folder_must_be_empty_and_the_choices_known(small: Path, tmp_path: Path) -> None:
    trail, work = Trail("small", small), tmp_path / "work"
    work.mkdir()
    (work / "note").touch()
    with pytest.raises(AnatomyError, match="not an empty folder"):
        ran(trail, PROBLEMS, work)
    with pytest.raises(AnatomyError, match="not an empty folder"):
        ran(trail, PROBLEMS, work / "note")
    with pytest.raises(AnatomyError, match=r"note.*Not a directory; nothing was run"):
        ran(trail, PROBLEMS, work / "note" / "work")
    for wrong in ({"start": "prompts"}, {"environment": "mine"}, {"jobs": 0}):
        with pytest.raises(AnatomyError, match="start is one of data, models, samples"):
            ran(trail, PROBLEMS, tmp_path / "other", **wrong)
    with pytest.raises(AnatomyError, match="starting from models, nothing is left to run"):
        ran(trail, PROMPTS, tmp_path / "other", start="models")
    (work / "note").unlink()
    assert ran(trail, PROBLEMS, work).ok


@pytest.mark.slow
def test_a_job_that_fails_stops_those_behind_it_and_shows_its_log(small: Path, tmp_path: Path) -> None:
    rewrite(small, PROBLEMS, lambda result: result["params"]["fields"].update(question="body"))
    digest = record(small, PROBLEMS).digest
    rewrite(small, PROMPTS, lambda result: result["inputs"][0].update(made_by=digest))
    told: list[str] = []
    found = reproduce(Trail("small", small), PROMPTS, tmp_path / "work", report=told.append)
    assert outcomes(found) == {"benchmark own": FAILED, "scaffold own": NOT_RUN} and not found.ok
    failed, behind = found.steps
    assert "exit status 1" in failed.detail
    assert "error: " in failed.detail and "'body'" in failed.detail
    assert behind.detail == f"an earlier job failed: there is no {PROBLEMS}"
    assert told[-1] == f"[2/2] not run           scaffold own: {behind.detail}"
    assert list(lines(found))[-1] == "2 jobs: 1 failed, 1 not run. Not reproduced."


@pytest.mark.slow
def test_a_result_that_differs_is_told_and_those_behind_it_run_on_it(small: Path, tmp_path: Path) -> None:
    """The record of another question: what is made from it differs, and so does what follows."""
    rewrite(small, PROBLEMS, lambda result: result["params"]["fields"].update(question="a"))
    digest = record(small, PROBLEMS).digest
    rewrite(small, PROMPTS, lambda result: result["inputs"][0].update(made_by=digest))
    found = ran(Trail("small", small), PROMPTS, tmp_path / "work")
    assert outcomes(found) == {"benchmark own": DIFFERENT, "scaffold own": DIFFERENT} and not found.ok
    assert found.steps[0].detail == "column text differs, first in row 0"
    assert found.steps[1].detail == "column prompt differs, first in row 0"


# The environment ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_another_environment_is_refused_with_its_differences_or_told(small: Path, tmp_path: Path) -> None:
    packages = record(small, PROBLEMS).result["environment"]["packages"]
    other = dict.fromkeys(list(packages)[:4], "0.0.1")
    rewrite(
        small,
        PROBLEMS,
        lambda result: result["environment"].update(python="3.9.1", packages=packages | other),
    )
    first, second, *_ = other
    said = (
        f"python 3.9.1 (here {sys.version.split()[0]}), {first} 0.0.1 (here {packages[first]}),"
        f" {second} 0.0.1 (here {packages[second]}) and 2 more"
    )
    with pytest.raises(AnatomyError) as error:
        ran(Trail("small", small), PROBLEMS, tmp_path / "work")
    assert said in str(error.value) and "--environment current" in str(error.value)
    assert not (tmp_path / "work").exists()
    told: list[str] = []
    found = reproduce(
        Trail("small", small), PROBLEMS, tmp_path / "work", environment="current", report=told.append
    )
    assert told[0] == f"The environment is not the recorded one: {said}"
    assert outcomes(found) == {"benchmark own": IDENTICAL}


def wheel(folder: Path, name: str, version: str) -> str:
    """Write a package that holds nothing; return the line of a lock."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        listed = []
        for place, text in files.items():
            file.writestr(place, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            listed.append(f"{place},sha256={digest},{len(text)}")
        file.writestr(f"{info}/RECORD", "\n".join([*listed, f"{info}/RECORD,,"]) + "\n")
    return f"{name}=={version} --hash=sha256:{hashing.sha256(path)}\n"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip finds packages in."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.slow
def test_an_environment_is_built_from_a_lock_and_the_recorded_torch(wheels: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(wheel(wheels, "recorded", "1.2"))
    wheel(wheels, "torch", "2.0+cpu")
    python = build(tmp_path / "environment", lock, "2.0+cpu")
    ask = "import recorded, torch, importlib.metadata as m; print(m.version('recorded'), m.version('torch'))"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1.2", "2.0+cpu"]


@pytest.mark.slow
def test_an_environment_that_cannot_be_built_as_recorded_is_refused(
    small: Path, wheels: Path, tmp_path: Path
) -> None:
    trail = Trail("small", small)

    def locked(path: str, text: str) -> None:
        digest = hashing.of_bytes(text.encode())
        (small / SMALL / "sources" / digest).write_text(text)
        rewrite(
            small,
            PROBLEMS,
            lambda result: result["environment"].update(lock={"path": path, "sha256": digest}),
        )

    line = wheel(wheels, "recorded", "1.2")
    locked("envs/requirements.txt", line)
    with pytest.raises(AnatomyError, match=r"is not the recorded environment: .* \(here none\)"):
        ran(trail, PROBLEMS, tmp_path / "one", environment="build")
    locked("envs/requirements.txt", line.replace("1.2", "1.3"))
    with pytest.raises(AnatomyError, match=r"the environment cannot be made; .*\.log ends:\n(.*\n)*.*1\.3"):
        ran(trail, PROBLEMS, tmp_path / "two", environment="build")
    locked("envs/analysis.yaml", "dependencies: []")
    with pytest.raises(AnatomyError, match=r"envs/analysis\.yaml is an environment of conda"):
        ran(trail, PROBLEMS, tmp_path / "three", environment="build")
    rewrite(small, PROBLEMS, lambda result: result["environment"].update(lock=None))
    with pytest.raises(AnatomyError, match="benchmark own: no lock is recorded"):
        ran(trail, PROBLEMS, tmp_path / "four", environment="build")


# The tiny study -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_figure_from_counts_its_data_and_its_picture(finished: Path, tmp_path: Path) -> None:
    found = ran(Trail("tiny", finished), "figure:luck", tmp_path / "work", start="counts")
    assert outcomes(found) == {"table luck": IDENTICAL, "figure luck": IDENTICAL} and found.ok
    table, figure = found.steps[-2:]
    assert figure.detail == "data: luck identical; picture: identical"
    assert {Path(output.path).suffix for output in figure.outputs} == {".pdf", ".png", ".svg"}
    given = {output.path for step in found.steps if step.outcome == GIVEN for output in step.outputs}
    assert given == {file.path for file in record(finished, table.outputs[0].path).inputs}
    # What was made again tells the same story, word by word.
    for step in (table, figure):
        path = step.outputs[0].path
        assert record(tmp_path / "work", path).digest == record(finished, path).digest
    assert "9 jobs of count" in "\n".join(lines(found))


@pytest.mark.slow
def test_a_number_again_from_data(finished: Path, tmp_path: Path) -> None:
    """Pretraining, two runs of GRPO, samples, verdicts, counts and the table, and the number from it."""
    trail = Trail("tiny", finished)
    name = next(name for name in trail.numbers if name.startswith("envelope/GRPO/"))
    told: list[str] = []
    found = reproduce(trail, name, tmp_path / "work", jobs=2, report=told.append)
    assert found.ok and not any(step.outcome == GIVEN for step in found.steps)
    rules = {step.job.split()[0] for step in found.steps}
    assert rules == {"world", "scaffold", "pretrain", "train", "sample", "grade", "count", "table"}
    assert {output.outcome for step in found.steps for output in step.outputs} == {IDENTICAL}
    (number,) = found.numbers
    assert number.outcome == IDENTICAL and number.again == number.recorded
    assert number.recorded.startswith(trail.numbers[name]["text"])
    assert told[0].startswith(f"{len(found.steps)} jobs to run, ") and " s when recorded" in told[0]
    assert sum(line.startswith("[") for line in told) == len(found.steps)


CHEAP = {
    "world": (f"{STUDY}/problems/hard.parquet", "data"),
    "scaffold": (f"{STUDY}/prompts/hard/world.parquet", "data"),
    "grade": (f"{STUDY}/verdicts/grpo/seed-0/hard/shard-000.parquet", "samples"),
    "count": (f"{STUDY}/counts/grpo/seed-0/hard.parquet", "verdicts"),
    "count_probes": (f"{STUDY}/counts/base/seed-0/ladder/probes.parquet", "verdicts"),
    "table": (f"{STUDY}/tables/conditions.csv", "counts"),
    "figure": ("figure:passk", "tables"),
    "collect_numbers": (f"{STUDY}/numbers.json", "tables"),
}
"""Of each rule without a model a file to make again, and from where."""


@pytest.mark.slow
@pytest.mark.parametrize("rule", CHEAP)
def test_the_records_of_each_rule_can_be_run_again(finished: Path, tmp_path: Path, rule: str) -> None:
    name, start = CHEAP[rule]
    found = ran(Trail("tiny", finished), name, tmp_path / "work", start=start)
    assert {job.split()[0] for job in outcomes(found)} <= {rule, "world"}
    assert rule in {job.split()[0] for job in outcomes(found)}
    assert set(outcomes(found).values()) == {IDENTICAL}


@pytest.mark.slow
def test_the_ledger_is_no_result_to_make_again(finished: Path, tmp_path: Path) -> None:
    """It lists the records of a run, so that it is `verify` which says whether it is right."""
    with pytest.raises(AnatomyError, match="nothing is left to run"):
        ran(Trail("tiny", finished), f"{STUDY}/ledger.json", tmp_path / "work")


@pytest.mark.slow
def test_a_chain_starts_where_it_is_told_to(finished: Path) -> None:
    trail = Trail("tiny", finished)
    rules: dict[str, set[str]] = {}
    given: dict[str, set[str]] = {}
    for start in reproduce_plan.STARTS:
        targets = [f"{STUDY}/tables/scaffolding.csv", f"{trail.figures}/scaffolding.svg"]
        plan = reproduce_plan.planned(trail, targets, start)
        rules[start] = {record.rule for record in plan.run}
        given[start] = {Path(path).parts[2] for path in plan.given}
        made = {file.path for record in plan.run for file in record.outputs} | plan.given.keys()
        raw = {file.path for file in plan.raw}
        assert all(file.path in made | raw for record in plan.run for file in record.inputs)
        assert not made & raw
    of_models = {"pretrain", "train", "finetune"}
    after = {"sample", "grade", "count", "table", "figure"}
    # Problems that a model fails come after its samples; the others are data.
    assert rules["data"] >= of_models | after | {"world", "scaffold"} and given["data"] == set()
    assert rules["models"] - {"match_entropy"} == after | {"world", "scaffold"}
    assert given["models"] == {"models", "training", "problems", "prompts"}
    assert rules["samples"] == (after | {"world", "scaffold"}) - {"sample"}
    assert given["samples"] == {"samples", "training", "problems", "prompts"}
    assert rules["verdicts"] == {"world", "count", "table", "figure"} and "verdicts" in given["verdicts"]
    assert rules["counts"] == {"table", "figure"} and given["counts"] == {"counts", "training", "problems"}
    assert rules["tables"] == {"figure"} and given["tables"] == {"tables"}


@pytest.mark.slow
def test_every_job_has_its_stage(finished: Path) -> None:
    for job in Trail("tiny", finished).jobs:
        parts = Path(job.outputs[0].path).parts
        known = parts[0] == "results" and parts[2] in reproduce_plan._STAGES
        assert known or job.rule in ("figure", "collect_numbers", "typeset", *reproduce_plan.OUTSIDE)


@pytest.mark.slow
def test_the_code_that_is_checked_out_does_not_matter(again: Path, tmp_path: Path) -> None:
    """The analysis, the script and the library's reader of tables are other ones today."""
    for name in (
        "scripts/anatomy/analyses/luck.py",
        "scripts/anatomy/analyses/inputs.py",
        "scripts/table.py",
    ):
        (again / name).write_text("raise RuntimeError('the code of today')\n")
    code = (
        "from pathlib import Path; from anatomy.audit.reproduce.result import lines;"
        "from anatomy.audit.reproduce.run import reproduce;"
        "from anatomy.audit.provenance import Trail;"
        "found = reproduce(Trail('tiny'), 'table:luck', Path('work'), start='counts', report=print);"
        "print(*lines(found), sep='\\n'); assert found.ok"
    )
    environment = os.environ | {"PYTHONPATH": "scripts"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=again, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical         table luck" in done.stdout and "Reproduced." in done.stdout


@pytest.mark.slow
def test_a_model_altered_in_the_study_is_told_by_name(again: Path, tmp_path: Path) -> None:
    trail = Trail("tiny", again)
    (weights,) = (again / MODEL).glob("*/model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    samples = f"{STUDY}/samples/base/seed-0/hard/shard-000.parquet"
    with pytest.raises(
        AnatomyError, match=f"{MODEL}: altered since it was recorded, so it cannot be taken as"
    ):
        ran(trail, samples, tmp_path / "one", start="models")
    assert not list((tmp_path / "one").glob("*"))
    found = ran(trail, MODEL, tmp_path / "two")
    assert outcomes(found) == {"pretrain base 0": DIFFERENT} and not found.ok
    told = {output.path: output for output in found.steps[0].outputs}
    assert told[MODEL].detail == "the study's file was altered since; made again it is as it was recorded"
    assert "pretrain base 0" in "\n".join(lines(found))
    shutil.rmtree(again / MODEL)
    with pytest.raises(AnatomyError, match=f"{MODEL}: not here any more"):
        ran(trail, samples, tmp_path / "three", start="models")


def running(child: psutil.Process) -> bool:
    return child.is_running() and child.status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_job_goes_on_when_its_caller_is_ended(
    finished: Path, tmp_path: Path, number: signal.Signals
) -> None:
    code = (
        "import sys; from pathlib import Path; from anatomy.audit.reproduce.run import reproduce;"
        "from anatomy.audit.provenance import Trail;"
        f"reproduce(Trail('tiny', Path(sys.argv[1])), '{MODEL}', Path(sys.argv[2]), report=print)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    words = [sys.executable, "-c", code, str(finished), str(tmp_path / "work")]
    with subprocess.Popen(
        words, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as caller:
        log = tmp_path / f"work/logs/{MODEL}.log"
        for _ in waiting(60):
            if log.exists() and psutil.Process(caller.pid).children():
                break
        time.sleep(0.3)
        children = psutil.Process(caller.pid).children(recursive=True)
        assert children
        caller.send_signal(number)
        caller.wait(20)
    for _ in waiting(20):
        if not any(map(running, children)):
            return
    raise AssertionError("a job is still running")


def waiting(seconds: float) -> Iterator[None]:
    """Yield again and again, until so many seconds have passed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(0.1)
