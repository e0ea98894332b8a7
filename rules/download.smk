"""What comes from the hub, at pinned commits: on the login node, since compute nodes need no network.

Revision and checksums say what comes: no change of code asks for it again.
"""


localrules:
    download_model,
    download_benchmark,


rule download_model:
    """A released model from the hub, at the commit that the model sheet names, verified by checksum."""
    output:
        directory(f"{R}/models/{{model}}/seed-{{seed}}"),
    log:
        f"{R}/logs/download_model/{{model}}/seed-{{seed}}.log",
    wildcard_constraints:
        model=models_from("hub"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        disk_mb=disk("download_model"),
        runtime=growing(600),
    params:
        id=lambda wildcards: STUDY.models[wildcards.model].hub_id,
        revision=lambda wildcards: STUDY.models[wildcards.model].revision,
        checkpoint=of_job(values.checkpoint),
        # What an interrupted download goes on from.
        work=f"{R}/work/{{model}}/seed-{{seed}}",
    script:
        "../scripts/download_model.py"


rule download_benchmark:
    """A real test set from the hub, at the commit that the benchmark sheet names, as JSON lines."""
    output:
        f"{R}/downloads/{{benchmark}}.jsonl",
    log:
        f"{R}/logs/download_benchmark/{{benchmark}}.log",
    wildcard_constraints:
        benchmark=benchmarks_from("hub"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        hub=of_job(values.hub_source),
        work=f"{R}/work/{{benchmark}}",
    script:
        "../scripts/download_benchmark.py"
