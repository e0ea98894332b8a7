"""Draw a split of the embedded world."""

from typing import Any

from anatomy import scaffold, tables, world
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    drawn = world.problems(p.seed, p.benchmark, p.problems, p.steps, p.domains, p.side)
    tables.write(
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
                "knowledge": problem.knowledge,
                "subproblems": problem.subproblems,
                "chunks": scaffold.world_chunks(problem.lines, problem.answer),
            }
            for problem in drawn
        ],
    )
    report(f"{len(drawn)} problems")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
