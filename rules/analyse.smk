"""Tables: every statistic, with its interval."""


def cells(wildcards):
    """Return (arm, seed, benchmark) of each counts file among a table's inputs, in their order."""
    files = needs("tables", wildcards.table)
    inside = [Path(name).parts for name in files if f"{R}/counts/" in name]
    return [(p[-3], int(p[-2].removeprefix("seed-")), Path(p[-1]).stem) for p in inside]


rule table:
    input:
        lambda wildcards: needs("tables", wildcards.table),
    output:
        f"{R}/tables/{{table}}.csv",
    log:
        f"{R}/logs/table/{{table}}.log",
    benchmark:
        f"{R}/benchmarks/table/{{table}}.tsv"
    params:
        cells=cells,
        pairs=lambda wildcards: STUDY.artifacts["tables"][wildcards.table].get("pairs", []),
        seed=config["seed"],
        statistics=config["statistics"],
        study=lambda wildcards: STUDY.facts() if wildcards.table == "study" else {},
        stamp=stamp("scripts/table_{table}.py"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/table_{wildcards.table}.py"
