"""Chain the records of all that the study's numbers, tables and figures are made from, under one root."""

import json
from pathlib import Path
from typing import Any

from _job import run
from anatomy.audit import ledger, recorder
from anatomy.audit.scrubbing import scrubbed
from anatomy.storage.atomic import atomic


def main(job: Any, report: Any) -> None:
    folder = Path(job.output[0]).parent
    workflow = recorder.kept(str(folder), map(Path, job.params.workflow))
    p = job.params
    settings = scrubbed(
        {"config": dict(p.config), "configfiles": p.configfiles, "overrides": dict(p.overrides)}
    )
    made = ledger.make(p.study, job.input, settings, workflow)
    records, _ = ledger.reached(job.input)
    numbers = json.loads(Path(job.input.numbers).read_text(encoding="utf-8"))
    ledger.keep_history(folder, made["root"], records, numbers)
    with atomic(job.output[0]) as partial:
        partial.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for path in made["without_record"]:
        report(f"{path}: has no record (made by an older version, or copied here without it)")
    report(f"{len(made['records'])} records, root {made['root']}")


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
