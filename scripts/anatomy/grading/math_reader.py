r"""Expressions: TeX, and what people type instead of it, read into trees.

A tree is a tuple whose first entry says what it is: ``("number", "2.5")``, ``("letter", "x_1")``,
``("add", ...)``, ``("multiply", ...)``, ``("power", base, exponent)``, ``("call", function, arguments...)``,
``("sum", index, lower, upper, term)`` and the like. Nothing is evaluated here and nothing is left out: what
is not understood is an UnparsableError. There is one reading of each text, whatever it is compared with:
``e`` is Euler's number and ``i`` the imaginary unit (but for the index of a sum), capitals and small letters
are different, every other letter is a variable, also ``d``, and ``\gamma`` is a letter.

Conventions: factors beside each other bind closer than a slash (``a/bc`` is a/(bc)), but for a fraction of
two whole numbers (``1/2 x``); a number before a fraction of whole numbers is a mixed one; an exponent without
braces takes all its digits; an argument without brackets is what follows up to the next sign, function or
bracket; ``f(x)`` applies a function, and so do g, h, F, G, H to a single letter or number.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from anatomy.grading.math_errors import UnparsableError
from anatomy.grading.math_trees import FUNCTIONS, LETTERS, Tree, tokens

MAX_DEPTH = 40
"""Brackets within brackets of an expression that is read."""

_TIMES = ("*", r"\cdot", r"\times", r"\ast", r"\centerdot", r"\bullet")
_ACCENTS = (
    "overline", "bar", "hat", "vec", "tilde", "widehat", "widetilde", "dot", "ddot", "overrightarrow",
    "mathcal", "mathbb", "mathfrak", "boldsymbol",
)  # fmt: skip
_FONTS = ("text", "mathrm", "operatorname", "mathit", "mathbf")

_OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_ENDS = frozenset(
    [
        *(*_OPENING.values(), *_TIMES, ",", "+", "-", "/", ":", "=", "", r"\div", r"\pm", r"\mp", r"\choose"),
        *(r"\over", r"\bmod", r"\mod", r"\pmod", r"\rvert", r"\rVert", "&", r"\end", r"\\", r"\mid"),
    ]
)
"""Where a product of what stands side by side ends."""


class _Reader:
    """One text's tokens, and where reading stands among them."""

    def __init__(self, tokens: list[str], natural: bool) -> None:
        self.tokens, self.at, self.depth, self.natural = tokens, 0, 0, natural
        self.bound: list[str] = []
        """Indices of the sums and products that are open."""
        self.bars = 0
        self.brackets = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.next
        if not token or (wanted is not None and token != wanted):
            raise UnparsableError(f"{token!r} where {wanted or 'something'!r} should stand")
        self.at += 1
        return token

    def within(self, closing: str, read: Callable[[], Tree]) -> Tree:
        """Read what stands before a closing bracket, and the bracket."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnparsableError("too deep")
        bars, self.bars = self.bars, 0
        found = read()
        self.bars = bars
        self.take(closing)
        self.depth -= 1
        return found

    # Sums, products and what binds closer

    def expression(self) -> Tree:
        terms = [self.term()]
        while self.next in ("+", "-"):
            minus = self.take() == "-"
            term = self.term()
            terms.append(("minus", term) if minus else term)
        tree = terms[0] if len(terms) == 1 else ("add", *terms)
        if self.next in (r"\choose", r"\over"):
            command = self.take()
            below = self.expression()
            return ("call", "binomial", tree, below) if command == r"\choose" else ("divide", tree, below)
        return tree

    def term(self) -> Tree:
        if self.next in ("+", "-"):
            minus = self.take() == "-"
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise UnparsableError("too deep")
            tree = self.term()
            self.depth -= 1
            return ("minus", tree) if minus else tree
        tree = self.product()
        while self.next in (*_TIMES, "/", ":", r"\div", r"\bmod", r"\mod", r"\pmod"):
            sign = self.take()
            if sign in ("/", r"\div"):
                tree = self.quotient(tree, sign == "/")
            elif sign in (r"\bmod", r"\mod", r"\pmod"):
                tree = ("call", "mod", tree, self.product())
            elif sign == ":":
                tree = ("divide", tree, self.signed())
            else:
                tree = ("multiply", tree, self.signed())
        return tree

    def quotient(self, tree: Tree, slash: bool) -> Tree:
        """Read what a number or product is divided by."""
        first = self.signed_factor()
        whole = slash and all(side[0] == "number" and "." not in side[1] for side in (tree, first))
        if whole and self.next not in _ENDS and not self.closes():
            return ("multiply", ("divide", tree, first), self.product())
        return ("divide", tree, self.product(first))

    def signed(self) -> Tree:
        if self.next in ("+", "-"):
            return ("minus", self.signed()) if self.take() == "-" else self.signed()
        return self.product()

    def signed_factor(self) -> Tree:
        if self.next in ("+", "-"):
            return ("minus", self.factor()) if self.take() == "-" else self.factor()
        return self.factor()

    def closes(self) -> bool:
        return self.bars > 0 and self.next in ("|", r"\|", r"\vert")

    def product(self, first: Tree | None = None) -> Tree:
        """Read factors that stand side by side."""
        factors = [self.factor() if first is None else first]
        while self.next not in _ENDS and not self.closes():
            factor = self.factor()
            last = factors[-1]
            if last[0] == "number" and factor[0] == "number":
                raise UnparsableError("two numbers side by side")
            if last[0] == "number" and "." not in last[1] and _proper(factor):
                factors[-1] = ("add", last, factor)
            else:
                factors.append(factor)
        return factors[0] if len(factors) == 1 else ("multiply", *factors)

    def factor(self) -> Tree:
        """Read one factor with its exponents, factorials and degrees."""
        tree = self.primary()
        while True:
            if self.next == "^":
                self.take()
                if self.degree():
                    tree = ("degrees", tree)
                    continue
                primes = self.primes()
                if primes and tree[0] == "letter":
                    tree = ("letter", tree[1] + "'" * primes)
                    continue
                exponent = self.argument(True)
                tree = ("power", tree, exponent)
            elif self.next in ("!", "!!"):
                tree = ("call", "factorial" if self.take() == "!" else "factorial2", tree)
            elif self.next == r"\%":
                raise UnparsableError("a per cent sign within an expression")
            elif self.next in (r"\degree", r"\circ"):
                self.take()
                tree = ("degrees", tree)
            else:
                return tree

    def degree(self) -> bool:
        """Take ``\\circ``, with or without braces, if it stands there."""
        for mark in (["{", r"\circ", "}"], [r"\circ"], [r"\degree"]):
            if self.tokens[self.at : self.at + len(mark)] == mark:
                self.at += len(mark)
                return True
        return False

    def primes(self) -> int:
        """Take ``\\prime``, with or without braces, if it stands there, and tell how many."""
        opened = self.next == "{" and self.tokens[self.at + 1 : self.at + 2] == [r"\prime"]
        if self.next != r"\prime" and not opened:
            return 0
        self.at += opened
        count = 0
        while self.next == r"\prime":
            self.at += 1
            count += 1
        if opened:
            self.take("}")
        return count

    def argument(self, whole: bool = False) -> Tree:
        """Read what a command or an exponent applies to: braces, a sign, or a digit.

        whole: all digits of a number and a sign before it are taken, as people mean it.
        """
        token = self.next
        if token == "{":
            self.take()
            return self.within("}", self.expression)
        if whole and token in ("-", "+"):
            self.take()
            inner = self.argument(True)
            return ("minus", inner) if token == "-" else inner
        if not whole and token[:1].isdigit() and len(token) > 1:
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
        return self.primary()

    # What stands for itself

    def primary(self) -> Tree:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return ("number", token)
        if token in _OPENING:
            closing = _OPENING[token]
            inner = self.within(closing, self.expression)
            if token in (r"\lfloor", r"\lceil"):
                return ("call", "floor" if token == r"\lfloor" else "ceil", inner)
            return inner if inner[0] != "number" else ("group", inner)
        if token in ("|", r"\|", r"\vert", r"\lvert", r"\lVert"):
            return self.absolute(token)
        if token.isalpha():
            return self.letter(token)
        if token[0] == "\\" and len(token) > 1:
            return self.command(token[1:])
        raise UnparsableError(f"{token!r} where a number should stand")

    def absolute(self, opening: str) -> Tree:
        closing = {r"\lvert": r"\rvert", r"\lVert": r"\rVert"}.get(opening, opening)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnparsableError("too deep")
        outer, self.bars = self.bars, 1
        inner = self.expression()
        self.bars = outer
        self.take(closing)
        self.depth -= 1
        return ("call", "abs", inner)

    def command(self, name: str) -> Tree:
        if name in ("binom", "dbinom", "tbinom") and self.next != "(":
            return ("call", "binomial", self.argument(), self.argument())
        if name in FUNCTIONS:
            return self.function(FUNCTIONS[name])
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return self.fraction()
        if name in ("sum", "prod"):
            return self.series(name)
        if name == "pi":
            return ("constant", "pi")
        if name == "infty":
            return ("constant", "infinity")
        if name == "Gamma" and self.next == "(":
            return ("call", "gamma", self.argument())
        if name in LETTERS:
            return self.letter(f"\\{name}")
        if name in _FONTS:
            return self.upright()
        if name in _ACCENTS:
            return self.letter(f"\\{name}{{{self.raw()}}}")
        if name in ("angle", "triangle", "measuredangle"):
            return self.letter(f"\\{name}")
        raise UnparsableError(f"the command \\{name}")

    def raw(self) -> str:
        """Take what stands in braces, or one token, as a name: without fonts, spaces and braces."""
        if self.next != "{":
            return self.take().lstrip("\\")
        depth, found = 0, []
        while True:
            token = self.take()
            depth += (token == "{") - (token == "}")
            if token not in ("{", "}") and token.lstrip("\\") not in _FONTS and token != "\\ ":
                found.append(token.lstrip("\\"))
            if not depth:
                return "".join(found)

    def upright(self) -> Tree:
        """Read what stands in an upright font: a constant, a function or a letter."""
        name = self.raw()
        if name in FUNCTIONS:
            return self.function(FUNCTIONS[name])
        if name == "pi":
            return ("constant", "pi")
        if len(name) == 1 and name.isalpha():
            return self.letter(name)
        if name[:1].isdigit() and re.fullmatch(r"[0-9]+(\.[0-9]+)?", name):
            return ("number", name)
        raise UnparsableError(f"the word {name!r}")

    def letter(self, name: str) -> Tree:
        """Read a letter with its index and primes, or the function that it stands for."""
        plain = name
        while self.next in ("_", "'"):
            if self.take() == "'":
                name += "'"
            else:
                before = self.at
                index = self.raw()
                name += "_" + index
                letters = set(re.findall("[A-Za-z]", index))
                if letters & set(self.bound):
                    # F_k under a sum over k is a function of k.
                    self.at = before
                    return ("call", f"{plain}_", self.argument())
        if name == "e":
            return ("constant", "e")
        if name in ("i", r"\imath") and name not in self.bound:
            return ("constant", "i")
        if self.next == "(" and plain in ("f", "g", "h", "F", "G", "H", r"\phi", r"\varphi", r"\psi"):
            return self.applied(name, plain == "f" or name != plain)
        return ("letter", name)

    def applied(self, name: str, always: bool) -> Tree:
        """Read a function of a name and its arguments; a product where they are more than letters."""
        before = self.at
        self.take("(")
        arguments = self.within(")", self.arguments)
        simple = all(one[0] in ("letter", "number", "constant") for one in arguments[1:])
        if always or simple or len(arguments) > 2:
            return ("call", f"{name}(", *arguments[1:])
        self.at = before
        return ("letter", name)

    def arguments(self) -> Tree:
        found = [self.expression()]
        while self.next == ",":
            self.take()
            found.append(self.expression())
        return ("arguments", *found)

    def fraction(self) -> Tree:
        start = self.at
        top = self.argument()
        below = self.argument()
        written = "".join(self.tokens[start : self.at])
        if found := re.fullmatch(r"\{?(d\^?\{?[0-9]?\}?[A-Za-z]*)\}?\{(d[A-Za-z]\^?\{?[0-9]?\}?)\}", written):
            # A derivative is a variable: of one letter by another it would be zero.
            return ("letter", re.sub("[{}]", "", f"{found[1]}/{found[2]}"))
        return ("divide", top, below)

    def series(self, name: str) -> Tree:
        """Read a sum or product over an index."""
        self.take("_")
        self.take("{")
        index = self.take()
        if not index.isalpha():
            raise UnparsableError(f"the index {index!r}")
        self.take("=")
        lower = self.within("}", self.expression)
        self.take("^")
        upper = self.argument(True)
        self.bound.append(index)
        term = self.term_of_series()
        self.bound.pop()
        return (name, index, lower, upper, term)

    def term_of_series(self) -> Tree:
        tree = self.product()
        while self.next in (*_TIMES, "/"):
            tree = (
                ("divide", tree, self.product()) if self.take() == "/" else ("multiply", tree, self.product())
            )
        return tree

    def function(self, name: str) -> Tree:
        """Read a function with its base, exponent and argument."""
        base: Tree | None = None
        power: Tree | None = None
        if name == "sqrt" and self.next == "[":
            self.take()
            base = self.within("]", self.expression)
        while self.next in ("_", "^") and name != "sqrt":
            if self.take() == "_":
                base = self.argument(True)
            else:
                power = self.argument(True)
        if name in ("gcd", "lcm", "max", "min", "binomial"):
            self.take("(")
            tree: Tree = ("call", name, *self.within(")", self.arguments)[1:])
        else:
            argument = self.argument(True) if name == "sqrt" else self.argument_of_function()
            tree = self.called(name, base, argument)
        if power is None:
            return tree
        if _is_minus_one(power) and name in (
            "sin",
            "cos",
            "tan",
            "cot",
            "sec",
            "csc",
            "sinh",
            "cosh",
            "tanh",
        ):
            return ("call", f"a{name}", *tree[2:])
        return ("power", tree, power)

    def called(self, name: str, base: Tree | None, argument: Tree) -> Tree:
        if name == "sqrt":
            return ("root", argument, base or ("number", "2"))
        if name in ("log", "lg", "ln"):
            natural = name == "ln" or (name == "log" and self.natural)
            return ("call", "log", argument, base or (("constant", "e") if natural else ("number", "10")))
        if name == "exp":
            return ("power", ("constant", "e"), argument)
        return ("call", name, argument)

    def argument_of_function(self) -> Tree:
        """Read an argument in brackets, or as far as a product without brackets goes."""
        if self.next in ("(", "[", "{", "|", r"\lvert"):
            braces = self.next == "{"
            tree = self.primary()
            while braces and self.next == "^":
                self.take()
                tree = ("power", tree, self.argument(True))
            return tree[1] if tree[0] == "group" else tree
        if self.next in ("-", "+"):
            return self.signed_factor()
        factors = [self.factor()]
        while (
            self.next not in _ENDS
            and not self.closes()
            and self.next not in ("(", "[", "|", r"\lvert", r"\{", r"\sum", r"\prod", r"\lfloor", r"\lceil")
            and self.next.lstrip("\\") not in FUNCTIONS
            and self.next not in (r"\operatorname", r"\mathrm", r"\text")
        ):
            factors.append(self.factor())
        if self.next == "/" and all(one[0] in ("letter", "number", "constant") for one in factors):
            self.take()
            return self.quotient(factors[0] if len(factors) == 1 else ("multiply", *factors), True)
        return factors[0] if len(factors) == 1 else ("multiply", *factors)


def _proper(tree: Tree) -> bool:
    """Tell whether a tree is a fraction of whole numbers below one, the second part of a mixed number."""
    if tree[0] != "divide" or any(side[0] != "number" or "." in side[1] for side in tree[1:]):
        return False
    return 0 < int(tree[1][1]) < int(tree[2][1])


def _is_minus_one(tree: Tree) -> bool:
    return tree == ("minus", ("number", "1"))


@lru_cache(maxsize=8_192)
def read(text: str, natural: bool = False) -> Tree:
    r"""Read an expression.

    Args:
        text: The expression, cleaned.
        natural: ``\log`` without a base is the natural one; base ten otherwise.

    Returns:
        Its tree.

    Raises:
        UnparsableError: it is no expression, or something in it is not known.
    """
    reader = _Reader(tokens(text), natural)
    tree = reader.expression()
    if reader.next:
        raise UnparsableError(f"{reader.next!r} is left over")
    return tree
