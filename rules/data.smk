"""Problems: the world's splits, real test sets, and annotations of these."""


rule world:
    """Problems of the embedded world: drawn, or a part of another split, such as those that an arm never solves."""
    input:
        unpack(of_job(files.parts_of)),
    output:
        f"{R}/problems/{{benchmark}}.parquet",
    log:
        f"{R}/logs/world/{{benchmark}}.log",
    wildcard_constraints:
        benchmark=benchmarks_from("world"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        seed=config["seed"],
        benchmark=lambda wildcards: wildcards.benchmark,
        problems=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].problems,
        steps=lambda wildcards: list(STUDY.benchmarks[wildcards.benchmark].splits_steps),
        domains=lambda wildcards: list(
            STUDY.benchmarks[wildcards.benchmark].splits_domains
        ),
        side=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].side,
        stamp=stamp("world", "scripts/world.py"),
    script:
        "../scripts/world.py"


rule tasks:
    """Programming tasks of the embedded world, drawn."""
    output:
        f"{R}/problems/{{benchmark}}.parquet",
    log:
        f"{R}/logs/tasks/{{benchmark}}.log",
    wildcard_constraints:
        benchmark=benchmarks_from("tasks"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        seed=config["seed"],
        benchmark=lambda wildcards: wildcards.benchmark,
        problems=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].problems,
        statements=lambda wildcards: list(
            STUDY.benchmarks[wildcards.benchmark].splits_steps
        ),
        side=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].side,
        stamp=stamp("tasks", "scripts/tasks.py"),
    script:
        "../scripts/tasks.py"


rule benchmark:
    """Problems of a real test set, from the publisher's file."""
    input:
        of_job(files.local_file),
    output:
        f"{R}/problems/{{benchmark}}.parquet",
    log:
        f"{R}/logs/benchmark/{{benchmark}}.log",
    wildcard_constraints:
        benchmark=benchmarks_from("hub"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(60),
    params:
        benchmark=lambda wildcards: wildcards.benchmark,
        sha256=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].sha256,
        fields=of_job(values.field_names),
        stamp=stamp("benchmark", "scripts/benchmark.py"),
    script:
        "../scripts/benchmark.py"


rule split:
    """Problems of one side of another benchmark."""
    input:
        of_job(files.whole_problems),
    output:
        f"{R}/problems/{{benchmark}}.parquet",
    log:
        f"{R}/logs/split/{{benchmark}}.log",
    wildcard_constraints:
        benchmark=benchmarks_from("split"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        seed=config["seed"],
        benchmark=lambda wildcards: wildcards.benchmark,
        taken_from=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].taken_from,
        problems=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].problems,
        side=lambda wildcards: STUDY.benchmarks[wildcards.benchmark].side,
        stamp=stamp("split", "scripts/split.py"),
    script:
        "../scripts/split.py"


rule annotate:
    """Plans, knowledge and chains of subproblems of a real test set, by people and a language model."""
    input:
        problems=f"{R}/problems/{{benchmark}}.parquet",
        given=of_job(files.written_annotations),
    output:
        annotations=f"{R}/annotations/{{benchmark}}.parquet",
        summary=f"{R}/annotations/{{benchmark}}.json",
    log:
        f"{R}/logs/annotate/{{benchmark}}.log",
    wildcard_constraints:
        benchmark=benchmarks_from("hub"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(720),
    params:
        endpoint=config["annotations"]["endpoint"],
        # Every response is kept here; no output, so that an interrupted job goes on from it.
        cache=f"{R}/annotations/responses",
        stamp=stamp("annotate", "scripts/annotate.py"),
    script:
        "../scripts/annotate.py"
