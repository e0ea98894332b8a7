"""What expressions are made of: names of functions and letters, tokens, and trees."""

import re
from functools import lru_cache
from typing import Any

from anatomy.grading.math_errors import UnparsableError

Tree = tuple[Any, ...]

FUNCTIONS = {
    name: names.split()[0]
    for names in (
        "sin", "cos", "tan tg", "cot ctg cotg", "sec", "csc cosec", "asin arcsin", "acos arccos",
        "atan arctan arctg", "acot arccot arcctg", "asec arcsec", "acsc arccsc", "sinh sh", "cosh ch",
        "tanh th", "coth", "sech", "csch", "asinh arcsinh arsinh", "acosh arccosh arcosh",
        "atanh arctanh artanh", "exp", "ln", "log", "lg", "sqrt", "gcd", "lcm", "max", "min", "floor", "ceil",
        "abs", "sgn sign", "Re", "Im", "arg", "erf", "factorial", "binomial binom nCr comb",
    )
    for name in names.split()
}  # fmt: skip
"""Functions by the names that mean the same."""

_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho varrho"
    " sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi"
    " Psi Omega ell hbar aleph"
)
LETTERS = dict.fromkeys(_GREEK.split()) | {"imath": None, "jmath": None, "partial": None, "nabla": None}
_TYPED = ("alpha", "beta", "gamma", "delta", "theta", "lambda", "sigma", "omega", "phi", "rho", "mu")
"""Greek letters that are known without their backslash."""
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(?P<command>\\(?:[A-Za-z]+|.))|(?P<word>[A-Za-z]+)"
    r"|(?P<sign>\*\*|!!|[-+*/^_!(){}\[\]|,:'=]))",
    re.DOTALL,
)
_WORDS = re.compile(
    "|".join(
        sorted(
            [name for name in FUNCTIONS if len(name) > 2 or name == "ln"]
            + ["pi", "Pi", "infinity", "inf", *_TYPED],
            key=len,
            reverse=True,
        )
    )
)


def tokens(text: str) -> list[str]:
    """Split a text into numbers, commands, signs and letters; a word is a name that is known, or letters."""
    found: list[str] = []
    at, text = 0, text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise UnparsableError(text[at : at + 20])
        at = token.end()
        if word := token["word"]:
            # "-2pi" and "sqrt(2)": a whole word, since "spin" is a product.
            named = _WORDS.fullmatch(word)
            name = {"inf": "infty", "infinity": "infty", "Pi": "pi"}.get(word, word)
            found.extend([f"\\{name}"] if named else word)
        else:
            found.append((token["number"] or token["command"] or token["sign"]).replace("**", "^"))
    return found


@lru_cache(maxsize=8_192)
def letters(tree: Tree) -> frozenset[str]:
    """Return the variables of a tree, without indices of sums."""
    if tree[0] == "letter":
        return frozenset([tree[1]])
    if tree[0] in ("number", "constant"):
        return frozenset()
    if tree[0] in ("sum", "prod"):
        bounds = letters(tree[2]) | letters(tree[3])
        return bounds | (letters(tree[4]) - {tree[1]})
    inner = tree[2:] if tree[0] == "call" else tree[1:]
    return frozenset().union(*map(letters, inner))


def functions(tree: Tree) -> frozenset[str]:
    """Return the functions of a tree that are only names."""
    return frozenset(part[1] for part in parts(tree) if part[0] == "call" and part[1][-1] in "(_")


def parts(tree: Tree) -> list[Tree]:
    """Return a tree and all that stands in it."""
    found, open_trees = [], [tree]
    while open_trees:
        one = open_trees.pop()
        found.append(one)
        open_trees.extend(inner for inner in one[1:] if isinstance(inner, tuple))
    return found
