"""The paper: numbers by their ids, figures, and Typst to set them."""


rule numbers:
    input:
        table_files(),
    output:
        f"{R}/numbers.json",
    log:
        f"{R}/logs/numbers.log",
    benchmark:
        f"{R}/benchmarks/numbers.tsv"
    params:
        tables=STUDY.artifacts["tables"],
        stamp=stamp("scripts/numbers.py"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/numbers.py"


rule typeset:
    input:
        numbers=f"{R}/numbers.json",
        figures=expand(f"{F}/{{figure}}.svg", figure=STUDY.artifacts["figures"]),
        source=["paper/main.typ", "paper/style.typ", "paper/references.bib"],
    output:
        paper_pdf(),
    log:
        f"{R}/logs/typeset.log",
    benchmark:
        f"{R}/benchmarks/typeset.tsv"
    params:
        study=STUDY.name,
        stamp=stamp("scripts/typeset.py"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/paper.yaml"
    script:
        "../scripts/typeset.py"
