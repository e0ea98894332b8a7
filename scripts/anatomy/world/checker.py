"""Derivations of the world, checked line by line; or leniently, by an answer that stands anywhere."""

from dataclasses import dataclass

from anatomy.world.problems import DIGITS, Problem

# Checking ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """The checker's verdict on one completion."""

    answer: str | None
    """What stands after the first ``ans``, or None if the completion has no well-formed answer."""
    answer_right: bool
    derivation_right: bool
    """Every line right, every step present, and the answer right."""
    first_bad_line: int
    """0-based index of the first line that is wrong, missing or unreadable; -1 if there is none."""
    format_right: bool
    """A well-formed answer after one line a step, each of the right form whatever its values."""


_LINE = 12
"""Words in a line: v = x o y = X o Y = r ."""
_VALUES = (6, 8, 10)
"""Places of the words in a line that are values."""


def check(problem: Problem, completion: str, number: int | None = None) -> Check:
    """Decide whether a completion's answer and every line of its derivation are right.

    A line must define the next variable of the chain, restate its definition, substitute the right values
    and give the right result. Words after the answer make it malformed, as do a missing or partial answer.
    With ``number`` the completion is of that link of the chain, from 1: one line, its value as the answer.
    """
    gold, wanted = problem.lines, problem.answer
    if number is not None:
        gold = gold[number - 1 : number]
        wanted = problem.subproblems[number - 1]["answer"]
    words = completion.split()
    at = words.index("ans") if "ans" in words else len(words)
    body, tail = words[:at], words[at + 1 :]
    well_formed = len(tail) == len(wanted.split()) and all(word in DIGITS for word in tail)
    answer = " ".join(tail) if well_formed else None
    lines = [" ".join(body[i : i + _LINE]) for i in range(0, len(body), _LINE)]
    bad = next((i for i in range(max(len(lines), len(gold))) if lines[i : i + 1] != gold[i : i + 1]), -1)
    right = answer == wanted
    formed = well_formed and [_form(line) for line in lines] == [_form(line) for line in gold]
    return Check(answer, right, right and bad == -1, bad, formed)


def _form(line: str) -> list[str]:
    """Return a line's words with its values, if they are digits, made equal."""
    words = line.split()
    return [DIGITS[0] if at in _VALUES and word in DIGITS else word for at, word in enumerate(words)]


def answers_leniently(problem: Problem, completion: str, number: int | None = None) -> bool:
    """Tell whether a completion's last digits are the right answer, whatever they are said to be.

    So a common evaluation would read it: no word has to mark the answer, and the derivation may break off.
    """
    wanted = (problem.answer if number is None else problem.subproblems[number - 1]["answer"]).split()
    return [word for word in completion.split() if word in DIGITS][-len(wanted) :] == wanted
