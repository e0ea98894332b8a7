"""Verdicts on completions, and counts of verdicts."""


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
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        grader=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].grader,
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        stamp=stamp("grade", "scripts/grade.py"),
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
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        n=config["sampling"]["n"],
        stamp=stamp("count", "scripts/count.py"),
    script:
        "../scripts/count.py"
