"""Runs the vLLM engine in an environment of its own for tests/test_engines.py.

    python tests/vllm_runner.py < JOBS > ANSWERS    (JSON on both)

A job is an engine and what is asked of it, an answer a list with one entry a question: the completions, each
with the token ids that vLLM gave, or the error.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from anatomy.errors import AnatomyError
from anatomy.models.decoding import Sampling
from anatomy.sampling.engine import Completion, Prompt
from anatomy.sampling.vllm_engine import VllmEngine


class Recording(VllmEngine):
    """Keeps the token ids from which completions are made."""

    def _completion(self, prompt: Prompt, sample: int, output: Any, sampling: Sampling) -> Completion:
        completion = super()._completion(prompt, sample, output, sampling)
        self.ids[prompt.condition, prompt.problem, sample] = list(output.token_ids)
        return completion


def answer(engine: Recording, question: dict[str, Any]) -> Any:
    engine.ids: dict[tuple[str, str, int], list[int]] = {}
    prompts = [Prompt(**prompt) for prompt in question["prompts"]]
    sampling = Sampling(**question["sampling"])
    try:
        if question.get("prepare"):
            return {"needed": engine.prepare(prompts, sampling), "room": engine.room}
        found = engine.sample(prompts, question["n"], sampling, question["seed"])
        if question.get("first"):  # the others are left alone while they are decoded
            sampled = [next(found)]
            found.close()
        else:
            sampled = list(found)
    except AnatomyError as error:
        return {"error": str(error)}
    return [
        {**asdict(completion), "ids": engine.ids[completion.condition, completion.problem, completion.sample]}
        for completions in sampled
        for completion in completions
    ]


def main() -> None:
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM's own words are no answers
    jobs, answers = json.load(sys.stdin), []
    for job in jobs:
        try:
            engine = Recording(job["folder"], 1, job.get("gpus", 0), job.get("context"), job.get("options"))
        except AnatomyError as error:
            answers.append([{"error": str(error)}])
            continue
        answers.append([answer(engine, question) for question in job["questions"]])
        engine.close()
    json.dump(answers, output)


if __name__ == "__main__":
    main()
