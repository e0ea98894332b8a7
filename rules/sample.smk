"""Completions of each arm on each benchmark, in shards."""


rule sample:
    input:
        model=arm_model,
        prompts=f"{R}/prompts/{{benchmark}}.parquet",
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.parquet",
    log:
        f"{R}/logs/sample/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/sample/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        key=lambda wildcards: [config["seed"], wildcards.arm, int(wildcards.seed)],
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        step=lambda wildcards: STUDY.step(wildcards.arm),
        n=config["sampling"]["n"],
        rows=config["sampling"]["rows"],
        sampling=sampling,
        shard=lambda wildcards: int(wildcards.shard),
        shards=len(SHARDS),
        stamp=stamp("sample", "scripts/sample.py"),
    script:
        "../scripts/sample.py"
