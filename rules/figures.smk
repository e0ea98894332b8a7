"""Figures: they draw tables and compute nothing."""


rule figure:
    """A figure as pdf, svg and png, drawn from its tables."""
    input:
        lambda wildcards: needs("figures", wildcards.figure),
    output:
        f"{F}/{{figure}}.pdf",
        report(
            f"{F}/{{figure}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        f"{F}/{{figure}}.png",
    log:
        f"{R}/logs/figure/{{figure}}.log",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        draws=drawn_by,
        title=lambda wildcards: STUDY.artifacts["figures"][wildcards.figure]["title"],
        published=lambda wildcards: STUDY.artifacts["figures"][wildcards.figure][
            "published"
        ],
        arms=lambda wildcards: {
            arm: STUDY.arms[arm].label
            for arm in STUDY.arms_of(STUDY.artifacts["figures"][wildcards.figure])
        },
        overlay=lambda wildcards: overlay_of(wildcards.figure),
        options=lambda wildcards: STUDY.artifacts["figures"][wildcards.figure].get(
            "options", {}
        ),
        stamp=stamp("figure", "scripts/figure_{draws}.py"),
    script:
        "../scripts/figure_{params.draws}.py"
