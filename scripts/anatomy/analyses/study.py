"""What the study consists of: its settings, and how many problems each benchmark has.

What is about chains of steps stands there only for a study of the embedded world.
"""

from anatomy.analyses.inputs import Inputs, Rows
from anatomy.storage import parquet
from anatomy.world.problems import ASKED, MODULUS


def rows(inputs: Inputs) -> Rows:
    result: Rows = [{"item": "setting", "name": name, "value": value} for name, value in inputs.facts.items()]
    embedded = "pretraining_longest" in inputs.facts
    for file in inputs.files["problems"]:
        problems = parquet.read(file["path"], "problems", ["difficulty"])
        facts = {"problems": len(problems)}
        if embedded and problems["difficulty"].notna().all():
            facts |= {
                "shortest": int(problems["difficulty"].min()),
                "longest": int(problems["difficulty"].max()),
            }
        result += [{"item": item, "name": file["benchmark"], "value": value} for item, value in facts.items()]
    if embedded:
        chance = MODULUS**ASKED
        result += [
            {"item": "world", "name": "modulus", "value": MODULUS},
            {"item": "world", "name": "guess_chance", "value": chance},
        ]
    return result
