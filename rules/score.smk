"""Likelihood of completions, and of reference solutions, under a model."""


rule score:
    """How likely a model finds an arm's completions, or the reference solutions, token by token."""
    input:
        model=of_job(files.arm_model, arm="scorer"),
        prompts=of_job(files.scored_prompts),
        problems=f"{R}/problems/{{benchmark}}.parquet",
        texts=of_job(files.scored_texts),
    output:
        f"{R}/scores/{{scorer}}/seed-{{seed}}/{{text}}/seed-{{text_seed}}/{{benchmark}}.parquet",
    log:
        f"{R}/logs/score/{{scorer}}/seed-{{seed}}/{{text}}/seed-{{text_seed}}/{{benchmark}}.log",
    conda:
        "../envs/train.yaml"
    threads: of_job(amounts.arm_cores, arm="scorer")
    resources:
        gpu=of_job(amounts.arm_gpus, arm="scorer"),
        nodes=1,
        mem_mb=growing(of_job(amounts.arm_memory, arm="scorer")),
        runtime=model_time("score"),
    params:
        checkpoint=of_job(Study.checkpoint, arm="scorer"),
        condition=of_job(values.text_condition),
        samples=config["sampling"]["scored"],
        gold=lambda wildcards: wildcards.text == "gold",
        stamp=stamp("score", "scripts/score.py"),
    script:
        "../scripts/score.py"
