"""A mistake in the configuration: one message that names file, place and what is allowed."""

import copy
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from anatomy.algorithms import registry
from anatomy.errors import AnatomyError
from anatomy.names import AT_TOKENS
from anatomy.study import rows, settings, validation, yaml_files
from anatomy.study.endpoint import Endpoint
from anatomy.study.study import Study
from anatomy.study.training_rules import Scale
from anatomy.training import rl_config
from anatomy.world.documents import Mixture

ROOT = Path(__file__).resolve().parents[1]
WHERE = "config/embedded.yaml"
SHEETS = {
    "benchmarks": rows.Benchmark,
    "models": rows.Model,
    "runs": rows.Run,
    "arms": rows.Arm,
}
Settings = dict[str, Any]


class Project:
    """A copy of the project's configuration, to break."""

    def __init__(self, root: Path):
        self.root = root
        shutil.copytree(ROOT / "config", root / "config")
        self.settings: Settings = yaml_files.read_yaml(root / WHERE)

    def path(self, sheet: str) -> Path:
        return self.root / str(self.settings["sheets"][sheet])

    def rows(self, sheet: str) -> list[list[str]]:
        return [line.split("\t") for line in self.path(sheet).read_text().splitlines()]

    def write(self, sheet: str, rows: list[list[str]]) -> None:
        self.path(sheet).write_text("".join("\t".join(row) + "\n" for row in rows))

    def put(self, sheet: str, name: str, column: str, cell: str) -> int:
        """Change one cell; return its line."""
        rows = self.rows(sheet)
        at = next(index for index, row in enumerate(rows) if index and row[0] == name)
        rows[at][rows[0].index(column)] = cell
        self.write(sheet, rows)
        return at + 1

    def add(self, sheet: str, like: str, **cells: str) -> None:
        rows = self.rows(sheet)
        row = next(row for row in rows[1:] if row[0] == like)
        rows.append([cells.get(column, cell) for column, cell in zip(rows[0], row, strict=True)])
        self.write(sheet, rows)

    def artifacts(self, change: Callable[[Any], None]) -> None:
        path = self.root / str(self.settings["artifacts"][0])
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content))

    def load(self) -> Study:
        return validation.load(self.settings, self.root, WHERE)

    def refused(self, *parts: str) -> str:
        with pytest.raises(AnatomyError) as caught:
            self.load()
        message = str(caught.value)
        for part in parts:
            assert part in message, f"'{part}' is not in the message: {message}"
        assert "\n" not in message
        return message


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def set_key(settings: Settings, path: str, value: object) -> None:
    *above, last = path.split(".")
    for key in above:
        settings = settings[key]
    settings[last] = value


# What is right ------------------------------------------------------------------------------------------


def test_the_projects_own_configuration_is_right(project: Project) -> None:
    before = copy.deepcopy(project.settings)
    study = project.load()
    assert project.settings == before
    assert study.name == "embedded"
    assert set(study.tests) <= set(study.benchmarks) and study.tests
    assert {study.benchmarks[name].source for name in study.tests} == {"world", "tasks"}
    assert {"aime24", "amc23", "math500", "gsm8k", "minerva_math", "olympiadbench"} == set(study.real)
    for arm in study.arms.values():
        assert study.seeds(arm.arm)
        step = study.step(arm.arm)
        assert step is None if arm.step == AT_TOKENS else step is not None and step > 0
        assert set(study.tests_of(arm.arm)) <= set(study.benchmarks) and study.tests_of(arm.arm)
        assert (study.temperature(arm.arm) is None) == (study.matched(arm.arm) in study.arms)
    assert {run.algorithm for run in study.runs.values()} == {*registry.names(), "sft"}
    for run in study.runs.values():
        assert study.seeds(next(a.arm for a in study.arms.values() if a.model == run.run)) == run.seeds
        assert study.exports(run.run)[-1] == study.last_step(run.run) == run.steps


def test_numbers_and_lists_in_cells(project: Project) -> None:
    project.add("runs", "grpo", run="new", seeds="0-2,7", checkpoints="4,2", steps="10", tokens="5000")
    project.add("arms", "grpo", arm="new-arm", model="new", step="4", benchmarks="hard,easy")
    study = project.load()
    assert study.runs["new"].seeds == study.seeds("new-arm") == (0, 1, 2, 7)
    assert study.exports("new") == [2, 4, 10]
    assert study.runs["new"].tokens == 5000
    assert study.step("new-arm") == 4
    assert study.tests_of("new-arm") == ["hard", "easy"]


@pytest.mark.slow
def test_steps_and_checkpoints(project: Project) -> None:
    project.add("runs", "grpo", run="new", checkpoints="4,2", steps="10", tokens="5000")
    for step, benchmark in (("last", "easy"), ("2", "easy"), ("10", "hard"), ("tokens", "easy")):
        project.add("arms", "grpo", arm=f"at-{step}", model="new", step=step, benchmarks=benchmark)
    project.put("models", "base", "steps", "700")
    study = project.load()
    arms = ["at-last", "at-2", "at-10", "at-tokens", "base"]
    assert [study.step(arm) for arm in arms] == [10, 2, 10, None, 700]
    assert [study.checkpoint(arm) for arm in arms] == ["step-10", "step-2", "step-10", "tokens", "step-700"]


def test_temperatures(project: Project) -> None:
    set_key(project.settings, "sampling.temperature", 0.9)
    for arm, temperature in (("default", "-"), ("own", "0.25"), ("greedy", "0"), ("found", "match:base")):
        project.add("arms", "grpo", arm=arm, temperature=temperature, benchmarks="easy,hard")
        project.put("arms", arm, "base", "-")
    project.put("arms", "grpo", "benchmarks", "long,seen")
    project.put("arms", "found", "benchmarks", "easy")
    study = project.load()
    arms = ["base", "default", "own", "greedy", "found"]
    assert [study.temperature(arm) for arm in arms] == [0.9, 0.9, 0.25, 0.0, None]
    assert [study.matched(arm) for arm in arms] == [None, None, None, None, "base"]


TESTS = ["easy", "hard", "long", "seen", "ladder", "unsolved", "code-easy", "code-hard"]


def test_benchmarks_of_an_arm_are_by_default_the_studys_tests(project: Project) -> None:
    for arm, benchmarks in (("all", "-"), ("one", "seen"), ("trained", "train,hard")):
        project.add("runs", "grpo", run=f"for-{arm}")  # each its own model, so that nothing is sampled twice
        project.add("arms", "grpo", arm=arm, model=f"for-{arm}", benchmarks=benchmarks)
    study = project.load()
    assert study.tests_of("all") == study.tests and set(TESTS) <= set(study.tests)
    assert study.tests_of("one") == ["seen"] and study.tests_of("trained") == ["train", "hard"]


def test_a_benchmark_may_have_a_number_of_completions_of_its_own(project: Project) -> None:
    project.settings["sampling"]["n"] = 64
    project.put("benchmarks", "train", "n", "3")
    study = project.load()
    assert [study.samples(benchmark) for benchmark in ("hard", "seen", "math500", "train")] == [64, 64, 64, 3]


def test_an_arm_may_have_a_number_of_completions_of_its_own(project: Project) -> None:
    project.put("benchmarks", "easy", "n", "30")
    for arm in ("grpo", "base"):
        project.put("arms", arm, "n", "7")
    for arm in ("stage1", "student", "teacher"):
        project.put("arms", arm, "base", "-")
    project.put("arms", "grpo", "benchmarks", "easy")
    for row in project.rows("arms")[1:]:
        if row[0] not in ("grpo", "base"):
            project.put("arms", row[0], "base", "-")
    study = project.load()
    assert [study.samples("easy", arm) for arm in ("grpo", "base", "student", None)] == [7, 7, 30, 30]


# What makes a pair a pair ------------------------------------------------------------------------------


def test_a_pair_is_sampled_alike(project: Project) -> None:
    project.settings["presets"]["sampling"] = {"cut": {"max_new_tokens": 50}, "nucleus": {"top_p": 0.9}}
    for column, cell, what in (
        ("n", "9", "n on 'easy' is 9"),
        ("template", "oat", "template on 'easy' is oat"),
        ("sampling", "cut", "max_new_tokens on 'easy' is 50"),
        ("sampling", "nucleus", "top_p on 'easy' is 0.9"),
    ):
        project.put("arms", "grpo", column, cell)
        project.refused("arm grpo", what, "'base'", "a pair is sampled alike")
        project.put("arms", "grpo", column, "-")
    project.put("arms", "grpo", "temperature", "0.5")
    project.load()


def test_the_same_samples_stand_under_one_name(project: Project) -> None:
    project.add("arms", "grpo", arm="again", benchmarks="hard", temperature="1.0")
    project.refused("arm again", "on 'hard'", "the same as arm 'grpo'", "sampled once")
    project.put("arms", "again", "temperature", "0.7")
    project.load()


def test_a_sampling_preset_replaces_what_it_names(project: Project) -> None:
    project.settings["presets"]["sampling"] = {"own": {"stop": ["User:"], "temperature": 0.3}}
    project.put("arms", "guesser", "sampling", "own")
    study = project.load()
    usual = project.settings["sampling"]
    expected = {"temperature": 0.3, "top_p": usual["top_p"], "max_new_tokens": usual["max_new_tokens"]}
    assert study.sampling("guesser") == {**expected, "stop": ["User:"]}
    project.put("arms", "guesser", "temperature", "0.8")
    assert project.load().sampling("guesser")["temperature"] == 0.8
    assert "temperature" not in project.load().sampling("grpo-matched")
    project.put("arms", "guesser", "sampling", "none-such")
    project.refused("arm guesser", "unknown preset of presets.sampling 'none-such'", "own")


def test_a_run_goes_back_to_the_model_that_it_began_from(project: Project) -> None:
    study = project.load()
    roots = [study.root(name).model for name in ("base", "grpo", "stage2-pss", "student")]
    assert roots == ["base", "base", "base", "student"]


# Models of the hub, and the study at published scale ---------------------------------------------------


def published(project: Project) -> Project:
    project.settings = yaml_files.read_yaml(project.root / "config/published.yaml")
    return project


def test_the_published_study_is_valid(project: Project) -> None:
    study = published(project).load()
    pairs = {(arm.arm, arm.base) for arm in study.arms.values() if arm.base}
    for pair in (
        ("simplerl-7b", "qwen-7b"),
        ("simplerl-14b", "qwen-14b"),
        ("simplerl-32b", "qwen-32b"),
        ("simplerl-llama-8b", "llama-8b"),
        ("oat-zero-7b-deep", "qwen-math-7b-deep"),
        ("qwen-math-7b-instruct", "qwen-math-7b"),
        ("r1-distill-7b", "qwen-math-7b"),
        ("dapo-32b", "qwen-32b-dapo"),
        ("sparkle-stage1", "math-base"),
        ("sparkle-hard", "sparkle-stage1"),
        ("sparkle-mix", "sparkle-stage1"),
        ("sparkle-pss", "sparkle-stage1"),
    ):
        assert pair in pairs
    algorithms = {run.algorithm for run in study.runs.values()}
    assert algorithms == {"grpo", "ppo", "reinforce++", "rloo", "remax", "dapo", "sft"}
    assert study.exports("omni-grpo") == [150, 300, 450]
    assert [study.samples("aime24", arm) for arm in ("qwen-7b", "oat-zero-7b-deep", "sparkle-pss")] == [
        1024,
        2048,
        8,
    ]
    assert {model.source for model in study.models.values()} == {"hub"}
    assert [model.model for model in study.models.values() if model.gated] == ["llama-8b"]


@pytest.mark.parametrize("column", ["hub_id", "billions", "context", "gpus"])
def test_a_model_of_the_hub_needs(project: Project, column: str) -> None:
    published(project).put("models", "qwen-7b", column, "-")
    project.refused("model qwen-7b", column)


@pytest.mark.parametrize(("column", "cell"), [("gpus", "7"), ("nodes", "3")])
def test_gpus_that_cannot_divide_a_step(project: Project, column: str, cell: str) -> None:
    published(project).put("runs", "omni-grpo", column, cell)
    project.refused("run omni-grpo", "256 prompts cannot be divided among", "nodes and gpus")


def test_a_batch_that_cannot_divide_a_step(project: Project) -> None:
    published(project).settings["presets"]["reinforcement"]["omni"]["scale"]["batch"] = 3
    project.refused("run omni-", "2048 rollouts cannot be divided", "scale.batch")


def test_a_context_without_room_for_a_prompt(project: Project) -> None:
    published(project).put("models", "qwen-7b", "context", "4096")
    project.refused("arm qwen-7b", "max_new_tokens 16384", "'qwen-7b' has 4096 positions")


def test_sides_that_are_larger_than_their_whole(project: Project) -> None:
    published(project).put("benchmarks", "omni-test", "problems", "822")
    project.refused("benchmark omni-t", "the splits of 'omni' have 2822 problems, and it has 2821")
    project.put("benchmarks", "omni-test", "problems", "821")
    project.put("benchmarks", "omni-test", "side", "-")
    project.refused("benchmark omni-t", "a split has a side")


def test_a_column_that_stands_twice(project: Project) -> None:
    rows = project.rows("models")
    project.write("models", [[*row, row[-1]] for row in rows])
    project.refused("models.tsv", "column note stands twice")


def test_seeds_that_go_together(project: Project) -> None:
    project.put("models", "base", "seed", "5")
    project.put("runs", "grpo", "seeds", "0,2,3")
    study = project.load()
    assert study.seeds("base") == (5,)
    assert [study.seed_beside("base", seed) for seed in study.seeds("grpo")] == [5, 5, 5]
    assert [study.seed_beside("grpo", seed) for seed in study.seeds("grpo")] == [0, 2, 3]


def test_columns_of_models_runs_and_benchmarks(project: Project) -> None:
    study = project.load()
    base, student = study.models["base"], study.models["student"]
    assert (base.source, base.start, base.teacher, base.benchmark) == ("pretrain", "", "", "")
    assert (student.source, student.start, student.benchmark) == ("distill", "base", "train")
    assert student.teacher in study.arms
    assert study.benchmarks["seen"].taken_from == "train" and study.benchmarks["hard"].taken_from == ""
    assert study.runs["grpo"].tokens == 0 < study.runs["dapo"].tokens
    assert study.arms["base"].temperature == "" and study.arms["grpo-matched"].temperature == "match:base"


def test_facts_that_the_paper_quotes(project: Project) -> None:
    mixture = project.settings["presets"]["supervised"]["base"]["mixture"]
    mixture |= {"drills_first": 11, "errors": 0.125}
    project.settings["sampling"] |= {"n": 96, "extra": 40, "scored": 7}
    project.put("runs", "grpo-kl", "seeds", "3-7")
    facts = project.load().facts()
    assert (facts["n"], facts["largest_k"], facts["extra"], facts["scored"]) == (96, 32, 40, 7)
    assert facts["base_errors_percent"] == 12.5 and "base_drills_first_percent" not in facts
    assert "student_errors_percent" not in facts and facts["student_steps"] > 0
    assert facts["grpo-kl_seeds"] == 5 and facts["grpo-kl_kl"] > 0 == facts["grpo_kl"]
    assert facts["grpo-wide_rollouts"] > facts["grpo_rollouts"]


def test_rows_of_other_studies_are_left_out(project: Project) -> None:
    project.add("arms", "grpo", arm="elsewhere", studies="other", model="unheard-of")
    project.add("arms", "grpo", arm="both", studies="other,embedded", temperature="0.7")
    assert "elsewhere" not in project.load().arms and "both" in project.load().arms


@pytest.mark.slow
def test_a_new_arm_run_and_benchmark_are_a_line_each(project: Project) -> None:
    project.add("runs", "grpo", run="grpo-long", steps="500", checkpoints="-")
    project.add("arms", "grpo", arm="longer", model="grpo-long")
    project.add("benchmarks", project.load().tests[0], benchmark="another")
    study = project.load()
    assert study.step("longer") == 500 and "another" in study.tests


# The tiny study of the end-to-end tests -----------------------------------------------------------------


def test_both_studies_are_right_and_have_the_same_tables_and_figures() -> None:
    """Those of the tiny study may cover fewer arms, benchmarks and texts, and nothing else may differ."""
    studies = [
        validation.load(yaml_files.read_yaml(ROOT / where), ROOT, where)
        for where in (WHERE, "tests/tiny/config.yaml")
    ]
    assert [study.name for study in studies] == ["embedded", "tiny"]
    record = yaml_files.read_yaml(
        ROOT / "config/published_numbers.yaml"
    )  # the same in any study, so not in the tiny one
    own = {"arms", "pairs", "benchmarks", "texts", "options", "overlay"}
    for kind in ("tables", "figures"):
        full, tiny = (
            {
                name: {key: value for key, value in entry.items() if key not in own}
                for name, entry in study.artifacts[kind].items()
            }
            for study in studies
        )
        assert list(tiny) == [name for name in full if name not in record[kind]]
        for name in tiny:
            if name == "claims":  # the tiny study makes fewer
                assert set(tiny[name].pop("tables")) < set(full[name].pop("tables"))
            assert tiny[name] == full[name], (kind, name)
            options = [study.artifacts[kind][name].get("options", {}) for study in studies]
            assert options[0].keys() == options[1].keys(), (kind, name)


# The settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("seed", "one", ["seed", "a whole number"]),
        ("seed", -1, ["seed", "allowed: 0 or more"]),
        ("sampling.shards", None, ["sampling", "'shards' is null; leave it out"]),
        ("title", None, ["title", "a text"]),
        ("study", "The Study", ["study", "^[a-z0-9-]+$"]),
        ("sampling.n", 1, ["sampling.n", "allowed: 2 or more"]),
        ("sampling.n", 8.5, ["sampling.n", "a whole number"]),
        ("sampling.top_p", 0, ["sampling.top_p", "allowed: more than 0"]),
        ("sampling.engine", "abacus", ["sampling.engine", "abacus", "allowed: transformers"]),
        ("sampling.temprature", 1, ["sampling", "temprature", "allowed keys:", "temperature"]),
        ("colour", "red", ["top level", "colour", "allowed keys:", "benchmarks_folder"]),
        ("sheets.people", "a.tsv", ["sheets", "people", "allowed keys: arms, benchmarks, models, runs"]),
        ("world.steps", [0], ["world.steps.0", "allowed: 1 or more"]),
        ("world.steps", 3, ["world.steps", "a list"]),
        ("world.mixture", {}, ["world", "mixture", "allowed keys: steps"]),
        (
            "presets.supervised.base.mixture.errors",
            1.5,
            ["presets.supervised.base.mixture.errors", "allowed: 1 or less"],
        ),
        ("presets.supervised.base.hidden", "big", ["presets.supervised.base.hidden", "a whole number"]),
        ("presets.supervised.student.hidden", 8, ["presets.supervised.student", "'mixture'", "'hidden'"]),
        (
            "presets.pretraining",
            {},
            ["presets", "pretraining", "allowed keys: reinforcement, sampling, supervised"],
        ),
        ("presets.reinforcement.wide.rolouts", 3, ["presets.reinforcement.wide", "rolouts", "rollouts"]),
        (
            "presets.reinforcement.wide.rollouts",
            1,
            ["presets.reinforcement.wide.rollouts", "allowed: 2 or more"],
        ),
        ("presets.reinforcement.ppo.value.gama", 1, ["presets.reinforcement.ppo.value", "gama", "gamma"]),
        ("sampling.match_n", 0, ["sampling.match_n", "allowed: 1 or more"]),
        ("statistics.level", 1, ["statistics.level", "1"]),
        ("statistics", None, ["statistics", "a mapping of keys to values"]),
    ],
)
def test_wrong_settings(project: Project, key: str, value: object, parts: list[str]) -> None:
    set_key(project.settings, key, value)
    project.refused(f"{WHERE}: ", *parts)


@pytest.mark.parametrize("key", ["study", "seed", "sheets", "artifacts", "presets", "sampling", "statistics"])
def test_missing_settings(project: Project, key: str) -> None:
    del project.settings[key]
    project.refused(f"{WHERE}: top level", f"'{key}'", "required")


def test_only_pretrained_models_need_a_world(project: Project) -> None:
    del project.settings["world"]
    project.refused(WHERE, "model such as base", "`world`")


@pytest.mark.parametrize("key", ["extra", "scored", "match_n", "probes"])
def test_missing_numbers_of_samples(project: Project, key: str) -> None:
    del project.settings["sampling"][key]
    project.refused(f"{WHERE}: sampling", f"'{key}'", "required")


# The sheets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_missing_sheet(project: Project, sheet: str) -> None:
    project.path(sheet).unlink()
    project.refused(project.path(sheet).name, "No such file")


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_missing_column(project: Project, sheet: str) -> None:
    rows = project.rows(sheet)
    lost = rows[0][2]
    project.write(sheet, [row[:2] + row[3:] for row in rows])
    project.refused(project.path(sheet).name, f"missing column ['{lost}']", "columns are", ", ".join(rows[0]))


@pytest.mark.parametrize("sheet", SHEETS)
def test_an_unknown_column(project: Project, sheet: str) -> None:
    rows = project.rows(sheet)
    project.write(sheet, [[*row, "surprise"] for row in rows])
    project.refused(
        project.path(sheet).name, "unknown column ['surprise']", "columns are", ", ".join(rows[0])
    )


@pytest.mark.parametrize("sheet", SHEETS)
def test_an_unknown_column_in_a_sheet_without_rows(project: Project, sheet: str) -> None:
    project.write(sheet, [[*project.rows(sheet)[0], "surprise"]])
    project.refused(project.path(sheet).name, "unknown column ['surprise']")


@pytest.mark.parametrize("sheet", SHEETS)
def test_an_empty_cell(project: Project, sheet: str) -> None:
    rows = project.rows(sheet)
    line = project.put(sheet, rows[1][0], rows[0][2], "")
    project.refused(f"{project.path(sheet).name}, line {line}, column {rows[0][2]}", "empty", "'-'")


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_line_that_is_too_short(project: Project, sheet: str) -> None:
    rows = project.rows(sheet)
    project.write(sheet, [*rows[:-1], rows[-1][:-1]])
    project.refused(f"{project.path(sheet).name}, line {len(rows)}, column {rows[0][-1]}")


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_line_that_is_too_long(project: Project, sheet: str) -> None:
    rows = project.rows(sheet)
    rows += [["new", *rows[-1][1:], "too much"]]
    project.write(sheet, rows)
    project.refused(project.path(sheet).name, f"line {len(rows)}")


@pytest.mark.slow
@pytest.mark.parametrize("sheet", SHEETS)
def test_a_name_that_stands_twice(project: Project, sheet: str) -> None:
    rows = project.rows(sheet)
    project.write(sheet, [*rows, rows[1]])
    project.refused(f"{project.path(sheet).name}, line {len(rows) + 1}", f"'{rows[1][0]}' stands twice")


def test_a_sheet_that_is_not_text(project: Project) -> None:
    path = project.path("runs")
    path.write_bytes(path.read_bytes() + b"caf\xe9\n")
    project.refused("runs.tsv")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sheet", "name", "column", "cell", "parts"),
    [
        ("models", "base", "steps", "many", ["'many' is not a whole number"]),
        ("models", "base", "seed", "1.5", ["'1.5' is not a whole number"]),
        ("runs", "grpo", "seeds", "0;1", ["'0;1' is not whole numbers"]),
        ("runs", "grpo", "checkpoints", "1,,2", ["'1,,2' is not whole numbers"]),
        ("runs", "dapo", "tokens", "1e5", ["'1e5' is not a whole number"]),
        ("runs", "dapo", "tokens", "-1", ["'-1'; allowed: 0 or more"]),
        ("runs", "grpo", "algorithm", "alchemy", ["unknown 'alchemy'", "allowed: dapo, dr-grpo, grpo"]),
        ("models", "base", "source", "heaven", ["unknown 'heaven'", "allowed: pretrain, distill"]),
        ("benchmarks", "aime24", "source", "moon", ["unknown 'moon'", "allowed: world, tasks, hub"]),
        ("benchmarks", "aime24", "grader", "me", ["unknown 'me'", "allowed: math, world, program"]),
        ("benchmarks", "aime24", "role", "extra", ["unknown 'extra'", "allowed: train, pool, test"]),
        ("benchmarks", "aime24", "side", "left", ["unknown 'left'", "pretraining, training, test"]),
        ("benchmarks", "aime24", "problems", "lots", ["'lots' is not a whole number"]),
    ],
)
def test_a_cell_of_the_wrong_type_or_value(
    project: Project, sheet: str, name: str, column: str, cell: str, parts: list[str]
) -> None:
    line = project.put(sheet, name, column, cell)
    project.refused(f"{project.path(sheet).name}, line {line}, column {column}", *parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sheet", "name", "column", "cell", "parts"),
    [
        ("models", "base", "preset", "huge", ["model base", "unknown preset 'huge'", "allowed: base"]),
        ("runs", "grpo", "preset", "huge", ["run grpo", "unknown preset 'huge'", "allowed: dapo, dr-grpo"]),
        (
            "runs",
            "grpo",
            "start",
            "nobody",
            ["run grpo", "unknown start model or run 'nobody'", "allowed: base"],
        ),
        (
            "runs",
            "grpo",
            "benchmark",
            "nothing",
            ["run grpo", "unknown benchmark 'nothing'", "aime24, amc23"],
        ),
        (
            "arms",
            "grpo",
            "model",
            "nobody",
            ["arm grpo", "unknown model or run 'nobody'", "allowed: base, code-grpo, dapo", "teacher"],
        ),
        ("arms", "grpo", "base", "nobody", ["arm grpo", "unknown base arm 'nobody'", "allowed: base"]),
        ("arms", "grpo", "benchmarks", "hard,har", ["arm grpo", "unknown benchmark 'har'", "aime24, amc23"]),
        ("models", "student", "start", "nobody", ["model student", "unknown start model 'nobody'", "base"]),
        ("models", "student", "start", "grpo", ["model student", "unknown start model 'grpo'"]),
        ("models", "student", "start", "-", ["model student", "unknown start model ''"]),
        ("models", "student", "teacher", "nobody", ["model student", "unknown teacher arm 'nobody'", "grpo"]),
        ("models", "student", "teacher", "-", ["model student", "unknown teacher arm ''"]),
        ("models", "student", "benchmark", "nothing", ["model student", "unknown benchmark 'nothing'"]),
        ("models", "student", "preset", "base", ["model student", "'base' is not one of source 'distill'"]),
        ("models", "base", "preset", "student", ["model base", "'student' is not one of source 'pretrain'"]),
        ("models", "base", "source", "distill", ["model base", "'base' is not one of source 'distill'"]),
        ("arms", "grpo", "step", "7", ["arm grpo", "unknown step '7'", "last"]),
        ("arms", "grpo", "step", "tokens", ["arm grpo", "unknown step 'tokens'", "last"]),
        ("arms", "base", "step", "tokens", ["arm base", "unknown step 'tokens'", "last"]),
        ("runs", "dapo", "tokens", "-", ["arm dapo-tokens", "unknown step 'tokens'", "last"]),
        ("arms", "base", "step", "soon", ["arm base", "unknown step 'soon'", "last"]),
        ("runs", "grpo", "checkpoints", "5,999999", ["run grpo", "checkpoints [999999] beyond step"]),
        ("runs", "grpo", "seeds", "-", ["run grpo", "no seeds"]),
        ("runs", "stage2-pss", "failed_by", "nobody", ["run stage2-pss", "unknown arm", "'nobody'"]),
        ("runs", "stage2-pss", "failed_by", "grpo", ["'grpo' is not sampled on 'pool'"]),
        ("runs", "stage2-pss", "levels", "0-5", ["run stage2-pss", "unknown level 'partial-5'"]),
        ("runs", "stage2-pss", "easier", "-1", ["column easier: '-1'; allowed: 0 or more"]),
        ("runs", "stage2-pss", "seeds", "0-3", ["'stage1' that it starts from has not all of its seeds"]),
        ("runs", "stage1", "start", "stage2-pss", ["starts from itself", "stage1 <- stage2-pss"]),
        ("runs", "stage2-sft", "levels", "0-4", ["run stage2-sft", "sft takes no levels"]),
        ("runs", "stage2-sft", "preset", "grpo", ["run stage2-sft", "unknown preset 'grpo'", "sft"]),
        ("runs", "stage2-sft", "preset", "base", ["run stage2-sft", "mixture"]),
        ("runs", "stage2-pss", "preset", "sft", ["run stage2-pss", "unknown preset 'sft'"]),
        ("benchmarks", "unsolved", "failed_by", "nobody", ["benchmark unsolved", "'nobody'"]),
        ("benchmarks", "unsolved", "failed_by", "grpo", ["'grpo' is not sampled on 'pool-test'"]),
        ("arms", "base", "probed", "unsolved", ["arm base", "to probe it on 'unsolved'", "ladder"]),
        ("arms", "base", "condition", "subproblems", ["arm base", "unknown condition 'subproblems'"]),
    ],
)
def test_an_unknown_name(
    project: Project, sheet: str, name: str, column: str, cell: str, parts: list[str]
) -> None:
    project.put(sheet, name, column, cell)
    project.refused("arms.tsv" if parts[0].startswith("arm ") else project.path(sheet).name, *parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temperature", "benchmarks", "parts"),
    [
        ("match:nobody", "hard", ["unknown arm to match 'nobody'", "allowed: base"]),
        ("match:", "hard", ["unknown arm to match ''"]),
        ("match:guesser", "hard,seen", ["'guesser' cannot be matched", "not sampled on ['seen']"]),
        ("match:ppo", "-", ["'ppo' cannot be matched", "not sampled on", "'easy'"]),
        ("match:grpo-matched", "hard", ["'grpo-matched' cannot be matched", "temperature is matched too"]),
        ("match:new", "hard", ["'new' cannot be matched", "temperature is matched too"]),
        ("mach:base", "hard", ["'mach:base' is neither a number from 0 up nor match:ARM"]),
        ("warm", "hard", ["'warm' is neither a number"]),
        ("1,2", "hard", ["'1,2' is neither a number"]),
        ("-0.5", "hard", ["'-0.5' is neither a number"]),
        ("nan", "hard", ["'nan' is neither a number"]),
        ("inf", "hard", ["'inf' is neither a number"]),
    ],
)
def test_a_temperature_that_cannot_be(
    project: Project, temperature: str, benchmarks: str, parts: list[str]
) -> None:
    project.add("arms", "grpo", arm="new", temperature=temperature, benchmarks=benchmarks)
    project.refused("arms.tsv, arm new", *parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cells", "preset", "parts"),
    [
        ({"steps": "10"}, {"updates": 4, "checkpoint_every": 8}, ["steps 10 is not a multiple of updates 4"]),
        (
            {"steps": "8"},
            {"updates": 4, "checkpoint_every": 6},
            ["checkpoint_every 6 is not a multiple of updates 4"],
        ),
        (
            {"steps": "9"},
            {"updates": 3, "checkpoint_every": 3},
            ["updates 3 does not divide 2 prompts x 4 rollouts"],
        ),
        ({"algorithm": "ppo"}, {}, ["(`value`) belongs to algorithm ppo"]),
        (
            {"algorithm": "rloo"},
            {"value": {"learning_rate": 1e-3, "gamma": 1, "lam": 1, "clip": 0.5}},
            ["(`value`) belongs to algorithm ppo"],
        ),
        ({"steps": "0"}, {}, ["steps 0; allowed: 1 or more"]),
        ({"steps": "-"}, {}, ["steps 0; allowed: 1 or more"]),
        ({"steps": "-8"}, {}, ["steps -8; allowed: 1 or more"]),
        ({"seeds": "0-2,1"}, {}, ["a seed stands twice in [0, 1, 2, 1]"]),
    ],
)
def test_a_run_that_cannot_be(
    project: Project, cells: dict[str, str], preset: Settings, parts: list[str]
) -> None:
    presets = project.settings["presets"]["reinforcement"]
    presets["own"] = {**presets["plain"], "prompts": 2, "rollouts": 4, **preset}
    project.add("runs", "grpo", **{"run": "new", "preset": "own", "checkpoints": "-", **cells})
    project.refused("runs.tsv, run new", *parts)


@pytest.mark.parametrize("steps", ["0", "-", "-5"])
@pytest.mark.parametrize("model", ["base", "student"])
def test_a_model_without_steps(project: Project, model: str, steps: str) -> None:
    project.put("models", model, "steps", steps)
    project.refused(f"models.tsv, model {model}", "steps", "allowed: 1 or more")


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ({"taken_from": "nothing"}, ["unknown benchmark to take problems from 'nothing'", "train"]),
        ({"taken_from": "new"}, ["unknown benchmark to take problems from 'new'"]),
        ({"taken_from": "seen"}, ["unknown benchmark to take problems from 'seen'"]),
        ({"taken_from": "aime24"}, ["unknown benchmark to take problems from 'aime24'"]),
        ({"problems": "0"}, ["problems 0; allowed: 1 or more"]),
        ({"problems": "-"}, ["problems 0; allowed: 1 or more"]),
    ],
)
def test_a_benchmark_that_cannot_be(project: Project, cells: dict[str, str], parts: list[str]) -> None:
    project.add("benchmarks", "seen", benchmark="new", **cells)
    project.refused("benchmarks.tsv, benchmark new", *parts)


def test_an_unknown_condition(project: Project) -> None:
    project.put("arms", "guesser", "condition", "gess")
    project.refused("arms.tsv", "arm guesser", "condition", "gess", "plain")


@pytest.mark.parametrize(
    ("column", "cell", "parts"),
    [("splits_steps", "14-16", ["16", "15"]), ("splits_domains", "sums,magic", ["magic", "products"])],
)
def test_an_impossible_split_of_the_world(project: Project, column: str, cell: str, parts: list[str]) -> None:
    name = project.load().tests[0]
    project.put("benchmarks", name, column, cell)
    project.refused("benchmarks.tsv", name, *parts)


def test_an_unknown_template(project: Project) -> None:
    name = project.load().tests[0]
    project.put("benchmarks", name, "template", "nowhere")
    project.refused("benchmarks.tsv", name, "nowhere", "world")


def test_a_run_with_the_name_of_a_model(project: Project) -> None:
    project.add("runs", "grpo", run="base")
    project.refused("runs.tsv", "['base'] are names of models too")


# The artifacts ------------------------------------------------------------------------------------------


def test_bad_yaml_names_file_and_line(project: Project) -> None:
    (project.root / "config" / "artifacts.yaml").write_text("tables:\n  a: [1, 2\nfigures: {}\n")
    with pytest.raises(AnatomyError, match=r"(?s)artifacts\.yaml: not valid YAML.*line 3"):
        project.load()


def test_missing_artifacts(project: Project) -> None:
    (project.root / "config" / "artifacts.yaml").unlink()
    project.refused("artifacts.yaml", "No such file")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda a: a["tables"]["passk"].update(arms=["base", "ghost"]),
            ["tables.passk", "unknown arm 'ghost'"],
        ),
        (
            lambda a: a["figures"]["passk"].update(arms=["ghost"]),
            ["figures.passk", "unknown arm 'ghost'", "guesser"],
        ),
        (
            lambda a: a["tables"]["difference"].update(pairs=[["grpo", "ghost"]]),
            ["tables.difference", "'ghost'"],
        ),
        (
            lambda a: a["figures"]["passk"].update(tables=["ghost"]),
            ["figures.passk", "unknown table 'ghost'", "study"],
        ),
        (
            lambda a: a["tables"]["perplexity"].update(texts=[["base", "ghost"]]),
            ["tables.perplexity", "unknown text 'ghost'", "gold, grpo"],
        ),
        (
            lambda a: a["tables"]["perplexity"].update(texts=[["ghost", "gold"]]),
            ["tables.perplexity", "unknown scorer 'ghost'", "base"],
        ),
        (
            lambda a: a["tables"]["perplexity"].update(texts=[["gold", "base"]]),
            ["tables.perplexity", "unknown scorer 'gold'"],
        ),
        (
            lambda a: a["tables"]["perplexity"].update(texts=[["base", "base", "gold"]]),
            ["tables.perplexity.texts.0", "too long"],
        ),
        (
            lambda a: a["tables"]["perplexity"].pop("texts"),
            ["tables.perplexity", "scores are of texts"],
        ),
        (
            lambda a: a["tables"]["passk"].update(benchmarks=["hard", "harder"]),
            ["tables.passk", "unknown benchmark 'harder'", "allowed: code-easy, code-hard, easy"],
        ),
        (
            lambda a: a["figures"]["passk"].update(arms=["ppo"], benchmarks=["easy"]),
            ["figures.passk", "unknown benchmark 'easy'", "allowed: hard"],
        ),
        (
            lambda a: a["tables"]["efficiency"].update(pairs=[["ppo", "base"]], benchmarks=["train"]),
            ["tables.efficiency", "unknown benchmark 'train'", "allowed: code-easy, code-hard, easy"],
        ),
        (
            lambda a: a["figures"].update(ghosts=a["figures"]["passk"]),
            ["figures.ghosts", "unknown figure 'ghosts'", "passk"],
        ),
        (
            lambda a: a["tables"]["envelope"]["options"]["groups"].update(Base=["base", "guesser"]),
            ["tables.envelope: options.groups", "unknown arm 'guesser'", "base-cool"],
        ),
        (
            lambda a: a["tables"]["ablation"].update(analysis="diference"),
            ["tables.ablation", "unknown analysis 'diference'", "difference, disagreements"],
        ),
        (
            lambda a: a["tables"]["ablation"].pop("analysis"),
            ["tables.ablation", "unknown analysis 'ablation'"],
        ),
        (
            lambda a: a["tables"]["efficiency"].update(pairs=[["grpo", "base", "ppo"]]),
            ["tables.efficiency.pairs", "pairs"],
        ),
        (
            lambda a: a["tables"]["passk"].update(neds=[]),
            ["tables.passk", "'neds'", "allowed keys:", "needs"],
        ),
        (
            lambda a: a["tables"]["passk"].update(needs=["luck"]),
            ["tables.passk.needs.0", "luck", "counts, probes, problems"],
        ),
        (
            lambda a: a["figures"]["passk"]["overlay"].update(arms={"grpo": "RL", "dapo": "RL"}),
            ["figures.passk.overlay.arms", "unknown arm 'dapo'"],
        ),
        (
            lambda a: a["figures"]["passk"]["overlay"].update(table="published_curve"),
            ["figures.passk.overlay", "unknown table 'published_curve'", "published_curves"],
        ),
        (
            lambda a: a["tables"]["passk"].update(needs=["record"]),
            ["tables.passk", "`needs: [record]` and `record`, its files, go together"],
        ),
        (
            lambda a: a["tables"]["passk"].update(needs=["record"], record=["yue2025_curve"]),
            ["tables.passk", "unknown file of the record 'yue2025_curve'", "yue2025_curves"],
        ),
        (lambda a: a["tables"]["passk"].update(numbers={"estimate": "furlongs"}), ["furlongs", "percent"]),
        (lambda a: a["tables"]["passk"].pop("title"), ["tables.passk", "'title'", "required"]),
        (lambda a: a.pop("figures"), ["top level", "'figures'", "required"]),
    ],
)
def test_wrong_artifacts(project: Project, change: Callable[[Any], None], parts: list[str]) -> None:
    project.artifacts(change)
    project.refused("artifacts.yaml: ", *parts)


def test_a_run_that_starts_from_a_run_takes_the_model_of_its_own_seed(project: Project) -> None:
    study = project.load()
    assert study.start("stage2-pss", 2) == ("stage1", 2)
    assert study.start("stage1", 2) == ("base", study.models["base"].seed)
    assert study.start("student", 0) == ("base", study.models["base"].seed)
    assert study.reinforced("stage2-pss") and not study.reinforced("stage2-sft")


def test_an_unknown_condition_to_probe(project: Project) -> None:
    project.settings["sampling"]["probes"]["conditions"] = ["plan", "plans"]
    project.refused("sampling.probes", "unknown condition 'plans'", "own-subproblems")


def told(claims: Any) -> Any:
    """Return the evidence of a claim in the study's own scope."""
    return next(iter(claims["S1"]["evidence"].values()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda c: told(c).update(table="passk"), ["claim S1", "unknown table of the table claims 'passk'"]),
        (
            lambda c: told(c).update(expected="sideways"),
            ["S1.evidence.", ".expected", "allowed: above, below"],
        ),
        (lambda c: told(c).update(expected="within"), ["S1.evidence.", "'margin'", "required"]),
        (lambda c: told(c).update(where={}), ["S1.evidence.", ".where"]),
        (lambda c: told(c).pop("table"), ["S1.evidence.", "'table'", "required"]),
        (lambda c: c["S1"].pop("source"), ["S1", "'source'", "required"]),
        (lambda c: c["S1"].update(share="some"), ["S1.share", "allowed: all, most, any"]),
        (lambda c: c["S1"].update(evidence={}), ["S1.evidence"]),
        (
            lambda c: c["F-beyond"].update(counters="C0"),
            ["F-beyond", "unknown claim with evidence of its own 'C0'"],
        ),
        (lambda c: c["F-beyond"].update(share="all"), ["F-beyond", "share", "allowed keys: counters"]),
    ],
)
def test_wrong_claims(project: Project, change: Callable[[Any], None], parts: list[str]) -> None:
    path = project.root / project.settings["claims"]
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))
    project.refused("claims.yaml", *parts)


def test_what_jobs_take_has_the_fields_and_defaults_of_the_settings() -> None:
    of_lines = {"algorithm", "steps"}  # and not of a preset
    of_rules = {"reward", "expected_tokens"}  # params of their own, or the planner's
    for model, taken, only_model, only_taken in (
        (settings.Endpoint, Endpoint, set(), set()),
        (settings.Sharing, Scale, set(), {"processes", "nodes"}),
        (settings.Mixture, Mixture, set(), set()),
        (settings.Value, rl_config.Value, set(), set()),
        (settings.ReinforcementPreset, rl_config.Reinforcement, of_rules, of_lines),
    ):
        mine, theirs = model.model_fields, {field.name: field for field in dataclasses.fields(taken)}
        assert set(mine) - only_model == set(theirs) - only_taken, model
        for name in set(theirs) - only_taken:
            if not mine[name].is_required() and name != "options":
                assert mine[name].default == theirs[name].default, (model, name)
