"""Models: base models from scratch, and reinforcement learning from them."""


rule pretrain:
    output:
        model=directory(f"{R}/models/{{model}}/seed-{{seed}}"),
        log=f"{R}/training/{{model}}/seed-{{seed}}.parquet",
    log:
        f"{R}/logs/pretrain/{{model}}/seed-{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/pretrain/{{model}}/seed-{{seed}}.tsv"
    wildcard_constraints:
        model="|".join(STUDY.models) or "none",
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        name=lambda wildcards: wildcards.model,
        seed=lambda wildcards: int(wildcards.seed),
        study_seed=config["seed"],
        steps=config["world"]["steps"],
        mixture=config["world"]["mixture"],
        config=pretraining,
        work=f"{R}/work/{{model}}/seed-{{seed}}",
        stamp=stamp("pretrain", "scripts/pretrain.py"),
    script:
        "../scripts/pretrain.py"


rule train:
    input:
        start=start_folder,
        problems=lambda wildcards: f"{R}/problems/{run_row(wildcards).benchmark}.parquet",
        prompts=lambda wildcards: f"{R}/prompts/{run_row(wildcards).benchmark}.parquet",
    output:
        model=directory(f"{R}/models/{{run}}/seed-{{seed}}"),
        log=f"{R}/training/{{run}}/seed-{{seed}}.parquet",
    log:
        f"{R}/logs/train/{{run}}/seed-{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/train/{{run}}/seed-{{seed}}.tsv"
    priority: 10  # the longest jobs first, so that sampling fills the other cores
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        run=lambda wildcards: wildcards.run,
        seed=lambda wildcards: int(wildcards.seed),
        start_step=lambda wildcards: STUDY.last_step(run_row(wildcards).start),
        grader=lambda wildcards: STUDY.benchmarks[run_row(wildcards).benchmark].grader,
        exports=lambda wildcards: STUDY.exports(wildcards.run),
        config=reinforcement,
        work=f"{R}/work/{{run}}/seed-{{seed}}",
        stamp=stamp("train", "scripts/train.py"),
    script:
        "../scripts/train.py"
