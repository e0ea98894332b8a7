"""Plans and chains from solutions that carry their calculations; GSM8K where it is at hand."""

import json
import os
import re
from fractions import Fraction
from functools import cache
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.problems.gsm8k import (
    ASKED,
    BLANK,
    LONGEST_EXPRESSION,
    LONGEST_SOLUTION,
    SLOT,
    Annotation,
    annotate,
    evaluate,
    plain,
)
from anatomy.prompts.chunks import CHUNKS, chunks

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("ANATOMY_BENCHMARKS") or ROOT / "../shared/benchmarks")

# Expressions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("48/2", Fraction(24)),
        ("2+3*4", Fraction(14)),
        ("10-3-2", Fraction(5)),
        ("100/5/2", Fraction(10)),
        ("(1/3)*12", Fraction(4)),
        ("1,200.50*2", Fraction(2401)),
        (".5*3", Fraction(3, 2)),
        ("5.*3", Fraction(15)),
        ("-48+21+(-3)", Fraction(-30)),
        ("--2", Fraction(2)),
        ("15%*60", Fraction(9)),
        ("(20+5)%", Fraction(1, 4)),
        (" 3 x 4 ", Fraction(12)),
        ("18÷3×2−1", Fraction(11)),
    ],
)
def test_expression_has_its_value(expression: str, value: Fraction) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "lacks a number"),
        ("2+", "lacks a number"),
        ("*2", "lacks a number"),
        ("2**3", "lacks a number"),
        ("()", "lacks a number"),
        ("(2", "lacks a closing parenthesis"),
        ("2)", "goes on after its end"),
        ("2 3", "goes on after its end"),
        ("3(4)", "goes on after its end"),
        ("4/(2-2)", "divides by zero"),
        ("2+y", "character 3"),
        ("1e9", "character 2"),
        ("__import__('os')", "character 1"),
        ("٣+1", "character 1"),
        ("9" * (LONGEST_EXPRESSION + 1), "more than"),
        ("9" * 100, "goes on after its end"),
    ],
)
def test_expression_that_is_none_is_refused(expression: str, message: str) -> None:
    with pytest.raises(AnatomyError, match=re.escape(message)):
        evaluate(expression)


def test_deepest_expression_is_read() -> None:
    depth = (LONGEST_EXPRESSION - 1) // 2
    assert evaluate("(" * depth + "7" + ")" * depth) == 7
    assert abs(evaluate("-" * (LONGEST_EXPRESSION - 1) + "7")) == 7


NUMBERS = st.decimals(0, 10_000, places=2).map(lambda value: (f"{value:f}", Fraction(value)))
TREES = st.recursive(
    NUMBERS,
    lambda part: st.one_of(
        part.map(lambda a: (f"(-{a[0]})", -a[1])),
        part.map(lambda a: (f"({a[0]})%", a[1] / 100)),
        st.tuples(part, st.sampled_from("+-*/"), part).map(
            lambda ab: (
                (
                    f"({ab[0][0]} {ab[1]} {ab[2][0]})",
                    {
                        "+": lambda a, b: a + b,
                        "-": lambda a, b: a - b,
                        "*": lambda a, b: a * b,
                        "/": lambda a, b: a / b if b else None,
                    }[ab[1]](ab[0][1], ab[2][1]),
                )
                if None not in (ab[0][1], ab[2][1])
                else (ab[0][0], ab[0][1])
            )
        ),
    ).filter(lambda tree: tree[1] is not None),
    max_leaves=6,
)


@given(TREES)
def test_expression_agrees_with_exact_arithmetic(tree: tuple[str, Fraction]) -> None:
    text, value = tree
    if len(text) <= LONGEST_EXPRESSION:
        assert evaluate(text) == value


@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 99)), max_size=8), st.integers(0, 99))
def test_precedence_is_that_of_python(rest: list[tuple[str, int]], first: int) -> None:
    text = str(first) + "".join(f"{sign}{value}" for sign, value in rest)
    assert evaluate(text) == eval(text)  # of digits and signs made here


@given(st.text(alphabet="0123456789.,+-*/()% x=<>", max_size=60))
def test_any_expression_has_a_value_or_is_refused(text: str) -> None:
    try:
        value = evaluate(text)
    except AnatomyError:
        return
    assert isinstance(value, Fraction) and any(sign.isdigit() for sign in text)


@given(st.fractions())
def test_plain_number_is_exact(value: Fraction) -> None:
    text = plain(value)
    assert Fraction(text) == value and "e" not in text.lower() and not re.search(r"\.\d*0$", text)


# Six problems -----------------------------------------------------------------------------------------


def facts(annotation: Annotation) -> list[tuple[str, str]]:
    assert annotation.subproblems is not None
    return [(link["fact"], link["answer"]) for link in annotation.subproblems]


def test_two_plain_sentences() -> None:
    found = annotate(
        "Ann picks 48 pears in April and half as many in May. How many does she pick?",
        "Ann picks 48/2 = <<48/2=24>>24 pears in May.\nShe picks 48+24 = <<48+24=72>>72 pears in all.",
        "72",
    )
    assert found.plan == "1. Ann picks ... pears in May.\n2. She picks ... pears in all."
    assert found.subproblems == [
        {
            "question": "Ann picks ___ pears in May. What number stands in the blank?",
            "answer": "24",
            "fact": "Ann picks {answer} pears in May.",
        },
        {
            "question": "She picks ___ pears in all. What number stands in the blank?",
            "answer": "72",
            "fact": "She picks {answer} pears in all.",
        },
    ]
    assert [(step.value, step.right) for step in found.calculations] == [(24, True), (72, True)]
    assert found.ends


def test_units_currency_and_thousands() -> None:
    found = annotate(
        "A shed costs $1,500 a month. What do 12 months cost, and what is left of $20,000?",
        "First find the yearly price: $1,500/month * 12 months = $<<1500*12=18000>>18,000\n"
        "Then he has $20,000 - $18,000 = $<<20000-18000=2000.00>>2,000.00 left.",
        "2,000",
    )
    assert found.plan == "1. First find the yearly price: $...\n2. Then he has $... left."
    assert facts(found) == [
        ("First find the yearly price: ${answer}", "18000"),
        ("Then he has ${answer} left.", "2000"),
    ]
    assert found.ends


def test_result_told_before_its_reason_and_again_after() -> None:
    found = annotate(
        "Bo fills 3 tyres a day for 3 days, then loses one and stacks the rest in rows of 2.",
        "He fills 9 tyres because 3 times 3 equals <<3*3=9>>9.\n"
        "He keeps 9 - 1 = <<9-1=8>>8 tyres, so eight go into rows.\n"
        "With 8 tyres he has (9 - 1) / 2 = 8 / 2 = <<8/2=4>>4 rows.",
        "4",
    )
    assert found.plan == (
        "1. He fills ... tyres.\n"
        "2. He keeps ... tyres, so ... go into rows.\n"
        "3. With ... tyres he has ... rows."
    )
    assert facts(found) == [
        ("He fills {answer} tyres.", "9"),
        ("He keeps {answer} tyres, so ... go into rows.", "8"),
        ("With 8 tyres he has {answer} rows.", "4"),
    ]


def test_given_number_may_stand_though_it_is_a_result_too() -> None:
    found = annotate(
        "Each of the 5 boxes holds twice 5 pens; half are blue. How many blue pens are in a box?",
        "Each of the 5 boxes holds 5*2=<<5*2=10>>10 pens.\n"
        "Of the 10 pens in each of 5 boxes 10/2=<<10/2=5>>5 are blue.",
        "5",
    )
    assert found.plan == (
        "1. Each of the 5 boxes holds ... pens.\n2. Of the ... pens in each of 5 boxes ... are blue."
    )
    assert facts(found)[1] == ("Of the 10 pens in each of 5 boxes {answer} are blue.", "5")


def test_letters_and_lines_without_words() -> None:
    found = annotate(
        "Cy has 4 coins more than Di; together they have 30.",
        "Let d be Di's coins.\nd + d + 4 = 30\nd = <<13=13>>13\n13 + 4 = <<13+4=17>>17\nThat is 17 coins.",
        "17",
    )
    assert found.plan is None
    assert found.subproblems == [
        {
            "question": f"Let d be Di's coins. d = {BLANK} {ASKED}",
            "answer": "13",
            "fact": "d = {answer}",
        },
        {"question": f"13 + 4 = {BLANK} {ASKED}", "answer": "17", "fact": "13 + 4 = {answer}"},
    ]


def test_several_calculations_in_a_line_and_a_last_one_without_marks() -> None:
    found = annotate(
        "Ed runs 3 laps of 400 m and swims 5 of 50 m. How far does he go?",
        "He runs 3*400=<<3*400=1200>>1,200 m and swims 5*50=<<5*50=250>>250 m.\nHe goes 1200+250=1450 m.",
        "1450",
    )
    assert found.plan == "1. He runs ... m and swims ... m.\n2. He goes ... m."
    assert facts(found) == [
        ("He runs {answer} m and swims ... m.", "1200"),
        ("He runs 1200 m and swims {answer} m.", "250"),
    ]
    assert not found.ends


def test_signs_and_earlier_results_and_results_without_marks() -> None:
    found = annotate(
        "At dawn it is -4 degrees. By noon it is 9 warmer, by dusk 8 colder, then 3 + 4 warmer.",
        "At noon it is -4 + 9 = <<-4+9=5>>5 degrees.\n"
        "(The noon's 5 fell) 5 - 8 = <<5-8=-3>>-3 degrees.\n"
        "It gets 3 + 4 = 7 degrees warmer, and 7 and the 5 of noon lead to (7 - 3) + 1 = <<(7-3)+1=5>>5/day.",
        "5",
    )
    assert found.plan == (
        "1. At noon it is ... degrees.\n"
        "2. (The noon's ... fell) ... degrees.\n"
        "3. It gets ... degrees warmer, and ... and the ... of noon lead to .../day."
    )
    assert facts(found) == [
        ("At noon it is {answer} degrees.", "5"),
        ("(The noon's 5 fell) {answer} degrees.", "-3"),
        ("It gets 7 degrees warmer, and 7 and the 5 of noon lead to {answer}/day.", "5"),
    ]


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        ("Bees who left) 2 + 3 = <<2+3=5>>5.", "Bees who left) {answer}."),
        ("9 - 4) 2 + 3 = <<2+3=5>>5 pens are left.", "9 - 4) {answer} pens are left."),
        ("They fill <<10/2=5>>5/2 jars.", "They fill {answer}/2 jars."),
        ("They fill <<10/2=5>>5/0 jars.", "They fill {answer}/0 jars."),
        ("They fill <<10/4=5/2>>5/2 jars.", "They fill {answer} jars."),
        ("They fill <<10/2=5>> jars.", "They fill {answer} jars."),
        ("That makes 2 1/2 + 2(1/4) = <<2.5+.5=3>>3 jars.", "That makes {answer} jars."),
        ("It is 2 jars/day * 3 days = 6 = <<6=6>>6 jars.", "It is {answer} jars."),
        ("A case of 6 jars = 2 * 3 = <<6=6>>6.", "A case of 6 jars is {answer}."),
        ("This is >= 3 times 2 equals <<6=6>>6.", "This is at least {answer}."),
    ],
)
def test_fact_of_a_line(line: str, fact: str) -> None:
    assert facts(annotate("There are 6.", line, "99"))[0][0] == fact


def test_solution_without_calculations() -> None:
    assert annotate("Two and two?", "They make four.", "4") == Annotation(None, None, [], False)


@pytest.mark.parametrize(
    ("calculation", "right"),
    [
        ("10/3=3.33", True),
        ("10/3=3.3", True),
        ("10/3=3", True),
        ("10/3=3.34", False),
        ("10/3=4", False),
        ("5/2=3", True),
        ("5/2=2", True),
        ("3/4=3/4", True),
        ("2/3=.66", False),
        ("2+2=5", False),
        ("2-5=-3", True),
        ("2x=4", False),
        ("1/0=0", False),
        ("a=b=4", False),
    ],
)
def test_calculation_is_right_up_to_the_rounding_of_its_result(calculation: str, right: bool) -> None:
    (found,) = annotate("", f"So it is <<{calculation}>>.", "0").calculations
    assert found.right == right


@pytest.mark.parametrize("solution", ["It is <<2+2>>4.", "It is <<2+2=4 now.", "It is 2+2>> 4.", "<<x=y>>"])
def test_malformed_calculation_is_named(solution: str) -> None:
    with pytest.raises(AnatomyError, match=r"<<expression=result>>|'y'"):
        annotate("", solution, "4")


def test_overlong_solution_is_refused() -> None:
    with pytest.raises(AnatomyError, match="characters"):
        annotate("", "a" * (LONGEST_SOLUTION + 1), "4")


@given(
    st.text(alphabet="{answer}_<=0123 +*()-\n$.,Ax\ue000", max_size=80),
    st.integers(0, 9),
    st.text(alphabet="{answer}_= 0123+*()-\n$.,Ax\ue000", max_size=80),
)
def test_any_text_around_a_calculation(before: str, result: int, after: str) -> None:
    found = annotate(before, f"{before.replace('<', '')} = <<{result}*1={result}>>{after}", str(result))
    (link,) = found.subproblems or []
    assert link["fact"].count(SLOT) == 1 and link["question"].count(BLANK) == 1
    assert link["answer"] == str(result) and found.ends
    assert "=" not in (found.plan or "")


# GSM8K ------------------------------------------------------------------------------------------------


@cache
def gsm8k() -> list[tuple[str, str, str, Annotation]]:
    """Question, solution, answer and annotation of each problem; skips the test where the set is absent."""
    path = FOLDER / "gsm8k/test.jsonl"
    if not path.exists():
        pytest.skip(f"the published sets are not in {FOLDER} (set ANATOMY_BENCHMARKS to their folder)")
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        solution, _, answer = record["answer"].rpartition("####")
        solution, answer = solution.rstrip(), answer.strip()
        found.append((record["question"], solution, answer, annotate(record["question"], solution, answer)))
    return found


WORDS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
SAID = re.compile(rf"(?<![\w-])({'|'.join(WORDS)})(?![\w-])|\d[\d,]*(?:\.\d+)?(?<!,)|\.\d+", re.IGNORECASE)


def numbers(text: str) -> set[Fraction]:
    """Numbers of a text, without signs, in digits or as words."""
    return {
        Fraction(WORDS.index(match[1].lower()) + 2 if match[1] else match[0].replace(",", ""))
        for match in SAID.finditer(text)
    }


@pytest.mark.slow
def test_gsm8k_counts() -> None:
    found = [annotation for *_, annotation in gsm8k()]
    assert len(found) == 1_319
    assert sum(len(annotation.subproblems or []) for annotation in found) == 4_282
    assert sum(annotation.subproblems is None for annotation in found) == 18
    assert sum(annotation.plan is None for annotation in found) == 14
    assert sum(bool(annotation.subproblems) and not annotation.ends for annotation in found) == 93


def test_gsm8k_arithmetic_is_right_without_exception() -> None:
    wrong = {
        place: [step.expression for step in annotation.calculations if not step.right]
        for place, (*_, annotation) in enumerate(gsm8k())
        if not all(step.right for step in annotation.calculations)
    }
    assert wrong == {}


def test_gsm8k_every_calculation_is_a_link() -> None:
    for _, solution, _, annotation in gsm8k():
        published = re.findall(r"<<(.*?)=([^=]*?)>>", solution)
        assert [step.expression for step in annotation.calculations] == [pair[0] for pair in published]
        links = annotation.subproblems or []
        assert [Fraction(link["answer"]) for link in links] == [Fraction(pair[1]) for pair in published]
        for link in links:
            assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", link["answer"])
            assert list(link) == ["question", "answer", "fact"]
            assert link["fact"].count(SLOT) == 1 and link["question"].count(BLANK) == 1
            assert link["question"].endswith(ASKED) and "<<" not in link["question"] + link["fact"]


def test_gsm8k_links_tell_no_later_result() -> None:
    for question, _, answer, annotation in gsm8k():
        links = annotation.subproblems or []
        results = [abs(Fraction(link["answer"])) for link in links]
        for place, link in enumerate(links):
            hidden = {*results[place:], *numbers(answer)} - {*results[:place]} - numbers(question)
            assert not hidden & numbers(f"{link['fact']} {link['question']}"), link


def test_gsm8k_links_keep_their_expression_only_where_nothing_else_is_said() -> None:
    kept = [
        link["fact"]
        for *_, annotation in gsm8k()
        for link in annotation.subproblems or []
        if "=" in link["fact"]
    ]
    assert len(kept) == 42
    assert all(len(re.findall("[a-z]{2,}", fact.replace(SLOT, ""))) < 8 for fact in kept)


def test_gsm8k_plans_compute_nothing() -> None:
    for question, _, answer, annotation in gsm8k():
        plan = annotation.plan or ""
        assert "=" not in plan and "<<" not in plan and SLOT not in plan
        said = numbers(re.sub(r"^\d+\. ", "", plan, flags=re.MULTILINE))
        computed = {abs(Fraction(step.result)) for step in annotation.calculations} | numbers(answer)
        assert not said & (computed - numbers(question)), plan
        steps = plan.splitlines()
        assert all(step.startswith(f"{place}. ") for place, step in enumerate(steps, 1))


def test_gsm8k_plans_keep_few_expressions() -> None:
    steps = [step for *_, annotation in gsm8k() for step in (annotation.plan or "").splitlines()]
    left = [step for step in steps if re.search(r"[\d)]\s*[-+*×÷–]\s*[$(\d]|\d\s+/\s+\d", step[4:])]
    assert len(left) <= 0.01 * len(steps), left


def test_gsm8k_chunks_never_cut_a_calculation() -> None:
    inside = 0
    for _, solution, _, _ in gsm8k():
        parts = chunks(solution)
        assert len(parts) == CHUNKS and "".join(parts) == solution
        for part, cut in zip(parts, accumulate(map(len, parts)), strict=True):
            assert part.count("<<") == part.count(">>")
            if part and cut < len(solution) and not part.endswith("\n"):
                inside += 1
                assert re.search(r"[.?!]\s+$", part), part
    assert inside == 27
