"""Figures: they draw tables and compute nothing."""


rule figure:
    """A figure as pdf, svg and png, drawn from its tables."""
    input:
        of_job(sources.figure_files),
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
        draws=of_job(values.drawn_by),
        title=lambda wildcards: STUDY.artifacts["figures"][wildcards.figure]["title"],
        published=lambda wildcards: STUDY.artifacts["figures"][wildcards.figure][
            "published"
        ],
        arms=of_job(values.figure_arms),
        overlay=of_job(sources.overlay),
        options=of_job(values.figure_options),
        stamp=stamp("figure", "scripts/figure.py", "scripts/anatomy/figures/{draws}.py"),
    script:
        "../scripts/figure.py"
