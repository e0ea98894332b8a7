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
        downloads=lambda wildcards: still_to_download(),
        models=[
            (row.model, row.billions, row.gpus)
            for row in STUDY.models.values()
            if row.billions
        ],
        programs=has_programs(),
        gpu=gpu_of_study(),
        folder="results",
        bytes=lambda wildcards: planning.results_bytes(STUDY),
        slurm=lambda wildcards: workflow.non_local_exec,
        site="slurm/config.yaml",
        requests=lambda wildcards: largest_jobs(),
    script:
        "../scripts/check.py"
