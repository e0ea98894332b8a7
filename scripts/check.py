"""Find early what would go wrong: on the cluster, at the hub, with disk, GPUs and conda."""

import sys
from pathlib import Path
from typing import Any

from anatomy import checks
from anatomy.hub import Repository, gigabytes
from job import run


def main(job: Any, report: Any) -> None:
    p = job.params
    wanted = [row for row in p.downloads if not Path(row["path"]).exists()]
    found, size = checks.downloads(
        (Repository(row["kind"], row["id"], row["revision"]), row["gated"]) for row in wanted
    )
    found += checks.disk(p.folder, size + p.bytes)
    if p.programs:
        found += checks.programs(elsewhere=p.slurm)
    if p.gpu:
        found += checks.gpu_memory(p.models, p.gpu["memory"], p.gpu["name"])
    if p.slurm:
        site = checks.read_site(p.site)
        found += checks.slurm([checks.Request(**request) for request in p.requests], site)
        found += checks.conda(site)
    for line in checks.table(found):
        report(line)
    errors = sum(finding.level == "error" for finding in found)
    report(f"{len(wanted)} downloads ({gigabytes(size)}), {len(found)} findings, {errors} of them errors")
    if errors:
        sys.exit(1)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
