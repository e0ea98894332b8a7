"""The answer that a completion states: boxed, announced or last."""

import re
from collections import deque
from collections.abc import Iterator

MAX_ANSWER = 1_000
"""Characters of an answer that is read; one longer than this and the gold answer together is not. No more are
kept of it either."""


# Extraction -------------------------------------------------------------------------------------------

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_OPENS = re.compile(r"\s*\{")
_ANSWER_IS = re.compile(r"answer\s*(?:is|:|=)[\s:*]*", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)(?:/[0-9]+)?")


def last_boxed(text: str) -> str | None:
    r"""Return what stands in the last ``\boxed{}`` with balanced braces, or None. Linear in the text."""
    end = start = len(text)
    while (start := text.rfind(r"\boxed", 0, start)) >= 0:
        run = start
        while run and text[run - 1] == "\\":
            run -= 1
        opens = _OPENS.match(text, start + 6)
        if opens is None or (start - run) % 2:
            continue
        depth = 1
        # Braces that are still open where a later box begins that is never closed are never closed either.
        for brace in _BRACE.finditer(text, opens.end(), end):
            depth += (brace[0] == "{") - (brace[0] == "}")
            if not depth:
                return text[opens.end() : brace.start()]
        end = start
    return None


def extract(completion: str, tags: str | None = None) -> str | None:
    """Return the answer that a completion gives, as this module's description says, or None."""
    return _text(last_boxed(_region(completion, tags)))


def _text(found: str | None) -> str | None:
    """Return what was found, or None if that is nothing; half characters, which no file can hold, go."""
    return (found or "").encode(errors="ignore").decode().strip() or None


def _region(completion: str, tags: str | None) -> str:
    """Return the final answer region."""
    if tags:
        tag = tags.split()[-1]
        _, opened, rest = completion.rpartition(f"<{tag}>")
        if opened:
            return rest.partition(f"</{tag}>")[0]
    return completion.rpartition("</think>")[2]


def extract_lenient(completion: str) -> str | None:
    """Return what else could be meant as the answer, as this module's description says, or None."""
    found = last_boxed(completion)
    if found is None and (said := _last(_ANSWER_IS.finditer(completion))):
        found = _stated(completion[said.end() : said.end() + MAX_ANSWER])
    if found is None and "####" in completion:
        found = completion[completion.rindex("####") + 4 :][:MAX_ANSWER].strip().partition("\n")[0]
    if not found and (close := completion.rfind("$")) > 0:
        # The second of two dollars beside each other closes a display.
        close -= completion[close - 1] == "$"
        found = completion[completion.rfind("$", 0, close) + 1 : close] if "$" in completion[:close] else None
    if not found and (number := _last(_NUMBER.finditer(completion))):
        found = number[0]
    return _text(found)


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    """Return the last match."""
    return next(iter(deque(matches, maxlen=1)), None)


def _stated(text: str) -> str | None:
    """Return the answer at the beginning of a text: in dollars, or up to the end of its line or sentence."""
    inside = re.match(r"\s*(?:\$\$?([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\])", text, re.DOTALL)
    if inside:
        return inside[1] or inside[2] or inside[3]
    line = text.strip().partition("\n")[0]
    return re.split(r"\.(?:\s|$)", line)[0].strip("*_ ") or None


def readings(completion: str, tags: str | None = None) -> tuple[str | None, str | None]:
    """Return the answer, and the lenient reading where it is another one."""
    strict, lenient = extract(completion, tags), extract_lenient(completion)
    return strict, None if lenient == strict else lenient
