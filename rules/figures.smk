"""Figures: they draw tables and compute nothing."""


rule figure:
    input:
        lambda wildcards: needs("figures", wildcards.figure),
    output:
        multiext(f"{F}/{{figure}}", ".pdf", ".svg", ".png"),
    log:
        f"{R}/logs/figure/{{figure}}.log",
    benchmark:
        f"{R}/benchmarks/figure/{{figure}}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        draws=drawn_by,
        arms=lambda wildcards: {
            arm: STUDY.arms[arm].label
            for arm in STUDY.arms_of(STUDY.artifacts["figures"][wildcards.figure])
        },
        stamp=stamp("figure", "scripts/figure_{draws}.py"),
    script:
        "../scripts/figure_{params.draws}.py"
