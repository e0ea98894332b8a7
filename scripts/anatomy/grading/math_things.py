"""Equality of single things: numbers, quantities, words and expressions."""

import re

from anatomy.grading import math_symbolic, math_values
from anatomy.grading.math_errors import UnparsableError
from anatomy.grading.math_forms import Form, words
from anatomy.grading.math_numerals import Numeral, numerals_equal
from anatomy.grading.math_reader import read
from anatomy.grading.math_trees import Tree, letters, parts

PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
"""Words outside commands."""
_INFINITE = {("constant", "infinity"), ("minus", ("constant", "infinity"))}


def squeezed(text: str) -> str:
    r"""Return a text without spaces, ``\text`` and braces: what is the same so is the same."""
    return re.sub(r"\\text(?![a-z])|[\s{}]", "", text)


class Things:
    r"""Compares forms that are one thing.

    Args:
        natural: ``\log`` without a base is the natural logarithm, on both sides; else it has base ten.
    """

    def __init__(self, natural: bool = False) -> None:
        self.natural = natural

    def tree(self, form: Form) -> Tree:
        """Return the tree of one thing. Raises UnparsableError where it cannot be read."""
        if form.marks == ("determinant",):
            return ("determinant", *(self.tree(entry) for entry in form.entries))
        if form.kind in ("list", "set", "tuple", "union", "matrix", "equation", "inequality"):
            raise UnparsableError(form.kind)
        return read(form.text, self.natural)

    def things(self, gold: Form, answer: Form) -> bool:
        """Compare numbers, quantities, words and expressions."""
        if gold.base is not None or answer.base is not None:
            return self.bases(gold, answer)
        if gold.product or (answer.product and gold.kind == "expression" and self.has_letters(gold)):
            # A gold answer keeps its letters: 6m is not 6.
            gold, answer = _as_product(gold), _as_product(answer)
        if squeezed(gold.text) == squeezed(answer.text) and not gold.unit.differs(answer.unit):
            return True
        if "text" in (gold.kind, answer.kind):
            return self.texts(gold, answer)
        if gold.unit.differs(answer.unit):
            return False
        if gold.number is not None and answer.number is not None:
            return numerals_equal(gold.number, answer.number)
        return self.expressions(gold, answer)

    def has_letters(self, form: Form) -> bool:
        try:
            return bool(letters(self.tree(form)))
        except UnparsableError:
            return False

    def bases(self, gold: Form, answer: Form) -> bool:
        if gold.base is not None and answer.base is not None:
            return gold.base == answer.base
        if gold.base is not None:
            return gold.base.same(squeezed(answer.product or answer.text))
        assert answer.base is not None
        return answer.base.base == 10 and answer.base.same(squeezed(gold.product or gold.text))

    def texts(self, gold: Form, answer: Form) -> bool:
        """Compare words without case, spaces and marks."""
        said = [re.sub(r"\\text|[\W_]+", "", form.text).casefold() for form in (gold, answer)]
        if any(form.kind != "text" and form.number is not None for form in (gold, answer)):
            return False
        return said[0] == said[1] and all(
            form.kind == "text" or words(form.text) is not None or r"\text" in gold.text
            for form in (gold, answer)
        )

    def expressions(self, gold: Form, answer: Form) -> bool:
        """Compare what stands for a value, by that value."""
        try:
            return self.evaluated(gold, answer)
        except UnparsableError:
            if not math_symbolic.needed(gold.text, answer.text):
                raise
            return math_symbolic.same(gold.text, answer.text)

    def evaluated(self, gold: Form, answer: Form) -> bool:
        trees: list[Tree] = []
        if (r"\ldots" in gold.text) != (r"\ldots" in answer.text):
            return False  # what goes on is not what ends
        for form in (gold, answer):
            try:
                trees.append(self.tree(form))
            except UnparsableError:
                # Words, where mathematics is asked for; the dx of an integral is none.
                if form is answer and PROSE.search(form.text) and not math_symbolic.needed(form.text):
                    return False
                raise
        if _INFINITE & {*trees}:
            return trees[0] == trees[1]
        numbers = [form.number or _numeral(tree) for form, tree in zip((gold, answer), trees, strict=True)]
        if numbers[0] is not None and numbers[1] is not None:
            return numerals_equal(numbers[0], numbers[1])
        if not letters(trees[0]) and not letters(trees[1]) and any(map(_has_point, trees)):
            return self.decimals(trees, numbers)
        return math_values.same_value(*trees)

    def decimals(self, trees: list[Tree], numbers: list[Numeral | None]) -> bool:
        """Compare two numbers of which one is written with a decimal point and one is irrational."""
        values = [math_values.value(tree) for tree in trees]
        if values[0] is None:
            raise UnparsableError("no number")
        if values[1] is None:
            return False
        return math_values.near(values[0], values[1])


def _as_product(form: Form) -> Form:
    """Return a quantity whose unit may be a variable as the product that it then is."""
    return Form("expression", form.product) if form.product else form


def _has_point(tree: Tree) -> bool:
    return any(part[0] == "number" and "." in part[1] for part in parts(tree))


def _numeral(tree: Tree) -> Numeral | None:
    value = math_values.rational(tree)
    return None if value is None else Numeral(value, _has_point(tree))
