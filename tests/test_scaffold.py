"""Chunks, templates and prompts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_benchmarks import COUNTS, problems

from anatomy.errors import AnatomyError
from anatomy.prompts.chunks import CHUNKS, chunks, spans, world_chunks
from anatomy.prompts.templates import (
    CONDITIONS,
    PARTIAL,
    Template,
    fill,
    link,
    link_number,
    load_template,
    prompts,
)
from anatomy.storage import parquet
from anatomy.world import problems as world_problems

TEMPLATES = Path(__file__).resolve().parents[1] / "config/templates"
PROGRAM = ("fence", "continuation", "body")
"""How templates that ask for a program have it marked."""
Row = dict[str, Any]


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


@given(st.integers(0, 2**32), st.integers(1, world_problems.MAX_STEPS))
def test_world_chunks_are_words_and_give_the_solution_back(seed: int, steps: int) -> None:
    problem = world_problems.problems(seed, "made", 1, [steps], ["mixed"], "test")[0]
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
    assert loaded.answer in ("world", *PROGRAM) or r"\boxed{}" in loaded.prompt


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
        *(
            (f"{VALID}{key}: '{text}'\n", f"key '{key}' must contain {re.escape(slot)} exactly once")
            for key, slot in (("plan", "{plan}"), ("knowledge", "{knowledge}"), ("earlier", "{fact}"))
            for text in ("", "{other}", f"{slot} {slot}")
        ),
        *(
            (
                f"{VALID}earlier: '{{fact}}'\nsubproblem: '{text}'\n",
                f"'subproblem' must contain {slot} exactly",
            )
            for text, slot in (
                ("{link}", "{earlier}"),
                ("{earlier}", "{link}"),
                ("{link} {earlier} {link}", "{link}"),
                ("{earlier} {link} {earlier}", "{earlier}"),
            )
        ),
        (VALID + "earlier: '{fact}'\n", "the keys 'earlier' and 'subproblem' belong together"),
        (VALID + "subproblem: '{earlier}{link}'\n", "the keys 'earlier' and 'subproblem' belong together"),
        (VALID + "tags: [think]\n", "key 'tags' must be text"),
        (
            VALID.replace("boxed", "bold"),
            r"key 'answer' is 'bold'; allowed are \['boxed', 'world', 'fence', ",
        ),
    ],
)
def test_a_wrong_template_is_refused_by_file_and_key(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AnatomyError, match=f"made.yaml: .*{message}"):
        load_template(path)


def test_a_whole_template_is_read(tmp_path: Path) -> None:
    texts = {
        "guess": " now",
        "plan": " {plan} {other}",
        "knowledge": "{knowledge}",
        "earlier": "{fact}",
        "subproblem": "{problem}{earlier}{link}",
        "tags": "think answer",
    }
    (tmp_path / "made.yaml").write_text(
        VALID + json.dumps(texts)[1:-1].replace('", "', '"\n"'), encoding="utf-8"
    )
    assert load_template(tmp_path / "made.yaml") == Template(
        "made", "here", "{question}", "", "boxed", **texts
    )


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match=r"absent\.yaml"):
        load_template(tmp_path / "absent.yaml")


# Prompts

WORLD = world_problems.parse("a = 3 ; b = a @ 5 ; c = a # b ; d = b * c ; e = d - 6 ; ask d e ?")


def world_row(problem: world_problems.Problem) -> Row:
    return {
        "problem": problem.name,
        "benchmark": "made",
        "text": problem.text,
        "plan": problem.plan,
        "plan_disordered": problem.disordered_plan,
        "plan_incomplete": problem.incomplete_plan,
        "knowledge": problem.knowledge,
        "knowledge_irrelevant": problem.irrelevant_knowledge,
        "subproblems": problem.subproblems,
        "chunks": world_chunks(problem.lines, problem.answer),
    }


MATH: Row = {
    "problem": "7",
    "benchmark": "made",
    "text": r"A rectangle is $\frac{3}{2}$ times as long as wide; its area is $54$. What is its perimeter?",
    "plan": "1. Express the area.\n2. Find the width.\n3. Find the length.\n4. Add all sides.",
    "plan_disordered": "1. Find the length.\n2. Add all sides.\n3. Find the width.\n4. Express the area.",
    "plan_incomplete": "1. Express the area.\n2. Find the width.\n3. Add all sides.",
    "knowledge": r"A rectangle of sides $a$ and $b$ has the area $ab$ and the perimeter $2(a + b)$.",
    "knowledge_irrelevant": r"A circle of radius $r$ has the area $\pi r^{2}$ and the perimeter $2 \pi r$.",
    "subproblems": [
        {"question": "What is the width?", "answer": "6", "fact": "The width is ${answer}$."},
        {"question": "What is the length?", "answer": "9", "fact": "The length is ${answer}$."},
        {"question": "What is the perimeter?", "answer": "30", "fact": "The perimeter is ${answer}$."},
    ],
    "chunks": [
        "With the width $w$ the area is $\\frac{3}{2} w^{2} = 54$.\n\n",
        "So $w^{2} = 36$ and $w = 6$.\n\n",
        "The length is $\\frac{3}{2} \\cdot 6 = 9$.\n\n",
        "The perimeter is $2(6 + 9) = \\boxed{30}$.",
    ],
}
CODE: Row = {
    **dict.fromkeys(MATH),
    "problem": "HumanEval/1",
    "benchmark": "made",
    "text": 'def first(x):\n    """Return the first of x."""',
}
TASK: Row = {**CODE, "text": "task 3 1 2 4 to 1 2 3 4 ; 5 0 0 1 to 0 0 1 5 ?"}
OWN = ("4", "2", "1", "0")
"""What a model might have answered to the links of either problem."""
GIVEN = ("plan", "plan-disordered", "plan-incomplete", "knowledge", "knowledge-irrelevant")
PARTS = {**{condition: condition.replace("-", "_") for condition in GIVEN}, "subproblems": "subproblems"}


def conditions_of(loaded: Template) -> list[str]:
    """The conditions that a template has texts for, as configurations call them."""
    field = {name: name.partition("-")[0] for name in CONDITIONS} | {"subproblems": "subproblem"}
    return [name for name in CONDITIONS if getattr(loaded, field[name], "") is not None]


def rendered(loaded: Template, problem: Row) -> dict[str, str]:
    """The prompt of every condition that a template has, the model's own earlier answers among them."""
    found = {row["condition"]: row["prompt"] for row in prompts(problem, loaded, conditions_of(loaded))}
    for number in range(1, len(problem["subproblems"]) + 1) if loaded.subproblem else ():
        found[f"own-{number}"] = link(problem, loaded, number, OWN[: number - 1])
    return found


GOLDEN = json.loads(Path(__file__).with_name("renderings.json").read_text(encoding="utf-8"))
"""Lines of the exact prompt, by template and condition."""
ROWS = {"world": world_row(WORLD), "boxed": MATH, "fence": CODE, "continuation": CODE, "body": TASK}
RENDERED = {
    path.stem: rendered(loaded, ROWS[loaded.answer])
    for path in sorted(TEMPLATES.glob("*.yaml"))
    for loaded in [load_template(path)]
}


def test_the_golden_renderings_are_those_of_all_templates_and_conditions() -> None:
    pairs = [
        {(name, condition) for name in table for condition in table[name]} for table in (RENDERED, GOLDEN)
    ]
    assert pairs[0] - pairs[1] == set(), "without a text in tests/renderings.json"
    assert pairs[1] - pairs[0] == set(), "in tests/renderings.json, but no such template or condition"


@pytest.mark.parametrize(
    ("name", "condition"), [(name, condition) for name in RENDERED for condition in RENDERED[name]]
)
def test_rendering(name: str, condition: str) -> None:
    golden = "\n".join(GOLDEN.get(name, {}).get(condition, ()))
    assert RENDERED[name][condition] == golden, f"template {name}, condition {condition}"


def test_every_template_has_the_conditions_of_the_study() -> None:
    study = [*GIVEN, "subproblems", *PARTIAL, "plain"]
    for name in RENDERED:
        loaded = template(name)
        if loaded.answer in PROGRAM:  # programs are asked for plainly, and have no solution in steps
            assert set(RENDERED[name]) == {"plain", "partial-0"}
            continue
        assert set(study) <= set(conditions_of(loaded))
        assert ("guess" in conditions_of(loaded)) == (name == "world")


def test_the_prefix_is_the_given_chunks_alone() -> None:
    found = {
        row["condition"]: row
        for row in prompts(MATH, template("sparkle"), conditions_of(template("sparkle")))
    }
    for condition, row in found.items():
        kind, _, level = condition.rpartition("-")
        given = "".join(MATH["chunks"][: int(level)]).rstrip() if kind == "partial" else ""
        assert row["prefix"] == given
        if kind == "partial":
            assert row["prompt"].endswith(f"Assistant: <think>\n{given}".rstrip())


@given(st.integers(0, 2**32), st.integers(1, world_problems.MAX_STEPS))
def test_world_prompts_are_words_with_one_space_between(seed: int, steps: int) -> None:
    problem = world_problems.problems(seed, "made", 1, [steps], ["mixed"], "test")[0]
    row = world_row(problem)
    loaded = template("world")
    found = {row["condition"]: row for row in prompts(row, loaded, conditions_of(loaded))}
    assert all(" ".join(row["prompt"].split()) == row["prompt"] for row in found.values())
    assert found["plain"]["prompt"] == found["partial-0"]["prompt"] == problem.text
    assert found["guess"]["prompt"] == f"{problem.text} guess"
    assert found["plan"]["prompt"] == world_problems.prompt(problem, problem.plan)
    assert found["knowledge"]["prompt"] == world_problems.prompt(problem, problem.knowledge)
    # Level 4 gives every line, and leaves the answer to the model.
    assert found["partial-4"]["prefix"] == " ".join(problem.lines)
    assert found["partial-4"]["prompt"] == f"{problem.text} {' '.join(problem.lines)}"
    for number in range(1, steps + 1):
        assert found[f"subproblem-{number}"]["prompt"] == world_problems.link(problem, number, problem.values)


def test_level_4_of_a_boxed_template_gives_the_whole_solution() -> None:
    (row,) = prompts(MATH, template("oat"), ["partial-4"])
    assert row["prefix"] == "".join(MATH["chunks"])


@pytest.mark.parametrize("condition", PARTS)
@pytest.mark.parametrize("name", ["world", "oat"])
def test_a_problem_without_a_part_has_no_such_rows(name: str, condition: str) -> None:
    problem = world_row(WORLD) if name == "world" else MATH
    wanted = [one for one in conditions_of(template(name)) if one != "guess"]
    whole = {row["condition"] for row in prompts(problem, template(name), wanted)}
    found = {row["condition"] for row in prompts({**problem, PARTS[condition]: None}, template(name), wanted)}
    links = {f"subproblem-{number}" for number in range(1, len(problem["subproblems"]) + 1)}
    assert whole - found == (links if condition == "subproblems" else {condition})
    assert found < whole


def test_a_problem_with_nothing_but_its_text() -> None:
    bare = {**MATH, **dict.fromkeys([*PARTS.values(), "chunks"])}
    wanted = conditions_of(template("oat"))
    assert [row["condition"] for row in prompts(bare, template("oat"), wanted)] == ["plain", "partial-0"]
    assert list(prompts({**MATH, "subproblems": []}, template("oat"), ["subproblems"])) == []


def test_guess_needs_a_text_and_conditions_are_known(tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match="template 'oat' declares no 'guess' text"):
        list(prompts(MATH, template("oat"), ["guess"]))
    for unknown in ("partial-9", "subproblem-1", "own-subproblems", "plans"):
        with pytest.raises(AnatomyError, match=f"unknown condition '{unknown}'; allowed are"):
            list(prompts(MATH, template("oat"), [unknown]))
    (tmp_path / "made.yaml").write_text(VALID, encoding="utf-8")
    bare = load_template(tmp_path / "made.yaml")
    for condition, part in (("plan-incomplete", "plan"), ("knowledge", "knowledge"), ("subproblems", "sub")):
        with pytest.raises(AnatomyError, match=f"template 'made' declares no '{part}"):
            list(prompts(MATH, bare, [condition]))


# Slots and links

HOSTILE = [
    "{question}",
    "{answer}",
    "{fact}",
    "{link}",
    "{plan}",
    "{}",
    "{0}",
    r"\1 \g<0> \boxed{x}",
    "{{earlier}}",
]
TEXTS = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=4), max_size=6).map("".join)


@given(TEXTS, TEXTS, TEXTS)
def test_fill_puts_texts_in_as_they_are(one: str, two: str, other: str) -> None:
    assert fill("<{plan}|{fact}|{else}|{}>", plan=one, fact=two) == f"<{one}|{two}|{{else}}|{{}}>"
    assert fill("no slot", plan=one) == "no slot"
    assert fill(f"{{plan}}{other.replace('{', '')}", plan=one) == one + other.replace("{", "")


@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
def test_what_is_given_stands_in_the_prompt_as_it_is(
    text: str, part: str, question: str, answer: str, before: str
) -> None:
    loaded = Template(
        "made", "here", "<{question}> {answer}", "", "boxed",
        plan="|P {plan}", knowledge="|K {knowledge}",
        earlier="|E {fact}", subproblem="{problem}{earlier}|L {link}",
    )  # fmt: skip
    before = before.replace("{answer}", "")
    chain = [{"question": "?", "answer": answer, "fact": before + "{answer}"}]
    chain += [{"question": question, "answer": "", "fact": ""}]
    problem = {**MATH, "text": text, "plan": part, "knowledge": part, "subproblems": chain}
    found = {row["condition"]: row["prompt"] for row in prompts(problem, loaded, conditions_of(loaded))}
    assert found["plain"] == f"<{text}> {{answer}}"
    assert found["plan"] == f"<{text}|P {part}> {{answer}}"
    assert found["knowledge"] == f"<{text}|K {part}> {{answer}}"
    assert found["subproblem-1"] == f"<{text}|L ?> {{answer}}"
    assert found["subproblem-2"] == f"<{text}|E {before}{answer}|L {question}> {{answer}}"
    assert link(problem, loaded, 2, [answer]) == found["subproblem-2"]


def test_a_link_has_the_answers_that_it_is_told() -> None:
    told = link(MATH, template("oat"), 3, [r"\frac{7}{0}", "{answer}"])
    assert r"The width is $\frac{7}{0}$." in told and "The length is ${answer}$." in told
    assert "$6$" not in told and "$9$" not in told
    for answers in (["1"], ["1", "2", "3"]):
        with pytest.raises(ValueError, match="argument"):
            link(MATH, template("oat"), 3, answers)


@pytest.mark.parametrize(
    ("condition", "number"),
    [
        ("subproblem-1", 1),
        ("own-12", 12),
        ("plain", None),
        ("guess", None),
        ("partial-3", None),
        ("plan-disordered", None),
        ("knowledge-irrelevant", None),
        ("subproblems", None),
    ],
)
def test_link_number(condition: str, number: int | None) -> None:
    assert link_number(condition) == number


@pytest.mark.parametrize("name", COUNTS)
def test_published_problems_have_partial_prompts_where_they_have_solutions(name: str, tmp_path: Path) -> None:
    sparkle = template("sparkle")
    found = [row for problem in problems(name) for row in prompts(problem, sparkle, PARTIAL)]
    assert len(found) == COUNTS[name] * (1 if name == "amc23" else CHUNKS + 1)
    assert all(row["prompt"].endswith(f" <think>\n{row['prefix']}".rstrip()) for row in found)
    whole = {row["problem"]: row["prefix"] for row in found if row["condition"] == "partial-4"}
    assert whole == {p["problem"]: p["solution"].rstrip() for p in problems(name) if p["solution"]}
    parquet.write(tmp_path / "prompts.parquet", "prompts", found)
