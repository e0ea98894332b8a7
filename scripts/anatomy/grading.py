r"""Graders: what a completion's answer is, and whether it is right. One interface for every kind.

``math``: the answer is what stands in the completion's last ``\boxed{}``, and nothing else counts; equality
is Math-Verify's. Both sides are first rewritten where Math-Verify would misread them:

* ``4.5e33`` is 4.5 times ten to the 33 (Minerva), not a product with Euler's number;
* ``np.`` goes, and so does the point of ``3.`` in ``-3./2`` (Minerva);
* ``E_{1}`` and ``\gamma`` are symbols (Minerva), not constants;
* ``_{\odot}`` (Minerva) and ``_{\max}`` (OlympiadBench) are indices like any other.

Unit names are ignored unless the gold answer has variables of its own, one of which could be read as a unit
(``6m``). Several gold answers are one set: all of them, in any order. An answer that cannot be read as
mathematics is right only as the very same text. Math-Verify bounds its own time by the process's alarm
signal, so this grader works in a process's main thread only.

``world``: the embedded world's checker, of every line (``anatomy.world.check``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

from anatomy import scaffold, world
from anatomy.benchmarks import last_boxed
from anatomy.errors import AnatomyError

Kind = Literal["math", "world"]
Scheme = Literal["outcome", "hierarchical"]
MAX_ANSWER = 1_000
"""Characters of an answer that are kept; a longer one is wrong, unread."""


@dataclass(frozen=True)
class Verdict:
    """One completion's verdict: the columns of the table ``verdicts``."""

    answer: str | None
    """Extracted answer; None if there is none, or if the completion was cut off before its end."""
    verdict: Literal["right", "wrong", "malformed", "truncated"]
    derivation_right: bool | None
    """Every line right and complete; None where the kind has no checker."""
    first_bad_line: int | None
    """0-based; -1 if no line is bad; None where the kind has no checker."""


_REWRITE = (
    (re.compile(r"(?<![\w.])(\d*\.?\d+)[eE]([-+]?\d+)(?!\w)"), r"\1 \\times 10^{\2}"),
    (re.compile(r"(\d)\.(?!\d)"), r"\1"),
    (re.compile(r"\bnp\.(?=[a-z])"), r"\\"),
    (re.compile(r"(?<![\\A-Za-z])E_"), r"\\varepsilon_"),
    (re.compile(r"\\gamma(?![A-Za-z])"), r"\\upsilon"),
    (re.compile(r"_\{\\(odot|max|min)\s*\}"), r"_{\1}"),
)
_NAMED = re.compile(r"\\(?:text\w*|mbox|mathrm)\s*\{[^{}]*\}|\\[A-Za-z]+")


def _rewrite(answer: str) -> str:
    """Rewrite an answer as this module's description says."""
    answer = re.sub(r"(?<!\\)\$", "", answer)
    for pattern, replacement in _REWRITE:
        answer = pattern.sub(replacement, answer)
    return answer.strip()


@lru_cache(maxsize=2)
def _extraction(units: bool) -> list[Any]:
    """Return Math-Verify's reading of ``\\boxed{}``, with units ignored or not, and of nothing beside it."""
    # Math-Verify brings SymPy along, for which grading the world's completions has no use.
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig
    from math_verify import LatexExtractionConfig

    normalisation = NormalizationConfig(
        basic_latex=True, units=units, malformed_operators=True, nits=True, boxed="all", equations=False
    )
    return [
        LatexExtractionConfig(
            # Else a fraction within an answer that cannot be read would be taken for the answer.
            try_extract_without_anchor=False,
            boxed_match_priority=0,
            normalization_config=normalisation,
        )
    ]


def _read(answer: str, units: bool) -> list[Any]:
    from math_verify import parse

    parsed: list[Any] = parse(rf"\boxed{{{answer}}}", _extraction(units))
    return parsed


@lru_cache(maxsize=8_192)
def _gold(answers: tuple[str, ...]) -> tuple[list[Any], bool]:
    """Return the parsed gold answer, and whether units are ignored in comparisons with it."""
    gold = _rewrite(", ".join(answers))
    units = not re.search(r"[A-Za-z]", _NAMED.sub("", gold))
    parsed = _read(gold, units)
    if not parsed:
        raise AnatomyError(f"the gold answer {gold!r} cannot be read; correct it, or drop the problem")
    return parsed, units


# Many completions of a problem give the same answer, and one that is slow to compare would be so each time.
@lru_cache(maxsize=16_384)
def _equal(answers: tuple[str, ...], answer: str) -> bool:
    """Tell whether an answer is the gold one; of the two alone, so that it can be kept."""
    from math_verify import verify

    gold, units = _gold(answers)
    right: bool = verify(gold, _read(_rewrite(answer), units))
    return right


def _math(answers: tuple[str, ...], completion: str) -> Verdict:
    answer = (last_boxed(completion) or "").strip()
    if not answer:
        return Verdict(None, "malformed", None, None)
    if len(answer) > MAX_ANSWER:
        return Verdict(answer[:MAX_ANSWER], "wrong", None, None)
    return Verdict(answer, "right" if _equal(answers, answer) else "wrong", None, None)


@lru_cache(maxsize=8_192)
def _world_problem(text: str) -> world.Problem:
    try:
        return world.parse(text)
    except ValueError as error:
        raise AnatomyError(f"grader 'world': {error}") from error


def _world(problem: Mapping[str, Any], completion: str, link: int | None) -> Verdict:
    checked = world.check(_world_problem(problem["text"]), completion, link)
    if checked.answer is None:
        return Verdict(None, "malformed", False, checked.first_bad_line)
    verdict: Literal["right", "wrong"] = "right" if checked.answer_right else "wrong"
    return Verdict(checked.answer, verdict, checked.derivation_right, checked.first_bad_line)


def grade(
    kind: str,
    problem: Mapping[str, Any],
    completion: str,
    finish_reason: str,
    prefix: str = "",
    condition: str = "plain",
) -> Verdict:
    """Grade one completion.

    Args:
        kind: The benchmark's grader, ``math`` or ``world``.
        problem: A row of the table ``problems``.
        completion: The model's text.
        finish_reason: ``stop``, or ``length`` for a completion cut off at the token limit. That one is
            ``truncated``, whatever it says.
        prefix: Steps that the prompt gave (condition ``partial-i``). The world's checker reads them as
            part of the derivation; a boxed answer must stand in the completion itself.
        condition: What the prompt asked for: a link of the problem's chain (``subproblem-i``, ``own-i``),
            whose gold answer then counts, or else the whole problem.

    Raises:
        AnatomyError: unknown ``kind`` or ``finish_reason``, or a gold answer that cannot be read.
    """
    if kind not in get_args(Kind):
        raise AnatomyError(f"unknown grader {kind!r}; allowed are {list(get_args(Kind))}")
    if finish_reason not in ("stop", "length"):
        raise AnatomyError(f"unknown finish reason {finish_reason!r}; allowed are ['stop', 'length']")
    truncated = finish_reason == "length"
    link = scaffold.link_number(condition)
    if kind == "math":
        answers = problem["answers"] if link is None else [problem["subproblems"][link - 1]["answer"]]
        return Verdict(None, "truncated", None, None) if truncated else _math(tuple(answers), completion)
    verdict = _world(problem, f"{prefix} {completion}", link)
    return Verdict(None, "truncated", False, verdict.first_bad_line) if truncated else verdict


def well_formed(
    kind: str, problem: Mapping[str, Any], response: str, truncated: bool, tags: str | None = None
) -> bool:
    """Tell whether a response has the right format, its answer right or wrong.

    ``world``: one line a step, each of the right form whatever its values, then the answer. ``math``: a boxed
    answer, in a response that consists of the template's ``tags``, once each and in order, the answer in the
    last one. ``response`` is what the prompt gave of it (its opening, given steps) and the completion.
    Source: Wang et al. 2025, stage 2, where prompt and response are checked together.
    """
    if truncated:
        return False
    if kind == "world":
        return world.check(_world_problem(problem["text"]), response).format_right
    if not tags:
        return bool((last_boxed(response) or "").strip())
    content, rest = "", response
    for tag in tags.split():
        opening, closing = f"<{tag}>", f"</{tag}>"
        if response.count(opening) != 1 or response.count(closing) != 1:
            return False
        before, _, rest = rest.partition(opening)
        content, closed, rest = rest.partition(closing)
        if before.strip() or not closed:
            return False
    return not rest.strip() and bool((last_boxed(content) or "").strip())


def reward(
    kind: str,
    problem: Mapping[str, Any],
    completion: str,
    truncated: bool,
    scheme: str = "outcome",
    tags: str | None = None,
    opening: str = "",
) -> float:
    """Return the reward of one completion for RL training. Raises as ``grade`` does.

    ``outcome``: 1 for a right answer and 0 for any other. ``hierarchical``: 2 for a right answer in the right
    format, 1 for a right answer in a wrong one, -1 for any other (Wang et al. 2025, section 5).
    ``problem`` has the given steps as ``prefix``, if any; ``opening`` is what the template opens it with.
    """
    prefix = problem.get("prefix") or ""
    right = grade(kind, problem, completion, "length" if truncated else "stop", prefix).verdict == "right"
    if scheme == "outcome":
        return float(right)
    if scheme != "hierarchical":
        raise AnatomyError(f"unknown reward {scheme!r}; allowed are {list(get_args(Scheme))}")
    if not right:
        return -1.0
    response = f"{opening}{prefix} {completion}"
    return 2.0 if well_formed(kind, problem, response, truncated, tags) else 1.0
