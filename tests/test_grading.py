"""Graders: verdicts and rewards."""

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from test_benchmarks import COUNTS, problems

from anatomy import tables, world
from anatomy.errors import AnatomyError
from anatomy.grading import MAX_ANSWER, Verdict, _gold, grade, reward


def verdict(answers: list[str], boxed: str) -> str:
    return grade("math", {"answers": answers}, rf"So it is \boxed{{{boxed}}}.", "stop").verdict


@pytest.mark.parametrize("name", COUNTS)
def test_every_published_answer_is_right_and_a_changed_one_wrong(name: str) -> None:
    for index, problem in enumerate(problems(name)):
        answer = ", ".join(problem["answers"])
        assert grade("math", problem, rf"\boxed{{{answer}}}", "stop").verdict == "right", answer
        if index % 5 == 0:
            assert grade("math", problem, rf"\boxed{{{answer}+1}}", "stop").verdict == "wrong", answer


def test_every_published_answer_but_one_is_read_as_mathematics() -> None:
    unread = []
    for name in COUNTS:
        for problem in problems(name):
            gold = _gold(tuple(problem["answers"]))[0][0]
            if isinstance(gold, str):
                unread.append((name, gold))
            else:
                assert not gold.has(sympy.zoo, sympy.nan), problem["answers"]
    assert unread == [("olympiadbench", "t(0,4]")]  # a letter too many, as published


@pytest.mark.parametrize(
    ("answers", "boxed", "expected"),
    [
        (["27"], "27.0", "right"),
        (["025"], "25", "right"),
        (["27"], "x = 27", "right"),
        (["1/2"], r"\frac12", "right"),
        (["1.6"], r"1.6 \mathrm{~cm}", "right"),
        (["18"], r"\$18", "right"),
        (["4.5e33"], r"4.5 \times 10^{33}", "right"),
        (["4.5e33"], "4.5e32", "wrong"),
        (["1e-8"], "0", "wrong"),
        (["-1./3"], r"-\frac{1}{3}", "right"),
        (["np.arcsin(10/13)"], r"\sin^{-1}(10/13)", "right"),
        (["6m"], "6", "wrong"),
        (["6m"], "6 m", "right"),
        ([r"\frac{1}{3} E_{1}+\frac{2}{3} E_{2}"], r"\frac{2}{3}", "wrong"),
        ([r"c^2(\gamma^2-1)"], r"c^2(\gamma^2-2)", "wrong"),
        (["2/3"], r"\unheard_1 \frac{2}{3}", "wrong"),
        (["69", "84"], "84, 69", "right"),
        (["69", "84"], r"\{69, 84\}", "right"),
        (["69", "84"], "69", "wrong"),
        (["(1,2)", "(3,4)"], "(3,4), (1,2)", "right"),
        (["(1,2)", "(3,4)"], "(2,1), (3,4)", "wrong"),
        ([r"\text{Evelyn}"], r"\text{Evelyn}", "right"),
        ([r"\text{Evelyn}"], r"\text{Angela}", "wrong"),
        (["1"], r"\frac{", "malformed"),
        (["1"], "", "malformed"),
        (["1"], "  ", "malformed"),
    ],
)
def test_math_verdicts(answers: list[str], boxed: str, expected: str) -> None:
    assert verdict(answers, boxed) == expected


def test_only_the_last_box_of_the_completion_counts() -> None:
    problem = {"answers": ["2"]}
    assert grade("math", problem, r"\boxed{1} \boxed{2}", "stop") == Verdict("2", "right", None, None)
    assert grade("math", problem, r"\boxed{2} \boxed{1}", "stop") == Verdict("1", "wrong", None, None)
    assert grade("math", problem, "The answer is $2$.", "stop") == Verdict(None, "malformed", None, None)
    given_box = grade("math", problem, "as above", "stop", prefix=r"so \boxed{2}")
    assert given_box == Verdict(None, "malformed", None, None)


def test_truncated_is_never_right() -> None:
    problem = {"answers": ["2"]}
    assert grade("math", problem, r"\boxed{2}", "length") == Verdict(None, "truncated", None, None)
    assert reward("math", problem, r"\boxed{2}", truncated=True) == 0.0
    assert reward("math", problem, r"\boxed{2}", truncated=False) == 1.0
    assert reward("math", problem, r"\boxed{3}", truncated=False) == 0.0


def test_a_long_answer_is_wrong_and_cut() -> None:
    found = grade("math", {"answers": ["1"]}, rf"\boxed{{{'1+' * MAX_ANSWER}1}}", "stop")
    assert found.verdict == "wrong"
    assert found.answer is not None and len(found.answer) == MAX_ANSWER


@given(st.text(max_size=40))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert grade("math", {"answers": ["1"]}, text, "stop").verdict in ("right", "wrong", "malformed")


def test_unreadable_gold_and_unknown_names_are_errors() -> None:
    with pytest.raises(AnatomyError, match="gold answer '' cannot be read"):
        verdict([""], "1")
    with pytest.raises(AnatomyError, match="unknown grader 'code'; allowed are"):
        grade("code", {}, "", "stop")
    with pytest.raises(AnatomyError, match="unknown finish reason 'eos'; allowed are"):
        grade("math", {}, "", "eos")
    with pytest.raises(AnatomyError, match="grader 'world'"):
        grade("world", {"text": "What is 2?"}, "", "stop")


PROBLEM = world.problems(3, "made", 1, [4], ["mixed"], "test")[0]
ROW = {"text": PROBLEM.text}


def test_world_verdicts() -> None:
    answer, lines = PROBLEM.answer, PROBLEM.lines
    other = f"{(int(answer[0]) + 1) % 10} {answer[2]}"
    assert grade("world", ROW, PROBLEM.solution, "stop") == Verdict(answer, "right", True, -1)
    assert grade("world", ROW, f"ans {answer}", "stop") == Verdict(answer, "right", False, 0)
    assert grade("world", ROW, f"ans {other}", "stop") == Verdict(other, "wrong", False, 0)
    assert grade("world", ROW, " ".join(lines), "stop") == Verdict(None, "malformed", False, -1)
    assert grade("world", ROW, lines[0], "stop") == Verdict(None, "malformed", False, 1)
    assert grade("world", ROW, PROBLEM.solution, "length") == Verdict(None, "truncated", False, -1)


@pytest.mark.parametrize("given_lines", range(5))
def test_world_completion_continues_its_prefix(given_lines: int) -> None:
    prefix = " ".join(PROBLEM.lines[:given_lines])
    rest = " ".join([*PROBLEM.lines[given_lines:], f"ans {PROBLEM.answer}"])
    assert grade("world", ROW, rest, "stop", prefix) == Verdict(PROBLEM.answer, "right", True, -1)
    assert reward("world", ROW, rest, truncated=False, prefix=prefix) == 1.0
    assert reward("world", ROW, rest, truncated=True, prefix=prefix) == 0.0


def test_a_verdict_has_the_columns_of_the_table() -> None:
    assert ["problem", "sample", *Verdict.__dataclass_fields__] == tables.SCHEMAS["verdicts"].names
