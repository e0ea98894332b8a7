"""Chunks, templates and prompts."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_benchmarks import COUNTS, problems

from anatomy import tables, world
from anatomy.errors import AnatomyError
from anatomy.scaffold import (
    CHUNKS,
    CONDITIONS,
    Template,
    chunks,
    load_template,
    prompts,
    spans,
    world_chunks,
)

TEMPLATES = Path(__file__).resolve().parents[1] / "config/templates"
PARTIAL = CONDITIONS[2:]
MADE: dict[str, Any] = {
    "problem": "1",
    "benchmark": "made",
    "text": r"What is $\frac{1}{2}$ of {4}?",
    "chunks": ["Half of four.\n\n", "Four halves to two. ", "So two.", ""],
}


def template(name: str) -> Template:
    return load_template(TEMPLATES / f"{name}.yaml")


# Chunks


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        ("A.\n\nB.\n\nC.\n\nD.", ["A.\n\n", "B.\n\n", "C.\n\n", "D."]),
        ("A.\n\nB.\n\nC.\n\nD.\n\nE.", ["A.\n\nB.\n\n", "C.\n\n", "D.\n\n", "E."]),
        ("So:\n1. Add.\n2. Take.\n3. End. Yes.", ["So:\n", "1. Add.\n", "2. Take.\n", "3. End. Yes."]),
        (
            "Let us. See.\nFirst a.\nThen b.\nFinally c.",
            ["Let us. See.\n", "First a.\n", "Then b.\n", "Finally c."],
        ),
        ("One is 1.5. Two, e.g. Ann. Is it? Yes", ["One is 1.5. ", "Two, e.g. Ann. ", "Is it? ", "Yes"]),
        ("Buy 2 for $9.95\nSell 3 at $4\nGain", ["Buy 2 for $9.95\n", "Sell 3 at $4\n", "Gain", ""]),
        ("We get $x = 3.$ Then $y = 4.$", ["We get $x = 3.$ ", "Then $y = 4.$", "", ""]),
        ("One sentence", ["One sentence", "", "", ""]),
        ("", ["", "", "", ""]),
    ],
)
def test_chunks_by_the_rules(solution: str, expected: list[str]) -> None:
    assert chunks(solution) == expected


WHOLE = [
    "$a. B\nC$",
    "$$a. B\n\nC$$",
    r"\(a. B\)",
    "\\[a. B\n\nC\\]",
    "\\begin{align}a. B\n\n\\begin{align}C\\end{align}. D\\end{align}",
    "[asy]\ndraw(A);\n\ndraw(B); $\n[/asy]",
]
LOOSE = [
    "It is so. ",
    "And\n\n",
    "1. Item\n",
    "It costs $5. ",
    "a \\$3 fee. ",
    "\\begin{align} ",
    "\\[2pt ",
    "$",
]


@pytest.mark.parametrize("whole", WHOLE)
def test_formulas_environments_and_drawings_stay_whole(whole: str) -> None:
    text = f"Before. Here. {whole} After. End. "
    assert spans(text) == [(14, 14 + len(whole))]
    assert any(whole in chunk for chunk in chunks(text))


@given(st.lists(st.sampled_from([*WHOLE, *LOOSE]) | st.text(max_size=8), max_size=30).map("".join))
def test_chunks_give_any_text_back_and_cut_no_span(text: str) -> None:
    parts = chunks(text)
    assert len(parts) == CHUNKS
    assert "".join(parts) == text
    cuts = [len("".join(parts[:i])) for i in range(1, CHUNKS)]
    assert not any(start < cut < end for cut in cuts for start, end in spans(text))


@given(st.lists(st.sampled_from(["Do this. ", "Pay $5. ", "So $x$ is. "]), min_size=4, max_size=40))
def test_adjacent_units_are_merged_evenly(sentences: list[str]) -> None:
    counts = [chunk.count(". ") for chunk in chunks("".join(sentences))]
    assert sum(counts) == len(sentences)
    assert max(counts) - min(counts) <= 1


def test_an_unbalanced_formula_swallows_nothing() -> None:
    text = "A costs $5 and B. C is $x. D is. " + "E is. " * 4
    assert spans(text) == []
    assert len([chunk for chunk in chunks(text) if chunk]) == CHUNKS


def test_amounts_of_money_are_no_formulas() -> None:
    assert spans("He has $5 and spends $3. A $4 fee") == []
    assert spans("She earns 2*9=$<<2*9=18>>18 a day and $4 more") == []
    text = "$5$ and $3 $ and $4 \\text{ apples each}$"
    assert [text[a:b] for a, b in spans(text)] == ["$5$", "$3 $", "$4 \\text{ apples each}$"]


def unclosed(text: str) -> tuple[int, ...]:
    """Open formulas, environments and drawings at a text's end, counted without ``spans``."""
    text = text.replace("\\\\", "")
    pairs = (("\\[", "\\]"), ("\\(", "\\)"), ("\\begin", "\\end"), ("[asy]", "[/asy]"))
    return (*(text.count(a) - text.count(b) for a, b in pairs), len(re.findall(r"(?<!\\)\$", text)) % 2)


@pytest.mark.parametrize("name", [name for name in COUNTS if name != "amc23"])
def test_published_solutions_are_cut_outside_formulas(name: str) -> None:
    for row in problems(name):
        assert len(row["chunks"]) == CHUNKS
        assert "".join(row["chunks"]) == row["solution"]
        starts = ["".join(row["chunks"][:i]) for i in range(1, CHUNKS)]
        assert not any(a < len(s) < b for s in starts for a, b in spans(row["solution"]))
        # GSM8K's dollars are money; one Minerva solution is itself unbalanced.
        if name != "gsm8k" and not any(unclosed(row["solution"])):
            assert not any(any(unclosed(start)) for start in starts), row["problem"]


@given(st.integers(0, 2**32), st.integers(1, world.MAX_STEPS))
def test_world_chunks_are_words_and_give_the_solution_back(seed: int, steps: int) -> None:
    problem = world.problems(seed, "made", 1, [steps], ["mixed"], "test")[0]
    parts = world_chunks(problem.lines, problem.answer)
    assert "".join(parts) == problem.solution
    assert parts[-1].endswith(f"ans {problem.answer}")
    lines = [part.count(".") for part in parts]
    assert sum(lines) == steps and max(lines) - min(lines) <= 1


# Templates


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.yaml")), ids=lambda path: str(path.stem))
def test_every_template_is_valid_and_names_its_source(path: Path) -> None:
    loaded = load_template(path)
    assert "exact" in loaded.source or "reconstructed" in loaded.source
    assert loaded.answer == "world" or r"\boxed{}" in loaded.prompt


VALID = "name: made\nsource: here\nprompt: '{question}'\nresponse: ''\nanswer: boxed\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- list", "a template is a mapping"),
        ("name: [", "cannot be read"),
        (VALID + "extra: 1\n", "unknown key 'extra'; allowed are"),
        (VALID.replace("source: here\n", ""), "key 'source' is missing"),
        (VALID.replace("here", "5"), "key 'source' must be text, not 5"),
        (VALID.replace("made", "other"), "key 'name' is 'other'"),
        (VALID.replace("{question}", "{problem}"), "key 'prompt' must contain {question} exactly once"),
        (VALID.replace("boxed", "bold"), r"key 'answer' is 'bold'; allowed are \['boxed', 'world'\]"),
    ],
)
def test_a_wrong_template_is_refused_by_file_and_key(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AnatomyError, match=f"made.yaml: .*{message}"):
        load_template(path)


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match=r"absent\.yaml"):
        load_template(tmp_path / "absent.yaml")


# Prompts

STEP_BY_STEP = r"Please reason step by step, and put your final answer within \boxed{}."
RENDERED = {
    "world": "{Q}",
    "qwen-boxed": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    f"<|im_start|>user\n{{Q}}\n{STEP_BY_STEP}<|im_end|>\n<|im_start|>assistant\n",
    "oat": f"<|im_start|>system\n{STEP_BY_STEP}<|im_end|>\n<|im_start|>user\n{{Q}}<|im_end|>\n"
    "<|im_start|>assistant\n",
    "sparkle": "A conversation between User and Assistant. The User asks a question, and the "
    "Assistant solves it. The Assistant first thinks through the problem step by step "
    "between <think> and </think>, then gives the answer between <answer> and </answer>, "
    "with the final result in \\boxed{}. The format is: User: What is 2 + 3? Assistant: "
    "<think> Adding 3 to 2 gives 5. </think> <answer> The sum is \\boxed{5}. "
    "</answer>\n\nUser: {Q}\nAssistant:",
    "abel-dapo": "<|im_start|>user\nA conversation between a user and an assistant. The user asks a "
    "question, and the assistant solves it step by step, within a limit of 20,480 tokens. "
    "The last line of the response has the form Answer: $Answer, where $Answer is the "
    "final answer within \\boxed{}.\n\n{Q}<|im_end|>\n<|im_start|>assistant\n",
    "verl-r1": "A conversation between User and Assistant. The user asks a question, and the "
    "Assistant solves it. The assistant first thinks about the reasoning process in the "
    "mind and then provides the user with the answer. The reasoning process and answer are "
    "enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., "
    "<think> reasoning process here </think> <answer> answer here </answer>. The final "
    "answer is put within \\boxed{} inside the answer tags. User: {Q}\nAssistant:",
}
OPENED = {"sparkle": " <think>\n", "verl-r1": " <think>\n", "world": " "}


def test_every_template_is_pinned() -> None:
    assert sorted(RENDERED) == sorted(path.stem for path in TEMPLATES.glob("*.yaml"))


@pytest.mark.parametrize("name", RENDERED)
def test_rendering(name: str) -> None:
    plain = RENDERED[name].replace("{Q}", MADE["text"])
    rows = {row["condition"]: row for row in prompts(MADE, template(name), ["plain", *PARTIAL])}
    opened = plain + OPENED.get(name, "")
    steps = "Half of four.\n\nFour halves to two."
    assert rows["plain"]["prompt"] == plain
    assert rows["partial-0"]["prompt"] == plain + OPENED.get(name, "").rstrip()
    assert rows["partial-1"]["prompt"] == opened + "Half of four."
    assert rows["partial-2"]["prompt"] == opened + steps
    assert rows["partial-3"]["prompt"] == rows["partial-4"]["prompt"] == opened + steps + " So two."
    prefixes = [rows[condition]["prefix"] for condition in ("plain", *PARTIAL[:3])]
    assert prefixes == ["", "", "Half of four.", steps]


def test_world_prompts_are_words_with_one_space_between() -> None:
    problem = world.problems(1, "made", 1, [6], ["mixed"], "test")[0]
    row = {
        "problem": problem.name,
        "benchmark": "world",
        "text": problem.text,
        "chunks": world_chunks(problem.lines, problem.answer),
    }
    found = {row["condition"]: row for row in prompts(row, template("world"), CONDITIONS)}
    assert set(found) == set(CONDITIONS)
    assert all(" ".join(row["prompt"].split()) == row["prompt"] for row in found.values())
    assert found["plain"]["prompt"] == found["partial-0"]["prompt"] == problem.text
    assert found["guess"]["prompt"] == f"{problem.text} guess"
    assert found["partial-1"]["prompt"] == f"{problem.text} {problem.lines[0]} {problem.lines[1]}"
    assert found["partial-4"]["prompt"] == f"{problem.text} {problem.solution}"
    assert found["partial-4"]["prefix"] == problem.solution


def test_guess_needs_a_text_and_conditions_are_known() -> None:
    with pytest.raises(AnatomyError, match="template 'oat' declares no 'guess' text"):
        list(prompts(MADE, template("oat"), ["guess"]))
    with pytest.raises(AnatomyError, match="unknown condition 'partial-9'; allowed are"):
        list(prompts(MADE, template("oat"), ["partial-9"]))


@pytest.mark.parametrize("name", COUNTS)
def test_published_problems_have_partial_prompts_where_they_have_solutions(name: str, tmp_path: Path) -> None:
    sparkle = template("sparkle")
    found = [row for problem in problems(name) for row in prompts(problem, sparkle, PARTIAL)]
    assert len(found) == COUNTS[name] * (1 if name == "amc23" else CHUNKS + 1)
    assert all(row["prompt"].endswith(f" <think>\n{row['prefix']}".rstrip()) for row in found)
    whole = {row["problem"]: row["prefix"] for row in found if row["condition"] == "partial-4"}
    assert whole == {p["problem"]: p["solution"].rstrip() for p in problems(name) if p["solution"]}
    tables.write(tmp_path / "prompts.parquet", "prompts", found)
