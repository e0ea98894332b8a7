"""Chains of subproblems that go on from the model's own earlier answers.

Source: Wang et al. 2025, section 3 (chains of subproblems); there the earlier answers are the gold ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from anatomy.models.decoding import Sampling
from anatomy.prompts import templates
from anatomy.prompts.templates import Template
from anatomy.sampling.engine import Completion, Engine, Prompt, chunked

Answer = Callable[[Mapping[str, Any], str, Completion], str | None]
"""``answer(problem, condition, completion)``: the answer that a completion gives, right or wrong, if any."""


@dataclass(frozen=True)
class _Chain:
    problem: Mapping[str, Any]
    sample: int
    answers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.problem['problem']}/{self.sample}"


def own_chains(
    engine: Engine,
    problems: Sequence[Mapping[str, Any]],
    template: Template,
    answer: Answer,
    n: int,
    rows: int,
    sampling: Sampling,
    seed: Sequence[object],
) -> Iterator[list[Completion]]:
    """Sample n chains a problem, link by link; yield the completions of one link after the other.

    A link's prompt has the chain's own answers to all earlier links in it, right or wrong; a chain ends where
    a completion has no answer. Conditions are named ``own-i``.

    Args:
        engine: Samples.
        problems: Rows of the table 'problems' with ``subproblems``.
        template: Of the prompts.
        answer: Reads the answer of a completion.
        n: Chains a problem.
        rows: Completions that are decoded together, at most.
        sampling: The sampling parameters.
        seed: What the randomness is keyed by.
    """
    chains = [_Chain(problem, sample) for problem in problems for sample in range(n)]
    number = 1
    while chains := [chain for chain in chains if len(chain.problem["subproblems"]) >= number]:
        condition = f"own-{number}"
        by_name = {chain.name: chain for chain in chains}
        prompts = [
            Prompt(chain.name, templates.link(chain.problem, template, number, chain.answers), condition)
            for chain in chains
        ]
        sampled: dict[str, Completion] = {}
        for chunk in chunked(prompts, 1, rows):
            for (completion,) in engine.sample(chunk, 1, sampling, seed):
                sampled[completion.problem] = completion
        goes_on = []
        completions = []
        for name, chain in by_name.items():
            completion = replace(sampled[name], problem=chain.problem["problem"], sample=chain.sample)
            completions.append(completion)
            given = answer(chain.problem, condition, completion)
            if given is not None:
                goes_on.append(replace(chain, answers=(*chain.answers, given)))
        yield completions
        chains, number = goes_on, number + 1
