r"""Quantities: a number with a unit, a currency, a scale or a counted noun.

After a number stands a unit that is known (with prefixes, powers, products and quotients), or a counted noun:
one to three plain words, none of them a function, number, operation or constant, nor a product of letters.
Units that are both known and differ make quantities differ; a unit that one side lacks, or that is not known,
does not. There is no conversion: 5 m are not 500 cm, and 50% is 50 and never 0.5.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from anatomy.grading.math_trees import FUNCTIONS, LETTERS

_NAMES = {
    name: names.split()[0]
    for names in (
        "m meter metre", "g gram gramme gm", "s second sec", "L liter litre l", "min minute mins",
        "h hour hr", "day", "week wk", "month", "year yr", "in inch inches inche", "ft foot feet", "yd yard",
        "mi mile", "lb pound lbs", "oz ounce", "tonne ton", "acre", "hectare ha", "gal gallon", "N newton",
        "J joule", "W watt", "V volt", "A ampere amp", "Hz hertz", "Pa pascal", "mol mole", "K kelvin",
        "eV electronvolt",
        "C coulomb", "T tesla", "F farad", "ohm ohms", "cal calorie", "rad radian", "degree deg degrees",
        "% percent", "cd candela", "B byte", "dollar USD usd buck", "cent", "euro EUR", "pound-sterling GBP",
        "yuan RMB CNY", "yen JPY", "rupee Rs INR", "unit", "degC celsius", "degF fahrenheit", "pc parsec",
        "AU", "ly", "bar", "atm", "cm-of-mercury", "sr steradian", "mph", "rpm", "bit", "person people",
    )
    for name in names.split()
}  # fmt: skip
_PREFIXES = {"k": "k", "M": "M", "G": "G", "m": "m", "c": "c", "d": "d", "n": "n", "p": "p", "u": "u"}
_LONG_PREFIXES = {
    "kilo": "k", "mega": "M", "giga": "G", "milli": "m", "centi": "c", "deci": "d", "nano": "n", "micro": "u",
    "pico": "p",
}  # fmt: skip
_PREFIXED = ("m", "g", "s", "L", "N", "J", "W", "V", "A", "Hz", "Pa", "mol", "eV", "pc", "cal", "B", "K", "T")
_COMPOUND = {
    "kph": (("h", -1), ("km", 1)), "kmph": (("h", -1), ("km", 1)), "kmh": (("h", -1), ("km", 1)),
    "mph": (("h", -1), ("mi", 1)), "cc": (("cm", 3),), "sqft": (("ft", 2),),
}  # fmt: skip
_SCALES = {
    "hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000",
    "trillion": "1000000000000", "dozen": "12", "half": r"\frac{1}{2}", "halves": r"\frac{1}{2}",
    "third": r"\frac{1}{3}", "quarter": r"\frac{1}{4}", "fourth": r"\frac{1}{4}", "fifth": r"\frac{1}{5}",
    "sixth": r"\frac{1}{6}", "seventh": r"\frac{1}{7}", "eighth": r"\frac{1}{8}", "ninth": r"\frac{1}{9}",
    "tenth": r"\frac{1}{10}", "hundredth": r"\frac{1}{100}", "thousandth": r"\frac{1}{1000}",
}  # fmt: skip
_OPERATIONS = {"squared": "({})^{{2}}", "cubed": "({})^{{3}}", "factorial": "({})!"}
_WORDS_THAT_COUNT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety plus minus times"
    " multiplied divided over modulo mod choose power powers root roots sqrt cube pi tau infinity infinite"
    " double triple twice thrice quadruple score pair pairs gross googol repeating recurring repeated squared"
    " cubed factorial base imaginary approximately about almost nearly roughly not less more than then if"
    " else equals equal negative positive reciprocal inverse percentile permille undefined unknown none all"
    " any every some mole moles exp log ln lg sin cos tan phi euler"
)
_NOT_NOUNS = {*_WORDS_THAT_COUNT.split(), *(name for name in (*FUNCTIONS, *LETTERS) if len(name) > 2)}
_SHORT_WORDS = (
    "men man boy boys girl girls cat cats dog dogs cow cows pie pies egg eggs pen pens toy toys car cars box"
    " way ways set sets day days kid kids bag bags cup cups hat hats hen hens pig pigs bus bird fish cake"
    " tree trees ant ants bee bees row rows pt pts cm mm km kg mg ml oz lb lbs ft yd mi hr hrs sec min mins"
    " pm am sq nickels coins marbles mph kph red big new old"
)
_SHORT_NOUNS = frozenset(_SHORT_WORDS.split())
_LITTLE = ("of", "in", "the", "a", "an", "per", "on", "for", "to", "at", "from", "and", "each")
_TAIL = re.compile(
    r"(?P<word>[A-Za-z]+\.?)|(?P<power>\^\s*\{?\s*(-?[0-9])\s*\}?)|(?P<sign>/|\\cdot|\*|-(?=[A-Za-z]))"
    r"|(?P<symbol>\\%|%|\\\$|[$€£¥₹¢]|\^\s*\{?\s*\\circ\s*\}?)|(?P<space>[\s(){}]+|\\text\s*)"
)
_SYMBOLS = {
    "%": "%",
    "$": "dollar",
    "€": "euro",
    "£": "pound-sterling",
    "¥": "yuan",
    "₹": "rupee",
    "¢": "cent",
}
_CURRENCY = re.compile(
    r"\s*([-+]?)\s*(?:\\text\s*\{\s*)?(?:US\s*)?(\\\$|[$€£¥₹]|(?:USD|EUR|GBP|CNY|RMB|JPY|INR|Rs\.?)(?![A-Za-z]))"
    r"\s*\}?\s*(?=[-+]?\s*[0-9.\\])"
)
_QUOTIENT = re.compile(r"\\frac\s*\{\s*(\\text\s*\{[^{}]*\}|[A-Za-z]+)\s*\}\s*\{\s*(\\text\s*\{[^{}]*\}"
                       r"(?:\^\s*\{?\s*[0-9]\s*\}?)?|[A-Za-z]+)\s*\}\s*$")  # fmt: skip
_START = re.compile(
    r"\\text\s*\{|\^\s*\{?\s*\\circ|\\?%|\\\$|[€£¢]|(?<![A-Za-z\\_^{])[A-Za-z]|\\frac\s*\{\s*(?:\\text|[A-Za-z]+\s*\})|\\pmod"
)
_LAST_OF_VALUE = re.compile(r"[0-9)}\]!]\s*$|\\(?:pi|infty)\s*$")
_MODULUS = re.compile(r"\\pmod\s*\{?\s*([^{}]+?)\s*\}?")
_MAX_STARTS = 24


@dataclass(frozen=True)
class Unit:
    """A unit as far as it is known: base units with their powers; None: not known, or none."""

    powers: tuple[tuple[str, int], ...] | None = None

    def differs(self, other: "Unit") -> bool:
        """Tell whether both are known, and are not the same."""
        if self.powers is None or other.powers is None or self.powers == other.powers:
            return False
        mine, theirs = dict(self.powers), dict(other.powers)
        for one, two in ((mine, theirs), (theirs, mine)):
            if set(one) == {"unit"}:
                # "Square units" are those of any area.
                return len(two) == 1 and set(two.values()) != set(one.values())
            if set(one) == {"degree"} and set(two) in ({"degC"}, {"degF"}):
                return False
            if set(one) == {"person"}:
                return False
        return True


@lru_cache(maxsize=2_048)
def _named(word: str) -> tuple[tuple[str, int], ...] | None:
    """Return the base units of a word, or None."""
    word = word.rstrip(".")
    singular = [word, word.removesuffix("s"), word.removesuffix("es")]
    for name in (*singular, *(one.lower() for one in singular if len(one) > 2)):
        if name in _COMPOUND:
            return _COMPOUND[name]
        if name in _NAMES:
            return ((_NAMES[name], 1),)
        for prefix, sign in _LONG_PREFIXES.items():
            rest = name.lower().removeprefix(prefix)
            if rest != name.lower() and _NAMES.get(rest) in _PREFIXED and len(rest) > 2:
                return ((sign + _NAMES[rest], 1),)
        if len(name) > 1 and name[0] in _PREFIXES and name[1:] in _PREFIXED:
            return ((_PREFIXES[name[0]] + name[1:], 1),)
        if name in ("ML", "Ml", "ml", "cl", "dl"):
            return ((name[0].lower() + "L", 1),)
    return None


def unit(tail: str, single: bool, quoted: bool) -> Unit | None:
    """Read what stands behind a number.

    Args:
        tail: The text.
        single: Letters that stand alone, outside ``\\text``, may be units.
        quoted: It stands in ``\\text``, so that its letters are no product.

    Returns:
        The unit, which may be one that is not known; None where it is neither a unit nor a counted noun.
    """
    if fraction := _QUOTIENT.fullmatch(tail.strip()):
        tail = f"{fraction[1]}/{fraction[2]}"
    powers: dict[str, int] = {}
    known, at, sign, raised, nouns = True, 0, 1, 0, 0
    last: str | None = None
    while at < len(tail):
        token = _TAIL.match(tail, at)
        if token is None:
            return None
        at = token.end()
        if token["space"]:
            continue
        if token["sign"]:
            sign = -1 if token["sign"] == "/" else sign
            continue
        if token["power"]:
            if last is None:
                if nouns:
                    continue
                return None
            powers[last] = powers[last] + (int(token[3]) - 1) * (1 if powers[last] > 0 else -1)
            continue
        if token["symbol"]:
            symbol = token["symbol"]
            last = "degree" if "circ" in symbol else _SYMBOLS[symbol[-1]]
            powers[last] = powers.get(last, 0) + sign
            continue
        word = token["word"]
        lower = word.lower().rstrip(".")
        if lower == "per":
            sign = -1
        elif lower in ("sq", "square", "cu", "cubic"):
            raised = 2 if lower[0] == "s" else 3
        elif lower in ("squared", "cubed") and last is not None:
            powers[last] *= 2 if lower == "squared" else 3
        elif last == "degree" and word in ("C", "F", "Celsius", "Fahrenheit", "celsius", "fahrenheit"):
            del powers["degree"]
            last = "degC" if word[0] in "Cc" else "degF"
            powers[last] = sign
        elif (bases := _named(word)) is not None and (len(word.rstrip(".")) > 1 or single or quoted):
            if len(word.rstrip(".")) == 1 and not quoted and not single:
                return None
            for name, power in bases:
                powers[name] = powers.get(name, 0) + sign * power * (raised or 1)
                last = name
            raised = 0
        elif (nouns and lower in _LITTLE) or _noun(lower, quoted):
            known, last = False, None
            nouns += 1
        else:
            return None
    if nouns > 4 or not (powers or nouns or raised):
        return None
    kept = tuple(sorted((name, power) for name, power in powers.items() if power))
    return Unit(kept if known and kept else None)


def _noun(word: str, quoted: bool) -> bool:
    """Tell whether a word can stand for what is counted."""
    singular = word.removesuffix("s")
    if {word, singular} & _NOT_NOUNS or {word, singular} & set(_SCALES):
        return False
    if word in _SHORT_NOUNS:
        return True
    if word in _LITTLE:
        return False
    return len(word) > (1 if quoted else 3) and (quoted or bool(re.search("[aeiouy]", word)))


@dataclass(frozen=True)
class Quantity:
    """A value, as a text, and its unit."""

    value: str
    unit: Unit
    letter: bool = False
    """The unit is a letter alone, which can be a variable too."""


@lru_cache(maxsize=8_192)
def quantity(text: str) -> Quantity:
    """Take unit, currency and scale from a number or expression.

    Args:
        text: A cleaned text, without brackets around it.

    Returns:
        What is left, where scales and operations in words ("5 hundred", "7 factorial") are mathematics, and
        the unit.
    """
    if "circ" in text and _TRIGONOMETRIC.search(text):
        return Quantity(text, Unit())
    found = Unit()
    if currency := _CURRENCY.match(text):
        name = currency[2].rstrip(".")
        found = Unit((((_SYMBOLS.get(name[-1]) or _NAMES[name]), 1),))
        text = currency[1] + text[currency.end() :]
    for start in list(_START.finditer(text))[:_MAX_STARTS]:
        at = start.start()
        value, tail = text[:at].strip(), text[at:].strip()
        if value.endswith("(") and tail.endswith(")"):
            value, tail = value[:-1].rstrip(), tail[:-1].rstrip()
        if modulus := _MODULUS.fullmatch(tail):
            return Quantity(value, Unit(((f"mod {modulus[1]}", 1),)))
        quoted = tail.startswith((r"\text", r"\frac")) or not tail[0].isalpha()
        if not value or value in "+-" or value.count("{") != value.count("}"):
            continue
        if not quoted and not _LAST_OF_VALUE.search(value):
            continue
        plain = re.sub(r"\\text\s*\{[^{}]*\}|\\[A-Za-z]+", " ", value)
        if not quoted and re.search("[A-Za-z]", plain):
            continue
        if (worded := _worded(value, tail)) is not None:
            return Quantity(worded.value, found if worded.unit.powers is None else worded.unit)
        spaced = text[at - 1].isspace()
        single = spaced or tail[0] in "msghL"
        if tail.startswith(r"\text") and re.fullmatch(r"\\text\s*\{\s*[A-Za-z]\s*\}", tail):
            alone = re.sub(r"\\text|\W", "", tail)
            if _named(alone) is None or (not spaced and alone in "ei"):
                continue
        if (read := unit(tail, single, quoted)) is not None:
            letter = tail.startswith(r"\frac") and r"\text" not in tail
            letter = letter or bool(re.fullmatch(r"[A-Za-z](?:\^\{?[0-9]\}?)?", tail))
            return Quantity(value, found if read.powers is None else read, letter)
    return Quantity(text, found)


_TRIGONOMETRIC = re.compile(r"\\?(?:sin|cos|tan|cot|sec|csc)(?![a-z])")


def _worded(value: str, tail: str) -> Quantity | None:
    """Read a scale or an operation in words behind a number, and the unit behind that."""
    words = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", tail).split()
    if not words or not value:
        return None
    first = words[0].lower().rstrip(".")
    scale = _SCALES.get(first) or _SCALES.get(first.removesuffix("s"))
    rest = " ".join(words[1:])
    after = unit(rest, True, True) if rest else Unit()
    if scale is not None and after is not None:
        return Quantity(rf"({value}) \times {scale}", after)
    if first in _OPERATIONS and not rest:
        return Quantity(_OPERATIONS[first].format(value), Unit())
    if first in ("repeating", "recurring") and re.fullmatch(r"[-+]?[0-9]*\.[0-9]+", value):
        whole, _, digits = value.partition(".")
        return Quantity(rf"{whole}.\overline{{{digits}}}", Unit())
    return None
