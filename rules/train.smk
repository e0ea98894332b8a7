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
        mixture=of_job(values.mixture),
        shape=of_job(values.shape),
        config=of_job(values.supervised),
        work=f"{R}/work/{{model}}/seed-{{seed}}",
        stamp=stamp("pretrain", "scripts/pretrain.py"),
    script:
        "../scripts/pretrain.py"


rule distill:
    """A student: the start model fine-tuned on the right completions of a teacher."""
    input:
        start=of_job(files.start_folder),
        prompts=of_job(files.student_prompts),
        samples=of_job(files.teacher_samples),
        verdicts=of_job(files.teacher_verdicts),
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
        start_checkpoint=of_job(values.start_checkpoint),
        config=of_job(values.supervised),
        work=f"{R}/work/{{model}}/seed-{{seed}}",
        stamp=stamp("distill", "scripts/distill.py"),
    script:
        "../scripts/distill.py"


rule train:
    """Models of a run of reinforcement learning, from its start model, problems and prompts."""
    input:
        start=of_job(files.start_folder, model="run"),
        problems=of_job(files.run_problems),
        prompts=of_job(files.run_prompts),
        template=of_job(files.run_template),
        failed=of_job(files.failed_counts),
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
    threads: of_job(amounts.run_cores)
    resources:
        gpu=of_job(amounts.run_gpus),
        nodes=of_job(amounts.run_nodes),
        mpi=of_job(amounts.run_own_steps),
        mem_mb=growing(of_job(sizing.training_memory)),
        disk_mb=disk("train"),
        runtime=growing(of_job(work.training_minutes)),
    params:
        run=lambda wildcards: wildcards.run,
        seed=lambda wildcards: int(wildcards.seed),
        start_checkpoint=of_job(values.start_checkpoint, model="run"),
        grader=of_job(values.run_grader),
        reward=of_job(values.reward),
        conditions=of_job(values.run_conditions),
        easier=lambda wildcards: STUDY.runs[wildcards.run].easier,
        exports=of_job(Study.exports),
        tokens=lambda wildcards: STUDY.runs[wildcards.run].tokens,
        config=of_job(values.reinforcement),
        work=f"{R}/work/{{run}}/seed-{{seed}}",
        stamp=stamp(
            "train", "scripts/train.py", "scripts/anatomy/algorithms/{algorithm}.py"
        ),
    script:
        "../scripts/train.py"


rule finetune:
    """Models of a supervised run, from its start model and the reference solutions of its problems."""
    input:
        start=of_job(files.start_folder, model="run"),
        problems=of_job(files.run_problems),
        prompts=of_job(files.run_prompts),
        failed=of_job(files.failed_counts),
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
    threads: of_job(amounts.run_cores)
    resources:
        gpu=of_job(amounts.run_gpus),
        nodes=of_job(amounts.run_nodes),
        mpi=of_job(amounts.run_own_steps),
        mem_mb=growing(of_job(sizing.training_memory)),
        disk_mb=disk("finetune"),
        runtime=growing(of_job(work.training_minutes)),
    params:
        run=lambda wildcards: wildcards.run,
        seed=lambda wildcards: int(wildcards.seed),
        start_checkpoint=of_job(values.start_checkpoint, model="run"),
        easier=lambda wildcards: STUDY.runs[wildcards.run].easier,
        config=of_job(values.finetuning),
        work=f"{R}/work/{{run}}/seed-{{seed}}",
        stamp=stamp("finetune", "scripts/finetune.py"),
    script:
        "../scripts/finetune.py"
