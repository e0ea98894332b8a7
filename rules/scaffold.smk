"""Prompts: every condition of every problem."""


rule scaffold:
    input:
        problems=f"{R}/problems/{{benchmark}}.parquet",
        template=arm_template,
    output:
        f"{R}/prompts/{{benchmark}}.parquet",
    log:
        f"{R}/logs/scaffold/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/scaffold/{{benchmark}}.tsv"
    params:
        conditions=conditions,
        stamp=stamp("scripts/scaffold.py"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/scaffold.py"
