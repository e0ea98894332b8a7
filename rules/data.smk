"""Problems: the world's splits, and real test sets."""


def benchmark_row(wildcards):
    return STUDY.benchmarks[wildcards.benchmark]


def local_file(wildcards):
    folder = config.get("benchmarks_folder")
    return f"{folder}/{wildcards.benchmark}/test.jsonl" if folder else []


WORLD = [b.benchmark for b in STUDY.benchmarks.values() if b.source == "world"]


rule world:
    output:
        f"{R}/problems/{{benchmark}}.parquet",
    log:
        f"{R}/logs/world/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/world/{{benchmark}}.tsv"
    wildcard_constraints:
        benchmark="|".join(WORLD) or "none",
    params:
        seed=config["seed"],
        benchmark=lambda wildcards: wildcards.benchmark,
        problems=lambda wildcards: benchmark_row(wildcards).problems,
        steps=lambda wildcards: list(benchmark_row(wildcards).splits_steps),
        domains=lambda wildcards: list(benchmark_row(wildcards).splits_domains),
        side=lambda wildcards: benchmark_row(wildcards).side,
        stamp=stamp("scripts/world.py"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/world.py"


rule benchmark:
    input:
        local_file,
    output:
        f"{R}/problems/{{benchmark}}.parquet",
    log:
        f"{R}/logs/benchmark/{{benchmark}}.log",
    benchmark:
        f"{R}/benchmarks/benchmark/{{benchmark}}.tsv"
    wildcard_constraints:
        benchmark="|".join(STUDY.real) or "none",
    params:
        benchmark=lambda wildcards: wildcards.benchmark,
        sha256=lambda wildcards: benchmark_row(wildcards).sha256,
        hub=lambda wildcards: {
            "id": benchmark_row(wildcards).hub_id,
            "config": benchmark_row(wildcards).hub_config,
            "split": benchmark_row(wildcards).hub_split,
            "revision": benchmark_row(wildcards).revision,
        },
        fields=lambda wildcards: {
            name: getattr(benchmark_row(wildcards), name)
            for name in (
                "question",
                "answer",
                "answer_from",
                "solution",
                "id",
                "difficulty",
                "domain",
            )
        },
        stamp=stamp("scripts/benchmark.py"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/benchmark.py"
