r"""Normalisation: one spelling for each thing that can be written in several ways, and nothing unseen.

Colours, sizes, fonts, boxes, markdown and spaces go; characters of Unicode become TeX; brackets lose
``\left`` and ``\right``; all upright fonts become ``\text``; "and" and "or" become the marks ``\and`` and
``\or``; Chinese punctuation, joining words and units become those that are known.
"""

import re
import unicodedata

from anatomy.grading.math_trees import FUNCTIONS

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi rho sigma tau upsilon phi chi psi"
    " omega Gamma Delta Theta Xi Sigma Phi Psi Omega"
)
_TRANSLATED = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "±": r"\pm ",
        "∓": r"\mp ", "√": r"\sqrt ", "π": r"\pi ", "∞": r"\infty ", "\u222a": r"\cup ", "∩": r"\cap ",
        "∈": r"\in ", "∅": r"\emptyset ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\neq ", "≈": r"\approx ",
        "≡": r"\equiv ", "°": r"^\circ ", "¼": r"\frac{1}{4}", "½": r"\frac{1}{2}", "¾": r"\frac{3}{4}",
        "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "⁰": "^{0}", "¹": "^{1}", "²": "^{2}", "³": "^{3}",
        "⁴": "^{4}", "⁵": "^{5}", "⁶": "^{6}", "⁷": "^{7}", "⁸": "^{8}", "⁹": "^{9}", "…": r"\ldots ",
        "\u2032": "'", "’": "'", "\u2018": "'", "“": '"', "”": '"', "٪": "%", "\uff0c": ",",
        "⟨": "(", "⟩": ")",
        "。": ".", "、": ",", "\uff1b": ";", "\uff1a": ":", "℃": r"^\circ C", "\u211d": r"\mathbb{R}",
        "\u2216": r"\setminus ",
        "\u2228": r"\or ", "∧": r"\and ",
    }
    | {
        unicodedata.lookup(f"GREEK {'CAPITAL' if name[0].isupper() else 'SMALL'} LETTER {name.upper()}"): (
            f"\\{name} "
        )
        for name in _GREEK.split()
    }
    | {chr(0x3BB): r"\lambda ", chr(0x39B): r"\Lambda ", chr(0xB5): r"\mu "}
)  # fmt: skip

# Longer ones first.
_CHINESE = {
    "平方厘米": "square cm", "平方分米": "square dm", "平方千米": "square km", "平方公里": "square km",
    "平方米": "square m", "立方厘米": "cubic cm", "立方分米": "cubic dm", "立方米": "cubic m", "厘米": "cm",
    "分米": "dm", "毫米": "mm", "千米": "km", "公里": "km", "千克": "kg", "公斤": "kg", "毫克": "mg",
    "毫升": "ml", "小时": "hours", "分钟": "minutes", "平方单位": "square units", "单位": "units",
    "米": "m", "克": "g", "吨": "tonne", "升": "L", "秒": "seconds", "天": "days", "日": "days",
    "年": "years", "月": "months", "周": "weeks", "度": "degrees", "元": "yuan", "美元": "dollars",
}  # fmt: skip
_CHINESE_UNIT = re.compile(
    r"(?<=[0-9)}\]])\s*(" + "|".join(sorted(_CHINESE, key=len, reverse=True)) + r")(?:每|/)?"
)
_HAN = "\u4e00-\u9fff"
_CHINESE_WORDS = (
    (re.compile(rf"^[{_HAN}]+\s*:?\s*(?=[-+0-9\\$(]|[A-Za-z])"), ""),
    (re.compile(rf"(?<=[0-9)}}\]])\s*\(\s*[{_HAN}]+\s*\)\s*$"), ""),
    (re.compile(r"(?:或者|或)"), r" \\or "),
    (re.compile(r"(?<=[0-9})\w])\s*(?:以及|和|与|及|且)\s*(?=[-+0-9\\({\w])"), r" \\and "),
    (re.compile(rf"(?<=[0-9)}}\]])\s*[{_HAN}]{{1,4}}(?=\s*(?:[,;.]|$|\\or|\\and))"), ""),
)

_ALSO_WORDS = (
    "th",
    "sh",
    "ch",
    "min",
    "max",
    "sec",
    "sign",
    "floor",
    "ceil",
    "abs",
    "arg",
    "factorial",
    "binomial",
    "comb",
)
_NAMED = "|".join(
    sorted((name for name in FUNCTIONS if len(name) > 1 and name not in _ALSO_WORDS), key=len, reverse=True)
)

_LAYOUT = (
    (re.compile(r"\*\*(?=\S)(.*?\S)\*\*(?!\*)|^`([^`]+)`$", re.DOTALL), r"\1\2"),
    (re.compile(r"^__(.+)__$|^\*([^*]+)\*$", re.DOTALL), r"\1\2"),
    (re.compile(r"(?<=[0-9])(?:,?\\!\s*|\{,\}|\\[,;: ]|~)(?=[0-9]{3}(?![0-9]))"), ""),
    (re.compile(r"\\(?:left|right|[bB]igg?[lrm]?|middle)(?![A-Za-z])\s*\.?"), ""),
    (
        re.compile(
            r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|quad|qquad|tiny|small|normalsize|large"
            r"|Large|LARGE|huge|Huge|bf|rm|it|sf|tt|boldmath|bfseries|thinspace|medspace|enspace|strut"
            r"|hfill|newline|noindent|centering|mathstrut|enskip|negthinspace)(?![A-Za-z])"
            r"|(?<!\\)\\[!,;:>\s]|~|\\[hv]space\*?\{[^{}]*\}|\\phantom\{[^{}]*\}"
        ),
        " ",
    ),
    (re.compile(r"\\(?:[dtcs]|nice)frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\{\s*(\\cdot|\\times|:)\s*\}"), r" \1 "),
    (re.compile(r"\s*\\(?:square|blacksquare|Box|qed|qedsymbol)\s*$|^\s*(?:\\\\\s*)+"), ""),
    (re.compile(r"\+/?-"), r"\\pm "),
    (re.compile(r"\\R(?![A-Za-z])|\\(?:mathbb|Bbb)\s*\{?\s*R\s*\}?"), r"\\mathbb{R}"),
    (re.compile(r"(?<=\\mathbb\{R\})\s*(?:-|/)\s*(?=\\\{)"), r"\\setminus "),
    (re.compile(r"\\mu\s*\\text\s*\{\s*(?=[msgLFAVCW])"), r"\\text{u"),
    (re.compile(r"(?<=[0-9])\s*(?:\\text\s*\{\s*([kM])\s*\})?\s*\\Omega\s*$"), r" \\text{\1ohm}"),
    (re.compile(r"\\[dt]binom(?![A-Za-z])"), r"\\binom"),
    (
        re.compile(
            r"\\(?:text(?:bf|it|rm|sf|tt|sc|up|normal|md)|math(?:rm|bf|it|sf|tt|normal)|[mhf]box|bm"
            r"|boldsymbol|pmb|operatorname\*?|emph)(?=\s*\{)"
        ),
        r"\\text",
    ),
    (re.compile(r"\\text\s*\{\s*([-+]?[0-9.,]+)\s*\}"), r"\1"),
    (re.compile(rf"\\text\s*\{{\s*({_NAMED})\s*\}}"), r"\\\1 "),
    (
        # What is said before an answer, but no choice.
        re.compile(
            r"^\s*\\text\s*\{(?!\s*\(?[A-J]\)?\s*[:.])[^{}]*(?:[:=]|\b(?:is|are|equals))\s*\}\s*"
            r"(?=.*[0-9A-Za-z])",
            re.DOTALL,
        ),
        "",
    ),
    (re.compile(r"\\(le|ge)(?:q|qq|qslant)?(?![A-Za-z])"), r"\\\1 "),
    (re.compile(r"\\neq?(?![A-Za-z])|\\not\s*=|(?<=\s)!=(?!=)"), r"\\neq "),
    (re.compile(r"<=|=<(?!=)"), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r"\\(?:simeq|thickapprox|doteq|approxeq)(?![A-Za-z])|~="), r"\\approx "),
    (re.compile(r"\\l[bB]race(?![A-Za-z])"), r"\\{"),
    (re.compile(r"\\r[bB]race(?![A-Za-z])"), r"\\}"),
    (re.compile(r"\\(?:langle|lparen)(?![A-Za-z])"), "("),
    (re.compile(r"\\(?:rangle|rparen)(?![A-Za-z])"), ")"),
    (re.compile(r"\\lbrack(?![A-Za-z])"), "["),
    (re.compile(r"\\rbrack(?![A-Za-z])"), "]"),
    (re.compile(r"\\(?:emptyset|varnothing)(?![A-Za-z])|\\text\s*\{\s*[øØ]\s*\}"), r"\\emptyset "),
    (re.compile(r"\\(?:lor|vee)(?![A-Za-z])"), r"\\or "),
    (re.compile(r"\\(?:land|wedge)(?![A-Za-z])"), r"\\and "),
    (re.compile(r"\\(?:dots[cbmio]?|ldots|cdots|hdots)(?![A-Za-z])|(?<!\.)\.\.\.+"), r"\\ldots "),
    (re.compile(r"\\to(?![A-Za-z])"), r"\\rightarrow "),
    (re.compile(r"\\(?:degree|textdegree)(?![A-Za-z])"), r"^\\circ "),
    (re.compile(r"\\setminus(?![A-Za-z])|\\backslash(?![A-Za-z])"), r"\\setminus "),
    (re.compile(r"\\(?:infin|inf)(?![A-Za-z])"), r"\\infty "),
    (re.compile(r"\\(?:euro|EUR)(?:\{\})?(?![A-Za-z])"), "€"),
    (re.compile(r"\\pounds(?:\{\})?(?![A-Za-z])"), "£"),
    (re.compile(r"\\tag\*?\s*\{[^{}]*\}|\\label\s*\{[^{}]*\}"), ""),
)  # fmt: skip

# Spellings with one meaning that need another form.
_REWRITE = (
    (re.compile(r"(?<![\w.])([0-9]*\.?[0-9]+)[eE]([-+]?[0-9]+)(?!\w)"), r"\1 \\times 10^{\2}"),
    (re.compile(r"([0-9])\.(?![0-9.]|\\overline|\\bar|\\dot|\(|\s*\\ldots)"), r"\1"),
    (re.compile(r"\b(?:np|math|sympy|sp)\.(?=[a-z])"), r"\\"),
    (re.compile(r"\\(?:infty|infinity)(?![A-Za-z])|\binfinity\b"), r"\\infty "),
    (
        re.compile(
            r"(?:\{\s*\}\s*)?(?:_\s*\{?\s*([0-9n]+)\s*\}?|\^\s*\{?\s*([0-9n]+)\s*\}?)\s*C\s*_\s*\{?\s*([0-9kr]+)\s*\}?"
        ),
        r"\\binom{\1\2}{\3}",
    ),
    (re.compile(r"(?<![A-Za-z\\])C_\{?([0-9]+)\}?\s*\^\s*\{?([0-9]+)\}?"), r"\\binom{\1}{\2}"),
    (re.compile(r"\\text\s*\{\s*([0-9]+)\s*(?:st|nd|rd|th)\s*\}"), r"\1"),
    (re.compile(r"(?<![A-Za-z\\])C\(\s*([0-9]+)\s*,\s*([0-9]+)\s*\)"), r"\\binom{\1}{\2}"),
    (
        re.compile(
            r"(?<=[0-9])\s*(?:\\textsuperscript\s*|\^\s*)?\{?\s*(?:\\text\s*\{\s*)?(?<![A-Za-z])(?:st|nd|rd|th)\s*\}?\s*\}?"
            r"(?=\s*(?:$|\\text)|\s+[a-z]{3})"
        ),
        "",
    ),
)

_AND = re.compile(r"(?<![A-Za-z\\])(and|or)(?![A-Za-z])")
_AND_IN_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_WRAPPED = re.compile(
    r"\\(color|textcolor|colorbox|underline|fbox|boxed|ensuremath|mathop|mathord|cancel|uline|hl|mathclose)"
    r"(?![A-Za-z])\s*(?=[\[{])"
)
_DRESSED = re.compile(r"\\text\s*\{(.*)\}", re.DOTALL)
"""A whole answer in a font, which is mathematics nevertheless where it has digits and no words."""


def closed(inner: str) -> bool:
    """Tell whether the brackets around a text belong together: those within never close more than is open."""
    depth = 0
    for character in inner:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0


def balanced(text: str, at: int) -> int:
    """Return where the brace that opens at ``at`` closes, or -1."""
    depth = 0
    for index in range(at, len(text)):
        if text[index] in "{}" and (index == 0 or text[index - 1] != "\\"):
            depth += 1 if text[index] == "{" else -1
            if not depth:
                return index
    return -1


def _unwrapped(text: str) -> str:
    """Take colours, lines and boxes from around what they hold."""
    for _ in range(8):
        found = _WRAPPED.search(text)
        if found is None:
            return text
        start = found.end()
        if text[start] == "[":
            start = text.find("{", start)
        if found[1] in ("color", "textcolor", "colorbox") and start >= 0:
            end = balanced(text, start)
            rest = re.compile(r"\s*\{").match(text, end + 1)
            if end < 0 or rest is None:
                # \color without an argument changes what follows.
                text = text[: found.start()] + (text[end + 1 :] if end >= 0 else text[found.end() :])
                continue
            start = rest.end() - 1
        end = balanced(text, start) if start >= 0 else -1
        if end < 0:
            return text
        text = f"{text[: found.start()]} {text[start + 1 : end]} {text[end + 1 :]}"
    return text


def _joined(found: re.Match[str]) -> str:
    """Rewrite "and" and "or" within \\text as marks between two texts."""
    parts = _AND.split(found[1])
    if len(parts) == 1:
        return found[0]
    return "".join(
        f" \\{part} " if at % 2 else rf"\text{{{part}}}" if part.strip(" ,") else ""
        for at, part in enumerate(parts)
    )


def _chinese(text: str) -> str:
    text = re.sub(rf"\\text\s*\{{\s*([{_HAN}/]+)\s*\}}", r"\1", text)
    text = _CHINESE_UNIT.sub(lambda found: rf"\text{{ {_CHINESE[found[1]]} }}", text)
    for pattern, replacement in _CHINESE_WORDS:
        text = pattern.sub(replacement, text)
    return text


def clean(text: str) -> str:
    """Rewrite an answer: one spelling for each thing, nothing that cannot be seen."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_TRANSLATED)).translate(_TRANSLATED)
        if re.search(f"[{_HAN}]", text):
            text = _chinese(text)
    if not text.isprintable():
        text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
    if not text.isdigit():
        text = _unwrapped(text)
        text = re.sub(r"(?<!\\)\\[()\[\]]|(?<!\\)\$|\\text\s*\{\s*\}", " ", text)
        for pattern, replacement in _LAYOUT:
            text = pattern.sub(replacement, text)
        text = _AND.sub(r"\\\1 ", _AND_IN_TEXT.sub(_joined, text))
        for pattern, replacement in _REWRITE:
            text = pattern.sub(replacement, text)
    text = _trimmed(text)
    if (dressed := _DRESSED.fullmatch(text)) and closed(dressed[1]) and _is_numeric(dressed[1]):
        return _trimmed(dressed[1])
    return text


def _trimmed(text: str) -> str:
    """Take spaces, a full stop and line breaks from the ends."""
    return re.sub(r"[\s\\]*$", "", re.sub(r"[\s\\]*$", "", text).removesuffix(".")).strip()


def _is_numeric(text: str) -> bool:
    """Tell whether a text has digits, and no letters outside commands."""
    return bool(re.search("[0-9]", text) and not re.search("[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", text)))


_BOX = r"\\boxed\s*\{([^{}]*)\}"
_INLINE = r"(?:\\\(|\$\$?|\\\[)\s*(?:.+?)\s*(?:\\\)|\$\$?|\\\])"
_STATED = re.compile(
    r"\b(?:is|are|be|equals?|equal to|becomes|gives|get|obtain|there are|has)\b[^$()\\]{0,40}?"
    rf"({_INLINE}(?:\s*(?:,|and|or|, and|, or)\s*{_INLINE})*)"
    r"[^A-Za-z0-9]*(?:[A-Za-z]+[^A-Za-z0-9\\$]*){0,2}$",
    re.DOTALL,
)


def statement(gold: str) -> str:
    r"""Return what a gold answer says, where it is a sentence or has a box.

    The last box is the answer of a text that has one. A sentence of four words or more that ends in
    mathematics after "is", "are" or the like is that mathematics.
    """
    from anatomy.grading.math_extraction import last_boxed

    if r"\boxed" in gold and (boxed := last_boxed(gold)):
        several = re.fullmatch(
            r"[\s$\\(\[]*" + _BOX + r"(?:(?:[\s$,;.]|and|or|\\[()])+" + _BOX + r")+[\s$.\\)\]]*", gold
        )
        return ", ".join(re.findall(_BOX, gold)) if several else boxed
    if number := re.search(r"^[A-Z][A-Za-z ,]+ (?:is|are|equals) ([-+]?[0-9][0-9,./]*?)\.?$", gold.strip()):
        return number[1]
    if len(re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", gold)) >= 3 and (
        stated := _STATED.search(gold.strip())
    ):
        return stated[1]
    return gold
