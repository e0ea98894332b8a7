r"""Parsing: an answer's typed form.

A text is split at commas, "and" and "or" outside brackets; then what is left is an equation or inequality, a
set in braces or by a builder, a tuple or interval in brackets, a union, a matrix, or one thing: a number, a
quantity with a unit, a choice, words, or an expression. Here things are only taken apart; which forms say the
same is told by ``anatomy.grading.math_equality``.
"""

import re
from dataclasses import replace
from functools import lru_cache
from itertools import product

from anatomy.grading.math_cleaning import closed
from anatomy.grading.math_errors import UnparsableError
from anatomy.grading.math_forms import Form, Kind, is_said, words
from anatomy.grading.math_numerals import based, numeral
from anatomy.grading.math_reader import MAX_DEPTH
from anatomy.grading.math_units import quantity

_BRACKETS = re.compile(r"\\?[\[\](){}]|\\(?:[a-zA-Z]+|.)|[,;=<>|:]", re.DOTALL)
_MATRIX = re.compile(
    r"(?P<before>.*?)(?P<open>\(|\[|\\\{|\||)\s*\\begin\s*\{(?P<name>(?:[pbvBV]|small|psmall|bsmall|vsmall)?matrix\*?|array)\}"
    r"(?:\s*(?:\{[lcr|@ ]*\}|\[[lcr]\]))?(?P<rows>.*)\\end\s*\{(?P=name)\}\s*(?P<close>\)|\]|\\\}|\||)"
    r"\s*(?P<after>\^\s*\{?\s*(?:T|\\top|\\text\s*\{\s*T\s*\})\s*\}?|/\s*[0-9]+|(?:\\cdot|\\times|\*)\s*[-0-9A-Za-z.]+)?",
    re.DOTALL,
)
_ROWS = re.compile(r"\\\\\s*(?:\[[^\[\]&]*\])?|\\cr(?![a-z])")
THOUSANDS = re.compile(
    r"(?<![0-9.,])(?<![0-9] )[0-9]{1,3}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(?![0-9/]|[, ][0-9])"
)
_IN = re.compile(
    r"(?P<name>\\?[A-Za-z]+(?:_\{?\w+\}?)?|\(\s*\\?[A-Za-z]+(?:\s*,\s*\\?[A-Za-z]+)*\s*\))\s*\\in(?![A-Za-z])"
)
_UNIT_BEHIND = re.compile(r"((?:[(\[]|\\\{).*[)\]}])\s*\\text\s*\{[^{}]*\}", re.DOTALL)
_BUILDER = re.compile(
    r"\s*\(?\\?[A-Za-z]+(?:_\w)?(?:\s*,\s*\\?[A-Za-z]+)*\)?(?:\s*\\in(?![a-z]).*)?\s*", re.DOTALL
)
_REALS = re.compile(
    r"\\mathbb\{R\}|\\Re|\\text\s*\{\s*R\s*\}"
    r"|(?:\\text\s*\{\s*)?[Aa](?:ll|ny) real(?: numbers?|s)?(?: [a-z])?\s*\}?"
)
_SENTENCE = re.compile(r"\\text\s*\{[^{}]*[^\W\d_]{3}[^{}]*\}")
"""Words with numbers among them, such as a name with a number."""
_CHOICE = re.compile(
    r"(?:\\text\s*\{\s*)?(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*(?:is)?\s*:?)?\s*(?:\\text\s*\{\s*)?"
    r"(?:\(\s*(?P<a>[A-J])\s*\)|(?P<b>[A-J])\s*\)|(?P<c>[A-J])\s*[:.](?!\s*[A-Z]?\s*[:=])|(?P<d>[A-J])(?=\s*\}?\s*$))"
    r"(?P<says>.*)",
    re.DOTALL,
)
_CHOICE_MARKED = re.compile(r"(?:\\text\s*\{\s*)?(?:\(\s*[A-J]\s*\)|[A-J]\s*(?:\)|[:.](?!\s*[A-Z]?\s*[:=])))")
_SIGNS = {
    "=": "=", "<": "<", ">": ">", r"\le": "<=", r"\ge": ">=", r"\neq": "!=", r"\approx": "~", r"\equiv": "=",
    r"\sim": "~",
}  # fmt: skip
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!=", "~": "~"}
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![a-z])")
_MAX_SPREAD = 16
"""Things that plus-minus signs stand for."""


def _split(text: str, marks: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Split a text at marks outside brackets and environments; return the parts and the marks between."""
    parts, found, depth, start = [], [], 0, 0
    for token in _BRACKETS.finditer(text):
        mark = token[0]
        if mark in ("(", "[", "{", r"\{", r"\begin", r"\lfloor", r"\lceil"):
            depth += 1
            if depth > MAX_DEPTH:
                raise UnparsableError("too deep")
        elif mark in (")", "]", "}", r"\}", r"\end", r"\rfloor", r"\rceil"):
            depth -= 1
        elif depth == 0 and mark in marks:
            parts.append(text[start : token.start()])
            found.append(mark)
            start = token.end()
    parts.append(text[start:])
    return parts, found


_SEPARATORS = (",", ";", r"\and", r"\or")


def _entries(text: str, marks: tuple[str, ...] = _SEPARATORS) -> list[str]:
    return [stripped for part in _split(text, marks)[0] if (stripped := part.strip())]


def form(text: str, separators: bool = True) -> Form:
    """Take a cleaned answer apart.

    Args:
        text: The answer.
        separators: Commas between three digits separate thousands; where not, entries.

    Raises:
        UnparsableError: brackets are too deep.
    """
    text = text.strip()
    name = ""
    if at := _IN.match(text):
        name, rest = at["name"], text[at.end() :].strip()
        conditions = _entries(rest, (",", ";", ":", "|"))
        # "x in R, x > 3" is about the condition.
        text = (
            rest if len(conditions) < 2 or not _REALS.fullmatch(conditions[0]) else ",".join(conditions[1:])
        )
    if separators:
        text = _outside(text)
    if quoted := _quoted(text):
        text = quoted
    parts, between = _split(text, _SEPARATORS)
    entries = [part.strip() for part in parts if part.strip()]
    if len(entries) > 1:
        return _listed(entries, between)
    text = entries[0] if entries else ""
    while text.startswith("{") and text.endswith("}") and closed(text[1:-1]):
        text = text[1:-1].strip()
        if len(inner := _entries(text)) > 1:
            return Form("set", entries=_spread([form(entry, False) for entry in inner]))
    found = _single(text)
    return replace(found, name=found.name or _plain_name(name)) if name and "(" not in name else found


def _quoted(text: str) -> str:
    r"""Return what stands in ``\text{}`` around a whole answer that is a list or a tuple there."""
    found = re.fullmatch(r"\\text\s*\{([^{}]*)\}", text)
    return found[1].strip() if found and re.search(r"[,;]", found[1]) else ""


def _listed(entries: list[str], between: list[str]) -> Form:
    """Return several things: a list, or what several conditions on one variable say."""
    forms = [form(entry, False) for entry in entries]
    if forms[0].marks == ("!=",):
        # x \neq 1, 2
        left = forms[0].entries[0]
        plain = ("number", "expression")
        forms = [replace(forms[0], entries=(left, one)) if one.kind in plain else one for one in forms]
    either = r"\or" in between
    if forms[0].kind == "inequality" and all(
        one.kind == "inequality" or (one.kind == "equation" and either) for one in forms
    ):
        both = r"\and" in between or any(one.marks == ("!=",) for one in forms)
        # Where only commas stand between them, both hold, or one of them where both cannot.
        return Form("union", entries=tuple(forms), marks=("or" if either else "and" if both else ",",))
    return Form("list", entries=_spread(forms))


def _spread(forms: list[Form]) -> tuple[Form, ...]:
    """Put what a plus-minus sign stands for in the place of an entry that has one."""
    found: list[Form] = []
    for one in forms:
        found.extend(one.entries if one.kind == "list" else (one,))
    return tuple(found)


def _plain_name(name: str) -> str:
    return re.sub(r"[\s{}\\]", "", name)


def _single(text: str) -> Form:
    """Return one thing that is no list."""
    if text.startswith(r"\{") and text.endswith(r"\}") and closed(text[2:-2]) and (found := _set(text[2:-2])):
        return found
    if _CHOICE_MARKED.match(text) and (choice := _choice(text)):
        return choice
    parts, signs = _split(text, tuple(_SIGNS))
    if signs and (relation := _relation([part.strip() for part in parts], [_SIGNS[sign] for sign in signs])):
        return relation
    if text in (r"\mathbb{R}^+", r"\mathbb{R}^{+}", r"\mathbb{R}_+", r"\mathbb{R}_{+}", r"\mathbb{R}_{>0}"):
        return Form("tuple", entries=(_atom("0"), _atom(r"\infty")), marks=("(", ")"))
    if _REALS.fullmatch(text):
        return Form("tuple", entries=(_atom(r"-\infty"), _atom(r"\infty")), marks=("(", ")"))
    if text == r"\emptyset" or re.fullmatch(r"\\\{\s*\\\}", text):
        return Form("set")
    pieces, minus = _split(text, (r"\setminus",))
    if minus and len(minus) == 1:
        return Form("union", text, tuple(form(piece, False) for piece in pieces), ("without",))
    pieces = _entries(text, (r"\cup",))
    if len(pieces) > 1:
        return Form("union", text, tuple(form(piece, False) for piece in pieces), ("or",))
    if unit := _UNIT_BEHIND.fullmatch(text):
        text = unit[1] if closed(unit[1][1:-1]) and len(_entries(unit[1].strip("()[]"))) > 1 else text
    if r"\begin" in text and (matrix := _matrix(text)):
        return matrix
    if bracketed := _bracketed(text):
        return bracketed
    if (point := re.match(r"[A-Z]\s*(?=\()", text)) and (bracketed := _bracketed(text[point.end() :])):
        return bracketed
    if _PLUS_MINUS.search(text):
        return Form("list", entries=tuple(form(one, False) for one in _signs_chosen(text)))
    ratio = _entries(text, (":",)) if ":" in text else []
    if len(ratio) > 2 and not re.search(r"[A-Za-z]{2}|\\text", text):
        return Form("tuple", entries=tuple(form(one, False) for one in ratio), marks=(":", ":"))
    return _atom(text)


def _signs_chosen(text: str) -> tuple[str, str]:
    """Return a text with the upper signs, and with the lower ones."""
    plus = re.sub(r"\\mp(?![a-z])", "-", re.sub(r"\\pm(?![a-z])", "+", text))
    minus = re.sub(r"\\mp(?![a-z])", "+", re.sub(r"\\pm(?![a-z])", "-", text))
    return plus, minus


def _relation(sides: list[str], signs: list[str]) -> Form | None:
    """Return an equation or inequality, given its sides and signs."""
    if not sides[0] and signs[0] in ("=", "~"):
        return form(_rejoined(sides[1:], signs[1:]), False)
    if not all(sides):
        return None
    kind: Kind = "equation" if set(signs) <= {"=", "~"} else "inequality"
    forms = tuple(form(side, False) for side in sides)
    if (
        kind == "equation"
        and len(forms) == 2
        and forms[1].kind == "list"
        and _PLUS_MINUS.search(sides[1] + sides[0])
    ):
        # x = \pm 1 is two equations, as x = 1 or x = -1 is.
        return Form(
            "list",
            entries=tuple(Form(kind, entries=(forms[0], one), marks=("=",)) for one in forms[1].entries),
        )
    if kind == "inequality" and {">", ">="} & set(signs) and not {"<", "<="} & set(signs):
        forms, signs = forms[::-1], [_FLIPPED[sign] for sign in reversed(signs)]
    return Form(kind, text=_rejoined(sides, signs), entries=forms, marks=tuple(signs))


def _rejoined(sides: list[str], signs: list[str]) -> str:
    text = sides[0]
    for sign, side in zip(signs, sides[1:], strict=True):
        written = next(tex for tex, plain in _SIGNS.items() if plain == sign)
        text += f" {written} {side}"
    return text


def _set(inner: str) -> Form | None:
    """Return the set of what stands between braces."""
    heads, marks = _split(re.sub(r"\\text\s*\{\s*(?:such that|where)\s*\}", "|", inner), ("|", ":", r"\mid"))
    if len(marks) == 1 and heads[0].strip() and _BUILDER.fullmatch(heads[0]):
        return _built(heads[0], heads[1])
    return Form("set", entries=_spread([form(entry, False) for entry in _entries(inner)]))


def _bracketed(text: str) -> Form | None:
    """Return a tuple or an interval."""
    if len(text) < 3 or text[0] not in "([" or text[-1] not in ")]":
        return None
    inner = text[1:-1]
    entries = _entries(inner, (",", ";"))
    if len(entries) < 2 or not closed(inner):
        return None
    return _tuple(text[0], text[-1], [form(entry, False) for entry in entries], inner, entries)


def _tuple(opening: str, closing: str, forms: list[Form], inner: str, texts: list[str]) -> Form:
    """Return a tuple, or the list of those that plus-minus signs stand for."""
    marks = (opening, closing)
    if not _PLUS_MINUS.search(inner) or not any(one.kind == "list" for one in forms):
        return Form("tuple", entries=tuple(forms), marks=marks)
    choices = [one.entries if one.kind == "list" else (one,) for one in forms]
    together = tuple(
        Form("tuple", entries=tuple(form(one, False) for one in side), marks=marks)
        for side in zip(*(_signs_chosen(entry) for entry in texts), strict=True)
    )
    count = 1
    for choice in choices:
        count *= len(choice)
    if r"\mp" in inner or count > _MAX_SPREAD:
        return Form("list", entries=together)
    apart = tuple(Form("tuple", entries=entries, marks=marks) for entries in product(*choices))
    return Form("list", entries=apart, linked=together if len(apart) > 2 else ())


def _built(head: str, rest: str) -> Form:
    """Return a set that is built: what its condition says."""
    condition = form(re.sub(r",?\s*\\?[a-z]\s*\\in\s*\\mathbb\s*\{?R\}?\s*", "", rest) or rest, False)
    name = _plain_name(head.partition(r"\in")[0])
    if condition.kind == "list" and all(one.kind == "inequality" for one in condition.entries):
        condition = Form("union", entries=condition.entries, marks=("and",))
    return replace(condition, name=condition.name or name)


def _matrix(text: str) -> Form | None:
    r"""Return a matrix, with a factor before it multiplied in; bars make it a determinant, an expression."""
    found = _MATRIX.fullmatch(text)
    if found is None or r"\begin" in found["rows"]:
        return None
    before, after = found["before"].strip(), found["after"] or ""
    bars = found["name"][0] in "vV" or found["open"] == "|" or before == r"\det"
    before = "" if before == r"\det" else before
    if found["open"] == "|" and before:
        return None
    rows = [
        [cell.strip() for cell in row.split("&")]
        for row in _ROWS.split(found["rows"].replace(r"\hline", " "))
        if row.strip()
    ]
    if not rows or len({len(row) for row in rows}) != 1 or not all(cell for row in rows for cell in row):
        return None
    if bars:
        return Form("expression", text=text, marks=("determinant",), entries=_cells(rows))
    if "^" in after:
        rows = [list(column) for column in zip(*rows, strict=True)]
    factor = before.removesuffix("*").removesuffix(r"\cdot").removesuffix(r"\times").strip()
    if factor == "-":
        factor = "-1"
    if (behind := re.fullmatch(r"(?:\\cdot|\\times|\*)\s*(.+)", after)) and not factor:
        factor = behind[1]
    if factor and "=" not in factor:
        rows = [[f"({factor}) ({cell})" for cell in row] for row in rows]
    if "/" in after:
        rows = [[rf"\frac{{{cell}}}{{{after.lstrip('/ ')}}}" for cell in row] for row in rows]
    return Form("matrix", text=text, entries=_cells(rows), marks=(str(len(rows[0])),))


def _cells(rows: list[list[str]]) -> tuple[Form, ...]:
    return tuple(_atom(cell) for row in rows for cell in row)


# One thing


@lru_cache(maxsize=8_192)
def _atom(text: str) -> Form:
    """Return a number, quantity, choice, words or an expression."""
    if (number := numeral(text)) is not None:
        return Form("number", text, number=number)
    if (in_base := based(text)) is not None:
        return Form("number", text, base=in_base)
    if choice := _choice(text):
        return choice
    read = quantity(text)
    if read.value != text and (read.value or read.unit.powers):
        number = numeral(read.value)
        return Form(
            "quantity", read.value, number=number, unit=read.unit, product=text if read.letter else ""
        )
    if (said := words(text)) is not None and is_said(text):
        return Form("text", text, name=said)
    if _SENTENCE.fullmatch(text):
        return Form("text", text)
    return Form("expression", text, name=said or "")


def _choice(text: str) -> Form | None:
    found = _CHOICE.fullmatch(text)
    if found is None:
        return None
    letter = next(found[group] for group in "abcd" if found[group])
    says = found["says"].strip()
    if found["d"]:
        says = says.strip("} ")
    # "(A) 12", "\text{(A) }12" and "\text{A: 12}".
    says = re.sub(r"^\s*[):.]?\s*\}?\s*", "", says)
    if says.count("}") > says.count("{"):
        says = says.removesuffix("}").strip()
    if found["a"] and re.match(r"[-+*/^(]|\\cdot|\\times|!", says):
        return None  # a letter in brackets, within an expression
    if found["a"] and says and not re.match(r"\\text|[-0-9$\\(]|[A-Za-z]", says):
        return None
    return Form("choice", text, entries=(form(says),) if says else (), marks=(letter,))


def _outside(text: str) -> str:
    """Remove thousands separators outside brackets."""
    if not THOUSANDS.search(text):
        return text
    parts, depth, start = [], 0, 0
    for token in re.finditer(r"[(\[{]|[)\]}]", text):
        piece = text[start : token.end()]
        parts.append(_thousands(piece) if depth == 0 else piece)
        start = token.end()
        depth += 1 if token[0] in "([{" else -1
    parts.append(_thousands(text[start:]) if depth == 0 else text[start:])
    return "".join(parts)


def _thousands(text: str) -> str:
    return THOUSANDS.sub(lambda number: re.sub("[, ]", "", number[0]), text)
