"""Graders: verdicts, formats and rewards."""

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_benchmarks import COUNTS, problems

from anatomy import tables, world
from anatomy.errors import AnatomyError
from anatomy.grading import MAX_ANSWER, Verdict, _equal, _gold, grade, reward, well_formed


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


PAIRS = [
    (gold, answer)
    for gold in (("27",), ("2/3",), ("84", "69"), ("(1, 2)",), ("6m",), (r"\text{Evelyn}",), ("84",))
    for answer in (
        "27",
        "27.0",
        r"\frac23",
        "69, 84",
        "(1,2)",
        "6",
        r"\text{Evelyn}",
        "[1, 2)",
        "x = 84",
        "84",
    )
]


@given(st.permutations(PAIRS * 2))
@settings(max_examples=3)
def test_a_verdict_is_of_gold_and_answer_alone_in_whatever_order(
    pairs: list[tuple[tuple[str, ...], str]],
) -> None:
    _equal.cache_clear()
    found = {pair: _equal(*pair) for pair in pairs}
    assert found == {pair: _equal.__wrapped__(*pair) for pair in PAIRS}
    assert sum(found.values()) == 8
    assert _equal.cache_info().hits == _equal.cache_info().misses == len(PAIRS)


def test_the_same_answer_is_compared_once() -> None:
    _equal.cache_clear()
    problem = {"answers": ["25"]}
    for step in range(200):
        assert grade("math", problem, rf"{step} steps, \boxed{{25}}", "stop") == Verdict(
            "25", "right", None, None
        )
    assert _equal.cache_info().misses == 1
    assert _equal.cache_info().maxsize  # bounded


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
    row = {**ROW, "prefix": prefix}
    assert reward("world", row, rest, truncated=False) == 1.0
    assert reward("world", row, rest, truncated=True) == 0.0
    assert reward("world", row, rest, False, "hierarchical", opening=" ") == 2.0
    if given_lines:
        assert reward("world", ROW, rest, False, "hierarchical", opening=" ") == 1.0


def test_a_verdict_has_the_columns_of_the_table() -> None:
    assert ["problem", "condition", "sample", *Verdict.__dataclass_fields__] == tables.SCHEMAS[
        "verdicts"
    ].names


# Links of a chain


@pytest.mark.parametrize("kind", ["subproblem", "own"])
def test_a_world_link_is_graded_against_its_own_answer(kind: str) -> None:
    for number, line in enumerate(PROBLEM.lines, 1):
        value = line.split()[-2]
        other = str((int(value) + 1) % 7)
        condition = f"{kind}-{number}"

        def graded(completion: str, end: str = "stop", condition: str = condition) -> Verdict:
            return grade("world", ROW, completion, end, condition=condition)

        assert graded(f"{line} ans {value}") == Verdict(value, "right", True, -1)
        assert graded(f"ans {value}") == Verdict(value, "right", False, 0)
        assert graded(f"{line} ans {other}") == Verdict(other, "wrong", False, -1)
        assert graded(f"{line} ans {PROBLEM.answer}") == Verdict(None, "malformed", False, -1)
        assert graded(f"{line} ans {value}", "length") == Verdict(None, "truncated", False, -1)
        whole = grade("world", ROW, f"{line} ans {value}", "stop")
        assert whole.verdict == "malformed"


def test_a_math_link_is_graded_against_its_own_answer() -> None:
    chain = [
        {"question": "First?", "answer": "1/2", "fact": ""},
        {"question": "Then?", "answer": "3", "fact": ""},
    ]
    problem = {"answers": ["7"], "subproblems": chain}
    for condition, right in (("plain", "7"), ("subproblem-1", r"\frac12"), ("own-2", "3"), ("plan", "7")):
        for boxed in ("7", r"\frac12", "3"):
            found = grade("math", problem, rf"\boxed{{{boxed}}}", "stop", condition=condition)
            assert found.verdict == ("right" if boxed == right else "wrong"), (condition, boxed)


# Formats and rewards

TAGS = "think answer"
MATH = {"answers": ["2"], "text": "What is half of four?"}
GOOD = r"<think> Half. </think> <answer> So \boxed{2}. </answer>"


def slipped(problem: world.Problem) -> str:
    """A derivation of the right form whose first result is wrong, with the right answer."""
    words = problem.solution.split()
    words[10] = str((int(words[10]) + 1) % 7)
    return " ".join(words)


def test_the_worlds_format() -> None:
    lines, answer = PROBLEM.lines, f"ans {PROBLEM.answer}"

    def formed(*parts: str, truncated: bool = False) -> bool:
        return well_formed("world", ROW, " ".join(parts), truncated)

    assert formed(PROBLEM.solution) and formed(slipped(PROBLEM)) and formed(*lines, "ans 0 0")
    assert not formed(PROBLEM.solution, truncated=True)
    assert not formed(answer)
    assert not formed(*lines)
    assert not formed(*lines[:-1], answer)
    assert not formed(*lines, lines[-1], answer)
    assert not formed(lines[1], lines[0], *lines[2:], answer)
    assert not formed(*lines, answer, "0")
    assert not formed(PROBLEM.solution.replace(" = ", " + ", 1))


def test_a_box_is_the_format_without_tags() -> None:
    assert well_formed("math", MATH, r"so \boxed{3}", False)
    assert not well_formed("math", MATH, r"so \boxed{3}", True)
    assert not well_formed("math", MATH, "so 3", False)
    assert not well_formed("math", MATH, r"so \boxed{ }", False)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (GOOD, True),
        (f"\n {GOOD} \n", True),
        (GOOD.replace("2", "3"), True),
        (GOOD.replace("Half.", r"\boxed{7}"), True),
        ("", False),
        (r"\boxed{2}", False),
        (GOOD.replace(r"\boxed{2}", "2"), False),
        (GOOD.replace("Half.", r"\boxed{2}").replace(r"So \boxed{2}", "So 2"), False),
        (GOOD.replace("</think> ", ""), False),
        (GOOD.replace("<think> ", ""), False),
        (GOOD.replace(" </answer>", ""), False),
        (f"Well. {GOOD}", False),
        (f"{GOOD} Done.", False),
        (GOOD.replace("</think>", "</think> so"), False),
        (f"{GOOD} {GOOD}", False),
        (GOOD.replace("Half.", "<think> Half."), False),
        (GOOD.replace("Half.", "<answer> Half."), False),
        (GOOD.replace("Half.", "<answer> Half. </answer>"), False),
        (GOOD.replace("So", "</think>"), False),
        (r"<answer> \boxed{2} </answer> <think> Half. </think>", False),
        (r"<think> Half. <answer> \boxed{2} </answer> </think>", False),
    ],
)
def test_tags_stand_once_in_order_with_nothing_outside(response: str, expected: bool) -> None:
    assert well_formed("math", MATH, response, False, TAGS) == expected
    assert not well_formed("math", MATH, response, True, TAGS)


@given(st.text("<>/thinkaswer {}\\boxd2", max_size=60))
def test_any_response_has_a_format_or_not(text: str) -> None:
    assert not well_formed("math", MATH, text, False, TAGS)  # none is as long as a good one
    assert well_formed("math", MATH, GOOD.replace("Half", f"{text.replace('<', '')}"), False, TAGS)


def test_opening_prefix_and_completion_are_one_response() -> None:
    row = {**MATH, "prefix": "Four halves to two."}
    rest = GOOD.removeprefix("<think> ")

    def rewarded(problem: dict[str, object], completion: str, opening: str) -> float:
        return reward("math", problem, completion, False, "hierarchical", TAGS, opening)

    assert rewarded(row, rest, " <think>\n") == 2.0
    assert rewarded(row, GOOD, " <think>\n") == 1.0  # opened twice
    assert rewarded(row, rest, "") == 1.0  # never opened
    assert rewarded({**MATH, "prefix": ""}, GOOD, "") == 2.0
    assert rewarded({**MATH, "prefix": None}, GOOD, "") == rewarded(MATH, GOOD, "") == 2.0
    assert rewarded({**MATH, "prefix": "Half."}, GOOD, "") == 1.0  # what is given stands outside


WRONG = f"{' '.join(PROBLEM.lines)} ans {(int(PROBLEM.answer[0]) + 1) % 7} {PROBLEM.answer[2]}"


@pytest.mark.parametrize(
    ("kind", "problem", "completion", "truncated", "outcome", "hierarchical"),
    [
        ("world", ROW, PROBLEM.solution, False, 1, 2),
        ("world", ROW, slipped(PROBLEM), False, 1, 2),
        ("world", ROW, f"ans {PROBLEM.answer}", False, 1, 1),
        ("world", ROW, WRONG, False, 0, -1),
        ("world", ROW, " ".join(PROBLEM.lines), False, 0, -1),
        ("world", ROW, PROBLEM.solution, True, 0, -1),
        ("math", MATH, GOOD, False, 1, 2),
        ("math", MATH, r"\boxed{2}", False, 1, 1),
        ("math", MATH, GOOD.replace("2", "3"), False, 0, -1),
        ("math", MATH, "two", False, 0, -1),
        ("math", MATH, GOOD, True, 0, -1),
    ],
)
def test_rewards(
    kind: str, problem: dict[str, object], completion: str, truncated: bool, outcome: int, hierarchical: int
) -> None:
    tags = TAGS if kind == "math" else None
    assert reward(kind, problem, completion, truncated) == outcome
    assert reward(kind, problem, completion, truncated, "outcome", tags) == outcome
    assert reward(kind, problem, completion, truncated, "hierarchical", tags) == hierarchical


@pytest.mark.parametrize("completion", [GOOD, "two"])
def test_an_unknown_reward_is_refused(completion: str) -> None:
    with pytest.raises(AnatomyError, match="unknown reward 'graded'; allowed are"):
        reward("math", MATH, completion, False, "graded")
