r"""Integrals, limits and infinite sums: read and evaluated by latex2sympy2_extended and SymPy.

Both sides are read in one way, whatever stands in them: capitals and small letters differ, and no letter is
taken to be real. Equal is what SymPy shows to be.
"""

import re
from functools import lru_cache
from typing import Any

from anatomy.grading.math_errors import UnparsableError

_NEEDED = re.compile(r"\\(?:i*int|oint|lim|infty)(?![A-Za-z])")


def needed(*texts: str) -> bool:
    """Tell whether one of some texts has an integral, a limit or a sum without end."""
    return any(_NEEDED.search(text) for text in texts)


@lru_cache(maxsize=1)
def _reader() -> Any:
    """Return latex2sympy2_extended's reader; it brings SymPy along, so only when needed."""
    import logging
    import sys

    from latex2sympy2_extended import NormalizationConfig, latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig

    logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 3_000))
    config = ConversionConfig(lowercase_symbols=False)
    spelling = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
    return lambda text: latex2sympy(text, normalization_config=spelling, conversion_config=config)


@lru_cache(maxsize=1_024)
def _read(text: str) -> Any:
    import sympy

    try:
        found = _reader()(text)
    except (Exception, RecursionError) as error:
        raise UnparsableError(text) from error
    if not isinstance(found, sympy.Expr):
        raise UnparsableError(text)
    return found.xreplace({one: sympy.I for one in found.free_symbols if one.name == "i"}).doit()


def same(gold: str, answer: str) -> bool:
    """Tell whether two expressions are equal.

    Raises UnparsableError where one cannot be read, or SymPy cannot tell.
    """
    import sympy

    difference = _read(gold) - _read(answer)
    if difference == 0:
        return True
    if not difference.free_symbols:
        value = difference.evalf(40)
        if value.is_number and value.is_finite and abs(value) > 1e-12:
            return False
    zero = sympy.simplify(difference).equals(0)
    if zero is None:
        raise UnparsableError("not decided")
    return bool(zero)
