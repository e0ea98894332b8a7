"""Completions of each arm: on each benchmark, in shards; more where two arms disagree; under other conditions."""


rule match_entropy:
    """The temperature at which an arm's mean token entropy equals that of the arm it is matched to."""
    input:
        model=of_job(files.arm_model),
        prompts=of_job(files.arm_prompts),
        counts=of_job(files.matched_counts),
    output:
        f"{R}/temperatures/{{arm}}/seed-{{seed}}/{{benchmark}}.json",
    log:
        f"{R}/logs/match_entropy/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    conda:
        "../envs/train.yaml"
    threads: of_job(amounts.arm_cores)
    resources:
        gpu=of_job(amounts.arm_gpus),
        nodes=1,
        mem_mb=growing(of_job(amounts.arm_memory)),
        runtime=model_time("match_entropy"),
    params:
        key=of_job(values.match_key),
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        checkpoint=of_job(Study.checkpoint),
        n=config["sampling"]["match_n"],
        rows=config["sampling"]["rows"],
        sampling=of_job(Study.sampling),
        stamp=stamp("match_entropy", "scripts/match_entropy.py"),
    script:
        "../scripts/match_entropy.py"


rule sample:
    """One shard of an arm's completions on a benchmark, from its model and its prompts."""
    input:
        model=of_job(files.arm_model),
        prompts=of_job(files.arm_prompts),
        temperature=of_job(files.temperature_file),
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.parquet",
    log:
        f"{R}/logs/sample/{{arm}}/seed-{{seed}}/{{benchmark}}/shard-{{shard}}.log",
    conda:
        ENGINE_ENV
    threads: of_job(amounts.arm_cores)
    resources:
        gpu=of_job(amounts.arm_gpus),
        nodes=1,
        mem_mb=growing(of_job(amounts.arm_memory)),
        disk_mb=disk("sample"),
        runtime=model_time("sample"),
    params:
        key=of_job(values.sample_key),
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        checkpoint=of_job(Study.checkpoint),
        engine=ENGINE,
        options=config["sampling"].get("options", {}),
        context=of_job(values.context),
        n=of_job(Study.samples),
        rows=config["sampling"]["rows"],
        sampling=of_job(Study.sampling),
        shard=lambda wildcards: int(wildcards.shard),
        shards=of_job(sizing.shards),
        disagreeing=False,
        stamp=stamp("sample", "scripts/sample.py"),
    script:
        "../scripts/sample.py"


use rule sample as resample with:
    """Further completions of an arm on those problems that only one of two arms solves, from their counts."""
    input:
        model=of_job(files.arm_model),
        prompts=of_job(files.arm_prompts),
        temperature=of_job(files.temperature_file),
        counts=of_job(files.disagreeing_counts),
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.parquet",
    log:
        f"{R}/logs/resample/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.log",
    resources:
        gpu=of_job(amounts.arm_gpus),
        nodes=1,
        mem_mb=growing(of_job(amounts.arm_memory)),
        disk_mb=disk("resample"),
        runtime=model_time("resample"),
    params:
        key=of_job(values.extra_key),
        condition=lambda wildcards: STUDY.arms[wildcards.arm].condition,
        checkpoint=of_job(Study.checkpoint),
        engine=ENGINE,
        options=config["sampling"].get("options", {}),
        context=of_job(values.context),
        n=config["sampling"]["extra"],
        rows=config["sampling"]["rows"],
        sampling=of_job(Study.sampling),
        shard=0,
        shards=1,
        disagreeing=True,
        stamp=stamp("resample", "scripts/sample.py"),


rule probe:
    """Completions of an arm under the study's other conditions, from its model, prompts and own answers."""
    input:
        model=of_job(files.arm_model),
        prompts=of_job(files.arm_prompts),
        problems=f"{R}/problems/{{benchmark}}.parquet",
        template=of_job(files.arm_template),
        temperature=of_job(files.temperature_file),
    output:
        f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/probes.parquet",
    log:
        f"{R}/logs/probe/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    conda:
        ENGINE_ENV
    threads: of_job(amounts.arm_cores)
    resources:
        gpu=of_job(amounts.arm_gpus),
        nodes=1,
        mem_mb=growing(of_job(amounts.arm_memory)),
        disk_mb=disk("probe"),
        runtime=model_time("probe"),
    params:
        key=of_job(values.sample_key),
        conditions=STUDY.probes,
        checkpoint=of_job(Study.checkpoint),
        grader=of_job(values.grader),
        engine=ENGINE,
        options=config["sampling"].get("options", {}),
        context=of_job(values.context),
        n=config["sampling"]["probes"]["n"],
        rows=config["sampling"]["rows"],
        sampling=of_job(Study.sampling),
        stamp=stamp("probe", "scripts/probe.py"),
    script:
        "../scripts/probe.py"
