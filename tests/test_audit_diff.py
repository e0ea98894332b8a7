"""What `diff` says of two studies and two commits: which numbers changed, how much, from which step on."""

import copy
import gzip
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import STUDY, snakemake

from anatomy.audit import archive, hashing, source_diff
from anatomy.audit.diff import report
from anatomy.audit.diff.compare import compare
from anatomy.audit.diff.result import Cause, Changed, Difference, Group
from anatomy.audit.diff.side import Side, side
from anatomy.audit.provenance import Trail
from anatomy.errors import AnatomyError

NUMBERS = f"{STUDY}/numbers.json"


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@localhost"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def collected_at(folder: Path) -> str:
    """Return the commit at which the numbers were collected."""
    record = Trail("tiny", folder).maker(NUMBERS)
    assert record
    return str(record.run["git"]["commit"])


@pytest.fixture(scope="module")
def changed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which an option of a table and a function behind another were changed, committed, run."""
    folder = tmp_path_factory.mktemp("changed") / "study"
    shutil.copytree(finished, folder, symlinks=True)
    artifacts = folder / "tests/tiny/artifacts.yaml"
    artifacts.write_text(artifacts.read_text().replace("margin: 0.05 ", "margin: 0.1 "))
    module = folder / "scripts/anatomy/statistics/sampling_efficiency.py"
    module.write_text(module.read_text().replace("arm.c / arm.n for arm", "arm.c / (arm.n + 1) for arm"))
    git(folder, "commit", "-q", "-a", "-m", "Another margin; another estimate")
    done = snakemake(folder, f"{STUDY}/ledger.json")
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


def by_job(difference: Difference) -> dict[str, Group]:
    """Return the groups by the one job at which their chains part."""
    groups = {}
    for group in difference.groups:
        ((step,),) = group.first
        groups[step.job] = group
    return groups


def differing(a: Path, b: Path) -> set[str]:
    """Return the ids of numbers that differ between two files of numbers."""
    one, two = (json.loads((folder / NUMBERS).read_text()) for folder in (a, b))
    return {name for name in one if one[name] != two[name]}


# Real studies ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_unchanged_copies_do_not_differ(finished: Path, again: Path) -> None:
    found = compare(side(str(finished)), side(f"{again}:tiny"))
    assert (found.only_a, found.only_b, found.groups, found.files, found.records) == ([], [], [], [], [])
    assert found.same == len(Trail("tiny", finished).numbers)
    assert list(report.lines(found))[-1].startswith("the same root")


@pytest.mark.slow
def test_the_first_step_and_its_cause_are_named_exactly(finished: Path, changed: Path) -> None:
    found = compare(side(str(finished)), side(str(changed)))
    groups = by_job(found)
    assert set(groups) == {"table equivalence", "table efficiency"}
    (margin,) = groups["table equivalence"].first[0][0].causes
    assert margin == Cause("params", "options.margin", 0.05, 0.1)
    (code,) = groups["table efficiency"].first[0][0].causes
    assert (code.kind, code.what) == ("code", "scripts/anatomy/statistics/sampling_efficiency.py")
    assert code.names == ("by_problem()",)
    assert all(not group.later for group in found.groups)


@pytest.mark.slow
def test_every_number_that_changed_is_told_and_no_other(finished: Path, changed: Path) -> None:
    found = compare(side(str(finished)), side(str(changed)))
    ids = [one.id for one in found.changed]
    assert set(ids) == differing(finished, changed) and len(ids) == len(set(ids))
    # Table tests is made from table equivalence.
    assert {name.partition("/")[0] for name in ids} == {"equivalence", "tests", "efficiency"}
    assert found.same + len(ids) == len(Trail("tiny", finished).numbers)
    ratios = [-1.0 if one.ratio is None else one.ratio for one in found.changed]
    assert ratios == sorted(ratios, reverse=True)
    assert f"{STUDY.replace('tiny', '*')}/tables/equivalence.csv" in found.files
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.slow
def test_two_commits_are_compared_from_history(finished: Path, changed: Path) -> None:
    first, second = collected_at(finished), git(changed, "rev-parse", "HEAD")
    assert first != second == collected_at(changed)
    expected = {one.id for one in compare(side(str(finished)), side(str(changed))).changed}
    for a, b in ((first[:8], second[:8]), (first, "HEAD"), (f"{first[:7]}:tiny", "HEAD:tiny")):
        found = compare(side(a, changed), side(b, changed))
        assert {one.id for one in found.changed} == expected
        assert set(by_job(found)) == {"table equivalence", "table efficiency"}
        assert found.groups[0].first[0][0].causes == (Cause("params", "options.margin", 0.05, 0.1),)
    # Functions are named from the sources that the study keeps, also those that are not there any more.
    assert by_job(found)["table efficiency"].first[0][0].causes[0].names == ("by_problem()",)


@pytest.mark.slow
def test_a_root_names_a_side(finished: Path, changed: Path) -> None:
    root = Trail("tiny", finished).ledger["root"]
    old = side(root[:12], changed)
    assert old.root == root and not compare(side(str(finished)), old).groups
    assert old.numbers == Trail("tiny", finished).numbers


@pytest.mark.slow
def test_an_archive_is_a_side(finished: Path, changed: Path, tmp_path: Path) -> None:
    packed = archive.pack(Trail("tiny", changed), tmp_path / "packed.tar.gz", archive.tracked(changed))
    found = compare(side(str(packed)), side(str(changed)))
    assert found.a.root == found.b.root and not found.changed
    found = compare(side(str(finished)), side(f"{packed}:tiny"))
    assert by_job(found)["table efficiency"].first[0][0].causes[0].names == ("by_problem()",)


@pytest.mark.slow
def test_lines_tell_it_to_a_reader(finished: Path, changed: Path) -> None:
    found = compare(side(str(finished)), side(str(changed)))
    text = "\n".join(report.lines(found, limit=1))
    assert "\n  table equivalence\n      params options.margin: 0.05 -> 0.1\n" in text
    assert (
        "\n  table efficiency\n      scripts/anatomy/statistics/sampling_efficiency.py: by_problem()\n"
        in text
    )
    assert all(f"and {len(group.numbers) - 1} more" in text for group in found.groups)
    whole = "\n".join(report.lines(found, limit=None))
    assert all(f"\n    {one}" in whole for one in found.changed)
    assert " more\n" not in whole and not whole.endswith(" more")


# Records changed by hand -------------------------------------------------------------------------------


def ripple(one: Side, paths: Iterable[str], edit: Callable[[dict[str, Any]], None]) -> Side:
    """Return a side as it would be had the jobs of these outputs been others, by ``edit`` of their records.

    All that is made from their outputs has other content too; numbers that depend on them are a bit larger.
    """
    jobs = [replace(job, result=copy.deepcopy(dict(job.result))) for job in one.jobs]
    makers = {entry["path"]: job for job in jobs for entry in job.result["outputs"]}
    for path in paths:
        edit(dict(makers[path].result))  # the parts themselves are shared
    changed = {entry["path"] for path in paths for entry in makers[path].result["outputs"]}
    todo = set(changed)
    while todo:
        todo = {
            entry["path"]
            for job in jobs
            if any(entry["path"] in todo for entry in job.result["inputs"])
            for entry in job.result["outputs"]
        } - changed
        changed |= todo
    for job in jobs:
        for entry in [*job.result["inputs"], *job.result["outputs"]]:
            if entry["path"] in changed:
                entry["sha256"] = hashing.of_value(entry["sha256"])
    trail = Trail(one.study, one.store.parents[2])
    concerned = set(trail.affected(paths).numbers)
    numbers = copy.deepcopy(dict(one.numbers))
    for name in concerned:
        if isinstance(numbers[name]["value"], float):
            numbers[name]["value"] += 0.001
    return replace(one, jobs=jobs, numbers=numbers)


PPO = f"{STUDY}/samples/ppo/seed-0/hard/shard-000.parquet"


@pytest.fixture(scope="module")
def base(finished: Path) -> Side:
    return side(str(finished))


def causes(difference: Difference) -> set[tuple[str, str]]:
    """Return job and cause of all first steps."""
    return {
        (step.job, str(cause))
        for group in difference.groups
        for steps in group.first
        for step in steps
        for cause in step.causes
    }


def edited(part: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda result: result[part].update(values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (edited("params", n=16), "params n: 8 -> 16"),
        (
            lambda r: r["params"]["sampling"].update(temperature=0.7),
            "params sampling.temperature: 1.0 -> 0.7",
        ),
        (edited("seeds", seed="3"), "seeds seed: 0 -> 3"),
        (edited("environment", python="3.12.1"), "python: 3.11"),
        (lambda r: r["environment"]["packages"].update(torch="9.9"), "torch: "),
        (lambda r: r["environment"]["lock"].update(sha256="0" * 64), "envs/requirements.txt: "),
        (
            lambda r: r["code"].update({"scripts/anatomy/new.py": "0" * 64}),
            "scripts/anatomy/new.py: only in B",
        ),
    ],
)
def test_each_kind_of_cause_is_named(base: Side, edit: Callable[[dict[str, Any]], None], told: str) -> None:
    found = compare(base, ripple(base, [PPO], edit))
    assert found.changed
    ((job, said),) = causes(found)
    assert job == "sample ppo 0 hard 000" and said.startswith(told)


@pytest.mark.slow
def test_where_nothing_recorded_differs_the_machines_are_told(base: Side) -> None:
    found = compare(base, ripple(base, [PPO], lambda result: None))
    ((job, said),) = causes(found)
    host = base.makers[base.common(PPO)].run["host"]
    assert job == "sample ppo 0 hard 000" and said.startswith(f"nothing recorded differs; A ran on {host} (")


@pytest.mark.slow
def test_a_change_without_meaning_is_told_with_the_machines(base: Side, tmp_path: Path) -> None:
    path = "scripts/anatomy/rng.py"
    old = base.makers[base.common(PPO)].code[path]
    text = f"{base.source(old)}\n# a comment\n"
    new = hashing.of_bytes(text.encode())
    shutil.copytree(base.store, tmp_path / "results/tiny/sources")
    (tmp_path / "results/tiny/sources" / new).write_text(text)
    other = ripple(base, [PPO], edited("code", **{path: new}))
    found = compare(base, replace(other, store=tmp_path / "results/tiny/sources"))
    code, nothing = sorted(said for _, said in causes(found))[::-1]
    assert code == f"{path}: only comments, docstrings or layout"
    assert nothing.startswith("nothing else recorded differs; A ran on ")


@pytest.mark.slow
def test_a_file_that_was_made_again_since_is_a_cause_of_its_own(base: Side) -> None:
    """B's counts were made again and are A's now, but its tables were made from others."""
    counts = f"{STUDY}/counts/ppo/seed-0/hard.parquet"
    other = ripple(base, [counts], lambda result: None)
    jobs = [next(j for j in base.jobs if j.name == o.name) if o.rule == "count" else o for o in other.jobs]
    found = compare(base, replace(other, jobs=jobs))
    told = {said.partition(":")[0] for job, said in causes(found) if job == "table passk"}
    assert told == {base.common(counts)}


@pytest.mark.slow
def test_a_raw_file_is_a_cause(base: Side) -> None:
    template = "config/templates/world.yaml"

    def edit(result: dict[str, Any]) -> None:
        for entry in result["inputs"]:
            if entry["path"] == template:
                entry["sha256"] = "0" * 64

    found = compare(base, ripple(base, [f"{STUDY}/prompts/hard/world.parquet"], edit))
    ((job, said),) = causes(found)
    assert (
        job.startswith("scaffold hard")
        and said.startswith(f"{template}: ")
        and said.endswith("-> 000000000000")
    )


@pytest.mark.slow
def test_a_number_is_not_blamed_on_what_its_row_is_not_made_from(base: Side) -> None:
    grpo = PPO.replace("ppo", "grpo")
    other = ripple(base, [PPO], edited("params", n=16))
    other = ripple(other, [grpo], edited("params", n=32))
    found = compare(base, other)
    jobs = {
        one.id: {step.job for steps in group.first for step in steps}
        for group in found.groups
        for one in group.numbers
    }
    assert jobs["passk/ppo/all/hard/answer/1/estimate"] == {"sample ppo 0 hard 000"}
    assert jobs["passk/grpo/0/hard/answer/1/estimate"] == {"sample grpo 0 hard 000"}
    assert "passk/base/all/hard/answer/1/estimate" not in jobs
    both = {"sample ppo 0 hard 000", "sample grpo 0 hard 000"}
    assert any(found == both for name, found in jobs.items() if name.startswith("equivalence/"))


@pytest.mark.slow
def test_what_differs_behind_the_first_step_is_told_apart(base: Side) -> None:
    other = ripple(base, [PPO], edited("params", n=16))
    other = ripple(other, [f"{STUDY}/tables/passk.csv"], lambda r: r["params"]["statistics"].update(draws=7))
    found = compare(base, other)
    group = next(g for g in found.groups for one in g.numbers if one.id.startswith("passk/ppo/"))
    assert [[step.job for step in steps] for steps in group.first] == [["sample ppo 0 hard 000"]]
    ((later,),) = group.later
    assert later.job == "table passk" and [str(c) for c in later.causes] == [
        "params statistics.draws: 200 -> 7"
    ]


@pytest.mark.slow
def test_steps_that_one_side_alone_has_part_first_at_the_first_of_them(base: Side) -> None:
    chain = ("models/ppo/seed-0", "samples/ppo/", "verdicts/ppo/", "counts/ppo/")
    gone = tuple(f"{STUDY}/{part}" for part in chain)
    other = ripple(base, [PPO], lambda result: None)
    jobs = []
    for job in other.jobs:
        if job.outputs[0].path.startswith(gone):
            continue
        inputs = [entry for entry in job.result["inputs"] if not entry["path"].startswith(gone)]
        jobs.append(replace(job, result=dict(job.result) | {"inputs": inputs}))
    found = compare(base, replace(other, jobs=jobs))
    steps = {(s.job, s.only) for group in found.groups for steps in group.first for s in steps}
    assert steps == {("train ppo 0", "A")}
    assert "train ppo 0 (only in A)" in "\n".join(report.lines(found))


@pytest.mark.slow
def test_a_text_that_is_rounded_otherwise_is_blamed_on_the_collection(base: Side) -> None:
    def edit(result: dict[str, Any]) -> None:
        result["params"]["tables"]["passk"]["numbers"]["estimate"] = "decimal"
        result["params"]["tables"]["cover"]["numbers"]["estimate"] = "decimal"

    other = ripple(base, [NUMBERS], edit)
    name = "passk/ppo/all/hard/answer/1/estimate"
    numbers = copy.deepcopy(dict(base.numbers))
    numbers[name] |= {"text": "0.12", "rule": "decimal"}
    found = compare(base, replace(other, numbers=numbers))
    assert [one.id for one in found.changed] == [name]
    assert causes(found) == {("collect_numbers", "params tables.passk.numbers.estimate: percent -> decimal")}


@pytest.mark.slow
def test_numbers_that_one_side_alone_has_are_told(base: Side) -> None:
    numbers = {name: one for name, one in base.numbers.items() if not name.startswith("claims/")}
    found = compare(base, replace(base, numbers=numbers))
    assert found.only_a == [name for name in base.numbers if name.startswith("claims/")] and not found.only_b
    assert not found.groups and "only in A:" in "\n".join(report.lines(found))


@pytest.mark.slow
def test_a_number_without_records_is_told_to_have_none(base: Side) -> None:
    other = ripple(base, [PPO], lambda result: None)
    jobs = [job for job in other.jobs if job.outputs[0].path != f"{STUDY}/tables/passk.csv"]
    found = compare(base, replace(other, jobs=jobs))
    assert ("results/*/tables/passk.csv", "no record of the job that made it in B") in causes(found)


@pytest.mark.slow
def test_studies_of_different_names_are_compared(base: Side, again: Path) -> None:
    for top, suffix in (("results", ""), ("figures", ""), ("paper", ".pdf"), ("paper", ".record.json")):
        (again / f"{top}/tiny{suffix}").rename(again / f"{top}/other{suffix}")
    renamed = [path for path in again.glob("*/other/**/*.json") if "/sources/" not in str(path)]
    for path in [*renamed, again / "paper/other.record.json"]:
        text = path.read_text().replace("paper/tiny.pdf", "paper/other.pdf")
        path.write_text(re.sub(r"(results|figures)/tiny\b", r"\1/other", text))
    other = side("other", again)
    found = compare(base, other)
    assert other.jobs and (found.only_a, found.only_b, found.groups, found.files) == ([], [], [], [])
    found = compare(base, ripple(other, [PPO.replace("tiny", "other")], edited("params", n=16)))
    assert causes(found) == {("sample ppo 0 hard 000", "params n: 8 -> 16")}


# What cannot be compared -----------------------------------------------------------------------------


@pytest.mark.slow
def test_an_unknown_side_is_told_with_what_there_is(finished: Path) -> None:
    commit, root = collected_at(finished)[:10], Trail("tiny", finished).ledger["root"][:12]
    for name in ("nothing", "0123456789", "../nowhere:tiny", "--help"):
        with pytest.raises(AnatomyError, match=r"there are studies: tiny; roots: .*; commits") as told:
            side(name, finished)
        assert str(told.value).startswith(f"{name}: no study, folder or archive")
        assert commit in str(told.value) and root in str(told.value)


@pytest.mark.slow
def test_a_commit_without_results_is_told_with_the_last_that_has_some(again: Path) -> None:
    ran = collected_at(again)
    git(again, "commit", "-q", "--allow-empty", "-m", "Nothing was run")
    commit = git(again, "rev-parse", "HEAD")
    for name in ("HEAD", commit, commit[:9]):
        with pytest.raises(AnatomyError, match=f"no results of commit {commit[:10]} here") as told:
            side(name, again)
        assert f"the last with results is {ran[:10]}" in str(told.value)


@pytest.mark.slow
def test_a_damaged_history_is_told_by_name(again: Path) -> None:
    root = Trail("tiny", again).ledger["root"]
    (path,) = again.glob(f"{STUDY}/ledgers/{root}.json.gz")
    good = path.read_bytes()
    content = json.loads(gzip.decompress(good))
    content["records"][0]["result"]["threads"] = 99
    fewer = json.loads(gzip.decompress(good))
    fewer["records"].pop()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    for bad in (
        good[:1000],
        bytes(flipped),
        b"",
        b"[]",
        gzip.compress(b"[]"),
        gzip.compress(json.dumps(content).encode()),
        gzip.compress(json.dumps(fewer).encode()),
    ):
        path.write_bytes(bad)
        with pytest.raises(AnatomyError, match=rf"{path.name}: .*damaged|{path.name}: cannot read"):
            side(root[:10], again)


@pytest.mark.slow
def test_a_damaged_history_does_not_hide_the_others(changed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(changed, folder, symlinks=True)
    root = Trail("tiny", folder).ledger["root"]
    bad = folder / f"{STUDY}/ledgers/{'0' * 64}.json.gz"
    bad.write_bytes(b"not compressed")
    found = side("HEAD", folder)
    assert found.root == root and any("damaged" in note and bad.name in note for note in found.notes)


@pytest.mark.slow
def test_a_folder_with_several_studies_wants_one_named(again: Path, tmp_path: Path) -> None:
    shutil.copytree(again / STUDY, again / "results/more")
    with pytest.raises(
        AnatomyError, match="name one finished study of it as FOLDER:STUDY; there are more, tiny"
    ):
        side(str(again))
    with pytest.raises(AnatomyError, match="no finished study 'less' there"):
        side(f"{again}:less")
    with pytest.raises(AnatomyError, match="there is none"):
        side(str(tmp_path))
    (again / "results/more/numbers.json").write_text("{")
    with pytest.raises(AnatomyError, match=r"more: results/more/numbers\.json: not valid JSON"):
        side("more", again)


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "packed.tar.gz").write_bytes(b"something else")
    with pytest.raises(AnatomyError, match=r"packed\.tar\.gz: cannot unpack the archive"):
        side(str(tmp_path / "packed.tar.gz"))


# Parts -----------------------------------------------------------------------------------------------

MODULE = '''"""A module."""

import math

SIZE = 3
"""Of something."""


class Shape:
    """A shape."""

    side: float = 1.0

    def area(self) -> float:
        return self.side**2


def half(x: float) -> float:
    """Halve it."""
    return x / 2  # a comment
'''


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("x / 2  # a comment", "x / 2", ()),
        ('"""Halve it."""', '"""Return the half."""', ()),
        ("import math\n", "import math\n\n\n", ()),
        ("x / 2", "x / 3", ("half()",)),
        ("x: float) -> float", "x: float, y: int = 0) -> float", ("half()",)),
        ("self.side**2", "self.side**3", ("Shape.area()",)),
        ("side: float = 1.0", "side: float = 2.0", ("Shape.side",)),
        ("class Shape", "class Shape(list)", ("Shape",)),
        ("SIZE = 3", "SIZE = 4", ("SIZE",)),
        ("import math", "import cmath", ("imports",)),
        ("def half", "def halve", ("half()", "halve()")),
        ("import math", "import math\nprint(math.pi)", ("statements",)),
        ("def half", "def (half", None),
    ],
)
def test_what_changed_in_a_module_is_named(old: str, new: str, names: tuple[str, ...] | None) -> None:
    assert old in MODULE
    assert source_diff.changed_names(MODULE, MODULE.replace(old, new)) == names


def number(value: Any, text: str, interval: list[Any] | None = None) -> dict[str, Any]:
    return {"value": value, "text": text, "rule": "percent"} | ({"interval": interval} if interval else {})


@pytest.mark.parametrize(
    ("a", "b", "ratio", "a_in_b", "b_in_a"),
    [
        (number(0.5, "50.0", [0.4, 0.6]), number(0.55, "55.0", [0.45, 0.65]), 0.5, True, True),
        (number(0.5, "50.0", [0.4, 0.6]), number(0.7, "70.0", [0.3, 1.1]), 0.5, True, False),
        (number(0.5, "50.0", [0.4, 0.6]), number(0.8, "80.0", [0.7, 0.9]), 3.0, False, False),
        (number(0.5, "50.0", [0.4, 0.6]), number(0.6, "60.0"), 1.0, None, True),
        (number(0.5, "50.0"), number(0.6, "60.0"), None, None, None),
        (number(0.5, "50.0", [0.5, 0.5]), number(0.6, "60.0", [0.6, 0.6]), math.inf, False, False),
        (number(0.5, "50.0", [0.4, "inf"]), number(0.6, "60.0", [None, None]), None, None, None),
        (number("inf", ">8", [4.0, "inf"]), number(6.0, "6.0", [4.0, 8.0]), None, None, None),
        (number("undecided", "undecided"), number("supported", "supported"), None, None, None),
        (number(None, "–"), number(0.5, "50.0", [0.4, 0.6]), None, None, None),
    ],
)
def test_a_difference_is_measured_against_the_wider_interval(
    a: dict[str, Any], b: dict[str, Any], ratio: float | None, a_in_b: bool | None, b_in_a: bool | None
) -> None:
    found = Changed("an/id", a, b)
    assert found.ratio == (None if ratio is None else pytest.approx(ratio))
    assert (found.a_in_b, found.b_in_a) == (a_in_b, b_in_a)
    json.dumps(found.to_json(), allow_nan=False)


def test_a_number_tells_its_change_in_a_line() -> None:
    a, b = number(0.5, "50.0", [0.4, 0.6]), number(0.8, "80.0", [0.7, 0.9])
    said = str(Changed("an/id", a, b))
    assert said == "an/id  50.0 -> 80.0  +30.0  3.00 half-widths, each outside the other's interval"
    said = str(Changed("an/id", number(0.5, "50.0"), number(0.50001, "50.0")))
    assert said == "an/id  50.0 (0.5) -> 50.0 (0.50001)  +0.0"
