"""What a job depends on: the meaning of the code that it reaches, and the content of its inputs."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from anatomy.errors import AnatomyError
from anatomy.models import store
from anatomy.storage import parquet
from anatomy.storage.verdicts import COUNTED
from anatomy.workflow import code_digest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
Edit = Callable[[str, str, str], None]


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the scripts and their library, whose code is digested in place of the project's."""
    copied = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digest, "_LIBRARY", copied / "anatomy")
    return copied


@pytest.fixture
def edit(scripts: Path) -> Edit:
    def replace(name: str, old: str, new: str) -> None:
        path = scripts / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return replace


def digest(script: Path) -> str:
    code_digest.code.cache_clear()
    code_digest.modules.cache_clear()
    return code_digest.code(script)


def reached(script: Path) -> set[str]:
    """Return what a script reaches: modules by their dotted names in the library, the script by its own."""
    code_digest.modules.cache_clear()
    library = code_digest._LIBRARY
    return {
        ".".join(path.relative_to(library).with_suffix("").parts) if library in path.parents else path.stem
        for path in code_digest.modules(script)
    }


def modules(package: Path) -> set[str]:
    """Return the modules of a package as `reached` calls them."""
    return {f"{package.name}.{path.stem}" for path in package.glob("[!_]*.py")}


# Code ---------------------------------------------------------------------------------------------------


def test_a_script_reaches_what_it_imports_and_what_that_imports(scripts: Path) -> None:
    (scripts / "one.py").write_text("from anatomy.grading import counts\n")
    assert reached(scripts / "one.py") == {"one", "grading.counts", "errors", "storage.verdicts"}
    (scripts / "two.py").write_text(
        "import anatomy.sampling.engine\n\n\n"
        "def f():\n    from anatomy.statistics.pass_at_k import pass_at_k\n"
    )
    assert {"two", "sampling.engine", "models.decoding", "models.store", "errors"} <= reached(
        scripts / "two.py"
    )
    assert "statistics.pass_at_k" in reached(scripts / "two.py")
    assert "sampling.vllm_engine" not in reached(scripts / "two.py")
    (scripts / "three.py").write_text(
        "import json\nfrom anatomy.storage.parquet import write as w, read\nimport numpy\n"
    )
    table = {"storage.parquet", "storage.schemas", "storage.atomic", "errors"}
    assert reached(scripts / "three.py") == {"three", *table}
    (scripts / "four.py").write_text("import anatomy.storage.parquet as t, anatomy.rng\n")
    assert reached(scripts / "four.py") == {"four", "rng", *table}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""The embedded world: ', '"""Another text about the embedded world: '),
        ("MODULUS = 7\n", "MODULUS = 7  # a prime\n\n\n# and a comment\n"),
        ('    """Return ``x operator y`` modulo 7."""\n', ""),
        ('    """Return ``x operator y`` modulo 7."""\n', '    """Another docstring."""\n'),
        ('"""How many variables an answer names: the last ones of the chain."""\n', ""),
        ("return x * y % MODULUS", "return (\n            x * y\n            % MODULUS\n        )"),
        ('if operator == "*":', "if operator == '*':"),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(scripts: Path, edit: Edit, old: str, new: str) -> None:
    before = digest(scripts / "world.py")
    edit("anatomy/world/problems.py", old, new)
    assert digest(scripts / "world.py") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("anatomy/world/problems.py", "MODULUS = 7\n", "MODULUS = 5\n"),
        ("anatomy/world/problems.py", "return x * y % MODULUS", "return x + y % MODULUS"),
        ("anatomy/world/problems.py", '{"+": (1, 1)', '{"+": (1, 2)'),
        ("anatomy/world/problems.py", "def draw(", "UNUSED = 1\n\n\ndef draw("),
        ("anatomy/rng.py", '"little"', '"big"'),
        ("world.py", "def main(", "LIMIT = 3\n\n\ndef main("),
    ],
)
def test_a_change_in_reachable_code_is_seen(scripts: Path, edit: Edit, name: str, old: str, new: str) -> None:
    before = digest(scripts / "world.py")
    edit(name, old, new)
    assert digest(scripts / "world.py") != before


@pytest.mark.parametrize(
    "name",
    ["statistics/pass_at_k", "grading/counts", "grading/graders", "training/checkpoints", "sampling/engine",
     "models/decoding", "study/validation"],
)  # fmt: skip
def test_a_change_in_unreachable_code_is_not(scripts: Path, name: str) -> None:
    before = digest(scripts / "world.py")
    path = scripts / "anatomy" / f"{name}.py"
    path.write_text(path.read_text() + "\nCHANGED = 1\n")
    assert digest(scripts / "world.py") == before


def test_expensive_jobs_do_not_depend_on_the_analysis(scripts: Path) -> None:
    library = scripts / "anatomy"
    analysis = {name for part in ("analyses", "statistics", "reporting") for name in modules(library / part)}
    analysis.add("grading.counts")
    jobs = "world pretrain distill train finetune match_entropy sample probe grade score"
    for script in jobs.split():
        found = reached(scripts / f"{script}.py")
        assert not found & (analysis | {"study.validation", "workflow.code_digest"}), (script, found)
    assert not reached(scripts / "count.py") & (analysis - {"grading.counts"})
    assert {"sampling.engine", "models.decoding", "models.store", "storage.parquet", "rng"} <= reached(
        scripts / "sample.py"
    )
    assert {"sampling.entropy_matching", "sampling.engine", "models.decoding"} <= reached(
        scripts / "match_entropy.py"
    )


def test_an_analysis_reaches_the_statistics_that_it_uses_and_no_others(scripts: Path) -> None:
    analyses = scripts / "anatomy" / "analyses"
    assert {"analyses.inputs", "statistics.pass_at_k", "rng"} <= reached(analyses / "passk.py")
    assert not reached(analyses / "passk.py") & {
        "statistics.perplexity",
        "statistics.beta_binomial",
    }


def test_packages_hold_a_docstring_and_no_code() -> None:
    """What stood in an ``__init__`` would be reached by all of a package, and be in no digest."""
    for path in (SCRIPTS / "anatomy").rglob("__init__.py"):
        (docstring,) = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr), path
    for folder in (SCRIPTS / "anatomy").rglob("*.py"):
        assert (folder.parent / "__init__.py").is_file(), folder


def test_a_training_reaches_its_own_algorithm_alone(scripts: Path) -> None:
    folder = scripts / "anatomy" / "algorithms"
    all_of_them = modules(folder) - {"algorithms.registry"}
    found = reached(scripts / "train.py")
    trainer = {f"training.rl_{part}" for part in ("config", "rollouts", "trainer")}
    assert {"algorithms.registry", *trainer} <= found and not found & all_of_them
    assert reached(folder / "dapo.py") & all_of_them == {"algorithms.dapo", "algorithms.grpo"}


def test_an_analysis_reaches_another_that_it_uses(scripts: Path) -> None:
    (scripts / "one.py").write_text("from anatomy.analyses import disagreements\n")
    (scripts / "two.py").write_text("import anatomy.analyses.disagreements\n")
    for script in ("one", "two"):
        assert {script, "analyses.disagreements", "statistics.solved_sets"} <= reached(
            scripts / f"{script}.py"
        )


def test_the_place_of_the_code_does_not_matter(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = digest(scripts / "world.py")
    monkeypatch.setattr(code_digest, "_LIBRARY", SCRIPTS / "anatomy")
    assert digest(SCRIPTS / "world.py") == here


# Content ------------------------------------------------------------------------------------------------


def counts(path: Path, answer: int) -> Path:
    row = {"problem": "p", "condition": "plain", "n": 8, "derivation": None, "chain": None}
    row |= {"lenient": None, **dict.fromkeys(COUNTED, 0), "tokens": 80}
    parquet.write(path, "counts", [row | {"answer": answer, "entropy": None, "temperature": 1.0}])
    return path


def test_a_table_is_known_by_its_content(tmp_path: Path) -> None:
    first = code_digest.content(counts(tmp_path / "a.parquet", 1))
    assert code_digest.content(counts(tmp_path / "b.parquet", 1)) == first
    assert code_digest.content(counts(tmp_path / "b.parquet", 2)) != first
    assert first == parquet.identity(tmp_path / "a.parquet")


def test_a_table_is_known_without_reading_its_data(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    sample = {"problem": "p", "condition": "plain", "tokens": 1, "finish_reason": "stop", "logprob": 0.0}
    sample |= {"entropy": None, "temperature": 1.0}
    parquet.write(path, "samples", [sample | {"sample": i, "completion": f"{i * 7919}"} for i in range(5000)])
    before = code_digest.content(path)
    with path.open("r+b") as file:  # damage that only reading the data would show
        file.seek(100)
        file.write(b"\0" * 10)
    assert code_digest.content(path) == before
    with pytest.raises(AnatomyError):
        parquet.verify(path, "samples")


def test_a_foreign_table_is_known_too(tmp_path: Path) -> None:
    found = []
    for value in (1, 2):
        pd.DataFrame({"a": [value]}).to_parquet(tmp_path / "a.parquet")
        found.append(code_digest.content(tmp_path / "a.parquet"))
    assert found[0] != found[1]
    (tmp_path / "a.parquet").write_text("not a table")
    with pytest.raises(AnatomyError, match=r"a\.parquet"):
        code_digest.content(tmp_path / "a.parquet")


def test_other_files_are_known_by_their_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("a,b\n1,2\n")
    two.write_text("a,b\n1,2\n")
    assert code_digest.content(one) == code_digest.content(two)
    two.write_text("a,b\n1,3\n")
    assert code_digest.content(one) != code_digest.content(two)


def test_a_model_is_known_by_its_manifest(tmp_path: Path) -> None:
    def model(name: str, weights: str) -> Path:
        folder = tmp_path / name / "step-9"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_text(weights)
        store.write_manifest(folder)
        return tmp_path / name

    one = code_digest.content(model("one", "abc"))
    assert code_digest.content(model("two", "abc")) == one
    assert code_digest.content(model("two", "abd")) != one


def test_a_folder_without_a_model_is_not_content(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        code_digest.content(tmp_path / "empty")


@pytest.mark.parametrize("name", ["nothing.csv", "nothing.parquet", "nothing"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        code_digest.content(tmp_path / name)


def test_a_stamp_depends_on_code_and_on_inputs_in_their_order(scripts: Path, tmp_path: Path) -> None:
    a, b = counts(tmp_path / "a.parquet", 1), counts(tmp_path / "b.parquet", 2)
    script, other = scripts / "count.py", scripts / "world.py"
    stamps = [
        code_digest.stamp([script], [a, b]),
        code_digest.stamp([script], [b, a]),
        code_digest.stamp([script], [a]),
        code_digest.stamp([script], []),
        code_digest.stamp([other], [a, b]),
        code_digest.stamp([script, other], [a, b]),
        code_digest.stamp([other, script], [a, b]),
        code_digest.stamp([script, script], [a, b]),
        code_digest.stamp([], [a, b]),
    ]
    assert len(set(stamps)) == len(stamps)
    moved = counts(tmp_path / "elsewhere.parquet", 1)
    assert code_digest.stamp([script], [moved, b]) == stamps[0]
    assert code_digest.stamp(iter([script, other]), iter([a, b])) == stamps[5]


@pytest.mark.parametrize(
    ("script", "folder", "names", "line"),
    [
        ("table", "analyses", ("passk", "outcomes"), "def rows("),
        ("train", "algorithms", ("ppo", "rloo"), "class "),
    ],
)
def test_a_stamp_depends_on_each_script(
    script: str, folder: str, names: tuple[str, str], line: str, scripts: Path, edit: Edit
) -> None:
    """A table's analysis and a training's algorithm are found by name alone, so they are stamped too."""

    def stamps() -> list[str]:
        code_digest.code.cache_clear()
        code_digest.modules.cache_clear()
        return [
            code_digest.stamp([scripts / f"{script}.py", scripts / f"anatomy/{folder}/{name}.py"], [])
            for name in names
        ]

    before = stamps()
    assert before[0] != before[1]
    edit(f"anatomy/{folder}/{names[0]}.py", line, f"CHANGED = 1\n\n\n{line}")
    changed = stamps()
    assert changed[0] != before[0] and changed[1] == before[1]
    edit(f"{script}.py", "def main(", "CHANGED = 1\n\n\ndef main(")
    assert not set(stamps()) & {*before, *changed}


def test_a_broken_or_absent_input_counts_as_absent(scripts: Path, tmp_path: Path) -> None:
    script, path = scripts / "count.py", tmp_path / "a.parquet"
    absent = code_digest.stamp([script], [path])
    whole = code_digest.stamp([script], [counts(path, 1)])
    path.write_text("not a table")
    assert code_digest.stamp([script], [path]) == absent != whole
    assert absent != code_digest.stamp([script], [])


# What is known of sources ------------------------------------------------------------------------------

ASK = """
import json, sys
from pathlib import Path
from typing import Any
from anatomy.workflow import code_digest
if sys.argv[2:]:
    code_digest.remember(Path(sys.argv[2]))
script = Path(sys.argv[1])
found = [code_digest.code(script), [list(one) for one in code_digest.foreign(script)]]
print(json.dumps([found, code_digest._meaning.cache_info().misses]))
"""


def asked(script: Path, *known: Path) -> Any:
    """Return what a process of its own finds of a script, and how many sources it parsed for that."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, script, *known],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_what_is_known_of_sources_changes_nothing_but_the_time(tmp_path: Path) -> None:
    script, known = tmp_path / "some.py", tmp_path / "known.json"
    script.write_text(
        "import numpy as np\nfrom anatomy.statistics import pass_at_k\n\nprint(pass_at_k, np)\n"
    )
    plain, parsed = asked(script)
    assert parsed > 1 and ["numpy", [], True] in plain[1]
    assert asked(script, known) == [plain, parsed] and known.stat().st_size > 100
    assert asked(script, known) == [plain, 0]
    script.write_text("import scipy\nfrom anatomy.statistics import pass_at_k\n\nprint(pass_at_k, scipy)\n")
    changed, parsed = asked(script, known)
    assert parsed > 1 and changed == asked(script)[0] and changed[0] != plain[0]
    assert ["scipy", [], True] in changed[1] and ["numpy", [], True] in changed[1]  # which passk imports


@pytest.mark.slow
def test_a_broken_file_of_what_is_known_is_done_without(tmp_path: Path) -> None:
    script, known = tmp_path / "some.py", tmp_path / "known.json"
    script.write_text("import numpy\n")
    for broken in ('{"imports ', "[1]"):
        known.write_text(broken)
        assert asked(script, known)[0] == asked(script)[0]
    assert json.loads(known.read_text())
    assert asked(script, tmp_path / "some.py" / "no folder")[0] == asked(script)[0]
