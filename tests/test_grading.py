"""Graders: verdicts, formats and rewards. The mathematics itself is tested in test_mathematics.py."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.grading import graders, rewards
from anatomy.grading.graders import Item, Marks
from anatomy.grading.math_extraction import MAX_ANSWER
from anatomy.storage import schemas
from anatomy.storage.verdicts import NAMES, Verdict
from anatomy.world import problems


def grade(
    kind: str,
    problem: dict[str, Any],
    completion: str,
    cut: bool = False,
    prefix: str = "",
    condition: str = "plain",
) -> Verdict:
    (found,) = graders.grade(kind, [Item(problem, completion, cut, prefix, condition)])
    return found


def reward(
    kind: str,
    problem: dict[str, Any],
    completion: str,
    cut: bool,
    scheme: str = "outcome",
    tags: str | None = None,
    opening: str = "",
) -> float:
    item = Item(problem, completion, cut, problem.get("prefix") or "")
    (found,) = rewards.rewards(kind, [item], Marks("boxed", tags), scheme, [opening])
    return found


def well_formed(
    kind: str, problem: dict[str, Any], response: str, cut: bool, tags: str | None = None
) -> bool:
    return rewards.well_formed(kind, problem, response, cut, Marks("boxed", tags))


# Mathematics


@pytest.mark.parametrize(
    ("completion", "wanted"),
    [
        (r"\boxed{1} \boxed{2}", Verdict("2", "right", True, None, None)),
        (r"\boxed{2} \boxed{1}", Verdict("1", "wrong", False, None, None)),
        ("The answer is $2$.", Verdict(None, "no_answer", True, None, None)),
        ("The answer is $3$.", Verdict(None, "no_answer", False, None, None)),
        ("", Verdict(None, "no_answer", False, None, None)),
    ],
)
def test_only_the_last_box_counts_but_leniently(completion: str, wanted: Verdict) -> None:
    assert grade("math", {"answers": ["2"]}, completion) == wanted


def test_a_box_that_the_prompt_gave_is_no_answer() -> None:
    assert grade("math", {"answers": ["2"]}, "as above", prefix=r"so \boxed{2}").verdict == "no_answer"


def test_many_are_graded_in_order_by_any_number_of_workers() -> None:
    items = [Item({"answers": [str(at % 7)]}, rf"\boxed{{{at % 5}}}", at % 11 == 0) for at in range(5000)]
    for workers in (1, 2):
        found = [verdict.verdict for verdict in graders.grade("math", iter(items), workers=workers)]
        assert found == [
            "truncated" if at % 11 == 0 else "right" if at % 7 == at % 5 else "wrong" for at in range(5000)
        ]


def test_truncated_is_never_right() -> None:
    problem = {"answers": ["2"]}
    assert grade("math", problem, r"\boxed{2}", True) == Verdict(None, "truncated", True, None, None)
    assert reward("math", problem, r"\boxed{2}", cut=True) == 0.0
    assert reward("math", problem, r"\boxed{2}", cut=False) == 1.0
    assert reward("math", problem, r"\boxed{3}", cut=False) == 0.0


def test_a_long_answer_is_wrong_and_cut() -> None:
    found = grade("math", {"answers": ["1"]}, rf"\boxed{{{'1+' * MAX_ANSWER}1}}")
    assert found.verdict in ("wrong", "unparsable")
    assert found.answer is not None and len(found.answer) == MAX_ANSWER


@given(st.text(max_size=40))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert grade("math", {"answers": ["1"]}, text).verdict in NAMES


def test_unreadable_gold_and_unknown_names_are_errors() -> None:
    with pytest.raises(AnatomyError, match=r"gold answer \[''\] cannot be read"):
        grade("math", {"answers": [""]}, r"\boxed{1}")
    with pytest.raises(AnatomyError, match="unknown grader 'code'; allowed are"):
        grade("code", {}, "")
    with pytest.raises(AnatomyError, match="grader 'world'"):
        grade("world", {"text": "What is 2?"}, "")


PROBLEM = problems.problems(3, "made", 1, [4], ["mixed"], "test")[0]
ROW = {"text": PROBLEM.text}
LAST = PROBLEM.lines[-1].split()[-4] == PROBLEM.answer[0]
"""Whether the last two digits of the derivation happen to be the answer."""


def test_world_verdicts() -> None:
    answer, lines = PROBLEM.answer, PROBLEM.lines
    other = f"{(int(answer[0]) + 1) % 10} {answer[2]}"
    assert grade("world", ROW, PROBLEM.solution) == Verdict(answer, "right", True, True, -1)
    assert grade("world", ROW, f"ans {answer}") == Verdict(answer, "right", True, False, 0)
    assert grade("world", ROW, f"ans {other}") == Verdict(other, "wrong", False, False, 0)
    assert grade("world", ROW, " ".join(lines)) == Verdict(None, "no_answer", LAST, False, -1)
    assert grade("world", ROW, lines[0]) == Verdict(None, "no_answer", False, False, 1)
    assert grade("world", ROW, PROBLEM.solution, True) == Verdict(None, "truncated", True, False, -1)
    junk = f"{PROBLEM.solution} 3 ."
    assert grade("world", ROW, junk).verdict == "unparsable"


@pytest.mark.parametrize("given_lines", range(5))
def test_world_completion_continues_its_prefix(given_lines: int) -> None:
    prefix = " ".join(PROBLEM.lines[:given_lines])
    rest = " ".join([*PROBLEM.lines[given_lines:], f"ans {PROBLEM.answer}"])
    assert grade("world", ROW, rest, prefix=prefix) == Verdict(PROBLEM.answer, "right", True, True, -1)
    row = {**ROW, "prefix": prefix}
    assert reward("world", row, rest, cut=False) == 1.0
    assert reward("world", row, rest, cut=True) == 0.0
    assert reward("world", row, rest, False, "hierarchical", opening=" ") == 2.0
    if given_lines:
        assert reward("world", ROW, rest, False, "hierarchical", opening=" ") == 1.0


def test_a_verdict_has_the_columns_of_the_table() -> None:
    assert ["problem", "condition", "sample", *Verdict.__dataclass_fields__] == schemas.SCHEMAS[
        "verdicts"
    ].names


# Links of a chain


@pytest.mark.parametrize("kind", ["subproblem", "own"])
def test_a_world_link_is_graded_against_its_own_answer(kind: str) -> None:
    for number, line in enumerate(PROBLEM.lines, 1):
        value = line.split()[-2]
        other = str((int(value) + 1) % 7)
        condition = f"{kind}-{number}"

        def graded(completion: str, cut: bool = False, condition: str = condition) -> Verdict:
            return grade("world", ROW, completion, cut, condition=condition)

        assert graded(f"{line} ans {value}") == Verdict(value, "right", True, True, -1)
        assert graded(f"ans {value}") == Verdict(value, "right", True, False, 0)
        assert graded(f"{line} ans {other}") == Verdict(other, "wrong", False, False, -1)
        found = graded(f"{line} ans {PROBLEM.answer}")
        assert (found.answer, found.verdict, found.derivation_right) == (None, "unparsable", False)
        assert graded(f"{line} ans {value}", True) == Verdict(None, "truncated", True, False, -1)
        whole = grade("world", ROW, f"{line} ans {value}")
        assert whole.verdict == "unparsable"


def test_a_math_link_is_graded_against_its_own_answer() -> None:
    chain = [
        {"question": "First?", "answer": "1/2", "fact": ""},
        {"question": "Then?", "answer": "3", "fact": ""},
    ]
    problem = {"answers": ["7"], "subproblems": chain}
    for condition, right in (("plain", "7"), ("subproblem-1", r"\frac12"), ("own-2", "3"), ("plan", "7")):
        for boxed in ("7", r"\frac12", "3"):
            found = grade("math", problem, rf"\boxed{{{boxed}}}", condition=condition)
            assert found.verdict == ("right" if boxed == right else "wrong"), (condition, boxed)


# Formats and rewards

TAGS = "think answer"
MATH = {"answers": ["2"], "text": "What is half of four?"}
GOOD = r"<think> Half. </think> <answer> So \boxed{2}. </answer>"


def slipped(problem: problems.Problem) -> str:
    """A derivation of the right form whose first result is wrong, with the right answer."""
    words = problem.solution.split()
    words[10] = str((int(words[10]) + 1) % 7)
    return " ".join(words)


def test_the_worlds_format() -> None:
    lines, answer = PROBLEM.lines, f"ans {PROBLEM.answer}"

    def formed(*parts: str, cut: bool = False) -> bool:
        return well_formed("world", ROW, " ".join(parts), cut)

    assert formed(PROBLEM.solution) and formed(slipped(PROBLEM)) and formed(*lines, "ans 0 0")
    assert not formed(PROBLEM.solution, cut=True)
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
    assert reward(kind, problem, completion, truncated, "signed", tags) == 2 * outcome - 1
    assert reward(kind, problem, completion, truncated, "hierarchical", tags) == hierarchical


@pytest.mark.parametrize("completion", [GOOD, "two"])
def test_an_unknown_reward_is_refused(completion: str) -> None:
    with pytest.raises(AnatomyError, match="unknown reward 'graded'; allowed are"):
        reward("math", MATH, completion, False, "graded")
