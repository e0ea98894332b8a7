"""Prompts: every condition of every problem."""


rule scaffold:
    input:
        problems=f"{R}/problems/{{benchmark}}.parquet",
        template=arm_template,
        annotations=annotations,
    output:
        f"{R}/prompts/{{benchmark}}.parquet",
    log:
        f"{R}/logs/scaffold/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/scaffold/{{benchmark}}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        conditions=conditions,
        stamp=stamp("scaffold", "scripts/scaffold.py"),
    script:
        "../scripts/scaffold.py"
