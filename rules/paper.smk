"""The paper: numbers by their ids, figures, and Typst to set them."""


rule collect_numbers:
    """Every number that may be reported, by its id, from the tables; as JSON and as LaTeX macros."""
    input:
        table_files(),
    output:
        f"{R}/numbers.json",
        f"paper/{STUDY.name}-numbers.tex",
    log:
        f"{R}/logs/collect_numbers.log",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        tables=STUDY.artifacts["tables"],
        stamp=stamp("collect_numbers", "scripts/collect_numbers.py"),
    script:
        "../scripts/collect_numbers.py"


rule typeset:
    """The paper and where in it each number stands, from the numbers, the figures and the paper's source."""
    input:
        numbers=f"{R}/numbers.json",
        ledger=f"{R}/ledger.json",
        figures=figure_files("svg"),
        source=["paper/main.typ", "paper/style.typ", "paper/references.bib"],
    output:
        paper_pdf(),
        paper_places(),
    log:
        f"{R}/logs/typeset.log",
    conda:
        "../envs/paper.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        study=STUDY.name,
        site=config.get("audit", {}).get("url") or f"../{R}/audit/",
        stamp=stamp("typeset", "scripts/typeset.py"),
    script:
        "../scripts/typeset.py"
