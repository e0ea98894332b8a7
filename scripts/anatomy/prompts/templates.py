r"""Prompts for every condition: plans, knowledge, links of a chain of subproblems, and partial solutions.

==================================  =================================================================
plain                               the problem alone
guess                               asked for an answer without a derivation (embedded world)
plan, knowledge                     given after the question (Wang et al. 2025, sections 3 and 4)
plan-disordered, plan-incomplete    controls: the plan's steps out of order, or one of them missing
knowledge-irrelevant                control: as many facts, of another problem or of other operators
subproblem-i                        link i of the chain alone, the earlier links' gold answers given
own-i                               the same with the model's own earlier answers (``sampling.own_chains``)
partial-i                           the first i of a solution's 4 chunks open the response
==================================  =================================================================

Partial step scaffolding: a solution's first steps are given to the model.

The rules for cutting a solution into four semantic chunks are those of SPARKLE (Wang et al. 2025,
arXiv 2506.04723, stage 2): paragraphs if there are at least four, adjacent ones merged evenly; else numbered
items; else section-like openings; else sentences. Chunks joined without a separator give the solution back
exactly, and no cut falls inside a formula, a LaTeX environment or a drawing (``[asy]`` ... ``[/asy]``).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from anatomy.errors import AnatomyError
from anatomy.prompts.chunks import CHUNKS

GIVEN = ("plan", "plan-disordered", "plan-incomplete", "knowledge", "knowledge-irrelevant")
"""Conditions that give something after the question; what, stands in the problem's column of that name."""
SUBPROBLEMS, OWN = "subproblems", "own-subproblems"
"""All links of the chain, with gold or with the model's own earlier answers, as configurations call them."""
PARTIAL = tuple(f"partial-{level}" for level in range(CHUNKS + 1))
CONDITIONS = ("plain", "guess", *GIVEN, SUBPROBLEMS, *PARTIAL)
ANSWERS = ("boxed", "world", "fence", "continuation", "body")
"""How a template has the final answer marked: in ``\\boxed{}``; as the embedded world does (``ans``); or a
program, in a fenced block, as what continues the prompt, or as a function's body in the embedded world."""


# Templates --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Template:
    """A prompt template, as declared in ``config/templates/<name>.yaml``."""

    name: str
    """The file's name without its suffix."""
    source: str
    """Where the wording comes from, and whether it is exact or reconstructed."""
    prompt: str
    """Text with ``{question}`` in it once; other braces stand for themselves."""
    response: str
    """What opens the response in the partial conditions, before the given steps; may be empty."""
    answer: str
    """How the final answer is marked, one of ``ANSWERS``."""
    guess: str | None = None
    """What is put after the question to ask for an answer without a derivation, if the template can."""
    plan: str | None = None
    """What is put after the question in the conditions that give a plan, with ``{plan}`` in it once."""
    knowledge: str | None = None
    """What is put after the question in the conditions that give knowledge, with ``{knowledge}`` once."""
    earlier: str | None = None
    """How one earlier answer of a chain is told, with ``{fact}`` in it once."""
    subproblem: str | None = None
    """What takes the question's place for a link: ``{link}``, ``{earlier}``, and ``{problem}`` if wanted."""
    tags: str | None = None
    """Tags, separated by a space, that make up a well-formed response; the last one's text has the answer."""

    def render(self, question: str) -> str:
        """Return the prompt that asks a question."""
        return self.prompt.replace("{question}", question)

    def field(self, name: str) -> str:
        """Return an optional field.

        Raises:
            AnatomyError: The template does not declare it.
        """
        value: str | None = getattr(self, name)
        if value is None:
            raise AnatomyError(
                f"template '{self.name}' declares no '{name}' text, so it has no such condition"
            )
        return value


_SLOTS = {
    "plan": ["{plan}"],
    "knowledge": ["{knowledge}"],
    "earlier": ["{fact}"],
    "subproblem": ["{link}", "{earlier}"],
}


def load_template(path: str | Path) -> Template:
    """Read a template.

    Raises:
        AnatomyError: It is not as ``Template`` declares; the message names file and key.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AnatomyError(f"{path}: the template cannot be read: {error}") from error
    allowed = [field.name for field in fields(Template)]
    if not isinstance(content, dict):
        raise AnatomyError(f"{path}: a template is a mapping with the keys {allowed}")
    if unknown := [key for key in content if key not in allowed]:
        raise AnatomyError(f"{path}: unknown key {unknown[0]!r}; allowed are {allowed}")
    for field in fields(Template):
        if field.name not in content:
            if field.default is MISSING:
                raise AnatomyError(f"{path}: key '{field.name}' is missing; allowed are {allowed}")
        elif not isinstance(content[field.name], str):
            raise AnatomyError(f"{path}: key '{field.name}' must be text, not {content[field.name]!r}")
    template = Template(**content)
    if template.name != path.stem:
        raise AnatomyError(f"{path}: key 'name' is {template.name!r} but the file's name is {path.stem!r}")
    if template.prompt.count("{question}") != 1:
        raise AnatomyError(f"{path}: key 'prompt' must contain {{question}} exactly once")
    for name, slots in _SLOTS.items():
        text = getattr(template, name)
        for slot in slots:
            if text is not None and text.count(slot) != 1:
                raise AnatomyError(f"{path}: key '{name}' must contain {slot} exactly once")
    if (template.earlier is None) != (template.subproblem is None):
        raise AnatomyError(f"{path}: the keys 'earlier' and 'subproblem' belong together")
    if template.answer not in ANSWERS:
        raise AnatomyError(f"{path}: key 'answer' is {template.answer!r}; allowed are {list(ANSWERS)}")
    return template


# Prompts ----------------------------------------------------------------------------------------------


def link_number(condition: str) -> int | None:
    """Return which link of the chain a condition asks for, from 1; None for the whole problem."""
    kind, _, number = condition.rpartition("-")
    return int(number) if kind in ("subproblem", "own") and number.isdigit() else None


def fill(text: str, **slots: str) -> str:
    """Put texts into their ``{slots}``; braces in them, and other braces, stand for themselves."""
    return re.sub(r"\{(\w+)\}", lambda slot: slots.get(slot[1], slot[0]), text)


def link(problem: Mapping[str, Any], template: Template, number: int, answers: Sequence[str]) -> str:
    """Return the prompt of link ``number`` (from 1) of a problem's chain, given the earlier ones' answers."""
    chain = problem["subproblems"]
    earlier = "".join(
        fill(template.field("earlier"), fact=fill(subproblem["fact"], answer=answer))
        for subproblem, answer in zip(chain[: number - 1], answers, strict=True)
    )
    here = chain[number - 1]["question"]
    asked = fill(template.field("subproblem"), problem=problem["text"], earlier=earlier, link=here)
    return template.render(asked)


def _variants(
    problem: Mapping[str, Any], template: Template, condition: str
) -> Iterator[tuple[str, str, str]]:
    """Yield (condition, prompt, prefix) of what a problem has of a condition; ``subproblems`` are several."""
    text = problem["text"]
    if condition == "plain":
        yield condition, template.render(text), ""
    elif condition == "guess":
        yield condition, template.render(text + template.field("guess")), ""
    elif condition in GIVEN:
        kind = condition.partition("-")[0]
        given = problem[condition.replace("-", "_")]
        if given is not None:
            yield condition, template.render(text + fill(template.field(kind), **{kind: given})), ""
    elif condition == SUBPROBLEMS:
        chain = problem["subproblems"] or []
        for number in range(1, len(chain) + 1):
            answers = [subproblem["answer"] for subproblem in chain[: number - 1]]
            yield f"subproblem-{number}", link(problem, template, number, answers), ""
    else:
        level = int(condition.removeprefix("partial-"))
        if level and problem["chunks"] is None:
            return
        prefix = "".join(problem["chunks"][:level]).rstrip() if level else ""
        if template.answer == "world" and level == CHUNKS:
            prefix = prefix[: prefix.rindex("ans")].rstrip()  # the answer itself is left to the model
        yield condition, template.render(text) + (template.response + prefix).rstrip(), prefix


def prompts(
    problem: Mapping[str, Any], template: Template, conditions: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table ``prompts`` for each condition that the problem has.

    ``partial-i`` puts the response's opening and the first i chunks after the prompt; its ``prefix`` is those
    chunks alone. White space after them is dropped: the completion brings its own. A problem without
    a solution has no ``partial-i`` for i > 0, one without a plan no ``plan``, and so on.

    Args:
        problem: A row of the table ``problems``.
        template: Of the prompts.
        conditions: Names of conditions.

    Raises:
        AnatomyError: A condition is unknown, or the template has no text for it.
    """
    for wanted in conditions:
        if wanted not in CONDITIONS:
            raise AnatomyError(f"unknown condition {wanted!r}; allowed are {list(CONDITIONS)}")
        for condition, prompt, prefix in _variants(problem, template, wanted):
            yield {
                "problem": problem["problem"],
                "benchmark": problem["benchmark"],
                "condition": condition,
                "template": template.name,
                "prompt": prompt,
                "prefix": prefix,
            }
