"""The ledger of all records, and the site that shows where each reported number comes from."""


rule ledger:
    """The ledger: the records of all jobs behind tables, figures and numbers, chained under one root."""
    input:
        table_files(),
        figure_files(),
        numbers=f"{R}/numbers.json",
    output:
        f"{R}/ledger.json",
    log:
        f"{R}/logs/ledger.log",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        study=STUDY.name,
        config=config,
        configfiles=CONFIGFILES,
        overrides=dict(workflow.config_settings.config or {}),
        workflow=files.of_workflow(STUDY, ROOT, CONFIGFILES),
        stamp=stamp("ledger", "scripts/ledger.py"),
    script:
        "../scripts/ledger.py"


rule audit_site:
    """The audit site's pages, from the ledger, the numbers, tables, figures and the paper."""
    input:
        table_files(),
        figure_files("svg"),
        paper_pdf(),
        paper_places(),
        files.site_templates(ROOT),
        numbers=f"{R}/numbers.json",
        ledger=f"{R}/ledger.json",
    output:
        directory(f"{R}/audit"),
    log:
        f"{R}/logs/audit_site.log",
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        study=STUDY.name,
        artifacts=STUDY.artifacts,
        claims=STUDY.claims,
        completions=config.get("audit", {}).get("completions"),
        stamp=stamp("audit_site", "scripts/audit_site.py"),
    script:
        "../scripts/audit_site.py"
