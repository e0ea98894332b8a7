"""The embedded world's programming tasks: what is said of them agrees with what running them gives."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy.grading import graders, rewards
from anatomy.grading.code import LIMITS
from anatomy.grading.graders import Item, Marks
from anatomy.problems.code_sets import of_task
from anatomy.sandbox.program import Limits
from anatomy.world import problems
from anatomy.world import programs as world_programs

lists = st.lists(st.integers(0, 6), max_size=7).map(tuple)
programs = st.lists(
    st.sampled_from(list(world_programs.EXPRESSIONS)), max_size=3
)  # longer than any task needs
BODY = Marks("body")


def run(body: str, x: tuple[int, ...]) -> object:
    """What Python makes of a body; of our own programs only."""
    names: dict[str, object] = {}
    exec(f"{world_programs.HEADER}{body}", names)
    return names["f"](list(x))  # type: ignore[operator]


@given(programs, lists)
def test_a_program_does_in_python_what_it_is_said_to_do(program: list[str], x: tuple[int, ...]) -> None:
    assert run(world_programs.body(program), x) == list(world_programs.evaluate(program, x))


@given(programs, lists)
def test_lists_stay_lists_of_the_worlds_digits(program: list[str], x: tuple[int, ...]) -> None:
    assert set(world_programs.evaluate(program, x)) <= set(range(7))


def test_by_hand() -> None:
    program = ("[ v for v in x if v > 1 ]", "x [ : : - 1 ]", "[ ( v + 5 ) % 7 for v in x ]")
    assert world_programs.evaluate(program, (1, 0, 3, 4, 2)) == (0, 2, 1)
    task = world_programs.Task(program, ((1, 0, 3, 4, 2), (0, 0, 0, 5), (1, 1, 1), (2, 2)), ((), (6,)))
    assert task.text == "task 1 0 3 4 2 to 0 2 1 ; 0 0 0 5 to 3 ; 1 1 1 to ; 2 2 to 0 0 ?"
    assert task.solution == (
        "x = [ v for v in x if v > 1 ] ; x = x [ : : - 1 ] ; x = [ ( v + 5 ) % 7 for v in x ] ; return x"
    )
    assert task.expected == ((), (4,)) and task.difficulty == 3


@pytest.mark.parametrize(
    ("program", "needed"),
    [
        ([], 0),
        (["x [ : : - 1 ]", "x [ : : - 1 ]"], 0),
        (["[ ( v + 3 ) % 7 for v in x ]", "[ ( v + 5 ) % 7 for v in x ]"], 1),
        (["[ ( v + 3 ) % 7 for v in x ]", "[ ( v + 4 ) % 7 for v in x ]"], 0),
        (["x [ : : - 1 ]", "sorted ( x )"], 1),
        (["x [ : : - 1 ]", "x [ 1 : ]", "x [ : : - 1 ]"], 1),
        (["x [ : - 1 ]", "x [ 1 : ]"], 2),
        (["sorted ( x )", "x [ 1 : ]", "x [ 1 : ] + x [ : 1 ]"], 3),
    ],
)
def test_the_least_number_of_statements(program: list[str], needed: int) -> None:
    assert world_programs.difficulty(program) == needed


def test_no_shorter_program_solves_a_task() -> None:
    for task in world_programs.tasks(3, "any", 30, [1, 2], "test"):
        everything = (*task.examples, *task.hidden, *world_programs._PROBES)
        wanted = [world_programs.evaluate(task.program, x) for x in everything]
        for count in range(task.difficulty):
            for shorter in itertools.product(world_programs.EXPRESSIONS, repeat=count):
                assert [world_programs.evaluate(shorter, x) for x in everything] != wanted


@pytest.mark.slow
def test_tasks_are_of_one_side_distinct_and_spread() -> None:
    test, training = (
        world_programs.tasks(1, name, 60, [1, 2], side) for name, side in (("t", "test"), ("r", "training"))
    )
    assert [sum(task.difficulty == n for task in test) for n in (1, 2)] == [30, 30]
    assert len({task.text for task in test}) == len({task.name for task in test}) == 60
    documents = itertools.islice(world_programs.documents(1, 0.2), 4000)
    sides = {problems.side_of(prompt) for prompt, _ in documents}
    assert sides == {"pretraining"}
    assert {problems.side_of(task.text) for task in training} == {"training"}
    assert world_programs.tasks(1, "t", 60, [1, 2], "test") == test
    assert world_programs.tasks(1, "other", 60, [1, 2], "test") != test


@given(st.integers(0, 1000), st.integers(1, world_programs.MAX_STATEMENTS))
def test_texts_are_words_of_the_vocabulary(seed: int, statements: int) -> None:
    task = world_programs.draw(np.random.default_rng(seed), statements)
    words = f"{task.text} {task.solution}".split(" ")
    assert "" not in words and set(words) <= set(world_programs.VOCABULARY)
    assert len(world_programs.VOCABULARY) == len(set(world_programs.VOCABULARY))
    assert len(task.hidden) == world_programs.HIDDEN and task.hidden[0] == ()


@pytest.mark.slow
def test_flawed_documents_are_as_frequent_as_asked() -> None:
    def solved(prompt: str, body: str) -> bool:
        shown = [part.split(" to") for part in prompt.removeprefix("task ").removesuffix(" ?").split(" ; ")]
        return all(run(body, tuple(map(int, x.split()))) == list(map(int, y.split())) for x, y in shown)

    for errors, low, high in ((0.0, 1.0, 1.0), (0.5, 0.5, 0.65)):
        found = [solved(*one) for one in itertools.islice(world_programs.documents(1, errors), 600)]
        assert low <= np.mean(found) <= high  # some flaws make no difference to the examples


def test_the_mixture_has_the_share_asked_for() -> None:
    def of(what: str):  # type: ignore[no-untyped-def]
        return ((what, f"{number}") for number in itertools.count())

    mixed = list(itertools.islice(world_programs.mixed(of("problem"), of("program"), 0.25, 1), 4000))
    programs = [number for what, number in mixed if what == "program"]
    assert len(programs) == pytest.approx(1000, abs=100)
    assert programs == [str(number) for number in range(len(programs))]  # in order, none left out
    assert all(
        what == "problem"
        for what, _ in itertools.islice(world_programs.mixed(of("problem"), of("program"), 0, 1), 99)
    )


TASK = world_programs.Task(
    ("sorted ( x )", "x [ 1 : ]"),
    ((3, 1, 2), (5, 0, 4), (2, 2, 1), (6, 4, 5)),
    ((), (4,), (3, 2, 1, 0), (1, 1, 5)),
)


@pytest.mark.slow
@pytest.mark.needs("sandbox")
@pytest.mark.parametrize(
    ("completion", "verdict"),
    [
        (TASK.solution, "passed"),
        ("return sorted ( x ) [ 1 : ]", "passed"),  # whatever gives the results
        ("x . sort ( ) ; return x [ 1 : ]", "passed"),
        ("x = sorted ( x ) ; return x", "failed"),
        ("x = x [ 1 : ] ; x = sorted ( x ) ; return x", "failed"),
        ("x = sorted ( x ) ; x = x [ 1 : ]", "failed"),  # returns nothing
        ("return { 1 : 2 }", "failed"),
        ("return x [ 9 ]", "error"),
        ("x = sorted ( y ) ; return x", "error"),
        ("x = sorted ( x ; return x", "syntax"),
        ("x = [ v for v in x if v > 1 ] ; x", "failed"),
        ("return sum ( 1 for v in iter ( int , 1 ) )", "timeout"),
        ("return [ 1 ] * 10 ** 12", "memory"),
        ("import os ; os . _exit ( 0 )", "error"),
        ("  ", "no_answer"),
    ],
)
def test_verdicts(completion: str, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "equal", Limits(seconds=1, wall=120))  # type: ignore[misc]
    row = {"text": TASK.text, "tests": of_task(TASK).to_json()}
    (found,) = graders.grade("program", [Item(row, completion, False)], BODY)
    assert found.verdict == verdict and found.lenient is None and found.derivation_right is None
    assert rewards.rewards("program", [Item(row, completion, False)], BODY) == [float(verdict == "passed")]
    (cut,) = graders.grade("program", [Item(row, completion, True)], BODY)
    assert cut.verdict == "truncated" and not cut.right


@pytest.mark.slow
@pytest.mark.needs("sandbox")
@settings(max_examples=20, deadline=None)
@given(st.lists(programs, min_size=1, max_size=8), st.integers(0, 99))
def test_verdicts_are_those_of_the_results(written: list[list[str]], seed: int) -> None:
    task = world_programs.draw(np.random.default_rng(seed), 2)
    row = {"text": task.text, "tests": of_task(task).to_json()}
    items = [Item(row, world_programs.body(program), False) for program in written]
    found = [verdict.verdict for verdict in graders.grade("program", items, BODY, workers=2)]
    wanted = [
        [world_programs.evaluate(program, x) for x in task.hidden] == list(task.expected)
        for program in written
    ]
    assert found == ["passed" if right else "failed" for right in wanted]
