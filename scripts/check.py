"""Find early what would go wrong: on the cluster, at the hub, with disk, GPUs and conda."""

import sys
from pathlib import Path
from typing import Any

from _job import run
from anatomy.cluster import preflight, slurm
from anatomy.hub.download import gigabytes
from anatomy.hub.repository import Repository


def main(job: Any, report: Any) -> None:
    p = job.params
    wanted = [row for row in p.downloads if not Path(row["path"]).exists()]
    findings, size = preflight.downloads(
        (Repository(row["kind"], row["id"], row["revision"]), row["gated"]) for row in wanted
    )
    findings += preflight.disk(p.folder, size + p.bytes)
    if p.programs:
        findings += preflight.programs(elsewhere=p.slurm)
    if p.gpu:
        findings += preflight.gpu_memory(p.models, p.gpu["memory"], p.gpu["name"])
    if p.slurm:
        site = slurm.read_site(p.site)
        findings += slurm.slurm([slurm.Request(**request) for request in p.requests], site)
        findings += slurm.conda(site)
    for line in preflight.table(findings):
        report(line)
    errors = sum(finding.level == "error" for finding in findings)
    report(f"{len(wanted)} downloads ({gigabytes(size)}), {len(findings)} findings, {errors} of them errors")
    if errors:
        sys.exit(1)


if __name__ == "__main__":
    run(main, globals().get("snakemake"))
