"""A mistake in the configuration: one message that names file, place and what is allowed."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from anatomy import config
from anatomy.errors import AnatomyError

ROOT = Path(__file__).resolve().parents[1]
WHERE = "config/embedded.yaml"
SHEETS = {
    "benchmarks": config.Benchmark,
    "models": config.Model,
    "runs": config.Run,
    "arms": config.Arm,
}
Settings = dict[str, Any]


class Project:
    """A copy of the project's configuration, to break."""

    def __init__(self, root: Path):
        self.root = root
        shutil.copytree(ROOT / "config", root / "config")
        self.settings: Settings = config.read_yaml(root / WHERE)

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
        path = self.root / str(self.settings["artifacts"])
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content))

    def load(self) -> config.Study:
        return config.load(self.settings, self.root, WHERE)

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
    assert all(study.benchmarks[name].source == "world" for name in study.tests)
    assert {"aime24", "amc23", "math500", "gsm8k", "minerva_math", "olympiadbench"} == set(study.real)
    for arm in study.arms.values():
        assert study.seeds(arm.arm)
        assert study.step(arm.arm) > 0
    for run in study.runs.values():
        assert study.seeds(next(a.arm for a in study.arms.values() if a.model == run.run)) == run.seeds
        assert study.exports(run.run)[-1] == study.last_step(run.run) == run.steps


def test_numbers_and_lists_in_cells(project: Project) -> None:
    project.put("runs", "grpo", "seeds", "0-2,7")
    project.put("runs", "grpo", "checkpoints", "4,2")
    project.put("runs", "grpo", "steps", "9")
    project.put("arms", "grpo", "step", "4")
    study = project.load()
    assert study.runs["grpo"].seeds == study.seeds("grpo") == (0, 1, 2, 7)
    assert study.exports("grpo") == [2, 4, 9]
    assert study.step("grpo") == 4


def test_rows_of_other_studies_are_left_out(project: Project) -> None:
    project.add("arms", "grpo", arm="elsewhere", studies="other", model="unheard-of")
    project.add("arms", "grpo", arm="both", studies="other,embedded")
    assert "elsewhere" not in project.load().arms and "both" in project.load().arms


def test_a_new_arm_run_and_benchmark_are_a_line_each(project: Project) -> None:
    project.add("runs", "grpo", run="grpo-long", steps="500")
    project.add("arms", "grpo", arm="longer", model="grpo-long")
    project.add("benchmarks", project.load().tests[0], benchmark="another")
    study = project.load()
    assert study.step("longer") == 500 and "another" in study.tests


# The settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("seed", "one", ["seed", "integer"]),
        ("seed", -1, ["seed", "minimum of 0"]),
        ("title", None, ["title", "string"]),
        ("study", "The Study", ["study", "^[a-z0-9-]+$"]),
        ("sampling.n", 1, ["sampling.n", "minimum of 2"]),
        ("sampling.n", 8.5, ["sampling.n", "integer"]),
        ("sampling.top_p", 0, ["sampling.top_p", "minimum of 0"]),
        ("sampling.engine", "abacus", ["sampling.engine", "abacus", "allowed: transformers"]),
        ("sampling.temprature", 1, ["sampling", "temprature", "allowed keys:", "temperature"]),
        ("colour", "red", ["top level", "colour", "allowed keys:", "benchmarks_folder"]),
        ("sheets.people", "a.tsv", ["sheets", "people", "allowed keys: arms, benchmarks, models, runs"]),
        ("world.steps", [0], ["world.steps.0", "minimum of 1"]),
        ("world.steps", 3, ["world.steps", "array"]),
        ("world.mixture.errors", 1.5, ["world.mixture.errors", "maximum of 1"]),
        ("presets.pretraining.base.hidden", "big", ["presets.pretraining.base.hidden", "integer"]),
        ("presets.reinforcement.grpo.rolouts", 3, ["presets.reinforcement.grpo", "rolouts", "rollouts"]),
        ("statistics.level", 1, ["statistics.level", "1"]),
        ("statistics", None, ["statistics", "object"]),
    ],
)
def test_wrong_settings(project: Project, key: str, value: object, parts: list[str]) -> None:
    set_key(project.settings, key, value)
    project.refused(f"{WHERE}: ", *parts)


@pytest.mark.parametrize(
    "key", ["study", "seed", "sheets", "artifacts", "world", "presets", "sampling", "statistics"]
)
def test_missing_settings(project: Project, key: str) -> None:
    del project.settings[key]
    project.refused(f"{WHERE}: top level", f"'{key}'", "required")


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


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_name_that_stands_twice(project: Project, sheet: str) -> None:
    rows = project.rows(sheet)
    project.write(sheet, [*rows, rows[1]])
    project.refused(f"{project.path(sheet).name}, line {len(rows) + 1}", f"'{rows[1][0]}' stands twice")


def test_a_sheet_that_is_not_text(project: Project) -> None:
    path = project.path("runs")
    path.write_bytes(path.read_bytes() + b"caf\xe9\n")
    project.refused("runs.tsv")


@pytest.mark.parametrize(
    ("sheet", "name", "column", "cell", "parts"),
    [
        ("models", "base", "steps", "many", ["'many' is not a whole number"]),
        ("models", "base", "seed", "1.5", ["'1.5' is not a whole number"]),
        ("runs", "grpo", "seeds", "0;1", ["'0;1' is not whole numbers"]),
        ("runs", "grpo", "checkpoints", "1,,2", ["'1,,2' is not whole numbers"]),
        ("runs", "grpo", "algorithm", "alchemy", ["unknown 'alchemy'", "allowed: grpo"]),
        ("models", "base", "source", "heaven", ["unknown 'heaven'", "allowed: pretrain"]),
        ("benchmarks", "aime24", "source", "moon", ["unknown 'moon'", "allowed: world, hub"]),
        ("benchmarks", "aime24", "grader", "me", ["unknown 'me'", "allowed: world, math"]),
        ("benchmarks", "aime24", "role", "extra", ["unknown 'extra'", "allowed: train, test"]),
        ("benchmarks", "aime24", "side", "left", ["unknown 'left'", "pretraining, training, test"]),
        ("benchmarks", "aime24", "problems", "lots", ["'lots' is not a whole number"]),
    ],
)
def test_a_cell_of_the_wrong_type_or_value(
    project: Project, sheet: str, name: str, column: str, cell: str, parts: list[str]
) -> None:
    line = project.put(sheet, name, column, cell)
    project.refused(f"{project.path(sheet).name}, line {line}, column {column}", *parts)


@pytest.mark.parametrize(
    ("sheet", "name", "column", "cell", "parts"),
    [
        ("models", "base", "preset", "huge", ["model base", "unknown preset 'huge'", "allowed: base"]),
        ("runs", "grpo", "preset", "huge", ["run grpo", "unknown preset 'huge'", "allowed: grpo"]),
        ("runs", "grpo", "start", "nobody", ["run grpo", "unknown start model 'nobody'", "allowed: base"]),
        (
            "runs",
            "grpo",
            "benchmark",
            "nothing",
            ["run grpo", "unknown benchmark 'nothing'", "aime24, amc23"],
        ),
        ("arms", "grpo", "model", "ppo", ["arm grpo", "unknown model or run 'ppo'", "allowed: base, grpo"]),
        ("arms", "grpo", "step", "7", ["arm grpo", "unknown step '7'", "last"]),
        ("arms", "base", "step", "soon", ["arm base", "unknown step 'soon'", "last"]),
        ("runs", "grpo", "checkpoints", "5,999999", ["run grpo", "checkpoints [999999] beyond step"]),
        ("runs", "grpo", "seeds", "-", ["run grpo", "no seeds"]),
    ],
)
def test_an_unknown_name(
    project: Project, sheet: str, name: str, column: str, cell: str, parts: list[str]
) -> None:
    project.put(sheet, name, column, cell)
    project.refused(project.path(sheet).name, *parts)


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
            lambda a: a["tables"]["passk"].update(neds=[]),
            ["tables.passk", "'neds'", "allowed keys:", "needs"],
        ),
        (
            lambda a: a["tables"]["passk"].update(needs=["luck"]),
            ["tables.passk.needs.0", "luck", "counts, problems"],
        ),
        (lambda a: a["tables"]["passk"].update(numbers={"estimate": "furlongs"}), ["furlongs", "percent"]),
        (lambda a: a["tables"]["passk"].pop("title"), ["tables.passk", "'title'", "required"]),
        (lambda a: a.pop("figures"), ["top level", "'figures'", "required"]),
    ],
)
def test_wrong_artifacts(project: Project, change: Callable[[Any], None], parts: list[str]) -> None:
    project.artifacts(change)
    project.refused("artifacts.yaml: ", *parts)
