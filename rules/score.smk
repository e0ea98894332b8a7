"""Likelihood of completions, and of reference solutions, under a model."""


rule score:
    """How likely a model finds an arm's completions, or the reference solutions, token by token."""
    input:
        model=lambda wildcards: models_folder(scorer_model(wildcards), wildcards.seed),
        prompts=scored_prompts,
        problems=f"{R}/problems/{{benchmark}}.parquet",
        texts=scored_texts,
    output:
        f"{R}/scores/{{scorer}}/seed-{{seed}}/{{text}}/seed-{{text_seed}}/{{benchmark}}.parquet",
    log:
        f"{R}/logs/score/{{scorer}}/seed-{{seed}}/{{text}}/seed-{{text_seed}}/{{benchmark}}.log",
    conda:
        "../envs/train.yaml"
    threads: cores(scorer_gpus)
    resources:
        gpu=scorer_gpus,
        nodes=1,
        mem_mb=holding(scorer_model),
        runtime=model_time("score"),
    params:
        checkpoint=lambda wildcards: STUDY.checkpoint(wildcards.scorer),
        condition=text_condition,
        samples=config["sampling"]["scored"],
        gold=lambda wildcards: wildcards.text == "gold",
        stamp=stamp("score", "scripts/score.py"),
    script:
        "../scripts/score.py"
