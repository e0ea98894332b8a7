"""Solutions cut into the four chunks that scaffolds give (Wang et al. 2025, stage 2; rules: `templates`)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

CHUNKS = 4
"""Chunks of a solution; condition ``partial-i`` gives the first i of them."""

# What must stay whole ---------------------------------------------------------------------------------

# A backslash and its character are read together, so that neither "\$" nor "\\[2pt]" opens a formula.
_OPENING = re.compile(r"\\begin\s*\{([^{}]*)\}|\\[\[(]|\\.|\[asy\]|\$\$|\$", re.DOTALL)
_CLOSING = {r"\[": r"\]", r"\(": r"\)", "[asy]": "[/asy]", "$$": "$$"}
_DOLLAR = re.compile(r"\\.|\$|\n[^\S\n]*\n", re.DOTALL)
_NAMED = re.compile(r"\\(?:text\w*|mbox|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")
_AMOUNT = re.compile(r"[\d<]|\.\d")
_PROSE = re.compile(r"[A-Za-z]{3,}|[.?!]\s+[A-Z]")


def _closing_dollar(text: str, start: int) -> int:
    """Return where the inline formula opened before ``start`` ends, or -1 if its dollar opens none.

    A formula never contains a blank line. A dollar before a number is money if what follows it up to the
    next dollar is prose or ends right before another amount ("$5 and then $3").
    """
    for token in _DOLLAR.finditer(text, start):
        if token[0] == "$":
            inside, end = text[start : token.start()], token.end()
            prose = _PROSE.search(_NAMED.sub("", inside)) is not None
            money = _AMOUNT.match(inside) and (prose or _AMOUNT.match(text, end))
            return -1 if money else end
        if not token[0].startswith("\\"):
            return -1
    return -1


def _environment_end(text: str, name: str, start: int) -> int:
    """Return where the environment opened before ``start`` ends, its own kind nested, or -1."""
    depth = 1
    for token in re.compile(rf"\\(begin|end)\s*\{{{re.escape(name)}\}}").finditer(text, start):
        depth += 1 if token[1] == "begin" else -1
        if depth == 0:
            return token.end()
    return -1


def spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) offsets of formulas, environments and drawings, outermost ones, in order.

    An opening mark without its closing one is plain text, so that it cannot swallow what follows.
    """
    spans = []
    at = 0
    while opening := _OPENING.search(text, at):
        mark, at = opening[0], opening.end()
        if opening[1] is not None:
            end = _environment_end(text, opening[1], at)
        elif mark in _CLOSING:
            closing = text.find(_CLOSING[mark], at)
            end = closing + len(_CLOSING[mark]) if closing >= 0 else -1
        elif mark == "$":
            end = _closing_dollar(text, at)
        else:
            continue
        if end > 0:
            spans.append((opening.start(), end))
            at = end
    return spans


# Chunks -----------------------------------------------------------------------------------------------

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_ITEM = re.compile(r"^[^\S\n]*(?=(?:\(?\d{1,2}[.)]|\(?[ivx]+\)|\\item|Step\s+\d+)\s)", re.MULTILINE)
_SECTION = re.compile(
    r"^[^\S\n]*(?=#+\s|\*\*|\\(?:sub)*section|\\paragraph|\\textbf|(?:Step|Case|Part|Lemma|Claim|Proof|Solution|"
    r"First|Firstly|Second|Secondly|Third|Thirdly|Next|Then|Finally|Hence|Therefore|Thus|Now)\b)",
    re.MULTILINE,
)


# A full stop may stand inside the formula that ends a sentence ("$x = 3.$ Then"). A line's end also ends a
# sentence (steps are often lines without a full stop) unless the text goes on in lower case or a display.
_SENTENCE = re.compile(
    r"(?P<stop>[.?!])(?:[\"'”’)\]}]|\$+|\\[\])])*\s+(?![a-z\s])|[^\S\n]*\n\s*(?![a-z\s\\]|\$\$|[.,;:=+)\]])"
)
_NO_END = re.compile(
    r"(?:(?<![^\s(\[\"'“])(?:[a-z](?:\.[a-z])+|cf|vs|etc|resp|approx|al|Mrs?|Ms|Dr|St|Figs?|Eqs?|No|Thm|Prop)"
    r"|(?:^|\n)\s*\d+)\Z"
)
"""What may stand before a full stop that ends no sentence: an abbreviation, or an item's number."""
_LONGEST = 20


def _sentence_cuts(text: str) -> Iterator[int]:
    for match in _SENTENCE.finditer(text):
        stop = match.start()
        if match["stop"] is None or not _NO_END.search(text[max(0, stop - _LONGEST) : stop]):
            yield match.end()


def _units(text: str, count: int) -> list[str]:
    """Cut a text at the first level of the rules that gives ``count`` units; else at every sentence."""
    whole = spans(text)

    def cut(positions: Iterable[int]) -> list[str]:
        inner = {
            at
            for at in positions
            if text[:at].strip() and text[at:].strip() and not any(start < at < end for start, end in whole)
        }
        return [text[start:end] for start, end in pairwise([0, *sorted(inner), len(text)])]

    paragraphs = [match.end() for match in _PARAGRAPH.finditer(text)]
    levels = (
        paragraphs,
        [match.start() for match in _ITEM.finditer(text)],
        [match.start() for match in _SECTION.finditer(text)],
    )
    for positions in levels:
        if len(units := cut(positions)) >= count:
            return units
    return cut([*paragraphs, *_sentence_cuts(text)])


def _merge(units: Sequence[str], count: int) -> list[str]:
    """Merge adjacent units evenly into ``count`` groups; earlier groups take the surplus."""
    size, surplus = divmod(len(units), count)
    ends = [group * size + min(group, surplus) for group in range(count + 1)]
    return ["".join(units[start:end]) for start, end in pairwise(ends)]


def chunks(solution: str, count: int = CHUNKS) -> list[str]:
    """Split a solution into ``count`` semantic chunks that, joined without a separator, give it back.

    Rules as in this module's description. A solution with fewer units than ``count`` has one unit a chunk,
    and its trailing chunks are empty strings.
    """
    return _merge(_units(solution, count), count)


def world_chunks(lines: Sequence[str], answer: str, count: int = CHUNKS) -> list[str]:
    """Split a derivation of the embedded world: its lines evenly, ``ans`` and the answer in the last chunk.

    Words are separated by single spaces, those between chunks at the end of the earlier one, so that the
    chunks too give the whole text back when joined without a separator.
    """
    merged = _merge([f"{line} " for line in lines], count)
    return [*merged[:-1], f"{merged[-1]}ans {answer}"]
