"""Models: from scratch, distilled from a teacher, and reinforcement learning from a start model."""


rule pretrain:
    """A base model from scratch, trained on documents drawn from the embedded world."""
    output:
        model=directory(f"{R}/models/{{model}}/seed-{{seed}}"),
        log=f"{R}/training/{{model}}/seed-{{seed}}.parquet",
    log:
        f"{R}/logs/pretrain/{{model}}/seed-{{seed}}.log",
    wildcard_constraints:
        model=models_from("pretrain"),
    priority: 20
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        name=lambda wildcards: wildcards.model,
        seed=lambda wildcards: int(wildcards.seed),
        study_seed=config["seed"],
        steps=config.get("world", {}).get("steps"),
        mixture=lambda wildcards: supervised_preset(wildcards)["mixture"],
        shape=shape,
        config=supervised,
        work=f"{R}/work/{{model}}/seed-{{seed}}",
        stamp=stamp("pretrain", "scripts/pretrain.py"),
    script:
        "../scripts/pretrain.py"


rule distill:
    """A student: the start model fine-tuned on the right completions of a teacher."""
    input:
        start=start_folder,
        prompts=distilled_prompts,
        samples=taught("samples"),
        verdicts=taught("verdicts"),
    output:
        model=directory(f"{R}/models/{{model}}/seed-{{seed}}"),
        log=f"{R}/training/{{model}}/seed-{{seed}}.parquet",
    log:
        f"{R}/logs/distill/{{model}}/seed-{{seed}}.log",
    wildcard_constraints:
        model=models_from("distill"),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        name=lambda wildcards: wildcards.model,
        seed=lambda wildcards: int(wildcards.seed),
        start_checkpoint=lambda wildcards: checkpoint_of(model_row(wildcards).start),
        config=supervised,
        work=f"{R}/work/{{model}}/seed-{{seed}}",
        stamp=stamp("distill", "scripts/distill.py"),
    script:
        "../scripts/distill.py"


rule train:
    """Models of a run of reinforcement learning, from its start model, problems and prompts."""
    input:
        start=start_folder,
        problems=lambda wildcards: f"{R}/problems/{run_row(wildcards).benchmark}.parquet",
        prompts=run_prompts,
        template=run_template,
        failed=failed_counts,
    output:
        model=directory(f"{R}/models/{{run}}/seed-{{seed}}"),
        log=f"{R}/training/{{run}}/seed-{{seed}}.parquet",
    log:
        f"{R}/logs/train/{{run}}/seed-{{seed}}.log",
    wildcard_constraints:
        run=runs_that(reinforced=True),
    priority: 10  # the longest jobs first, so that sampling fills the other cores
    conda:
        ENGINE_ENV
    threads: cores(run_gpus_of_node)
    resources:
        gpu=run_gpus,
        nodes=run_nodes,
        mpi=without_step,
        mem_mb=training_memory,
        disk_mb=disk("train"),
        runtime=training_time,
    params:
        run=lambda wildcards: wildcards.run,
        seed=lambda wildcards: int(wildcards.seed),
        start_checkpoint=lambda wildcards: checkpoint_of(run_row(wildcards).start),
        grader=lambda wildcards: STUDY.benchmarks[run_row(wildcards).benchmark].grader,
        reward=lambda wildcards: config["presets"]["reinforcement"][
            run_row(wildcards).preset
        ].get("reward", "outcome"),
        conditions=run_conditions,
        easier=lambda wildcards: run_row(wildcards).easier,
        exports=lambda wildcards: STUDY.exports(wildcards.run),
        tokens=lambda wildcards: run_row(wildcards).tokens,
        config=reinforcement,
        work=f"{R}/work/{{run}}/seed-{{seed}}",
        stamp=stamp(
            "train", "scripts/train.py", "scripts/anatomy/algorithms/{algorithm}.py"
        ),
    script:
        "../scripts/train.py"


rule finetune:
    """Models of a supervised run, from its start model and the reference solutions of its problems."""
    input:
        start=start_folder,
        problems=lambda wildcards: f"{R}/problems/{run_row(wildcards).benchmark}.parquet",
        prompts=run_prompts,
        failed=failed_counts,
    output:
        model=directory(f"{R}/models/{{run}}/seed-{{seed}}"),
        log=f"{R}/training/{{run}}/seed-{{seed}}.parquet",
    log:
        f"{R}/logs/finetune/{{run}}/seed-{{seed}}.log",
    wildcard_constraints:
        run=runs_that(reinforced=False),
    priority: 10
    conda:
        "../envs/train.yaml"
    threads: cores(run_gpus_of_node)
    resources:
        gpu=run_gpus,
        nodes=run_nodes,
        mpi=without_step,
        mem_mb=training_memory,
        disk_mb=disk("finetune"),
        runtime=training_time,
    params:
        run=lambda wildcards: wildcards.run,
        seed=lambda wildcards: int(wildcards.seed),
        start_checkpoint=lambda wildcards: checkpoint_of(run_row(wildcards).start),
        easier=lambda wildcards: run_row(wildcards).easier,
        config=lambda wildcards: optimisation(run_row(wildcards)),
        work=f"{R}/work/{{run}}/seed-{{seed}}",
        stamp=stamp("finetune", "scripts/finetune.py"),
    script:
        "../scripts/finetune.py"
