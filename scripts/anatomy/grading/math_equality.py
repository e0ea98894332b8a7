r"""Equality of answers, by the kinds of their forms. What is equal to what is told on the page Grading.

A comparison that cannot be decided raises an error, and is never "equal": UnparsableError where a side is no
mathematics that could be read, TooLargeError where a number is too large.
"""

import re
from fractions import Fraction

from anatomy.grading import math_regions, math_relations, math_values
from anatomy.grading.math_errors import UnparsableError
from anatomy.grading.math_forms import Form
from anatomy.grading.math_things import PROSE, Things, squeezed
from anatomy.grading.math_trees import Tree, functions, letters

_UNORDERED = ("list", "set")
_CONSTANTS = (r"\pi", "e", "i", r"\infty")
_DERIVATIVE = re.compile(r"\\frac\{d[^{}]*\}\{d[^{}]*\}")
_NAME = re.compile(r"\\?[A-Za-z]+(?:_\w+)?'*(?:\(\\?[A-Za-z]+(?:,\\?[A-Za-z]+)*\))?")


def name_of(form: Form) -> str | None:
    """Return the variable, function or derivative on one side of an equation; None for anything else."""
    plain = re.sub(r"\s+|\\text", "", form.text)
    if _DERIVATIVE.fullmatch(plain):
        return plain
    plain = re.sub(r"[{}]", "", plain)
    if plain in _CONSTANTS or not _NAME.fullmatch(plain):
        return None
    return plain if form.kind in ("expression", "choice", "text") else None


class Equality(Things):
    """Compares forms of all kinds."""

    # By kind

    def equal(self, gold: Form, answer: Form) -> bool:
        """Tell whether two forms are equal. Raises UnparsableError or TooLargeError."""
        if gold == answer:
            return True
        kinds = {gold.kind, answer.kind}
        if "choice" in kinds:
            return self.choices(gold, answer)
        named = self.named(gold), self.named(answer)
        if (named[0] or named[1]) and (decided := self.by_names(gold, answer, *named)) is not None:
            return decided
        if "equation" in kinds:
            return self.equations(gold, answer)
        if kinds & {"inequality", "union"}:
            return self.regions(gold, answer)
        if gold.kind in _UNORDERED and answer.kind in _UNORDERED:
            return self.match(gold.entries, answer.entries) or bool(
                (answer.linked or gold.linked)
                and self.match(gold.linked or gold.entries, answer.linked or answer.entries)
            )
        if gold.kind == answer.kind == "tuple" or (gold.kind, answer.kind) == ("tuple", "list"):
            return self.tuples(gold, answer)
        if kinds == {"matrix"}:
            return gold.marks == answer.marks and self.all_equal(gold.entries, answer.entries)
        # Several entries may be the same one.
        if gold.kind in _UNORDERED or (answer.kind == "set" and len(answer.entries) == 1):
            left = gold.entries if gold.kind in _UNORDERED else (gold,)
            return self.match(left, answer.entries if answer.kind in _UNORDERED else (answer,))
        if kinds & {"list", "set", "tuple", "matrix"}:
            return False
        return self.things(gold, answer)

    def all_equal(self, gold: tuple[Form, ...], answer: tuple[Form, ...]) -> bool:
        return len(gold) == len(answer) and all(map(self.equal, gold, answer))

    def match(self, gold: tuple[Form, ...], answer: tuple[Form, ...]) -> bool:
        """Tell whether each entry of one side has its own on the other."""
        left, right = list(dict.fromkeys(gold)), list(dict.fromkeys(answer))
        if len(left) != len(right):
            return False
        for one in left:
            at = next((at for at, other in enumerate(right) if self.equal(one, other)), None)
            if at is None:
                return False
            del right[at]
        return True

    def choices(self, gold: Form, answer: Form) -> bool:
        """Compare a letter that was chosen, perhaps with what it says."""
        if gold.kind == answer.kind:
            said = gold.entries and answer.entries
            return gold.marks == answer.marks and (not said or self.equal(gold.entries[0], answer.entries[0]))
        choice, other = (gold, answer) if gold.kind == "choice" else (answer, gold)
        if choice.entries:
            return self.equal(choice.entries[0], other)
        if other.kind in ("list", "set", "equation") and len(other.entries) != 1:
            if other.kind == "equation":
                return self.equations(
                    *((self.letter(one) if one is choice else one) for one in (gold, answer))
                )
            return other.kind == "list" and gold is other and self.match(gold.entries, (answer,))
        return self.equal(*((self.letter(one) if one is choice else one) for one in (gold, answer)))

    def letter(self, choice: Form) -> Form:
        """Return the variable that a letter alone can be."""
        return Form("expression", choice.marks[0], name=choice.marks[0].casefold())

    def tuples(self, gold: Form, answer: Form) -> bool:
        if answer.kind == "tuple" and gold.marks != answer.marks:
            return False
        if gold.marks[:1] == (":",) and answer.kind == "tuple" and len(gold.entries) == len(answer.entries):
            return self.proportional(gold, answer)
        return self.all_equal(gold.entries, answer.entries)

    def proportional(self, gold: Form, answer: Form) -> bool:
        """Compare ratios of three parts or more."""
        first = [self.tree(form.entries[0]) for form in (gold, answer)]
        return all(
            math_values.same_value(
                ("multiply", self.tree(one), first[1]), ("multiply", self.tree(other), first[0])
            )
            for one, other in zip(gold.entries[1:], answer.entries[1:], strict=True)
        )

    # Names

    def named(self, form: Form) -> dict[str, Form] | None:
        """Return values by their names: of "x=1, y=2" and of "(x,y)=(1,2)"; None for anything else."""
        if form.kind == "equation" and len(form.entries) == 2:
            left, right = form.entries
            pair = left.kind in ("tuple", "list") and right.kind in ("tuple", "list")
            if pair and left.marks[:1] != (":",):
                names = [name_of(entry) for entry in left.entries]
                if len(names) == len(right.entries) == len(set(names)) and all(names):
                    return dict(zip(map(str, names), right.entries, strict=True))
            return None
        if form.kind not in _UNORDERED or len(form.entries) < 2:
            return None
        found: dict[str, Form] = {}
        for entry in form.entries:
            if entry.kind != "equation" or not (name := name_of(entry.entries[0])) or name in found:
                return None
            found[name] = self.value_of(entry)
        return found

    def by_names(
        self, gold: Form, answer: Form, golds: dict[str, Form] | None, answers: dict[str, Form] | None
    ) -> bool | None:
        """Compare values that have names; None where names do not decide."""
        if golds is not None and answers is not None:
            return golds.keys() == answers.keys() and all(
                self.equal(value, answers[name]) for name, value in golds.items()
            )
        names, other = (golds, answer) if golds is not None else (answers, gold)
        assert names is not None
        if other.kind not in ("tuple", "list"):
            # A list of equations, or the names of a set.
            value = gold if golds is None else answer
            form = answer if golds is None else gold
            if form.kind == "equation":
                right = form.entries[1]
                return self.equal(value, right) if golds is None else self.equal(right, value)
            return None
        if other.kind == "list" and golds is None:
            return None
        if other.kind == "tuple" and other.marks != ("(", ")"):
            return False
        order = list(names)
        if golds is None and all(len(name) == 1 for name in order):
            order.sort()
        values = tuple(names[name] for name in order)
        return (
            self.all_equal(values, other.entries)
            if golds is not None
            else self.all_equal(other.entries, values)
        )

    # Equations

    def value_of(self, equation: Form) -> Form:
        """Return the value that an equation gives its left side, exact where there is such a one."""
        return self.values_of(equation)[0]

    def values_of(self, equation: Form) -> list[Form]:
        """Return the value of an equation, exact first, and what it is rounded to."""
        exact, rounded = [equation.entries[0]], list[Form]()
        for sign, side in zip(equation.marks, equation.entries[1:], strict=True):
            (rounded if sign == "~" or rounded else exact).append(side)
        values = [side for side in exact if name_of(side) is None]
        if name_of(exact[0]) is not None:
            values = exact[1:] if len(exact) > 1 else []
            # Of "A=B" the right side, though it is a name too.
            values = [side for side in values if name_of(side) is None] or values
        return [*values[::-1][:1], *rounded] or [exact[-1]]

    def consistent(self, equation: Form) -> bool:
        """Tell whether those sides of an equation that are numbers agree."""
        last: Form | None = None
        rounded = False
        for sign, side in zip(("=", *equation.marks), equation.entries, strict=True):
            if side.kind not in ("number", "quantity", "expression") or side.base is not None:
                continue
            try:
                if letters(self.tree(side)):
                    continue
                if last is not None:
                    rounded = rounded or sign == "~"
                    if not (self.rounds(last, side) if rounded else self.equal(last, side)):
                        return False
                else:
                    last = side
            except UnparsableError:
                continue
        return True

    def rounds(self, exact: Form, rounded: Form) -> bool:
        """Tell whether a decimal is another number, up to one in its last place."""
        value = math_values.value(self.tree(exact))
        number = rounded.number
        if value is None or value.imag:
            return self.equal(exact, rounded)
        if number is None:
            other = math_values.value(self.tree(rounded))
            return other is not None and bool(abs(value - other) <= abs(value) / 20)
        found = re.search(r"\.([0-9]+)", rounded.text)
        places = len(found[1]) if found else 0
        scale = re.search(r"10\^\{?(-?[0-9]+)", rounded.text)
        step = Fraction(10) ** (int(scale[1]) if scale else 0) / 10**places
        if not found and not scale and number.value % 10 == 0 and number.value:
            step = Fraction(10) ** (len(str(abs(number.value))) - len(str(abs(number.value)).rstrip("0")))
        exactly, shown = abs(value), abs(math_values.number(number.value))
        rounding, cut = abs(exactly - shown), exactly - shown
        # As rounding has it, or as it is where further digits are cut off.
        return bool(2 * rounding <= math_values.number(step) or 0 <= cut < math_values.number(step))

    def equations(self, gold: Form, answer: Form) -> bool:
        """Compare two things of which one or both are equations."""
        if answer.kind == "equation" and not self.consistent(answer):
            return False
        if gold.kind != "equation":
            return self.any_equal([gold], self.values_of(answer), bool(gold.number and gold.number.point))
        if answer.kind != "equation":
            return self.states(gold) and self.any_equal(self.values_of(gold), [answer], True)
        sides = [[squeezed(side.text) for side in form.entries] for form in (gold, answer)]
        if all(sides[0]) and sides[0] in (sides[1], sides[1][::-1]):
            return True
        lefts = [self.left_of(form) for form in (gold, answer)]
        names = [name_of(left) for left in lefts]
        if (names[0] is not None and names[0] == names[1]) or squeezed(lefts[0].text or "0") == squeezed(
            lefts[1].text or "1"
        ):
            return self.any_equal(self.values_of(gold), self.values_of(answer), True)
        values = self.value_of(gold), self.value_of(answer)
        if all(names) and any(value.kind not in ("number", "quantity", "expression") for value in values):
            return False
        trees = [self.difference(form) for form in (gold, answer)]
        if functions(trees[0]) != functions(trees[1]):
            return False
        if not letters(trees[0]) and not letters(trees[1]):
            return self.any_equal(self.values_of(gold), self.values_of(answer), True)
        return math_relations.same_equation(*trees)

    def any_equal(self, golds: list[Form], answers: list[Form], rounded: bool) -> bool:
        """Tell whether the exact values agree, or, where it may be, one and what the other is rounded to."""
        if self.equal(golds[0], answers[0]):
            return True
        if not rounded:
            return False
        return any(
            self.equal(one, other)
            for one in golds
            for other in answers[-1:]
            if one is not golds[0] or other is not answers[0]
        )

    def left_of(self, equation: Form) -> Form:
        """Return what an equation is about: its left side, or the name on its right one."""
        first, last = equation.entries[0], equation.entries[-1]
        return last if name_of(first) is None and name_of(last) is not None else first

    def states(self, equation: Form) -> bool:
        """Tell whether an equation says what something is, so that its value alone says the same.

        Its left side is a name, or names something that is no unknown: a length, an angle, a ratio, a
        probability, a set; and then its right side is a number, a set or the like.
        """
        if name_of(self.left_of(equation)) is not None or "~" in equation.marks:
            return True
        value = self.value_of(equation)
        left = equation.entries[0]
        if value.kind in ("set", "tuple", "matrix", "text"):
            return True
        try:
            if letters(self.tree(value)):
                return False
            found = letters(self.tree(left))
        except UnparsableError:
            return value.kind in ("number", "quantity") or not PROSE.search(value.text)
        # |z| is the size of a complex number; |x| = 5 is solved.
        return not found & {"x", "y", "z"} or self.tree(left) == ("call", "abs", ("letter", "z"))

    def difference(self, equation: Form) -> Tree:
        left, right = (self.tree(equation.entries[at]) for at in (0, -1))
        return math_relations.difference(left, right)

    # Inequalities and sets of numbers

    def regions(self, gold: Form, answer: Form) -> bool:
        """Compare two things of which one or both are inequalities or unions."""
        regions = [math_regions.region(form, self.tree) for form in (gold, answer)]
        if regions[0] is not None and regions[1] is not None:
            names = [region.name for region in regions if region is not None]
            if all(names) and names[0] != names[1]:
                return False
            return self.intervals(regions[0].intervals, regions[1].intervals)
        if gold.kind == answer.kind == "inequality":
            return self.inequalities(gold, answer)
        if gold.kind == answer.kind == "union" and gold.marks == answer.marks:
            return self.match(gold.entries, answer.entries)
        return False

    def intervals(self, gold: tuple[Form, ...], answer: tuple[Form, ...]) -> bool:
        if len(gold) != len(answer):
            return False
        rest = list(answer)
        for one in gold:
            at = next(
                (
                    at
                    for at, other in enumerate(rest)
                    if one.marks == other.marks and self.all_equal(one.entries, other.entries)
                ),
                None,
            )
            if at is None:
                return False
            del rest[at]
        return True

    def inequalities(self, gold: Form, answer: Form) -> bool:
        if gold.marks == answer.marks and self.all_equal(gold.entries, answer.entries):
            return True
        if len(gold.marks) != 1 or gold.marks != answer.marks:
            return False
        trees = [self.difference(form) for form in (gold, answer)]
        if gold.marks == ("!=",):
            return math_relations.same_equation(*trees)
        return math_relations.same_inequality(*trees)
