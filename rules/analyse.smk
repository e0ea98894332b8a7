"""Tables: every statistic, with its interval."""


rule table:
    """A table with its intervals, from counts, scores, training logs or other tables."""
    input:
        lambda wildcards: needs("tables", wildcards.table),
    output:
        report(
            f"{R}/tables/{{table}}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        f"{R}/logs/table/{{table}}.log",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        analysis=analysis_of,
        title=lambda wildcards: artifact(wildcards)["title"],
        published=lambda wildcards: artifact(wildcards)["published"],
        sources=lambda wildcards: sources("tables", wildcards.table),
        pairs=lambda wildcards: STUDY.pairs_of(artifact(wildcards)),
        arms=lambda wildcards: arm_facts(artifact(wildcards)),
        facts=lambda wildcards: STUDY.facts() if wildcards.table == "study" else {},
        options=table_options,
        seed=config["seed"],
        statistics=config["statistics"],
        stamp=stamp(
            "table", "scripts/table.py", "scripts/anatomy/analyses/{analysis}.py"
        ),
    script:
        "../scripts/table.py"
