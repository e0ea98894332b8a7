"""What the study consists of: its settings, and how many problems each benchmark has."""

from anatomy import tables, world
from anatomy.analysis import Inputs, Rows


def rows(inputs: Inputs) -> Rows:
    result: Rows = [{"item": "setting", "name": name, "value": value} for name, value in inputs.facts.items()]
    for file in inputs.files["problems"]:
        problems = tables.read(file["path"], "problems", ["difficulty"])
        facts = {"problems": len(problems)}
        if problems["difficulty"].notna().all():
            facts |= {
                "shortest": int(problems["difficulty"].min()),
                "longest": int(problems["difficulty"].max()),
            }
        result += [{"item": item, "name": file["benchmark"], "value": value} for item, value in facts.items()]
    return [
        *result,
        {"item": "world", "name": "modulus", "value": world.MODULUS},
        {"item": "world", "name": "guess_chance", "value": world.MODULUS**world.ASKED},
    ]
