"""Completions of each arm: on each benchmark, in shards; more where two arms disagree; under other conditions."""


rule match:
    input:
        model=arm_model,
        prompts=f"{R}/prompts/{{benchmark}}.parquet",
        counts=matched_counts,
    output:
        f"{R}/temperatures/{{arm}}/seed-{{seed}}/{{benchmark}}.json",
    log:
        f"{R}/logs/match/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/match/{{arm}}/seed-{{seed}}/{{benchmark}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        key=lambda wildcards: [
            config["seed"],
            "match",
            wildcards.arm,
            int(wildcards.seed),
        ],
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        checkpoint=lambda wildcards: STUDY.checkpoint(wildcards.arm),
        n=config["sampling"]["match_n"],
        rows=config["sampling"]["rows"],
        sampling=sampling,
        stamp=stamp("match", "scripts/match.py"),
    script:
        "../scripts/match.py"


rule sample:
    input:
        model=arm_model,
        prompts=f"{R}/prompts/{{benchmark}}.parquet",
        temperature=temperature_file,
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
        checkpoint=lambda wildcards: STUDY.checkpoint(wildcards.arm),
        n=lambda wildcards: STUDY.samples(wildcards.benchmark),
        rows=config["sampling"]["rows"],
        sampling=sampling,
        shard=lambda wildcards: int(wildcards.shard),
        shards=len(SHARDS),
        disagreeing=False,
        stamp=stamp("sample", "scripts/sample.py"),
    script:
        "../scripts/sample.py"


use rule sample as resample with:
    input:
        model=arm_model,
        prompts=f"{R}/prompts/{{benchmark}}.parquet",
        temperature=temperature_file,
        counts=disagreeing_counts,
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.parquet",
    log:
        f"{R}/logs/resample/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.log",
    benchmark:
        f"{R}/benchmarks/resample/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.tsv"
    params:
        # Randomness of their own: these completions are new ones.
        key=lambda wildcards: [
            config["seed"],
            "extra",
            wildcards.arm,
            int(wildcards.seed),
            wildcards.other,
            int(wildcards.other_seed),
        ],
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        checkpoint=lambda wildcards: STUDY.checkpoint(wildcards.arm),
        n=config["sampling"]["extra"],
        rows=config["sampling"]["rows"],
        sampling=sampling,
        shard=0,
        shards=1,
        disagreeing=True,
        stamp=stamp("resample", "scripts/sample.py"),


rule probe:
    input:
        model=arm_model,
        prompts=f"{R}/prompts/{{benchmark}}.parquet",
        problems=f"{R}/problems/{{benchmark}}.parquet",
        template=arm_template,
        temperature=temperature_file,
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/probes.parquet",
    log:
        f"{R}/logs/probe/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/probe/{{arm}}/seed-{{seed}}/{{benchmark}}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        key=lambda wildcards: [config["seed"], wildcards.arm, int(wildcards.seed)],
        conditions=STUDY.probes,
        checkpoint=lambda wildcards: STUDY.checkpoint(wildcards.arm),
        grader=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].grader,
        n=config["sampling"]["probes"]["n"],
        rows=config["sampling"]["rows"],
        sampling=sampling,
        stamp=stamp("probe", "scripts/probe.py"),
    script:
        "../scripts/probe.py"
