"""Tables: every statistic, with its interval."""


rule table:
    """A table with its intervals, from counts, scores, training logs or other tables."""
    input:
        of_job(sources.table_files),
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
        analysis=of_job(values.analysis),
        title=lambda wildcards: STUDY.artifacts["tables"][wildcards.table]["title"],
        published=lambda wildcards: STUDY.artifacts["tables"][wildcards.table][
            "published"
        ],
        sources=of_job(sources.of_table),
        pairs=of_job(values.table_pairs),
        arms=of_job(values.table_arms),
        facts=of_job(values.study_facts),
        options=of_job(values.table_options),
        seed=config["seed"],
        statistics=config["statistics"],
        stamp=stamp(
            "table", "scripts/table.py", "scripts/anatomy/analyses/{analysis}.py"
        ),
    script:
        "../scripts/table.py"
