"""What would go wrong, found before anything runs: `snakemake --profile slurm check`."""


localrules:
    check,


rule check:
    """No file: says what would go wrong on this machine or cluster, before anything runs."""
    log:
        f"{R}/logs/check.log",
    retries: 0  # it prints what it found once
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        downloads=lambda wildcards: files.downloads(STUDY),
        models=[
            (row.model, row.billions, row.gpus)
            for row in STUDY.models.values()
            if row.billions
        ],
        programs=values.has_programs(STUDY),
        gpu=amounts.gpu(STUDY),
        folder="results",
        bytes=lambda wildcards: work.results_bytes(STUDY),
        slurm=lambda wildcards: workflow.non_local_exec,
        site="slurm/config.yaml",
        requests=lambda wildcards: amounts.largest_jobs(STUDY),
    script:
        "../scripts/check.py"
