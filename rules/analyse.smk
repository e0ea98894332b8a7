"""Tables: every statistic, with its interval."""


rule table:
    input:
        lambda wildcards: needs("tables", wildcards.table),
    output:
        f"{R}/tables/{{table}}.csv",
    log:
        f"{R}/logs/table/{{table}}.log",
    benchmark:
        f"{R}/benchmarks/table/{{table}}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        cells=cells,
        pairs=lambda wildcards: STUDY.pairs_of(
            STUDY.artifacts["tables"][wildcards.table]
        ),
        seed=config["seed"],
        statistics=config["statistics"],
        study=lambda wildcards: STUDY.facts() if wildcards.table == "study" else {},
        stamp=stamp("table", "scripts/table_{table}.py"),
    script:
        "../scripts/table_{wildcards.table}.py"
