"""Verdicts on completions, and counts of verdicts."""


rule grade:
    """Verdicts on completions, one row each, from the completions and the problems."""
    input:
        samples=f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/{{piece}}.parquet",
        problems=f"{R}/problems/{{benchmark}}.parquet",
        prompts=of_job(files.arm_prompts),
        template=of_job(files.arm_template),
    output:
        f"{R}/verdicts/{{arm}}/seed-{{seed}}/{{benchmark}}/{{piece}}.parquet",
    log:
        f"{R}/logs/grade/{{arm}}/seed-{{seed}}/{{benchmark}}/{{piece}}.log",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(of_job(amounts.grading_memory)),
        runtime=growing(120),
    params:
        grader=of_job(values.grader),
        stamp=stamp("grade", "scripts/grade.py"),
    script:
        "../scripts/grade.py"


rule count:
    """Counts of verdicts by problem and condition, from all shards of an arm on a benchmark."""
    input:
        samples=of_job(files.arm_samples),
        verdicts=of_job(files.arm_verdicts),
    output:
        f"{R}/counts/{{arm}}/seed-{{seed}}/{{benchmark}}.parquet",
    log:
        f"{R}/logs/count/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        n=of_job(Study.samples),
        stamp=stamp("count", "scripts/count.py"),
    script:
        "../scripts/count.py"


use rule count as recount with:
    """Counts of verdicts on the further completions where two arms disagree."""
    input:
        samples=f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.parquet",
        verdicts=f"{R}/verdicts/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.parquet",
    output:
        f"{R}/counts/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.parquet",
    log:
        f"{R}/logs/recount/{{arm}}/seed-{{seed}}/{{benchmark}}/extra-{{other}}-{{other_seed}}.log",
    params:
        n=config["sampling"]["extra"],
        stamp=stamp("recount", "scripts/count.py"),


use rule count as count_probes with:
    """Counts of verdicts on an arm's completions under the study's other conditions."""
    input:
        samples=f"{R}/samples/{{arm}}/seed-{{seed}}/{{benchmark}}/probes.parquet",
        verdicts=f"{R}/verdicts/{{arm}}/seed-{{seed}}/{{benchmark}}/probes.parquet",
    output:
        f"{R}/counts/{{arm}}/seed-{{seed}}/{{benchmark}}/probes.parquet",
    log:
        f"{R}/logs/count_probes/{{arm}}/seed-{{seed}}/{{benchmark}}.log",
    params:
        n=config["sampling"]["probes"]["n"],
        stamp=stamp("count_probes", "scripts/count.py"),
