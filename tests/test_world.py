"""The embedded world: its problems, its text and its checker."""

import itertools
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anatomy.prompts import templates
from anatomy.rng import key
from anatomy.world import checker, problems
from anatomy.world import documents as world_documents
from anatomy.world.documents import Mixture
from anatomy.world.problems import Problem, Step

SCRIPTS = Path(problems.__file__).parents[2]
TEMPLATE = templates.load_template(SCRIPTS.parent / "config/templates/world.yaml")
DOMAINS = tuple(problems.DOMAINS)

# a = 3 ; b = 2a + 5 = 11 = 4 ; c = 3a - b = 5 ; d = bc = 20 = 6 ; e = d - 6 = 0
KNOWN = Problem(
    3,
    (
        Step("b", "a", "@", "5"),
        Step("c", "a", "#", "b"),
        Step("d", "b", "*", "c"),
        Step("e", "d", "-", "6"),
    ),
    "mixed",
)
LINE_WORDS = 12
VALUES = (6, 8, 10)  # in v = x o y = X o Y = r .


def mix(**shares: float) -> Mixture:
    """A mixture of the given shares, and nothing of the rest."""
    return Mixture(**({field.name: 0 for field in fields(Mixture)} | shares))  # type: ignore[arg-type]


MIXTURE = mix(drills=0.25, errors=0.3, guesses=0.15, exchanged=0.3, plan=0.1, knowledge=0.2)


@st.composite
def drawn(draw: st.DrawFn, steps: int = problems.MAX_STEPS) -> Problem:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return problems.draw(rng, draw(st.integers(1, steps)), draw(st.sampled_from(DOMAINS)))


def text_of(prompt: str) -> str:
    """The problem in a prompt: what stands up to the question mark."""
    return prompt[: prompt.index("?") + 1]


def share(flags: Iterable[bool]) -> tuple[float, int]:
    values = list(flags)
    return sum(values) / len(values), len(values)


def near(observed: tuple[float, int], expected: float) -> bool:
    """Whether a share lies within four standard errors of the expected one."""
    value, count = observed
    return abs(value - expected) <= 4 * math.sqrt(expected * (1 - expected) / count)


# Problems by hand ---------------------------------------------------------------------------------------


def test_a_known_problem() -> None:
    assert KNOWN.text == "a = 3 ; b = a @ 5 ; c = a # b ; d = b * c ; e = d - 6 ; ask d e ?"
    assert KNOWN.values == {"a": 3, "b": 4, "c": 5, "d": 6, "e": 0}
    assert KNOWN.answer == "6 0"
    assert KNOWN.difficulty == 4
    assert KNOWN.solution == (
        "b = a @ 5 = 3 @ 5 = 4 . c = a # b = 3 # 4 = 5 ."
        " d = b * c = 4 * 5 = 6 . e = d - 6 = 6 - 6 = 0 . ans 6 0"
    )
    assert KNOWN.plan == "plan b @ , c # , d * , e -"
    assert KNOWN.knowledge == (
        "know 1 - 0 = 1 , 0 - 1 = 6 , 1 * 0 = 0 , 0 * 1 = 0 , 1 @ 0 = 2 , 0 @ 1 = 1 , 1 # 0 = 3 , 0 # 1 = 6"
    )
    assert KNOWN.subproblems == [
        {"question": "a = 3 ; b = a @ 5 ; ask b ?", "answer": "4", "fact": "b = {answer}"},
        {"question": "a = 3 ; c = a # b ; ask c ?", "answer": "5", "fact": "c = {answer}"},
        {"question": "a = 3 ; d = b * c ; ask d ?", "answer": "6", "fact": "d = {answer}"},
        {"question": "a = 3 ; e = d - 6 ; ask e ?", "answer": "0", "fact": "e = {answer}"},
    ]
    assert problems.link(KNOWN, 1, {}) == "a = 3 ; b = a @ 5 ; ask b ?"
    assert problems.link(KNOWN, 3, {"b": 4, "c": 2}) == "b = 4 ; c = 2 ; a = 3 ; d = b * c ; ask d ?"
    assert KNOWN.operators == ["-", "*", "@", "#"]
    assert KNOWN.irrelevant_knowledge == "know " + " , ".join(["1 + 0 = 1 , 0 + 1 = 1"] * 4)


def test_a_known_problem_under_exchanged_operators() -> None:
    # b = 2*5 + 3 = 13 = 6 ; c = 3b - a = 15 = 1 ; d = 6 ; e = 0
    assert problems.solve(KNOWN, exchanged=True) == {"a": 3, "b": 6, "c": 1, "d": 6, "e": 0}
    assert "1 @ 0 = 1 , 0 @ 1 = 2" in problems.know(KNOWN, exchanged=True)
    assert "1 - 0 = 1 , 0 - 1 = 6" in problems.know(KNOWN, exchanged=True)


@pytest.mark.parametrize(
    ("operator", "x", "y", "result"),
    [
        ("+", 4, 5, 2),
        ("-", 2, 5, 4),
        ("*", 5, 6, 2),
        ("@", 4, 3, 4),
        ("@", 3, 4, 3),
        ("#", 4, 3, 2),
        ("#", 3, 4, 5),
    ],
)
def test_operators(operator: str, x: int, y: int, result: int) -> None:
    assert problems.apply(operator, x, y) == result


# Generation ---------------------------------------------------------------------------------------------

DIGEST = """
import dataclasses, hashlib, itertools, sys
sys.path.append(sys.argv[1])
from anatomy.world import documents as world_documents
from anatomy.world import problems
fields = dataclasses.fields(world_documents.Mixture)
mixture = world_documents.Mixture(**{field.name: 0.2 for field in fields})
digest = hashlib.sha256()
for problem in problems.problems(5, "easy", 80, [1, 2, 9, 15], list(problems.DOMAINS), "test"):
    digest.update(f"{problem.name} {problem.text} {problem.solution} {problem.knowledge}\\n".encode())
    digest.update(f"{problem.disordered_plan} {problem.incomplete_plan}\\n".encode())
for pair in itertools.islice(world_documents.documents(5, mixture, [1, 3, 6], list(problems.DOMAINS)), 400):
    digest.update("|".join(pair).encode())
print(digest.hexdigest())
"""


def fresh_process(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", DIGEST, str(SCRIPTS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.slow
def test_the_same_bytes_in_every_process() -> None:
    assert len({fresh_process("0"), fresh_process("1"), fresh_process("31337")}) == 1


def test_keys_tell_names_apart() -> None:
    names = [("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c"), (1, 11), (11, 1), (111,), ()]
    assert len({key(*one) for one in names}) == len(names)
    assert key("seed", 1) == key("seed", "1") and key("ab", "c") < 1 << 128


def test_generation_is_a_function_of_seed_and_name_alone() -> None:
    def texts(seed: int, name: str, count: int = 60) -> list[str]:
        return [p.text for p in problems.problems(seed, name, count, [8, 12], ["at", "sums"], "training")]

    first = texts(1, "easy")
    np.random.default_rng(0).random()  # nothing global takes part
    np.random.seed(3)
    assert texts(1, "easy") == first
    assert texts(1, "easy", 20) == first[:20]
    assert not set(texts(2, "easy")) & set(first)
    assert not set(texts(1, "hard")) & set(first)


def test_problems_are_distinct_and_spread_over_steps_and_domains() -> None:
    found = problems.problems(3, "spread", 120, [1, 3, 15], ["sums", "hash"], "test")
    assert len({p.text for p in found}) == len({p.name for p in found}) == 120
    assert set(Counter((p.difficulty, p.domain) for p in found).values()) == {20}
    assert all({s.operator for s in p.steps} <= set(problems.DOMAINS[p.domain]) for p in found)


def test_every_step_uses_the_one_before_it() -> None:
    for problem in problems.problems(3, "chain", 40, [15], DOMAINS, "test"):
        before = "a"
        for step in problem.steps:
            assert before in (step.left, step.right)
            before = step.variable


@pytest.mark.slow
def test_no_test_problem_is_trained_on() -> None:
    # One and two steps: so few problems exist that sides drawn without care would share many of them.
    steps, domains = [1, 2], ["sums", "at"]
    test, training = (
        {p.text for p in problems.problems(1, name, 90, steps, domains, side)}
        for name, side in (("t", "test"), ("r", "training"))
    )
    documents = itertools.islice(world_documents.documents(1, MIXTURE, steps, domains), 6000)
    pretraining = {text_of(prompt) for prompt, _ in documents if prompt != "drill"}
    assert len(pretraining) > 800
    assert not test & training and not test & pretraining and not training & pretraining
    assert {problems.side_of(text) for text in pretraining} == {"pretraining"}
    assert {problems.side_of(text) for text in test} == {"test"}
    assert {problems.side_of(text) for text in training} == {"training"}


# The checker --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(1, problems.MAX_STEPS + 1))
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_gold_solution_is_right(steps: int, domain: str) -> None:
    for problem in problems.problems(2, "gold", 5, [steps], [domain], "test"):
        assert checker.check(problem, problem.solution) == checker.Check(problem.answer, True, True, -1, True)


def first_bad(gold: list[str], words: list[str]) -> int:
    """The line of the first word that differs from the gold derivation's; -1 if that is in the answer."""
    at = gold.index("ans")
    same = next(
        (i for i, pair in enumerate(itertools.zip_longest(gold, words)) if len(set(pair)) > 1), len(gold)
    )
    return same // LINE_WORDS if same <= at else -1


@given(drawn(), st.data())
def test_any_single_word_change_is_found_at_its_line(problem: Problem, data: st.DataObject) -> None:
    gold = problem.solution.split()
    at = data.draw(st.integers(0, len(gold) - 1))
    word = data.draw(st.sampled_from([w for w in problems.VOCABULARY if w != gold[at]]))
    kind = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    words = gold[:at] + ([] if kind == "delete" else [word]) + gold[at + (kind != "insert") :]
    found = checker.check(problem, " ".join(words))
    assert not found.derivation_right
    assert found.first_bad_line == first_bad(gold, words)
    ends = gold.index("ans")
    place = gold[at] in problems.DIGITS and (at > ends or at % LINE_WORDS in VALUES)
    assert found.format_right == (kind == "replace" and place and word in problems.DIGITS)
    if kind == "replace":
        expected = at // LINE_WORDS if at <= ends else -1
        assert found.first_bad_line == expected


@given(drawn(), st.data())
def test_a_wrong_derivation_may_have_a_right_answer(problem: Problem, data: st.DataObject) -> None:
    gold = problem.solution.split()
    at = data.draw(st.integers(0, gold.index("ans") - 1))
    word = data.draw(st.sampled_from([w for w in problems.VOCABULARY if w not in (gold[at], "ans")]))
    found = checker.check(problem, " ".join([*gold[:at], word, *gold[at + 1 :]]))
    assert found.answer == problem.answer
    assert (found.answer_right, found.derivation_right, found.first_bad_line) == (
        True,
        False,
        at // LINE_WORDS,
    )


def test_a_slip_carried_on_is_found_where_it_was_made() -> None:
    values = {"a": 3, "b": 4, "c": 2, "d": 1, "e": 2}  # c should be 5; d and e follow from 2
    found = checker.check(KNOWN, " ".join([*problems.derivation(KNOWN, values), "ans 1 2"]))
    assert found == checker.Check("1 2", False, False, 1, True)


def test_exchanged_operators_are_wrong() -> None:
    lines = problems.derivation(KNOWN, problems.solve(KNOWN, exchanged=True))
    assert checker.check(KNOWN, " ".join([*lines, "ans 6 0"])) == checker.Check("6 0", True, False, 0, True)


@given(drawn())
def test_missing_and_extra_lines(problem: Problem) -> None:
    lines, answer = problem.lines, f"ans {problem.answer}"
    last = len(lines) - 1
    assert checker.check(problem, " ".join([*lines[:-1], answer])) == checker.Check(
        problem.answer, True, False, last, False
    )
    assert checker.check(problem, answer) == checker.Check(problem.answer, True, False, 0, False)
    extra = checker.check(problem, " ".join([*lines, lines[-1], answer]))
    assert extra == checker.Check(problem.answer, True, False, last + 1, False)


@pytest.mark.parametrize(
    "end", ["", "ans", "ans 6", "ans 6 0 0", "ans 6 0 .", "ans 6 x", "ans 6 7", "ans 60", "ans 6 0 ans 6 0"]
)
def test_an_answer_that_is_missing_partial_or_trailed_is_none(end: str) -> None:
    found = checker.check(KNOWN, " ".join([*KNOWN.lines, end]))
    assert found == checker.Check(None, False, False, -1, False)


def test_an_answer_without_its_word_is_an_unreadable_line() -> None:
    found = checker.check(KNOWN, " ".join([*KNOWN.lines, "6 0"]))
    assert found == checker.Check(None, False, False, 4, False)


def test_a_wrong_answer_after_right_lines() -> None:
    assert checker.check(KNOWN, " ".join([*KNOWN.lines, "ans 0 6"])) == checker.Check(
        "0 6", False, False, -1, True
    )


@given(
    drawn(), st.one_of(st.text(), st.lists(st.sampled_from(problems.VOCABULARY), max_size=80).map(" ".join))
)
def test_garbage_is_never_right_and_never_raises(problem: Problem, completion: str) -> None:
    assume(completion.split() != problem.solution.split())
    found = checker.check(problem, completion)
    assert not found.derivation_right
    assert found.answer_right == (found.answer == problem.answer)


# Links of the chain -------------------------------------------------------------------------------------


@st.composite
def drawn_links(draw: st.DrawFn) -> tuple[Problem, int]:
    problem = draw(drawn())
    return problem, draw(st.integers(1, problem.difficulty))


@given(drawn_links(), st.data())
def test_a_link_is_what_the_template_renders(case: tuple[Problem, int], data: st.DataObject) -> None:
    problem, number = case
    row = {"text": problem.text, "subproblems": problem.subproblems}
    names = [step.variable for step in problem.steps[: number - 1]]
    answers = [data.draw(st.integers(0, 6)) for _ in names]  # right or wrong
    rendered = templates.link(row, TEMPLATE, number, [str(answer) for answer in answers])
    assert problems.link(problem, number, dict(zip(names, answers, strict=True))) == rendered


@given(drawn_links(), st.integers(1, 6))
def test_a_link_is_checked_as_one_line(case: tuple[Problem, int], off: int) -> None:
    problem, number = case
    line = problem.lines[number - 1]
    value = problem.subproblems[number - 1]["answer"]
    other = str((int(value) + off) % 7)
    slip = f"{line.removesuffix(f'{value} .')}{other} ."

    def found(completion: str) -> checker.Check:
        return checker.check(problem, completion, number)

    assert found(f"{line} ans {value}") == checker.Check(value, True, True, -1, True)
    assert found(f"{slip} ans {other}") == checker.Check(other, False, False, 0, True)
    assert found(f"{slip} ans {value}") == checker.Check(value, True, False, 0, True)
    assert found(f"{line} ans {other}") == checker.Check(other, False, False, -1, True)
    assert found(f"ans {value}") == checker.Check(value, True, False, 0, False)
    assert found(f"{line} {line} ans {value}") == checker.Check(value, True, False, 1, False)
    for end in ("", "ans", "ans x", f"ans {value} {value}", f"ans {value} ."):
        assert found(f"{line} {end}") == checker.Check(None, False, False, -1, False)
    if number > 1:
        before = problem.lines[number - 2]
        assert found(f"{before} ans {value}") == checker.Check(value, True, False, 0, False)


def test_a_link_of_a_known_problem() -> None:
    line = "d = b * c = 4 * 5 = 6 ."
    assert checker.check(KNOWN, f"{line} ans 6", 3) == checker.Check("6", True, True, -1, True)
    assert not checker.check(KNOWN, f"{line} ans 6", 2).derivation_right
    carried = "d = b * c = 4 * 2 = 1 ."  # consistent with a wrong c, but not right
    assert checker.check(KNOWN, f"{carried} ans 1", 3) == checker.Check("1", False, False, 0, True)


# Reading back -------------------------------------------------------------------------------------------


@given(drawn())
def test_parse_is_the_inverse_of_text(problem: Problem) -> None:
    found = problems.parse(problem.text)
    assert (found.first, found.steps, found.text, found.name) == (
        problem.first,
        problem.steps,
        problem.text,
        problem.name,
    )
    assert {s.operator for s in problem.steps} <= set(problems.DOMAINS[found.domain])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ; ",
        "drill",
        "How many legs have four cats?",
        "a = 3 ; b = a + 5",
        "a = 3 ; b = a + 5 ; ask a b",
        "a = 3 ; b = a + 5 ; ask b a ?",
        "a = 3 ; b = a + 5 ; tell a b ?",
        "a = 3 ; b = a + ; ask a b ?",
        "a = x ; b = a + 5 ; ask a b ?",
        "a = 3 ; b = a + 5 ;  ask a b ?",
        "a = 3 ; b = a ^ 5 ; ask a b ?",
        "a = 9 ; b = a + 5 ; ask a b ?",
        "a = 3 ; b = a + 9 ; ask a b ?",
        "a = 3 ; b = c + 5 ; ask a b ?",
        "a = 3 ; c = a + 5 ; ask a c ?",
        "a = 3 ; b = b + 5 ; ask a b ?",
        "a = 3 ; ask a ?",
    ],
)
def test_parse_refuses_what_is_not_a_problem(text: str) -> None:
    with pytest.raises(ValueError, match="not a problem"):
        problems.parse(text)


@st.composite
def nearly_problems(draw: st.DrawFn) -> str:
    words = draw(drawn(steps=4)).text.split()
    at = draw(st.integers(0, len(words) - 1))
    return " ".join(
        [*words[:at], draw(st.sampled_from([*problems.VOCABULARY, "9", "^", ""])), *words[at + 1 :]]
    )


@given(st.one_of(st.text(), nearly_problems(), st.lists(st.sampled_from(problems.VOCABULARY)).map(" ".join)))
def test_parse_raises_nothing_but_value_errors(text: str) -> None:
    try:
        problem = problems.parse(text)
    except ValueError:
        return
    assert problem.text == text
    assert checker.check(problem, problem.solution).derivation_right  # what is read can be solved


# What follows from a problem ----------------------------------------------------------------------------


@given(drawn())
def test_plan_knowledge_and_subproblems_agree_with_the_derivation(problem: Problem) -> None:
    lines = [line.split() for line in problem.lines]  # v = x o y = X o Y = r .
    steps = [step.split() for step in problem.plan.removeprefix("plan ").split(" , ")]
    assert steps == [[line[0], line[3]] for line in lines]
    assert problem.subproblems == [
        {
            "question": f"a = {problem.first} ; {' '.join(line[:5])} ; ask {line[0]} ?",
            "answer": line[10],
            "fact": f"{line[0]} = {{answer}}",
        }
        for line in lines
    ]
    facts = [fact.split() for fact in problem.knowledge.removeprefix("know ").split(" , ")]
    assert {fact[1] for fact in facts} == {line[3] for line in lines}
    meaning = {(fact[1], fact[0]): int(fact[4]) for fact in facts}
    for line in lines:
        x, operator, y, result = int(line[6]), line[7], int(line[8]), int(line[10])
        if operator != "*":  # linear: the two facts say all
            assert (x * meaning[operator, "1"] + y * meaning[operator, "0"]) % 7 == result
        else:
            assert x * y % 7 == result
    assert problem.answer.split() == [str(problem.values[name]) for name in problem.asked]
    assert problem.answer.split()[-1] == lines[-1][10]
    assert " ".join([*problem.lines, f"ans {problem.answer}"]) == problem.solution


@given(drawn())
def test_texts_are_words_of_the_vocabulary(problem: Problem) -> None:
    parts = (
        *(problem.text, problem.solution, problem.plan, problem.knowledge),
        *filter(None, (problem.disordered_plan, problem.incomplete_plan, problem.irrelevant_knowledge)),
        *(one[part] for one in problem.subproblems for part in ("question", "answer")),
    )
    assert {word for part in parts for word in part.split(" ")} <= set(problems.VOCABULARY)


# Controls -----------------------------------------------------------------------------------------------


def steps_of(plan: str) -> list[str]:
    return plan.removeprefix("plan ").split(" , ")


@given(drawn())
def test_controls_of_the_plan(problem: Problem) -> None:
    steps = steps_of(problem.plan)
    if len(steps) == 1:
        assert problem.disordered_plan is None and problem.incomplete_plan is None
        return
    disordered, incomplete = problem.disordered_plan, problem.incomplete_plan
    assert disordered is not None and incomplete is not None
    assert steps_of(disordered) != steps and sorted(steps_of(disordered)) == sorted(steps)
    kept = steps_of(incomplete)
    assert [step for step in steps if step in kept] == kept and len(kept) == len(steps) - 1
    again = problems.parse(problem.text)
    assert (again.disordered_plan, again.incomplete_plan) == (disordered, incomplete)


def test_controls_vary_from_problem_to_problem() -> None:
    found = problems.problems(1, "controls", 40, [3], ["sums"], "test")
    missing, orders = set(), set()
    for problem in found:
        steps = steps_of(problem.plan)
        missing.add(
            next(at for at, step in enumerate(steps) if step not in steps_of(str(problem.incomplete_plan)))
        )
        orders.add(tuple(steps.index(step) for step in steps_of(str(problem.disordered_plan))))
    assert missing == {0, 1, 2} and len(orders) == 5  # all orders but the right one


@given(drawn())
def test_irrelevant_knowledge_is_as_much_and_true_of_other_operators(problem: Problem) -> None:
    used = {step.operator for step in problem.steps}
    control = problem.irrelevant_knowledge
    if used == set(problems.OPERATORS):
        assert control is None
        return
    assert control is not None and control.startswith("know ")
    facts = [fact.split() for fact in control.removeprefix("know ").split(" , ")]
    assert len(facts) == problem.knowledge.count(" , ") + 1 == 2 * len(used)
    assert not {fact[1] for fact in facts} & used
    assert all(problems.apply(o, int(x), int(y)) == int(result) for x, o, y, _, result in facts)


def test_a_problem_with_every_operator_has_no_irrelevant_knowledge() -> None:
    names, before = "bcdef", "abcde"
    steps = tuple(Step(v, b, o, "1") for v, b, o in zip(names, before, problems.OPERATORS, strict=True))
    assert Problem(1, steps, "mixed").irrelevant_knowledge is None
    assert Problem(1, steps[:4], "mixed").irrelevant_knowledge is not None


# Pretraining text ---------------------------------------------------------------------------------------


def sample_documents(count: int, mixture: Mixture, domains: list[str]) -> list[tuple[str, str]]:
    return list(itertools.islice(world_documents.documents(7, mixture, [1, 2, 4], domains), count))


@pytest.mark.slow
def test_documents_have_the_stated_shares() -> None:
    # No invented operators: whether a derivation is right needs no convention.
    documents = sample_documents(8000, MIXTURE, ["sums", "products"])
    drills = [prompt == "drill" for prompt, _ in documents]
    assert near(share(drills), MIXTURE.drills)
    told = [(p, c) for (p, c), drill in zip(documents, drills, strict=True) if not drill]
    guesses = [completion.startswith("ans") for _, completion in told]
    assert near(share(guesses), MIXTURE.guesses)
    announced = [p.endswith(" guess") for (p, _), guess in zip(told, guesses, strict=True) if guess]
    assert near(share(announced), 0.5)
    derived = [(p, c) for (p, c), guess in zip(told, guesses, strict=True) if not guess]
    assert not any("guess" in prompt for prompt, _ in derived)
    assert near(share(" plan " in prompt for prompt, _ in derived), MIXTURE.plan)
    assert near(share(" know " in prompt for prompt, _ in derived), MIXTURE.knowledge)
    wrong = [not checker.check(problems.parse(text_of(p)), c).derivation_right for p, c in derived]
    assert near(share(wrong), MIXTURE.errors)


@pytest.mark.slow
def test_links_have_their_share_and_are_right() -> None:
    mixture = mix(drills=0.25, plan=0.1, knowledge=0.2, links=0.3)
    documents = [d for d in sample_documents(6000, mixture, ["sums", "products"]) if d[0] != "drill"]
    links = [(p, c) for p, c in documents if len(p[p.index("ask") :].split()) == 3]  # ask x ?
    assert near(share("plan" in p for p, _ in documents), mixture.plan)
    assert near(share("know" in p for p, _ in documents), mixture.knowledge)
    assert near((len(links) / len(documents), len(documents)), mixture.links)
    for prompt, completion in links:
        *told, step, _ = (part.split() for part in prompt.split(" ; "))
        values = {name: value for name, _, value in told}
        x, y = (values.get(operand, operand) for operand in (step[2], step[4]))
        result = problems.apply(step[3], int(x), int(y))
        assert completion == f"{' '.join(step)} = {x} {step[3]} {y} = {result} . ans {result}"
        assert prompt.endswith(f"ask {step[0]} ?")
        assert list(values) == [*problems.VARIABLES[1 : len(values)], "a"]
    assert {len(prompt.split(" ; ")) for prompt, _ in links} == {3, 4, 5, 6}  # of links 1 to 4


def test_a_flawed_link_is_consistent_but_for_its_own_slip() -> None:
    slips = []
    for prompt, completion in sample_documents(800, mix(errors=1, links=1), ["mixed"]):
        words = completion.split()
        values = dict(part.split()[::2] for part in prompt.split(" ; ")[:-2])
        assert [words[6], words[8]] == [values.get(words[at], words[at]) for at in (2, 4)]
        assert words[10] == words[-1]
        slips.append(problems.apply(words[7], int(words[6]), int(words[8])) != int(words[10]))
    # A problem of n steps (a share of 4, 2, 1 in 7 has 1, 2, 4) slips at one of them.
    assert near(share(slips), (4 + 2 / 2 + 1 / 4) / 7)


@pytest.mark.slow
def test_short_chains_have_shares_in_proportion_to_one_over_their_steps() -> None:
    documents = sample_documents(4000, MIXTURE, ["at"])
    steps = [problems.parse(text_of(p)).difficulty for p, _ in documents if p != "drill"]
    for length, weight in ((1, 4), (2, 2), (4, 1)):
        assert near(share(step == length for step in steps), weight / 7)


@pytest.mark.slow
def test_exchanged_documents_say_so_and_follow_it() -> None:
    mixture = mix(exchanged=0.3, knowledge=1)
    exchanged = []
    for prompt, completion in sample_documents(3000, mixture, ["at", "hash"]):
        problem = problems.parse(text_of(prompt))
        if not {s.operator for s in problem.steps} & set(problems.INVENTED):
            continue
        kind = prompt.endswith(problems.know(problem, exchanged=True))
        assert kind != prompt.endswith(problem.knowledge)
        assert completion.split(" ans ")[0] == " ".join(
            problems.derivation(problem, problems.solve(problem, kind))
        )
        exchanged.append(kind)
    assert near(share(exchanged), mixture.exchanged)


def test_a_flawed_derivation_has_one_slip_and_follows_from_it() -> None:
    mixture = mix(errors=1)
    for prompt, completion in sample_documents(500, mixture, list(DOMAINS)):
        problem = problems.parse(text_of(prompt))
        lines = [line.split() for line in completion.split(" ans ")[0].split(" . ")]
        slips = [problems.apply(line[7], int(line[6]), int(line[8])) != int(line[10]) for line in lines]
        assert sum(slips) == 1
        assert checker.check(problem, completion).first_bad_line == slips.index(True)


def test_drills_come_first() -> None:
    documents = sample_documents(60, mix(drills_first=50), ["sums"])
    assert [prompt == "drill" for prompt, _ in documents] == [True] * 50 + [False] * 10


def test_drills_are_right_or_exchanged_throughout() -> None:
    mixture = mix(drills=1, exchanged=0.4)
    kinds = []
    for prompt, completion in sample_documents(1500, mixture, ["mixed"]):
        assert prompt == "drill"
        facts = [fact.split() for fact in completion.removesuffix(" .").split(" . ")]
        invented = [f for f in facts if f[1] in problems.INVENTED and f[0] != f[2]]
        right = {problems.apply(f[1], int(f[0]), int(f[2])) == int(f[4]) for f in invented}
        for f in facts:
            if f[1] not in problems.INVENTED:
                assert problems.apply(f[1], int(f[0]), int(f[2])) == int(f[4])
        if invented:
            assert len(right) == 1
            kinds.append(not right.pop())
    assert near(share(kinds), mixture.exchanged)


@pytest.mark.slow
def test_a_guesser_is_right_once_in_49() -> None:
    mixture = mix(guesses=1)
    verdicts = [
        checker.check(problems.parse(text_of(prompt)), completion)
        for prompt, completion in sample_documents(12_000, mixture, list(DOMAINS))
    ]
    assert all(verdict.answer is not None and not verdict.derivation_right for verdict in verdicts)
    assert near(share(verdict.answer_right for verdict in verdicts), 1 / 49)
