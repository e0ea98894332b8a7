"""The typed form of an answer: what kind of thing it is, and what it consists of."""

import re
from dataclasses import dataclass, field
from typing import Literal

from anatomy.grading.math_numerals import Based, Numeral
from anatomy.grading.math_trees import FUNCTIONS, LETTERS
from anatomy.grading.math_units import Unit

Kind = Literal[
    "number", "quantity", "expression", "equation", "inequality", "set", "tuple", "union", "list", "matrix",
    "choice", "text",
]  # fmt: skip


@dataclass(frozen=True)
class Form:
    """An answer taken apart."""

    kind: Kind
    text: str = ""
    """What one thing is written as, without its unit."""
    entries: tuple["Form", ...] = ()
    """Of a list, set, tuple, union or matrix (row by row); the sides of an equation or inequality; what a
    choice says."""
    marks: tuple[str, ...] = ()
    """The brackets of a tuple or interval, the signs of an equation or inequality, the letter of a choice,
    the columns of a matrix."""
    name: str = ""
    """The variable that an interval or set is about, where it is said."""
    number: Numeral | None = None
    base: Based | None = None
    unit: Unit = field(default_factory=Unit)
    product: str = ""
    """The whole text of a quantity whose unit is a letter alone, and may be a variable."""
    linked: tuple["Form", ...] = ()
    """Of a list that a tuple with several plus-minus signs stands for: what it is where the signs go
    together."""


def words(text: str) -> str | None:
    r"""Return the letters of an answer that is words, out of ``\text``; None for any other text."""
    plain = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", text).strip()
    plain = re.sub(r"^\s*\(\s*(\w+)\s*\)\s*$", r"\1", plain)
    # Outside \text, p-q is a difference.
    between = r"[\s.,'!?:;()/-]" if r"\text" in text else r"[\s]"
    if not re.fullmatch(rf"[^\W\d_]+(?:{between}+[^\W\d_]+)*{between}*", plain):
        return None
    return re.sub(r"[\W_]+", "", plain).casefold()


_SHORT_WORDS = (
    "yes not one two six ten all any odd out red even true none both three four five seven eight nine zero"
    " left right blue green white black real never always"
)
_WORDS = frozenset(_SHORT_WORDS.split())
"""Letters that are words though they are few."""


def is_said(text: str) -> bool:
    r"""Tell whether letters are words, in ``\text`` or by how they look, rather than variables."""
    if r"\text" in text:
        return True
    plain = text.strip("() ")
    if " " in plain:
        return any(len(word) > 2 for word in plain.split())
    if plain.lower() in _WORDS:
        return True
    if plain in FUNCTIONS or plain in LETTERS or plain in ("pi", "infinity"):
        return False
    return (
        len(plain) > 3
        and bool(re.search("[aeiouyAEIOUY]", plain))
        and (plain[0].isupper() or plain.islower())
    )
