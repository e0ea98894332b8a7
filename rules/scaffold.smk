"""Prompts: every condition of every problem."""


rule scaffold:
    """Prompts of a benchmark, one for each condition, from its problems, a template and its annotations."""
    input:
        problems=f"{R}/problems/{{benchmark}}.parquet",
        template="config/templates/{template}.yaml",
        annotations=of_job(files.annotations),
    output:
        f"{R}/prompts/{{benchmark}}/{{template}}.parquet",
    log:
        f"{R}/logs/scaffold/{{benchmark}}/{{template}}.log",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        conditions=of_job(files.conditions),
        stamp=stamp("scaffold", "scripts/scaffold.py"),
    script:
        "../scripts/scaffold.py"
