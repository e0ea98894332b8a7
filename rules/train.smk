"""Models: base models from scratch, and reinforcement learning from them."""


def pretraining(wildcards):
    model = STUDY.models[wildcards.model]
    preset = config["presets"]["pretraining"][model.preset]
    return {**preset, "steps": model.steps}


def run_row(wildcards):
    return STUDY.runs[wildcards.run]


def start_folder(wildcards):
    start = run_row(wildcards).start
    return models_folder(start, STUDY.models[start].seed)


def reinforcement(wildcards):
    run = run_row(wildcards)
    return {**config["presets"]["reinforcement"][run.preset], "steps": run.steps}


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
    params:
        name=lambda wildcards: wildcards.model,
        seed=lambda wildcards: int(wildcards.seed),
        study_seed=config["seed"],
        steps=config["world"]["steps"],
        mixture=config["world"]["mixture"],
        config=pretraining,
        work=f"{R}/work/{{model}}/seed-{{seed}}",
        stamp=stamp("scripts/pretrain.py"),
    threads: 2
    resources:
        mem_mb=3000,
        runtime=60,
    conda:
        "../envs/train.yaml"
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
    params:
        run=lambda wildcards: wildcards.run,
        seed=lambda wildcards: int(wildcards.seed),
        start_step=lambda wildcards: STUDY.last_step(run_row(wildcards).start),
        grader=lambda wildcards: STUDY.benchmarks[run_row(wildcards).benchmark].grader,
        exports=lambda wildcards: STUDY.exports(wildcards.run),
        config=reinforcement,
        work=f"{R}/work/{{run}}/seed-{{seed}}",
        stamp=stamp("scripts/train.py"),
    threads: 1
    priority: 10  # the longest jobs first, so that sampling fills the other cores
    resources:
        mem_mb=3000,
        runtime=120,
    conda:
        "../envs/train.yaml"
    script:
        "../scripts/train.py"
