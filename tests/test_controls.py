"""Wrong versions of plans: the same steps in another order, or all but one."""

from hypothesis import given
from hypothesis import strategies as st

from anatomy.prompts import plan_controls

STEPS = st.lists(st.integers(), min_size=2, max_size=8, unique=True)


@given(STEPS, st.text(max_size=5))
def test_disordered_has_the_same_steps_in_another_order(steps: list[int], name: str) -> None:
    found = plan_controls.disordered(steps, name)
    assert found is not None and found != steps and sorted(found) == sorted(steps)
    assert found == plan_controls.disordered(steps, name)


@given(STEPS, st.text(max_size=5))
def test_incomplete_lacks_one_step_and_keeps_the_order(steps: list[int], name: str) -> None:
    found = plan_controls.incomplete(steps, name)
    assert found is not None and len(found) == len(steps) - 1
    assert found == [step for step in steps if step in found]


def test_which_step_is_missing_depends_on_the_problem() -> None:
    assert len({str(plan_controls.incomplete(["a", "b", "c"], name)) for name in "abcdefghij"}) == 3


def test_a_single_step_has_no_wrong_version() -> None:
    assert plan_controls.disordered(["a"], "p") is None and plan_controls.incomplete([], "p") is None
    assert plan_controls.of_plan("1. Count.", "p") == {"plan_disordered": None, "plan_incomplete": None}
    assert plan_controls.of_plan(None, "p") == {"plan_disordered": None, "plan_incomplete": None}


def test_a_numbered_plan_is_numbered_anew() -> None:
    plan = plan_controls.numbered(["Find 3. of a", "Add", "Halve"])
    assert plan == "1. Find 3. of a\n2. Add\n3. Halve"
    found = plan_controls.of_plan(plan, "p")
    for text in found.values():
        assert text is not None
        assert [line[:3] for line in text.splitlines()] == ["1. ", "2. ", "3. "][: len(text.splitlines())]
    assert sorted(
        str(found["plan_disordered"]).replace("1. ", "").replace("2. ", "").replace("3. ", "")
    ) == sorted("Find of a\nAdd\nHalve")
