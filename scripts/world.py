"""Draw a split of the embedded world, or take a part of another split, perhaps one that a model fails."""

from collections.abc import Mapping
from typing import Any

from _job import run
from anatomy.errors import AnatomyError
from anatomy.problems import selection
from anatomy.prompts import chunks
from anatomy.storage import parquet
from anatomy.world import problems


def main(job: Any, report: Any) -> None:
    p = job.params
    if job.input:
        fitting: list[Mapping[str, Any]] = [
            {**row, "benchmark": p.benchmark}
            for row in parquet.records(job.input.problems, "problems")
            if row["difficulty"] in p.steps and row["domain"] in p.domains
        ]
        if job.input.get("failed"):
            hard = selection.failed(parquet.read(path, "counts") for path in job.input.failed)
            fitting = list(selection.select(fitting, hard, 0, [p.seed, p.benchmark]))
        elif len(fitting) < p.problems:
            raise AnatomyError(f"{job.input.problems}: {len(fitting)} problems fit, {p.problems} are wanted")
        parquet.write(job.output[0], "problems", fitting[: p.problems])
        report(f"{min(p.problems, len(fitting))} of {len(fitting)} problems that fit")
        return
    drawn = problems.problems(p.seed, p.benchmark, p.problems, p.steps, p.domains, p.side)
    parquet.write(
        job.output[0],
        "problems",
        [
            {
                "problem": problem.name,
                "benchmark": p.benchmark,
                "text": problem.text,
                "answers": [problem.answer],
                "solution": problem.solution,
                "difficulty": float(problem.difficulty),
                "domain": problem.domain,
                "plan": problem.plan,
                "plan_disordered": problem.disordered_plan,
                "plan_incomplete": problem.incomplete_plan,
                "knowledge": problem.knowledge,
                "knowledge_irrelevant": problem.irrelevant_knowledge,
                "subproblems": problem.subproblems,
                "chunks": chunks.world_chunks(problem.lines, problem.answer),
                "tests": None,
            }
            for problem in drawn
        ],
    )
    report(f"{len(drawn)} problems")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
