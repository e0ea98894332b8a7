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
        mem_mb=1000,
        runtime=10,
    params:
        arms=lambda wildcards: {
            arm: STUDY.arms[arm].label
            for arm in STUDY.arms_of(STUDY.artifacts["figures"][wildcards.figure])
        },
        stamp=stamp("figure", "scripts/figure_{figure}.py"),
    script:
        "../scripts/figure_{wildcards.figure}.py"
