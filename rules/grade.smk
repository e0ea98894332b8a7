"""Verdicts on completions, and counts of verdicts."""


def shards(table):
    return expand(
        f"{R}/{table}/{{{{arm}}}}/seed-{{{{seed}}}}/{{{{benchmark}}}}/shard-{{shard:03d}}.parquet",
        shard=SHARDS,
    )


rule grade:
    input:
        samples=f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.parquet",
        problems=f"{R}/problems/{{benchmark}}.parquet",
        prompts=f"{R}/prompts/{{benchmark}}.parquet",
    output:
        f"{R}/verdicts/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.parquet",
    log:
        f"{R}/logs/grade/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/grade/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.tsv"
    params:
        grader=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].grader,
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        stamp=stamp("scripts/grade.py"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/grade.py"


rule count:
    input:
        samples=shards("samples"),
        verdicts=shards("verdicts"),
    output:
        f"{R}/counts/{{arm}}/seed-{{seed}}/{{benchmark}}.parquet",
    log:
        f"{R}/logs/count/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/count/{{arm}}/seed-{{seed}}/{{benchmark}}.tsv"
    params:
        n=config["sampling"]["n"],
        stamp=stamp("scripts/count.py"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/count.py"
