"""rlvr-anatomy: two studies of what RL with verifiable rewards changes in a model's reasoning."""

from snakemake.utils import min_version

min_version("9.0")


# A study's configuration stands for itself: nothing of another one is mixed in.
if not workflow.overwrite_configfiles:

    configfile: "config/embedded.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/start.smk"
include: "rules/check.smk"
include: "rules/download.smk"
include: "rules/data.smk"
include: "rules/scaffold.smk"
include: "rules/train.smk"
include: "rules/sample.smk"
include: "rules/grade.smk"
include: "rules/score.smk"
include: "rules/analyse.smk"
include: "rules/figures.smk"
include: "rules/paper.smk"
include: "rules/audit.smk"


localrules:
    all,
    figures,
    tables,
    published,
    paper,
    audit,
    benchmarks,


rule all:
    """Paper, audit site, and every table and figure of the study: what `make study` builds."""
    default_target: True
    input:
        paper_pdf(),
        figure_files(),
        table_files(),
        f"{R}/audit",
        files.real_prompts(STUDY) if config.get("real_benchmarks") else [],


rule figures:
    """Every figure of the study, as pdf, svg and png."""
    input:
        figure_files(),


rule tables:
    """Every table of the study."""
    input:
        table_files(),


rule published:
    """Tables and figures of the published record alone: no model, no samples."""
    input:
        sources.record_files(STUDY),


rule paper:
    """The study's paper, as pdf."""
    input:
        paper_pdf(),


rule audit:
    """The audit site, on which each reported number shows where it comes from."""
    input:
        f"{R}/audit",


rule benchmarks:
    """Problems and prompts of the real test sets."""
    input:
        files.real_prompts(STUDY),
