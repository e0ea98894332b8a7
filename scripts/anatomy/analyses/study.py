"""What the study consists of: its settings, and how many problems each benchmark has.

What is about chains of steps stands there only for a study of the embedded world.
"""

from anatomy import tables, world
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = [{"item": "setting", "name": name, "value": value} for name, value in inputs.facts.items()]
    embedded = "pretraining_longest" in inputs.facts
    for file in inputs.files["problems"]:
        problems = tables.read(file["path"], "problems", ["difficulty"])
        facts = {"problems": len(problems)}
        if embedded and problems["difficulty"].notna().all():
            facts |= {
                "shortest": int(problems["difficulty"].min()),
                "longest": int(problems["difficulty"].max()),
            }
        result += [{"item": item, "name": file["benchmark"], "value": value} for item, value in facts.items()]
    if embedded:
        chance = world.MODULUS**world.ASKED
        result += [
            {"item": "world", "name": "modulus", "value": world.MODULUS},
            {"item": "world", "name": "guess_chance", "value": chance},
        ]
    return result
