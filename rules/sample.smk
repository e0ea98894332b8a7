"""Completions of each arm: on each benchmark, in shards; more where two arms disagree; under other conditions."""


rule match:
    """The temperature at which an arm's mean token entropy equals that of the arm it is matched to."""
    input:
        model=arm_model,
        prompts=arm_prompts,
        counts=matched_counts,
    output:
        f"{R}/temperatures/{{arm}}/seed-{{seed}}/{{benchmark}}.json",
    log:
        f"{R}/logs/match/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    conda:
        "../envs/train.yaml"
    threads: cores(arm_gpus)
    resources:
        gpu=arm_gpus,
        nodes=1,
        mem_mb=holding(model_name),
        runtime=model_time("match"),
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
    """One shard of an arm's completions on a benchmark, from its model and its prompts."""
    input:
        model=arm_model,
        prompts=arm_prompts,
        temperature=temperature_file,
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.parquet",
    log:
        f"{R}/logs/sample/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.log",
    conda:
        ENGINE_ENV
    threads: cores(arm_gpus)
    resources:
        gpu=arm_gpus,
        nodes=1,
        mem_mb=holding(model_name),
        disk_mb=disk("sample"),
        runtime=model_time("sample"),
    params:
        key=lambda wildcards: [config["seed"], wildcards.arm, int(wildcards.seed)],
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        checkpoint=lambda wildcards: STUDY.checkpoint(wildcards.arm),
        engine=ENGINE,
        options=config["sampling"].get("options", {}),
        context=context,
        n=lambda wildcards: STUDY.samples(wildcards.benchmark, wildcards.arm),
        rows=config["sampling"]["rows"],
        sampling=sampling,
        shard=lambda wildcards: int(wildcards.shard),
        shards=lambda wildcards: len(shards_of(wildcards.arm, wildcards.benchmark)),
        disagreeing=False,
        stamp=stamp("sample", "scripts/sample.py"),
    script:
        "../scripts/sample.py"


use rule sample as resample with:
    """Further completions of an arm on those problems that only one of two arms solves, from their counts."""
    input:
        model=arm_model,
        prompts=arm_prompts,
        temperature=temperature_file,
        counts=disagreeing_counts,
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.parquet",
    log:
        f"{R}/logs/resample/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.log",
    resources:
        gpu=arm_gpus,
        nodes=1,
        mem_mb=holding(model_name),
        disk_mb=disk("resample"),
        runtime=model_time("resample"),
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
        engine=ENGINE,
        options=config["sampling"].get("options", {}),
        context=context,
        n=config["sampling"]["extra"],
        rows=config["sampling"]["rows"],
        sampling=sampling,
        shard=0,
        shards=1,
        disagreeing=True,
        stamp=stamp("resample", "scripts/sample.py"),


rule probe:
    """Completions of an arm under the study's other conditions, from its model, prompts and own answers."""
    input:
        model=arm_model,
        prompts=arm_prompts,
        problems=f"{R}/problems/{{benchmark}}.parquet",
        template=arm_template,
        temperature=temperature_file,
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/probes.parquet",
    log:
        f"{R}/logs/probe/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    conda:
        ENGINE_ENV
    threads: cores(arm_gpus)
    resources:
        gpu=arm_gpus,
        nodes=1,
        mem_mb=holding(model_name),
        disk_mb=disk("probe"),
        runtime=model_time("probe"),
    params:
        key=lambda wildcards: [config["seed"], wildcards.arm, int(wildcards.seed)],
        conditions=STUDY.probes,
        checkpoint=lambda wildcards: STUDY.checkpoint(wildcards.arm),
        grader=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].grader,
        engine=ENGINE,
        options=config["sampling"].get("options", {}),
        context=context,
        n=config["sampling"]["probes"]["n"],
        rows=config["sampling"]["rows"],
        sampling=sampling,
        stamp=stamp("probe", "scripts/probe.py"),
    script:
        "../scripts/probe.py"
