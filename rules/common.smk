"""The validated study, and what the rules of several files take from it."""

import inspect
import os
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from anatomy.algorithms import registry
from anatomy.errors import AnatomyError
from anatomy.planning import sizing, work
from anatomy.study import validation, without_programs
from anatomy.study.study import Study
from anatomy.workflow import code_digest, files, sources
from anatomy.workflow import params as values
from anatomy.workflow import resources as amounts
import _patches

_patches.apply()
code_digest.remember(Path(".snakemake/code.json"))
# A waiting thread must not take the core of the job beside it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Statistics multiply small matrices: threads would only wait for those of the job beside it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    STUDY = validation.load(
        config, ROOT, ", ".join(map(str, workflow.configfiles)) or "config"
    )
except AnatomyError as error:
    raise SystemExit(f"error: {error}")
if not config.get("programs", True):
    STUDY = without_programs.programs(STUDY)

R = files.results(STUDY)
F = f"figures/{STUDY.name}"
# The files that the settings were read from, relative to the repository where they lie in it.
CONFIGFILES = [files.named(ROOT, path) for path in map(str, workflow.configfiles)]
ENGINE = config["sampling"]["engine"]
# The environment of jobs that sample; what only loads a model is done with transformers in any study.
ENGINE_ENV = "../envs/vllm.yaml" if ENGINE == "vllm" else "../envs/train.yaml"


wildcard_constraints:
    benchmark="|".join(STUDY.benchmarks),
    template="|".join(path.stem for path in (ROOT / "config/templates").glob("*.yaml")),
    arm="|".join(STUDY.arms),
    model="|".join([*STUDY.models, *STUDY.runs]),
    run="|".join(STUDY.runs) or "none",
    table="|".join(STUDY.artifacts["tables"]),
    figure="|".join(STUDY.artifacts["figures"]),
    other="|".join(STUDY.arms),
    scorer="|".join(STUDY.arms),
    text="|".join([*STUDY.arms, "gold"]),
    seed=r"\d+",
    other_seed=r"\d+",
    text_seed=r"\d+",
    shard=r"\d{3}",
    piece=r"shard-\d{3}|extra-.+-\d+|probes",


def models_from(source):
    """Return a constraint on wildcards: the models of a source."""
    named = [model.model for model in STUDY.models.values() if model.source == source]
    return "|".join(named) or "none"


def benchmarks_from(source):
    """Return a constraint on wildcards: the benchmarks of a source."""
    named = [row.benchmark for row in STUDY.benchmarks.values() if row.source == source]
    return "|".join(named) or "none"


def runs_that(reinforced):
    """Return a constraint on wildcards: the runs of reinforcement learning, or the others."""
    named = [run for run in STUDY.runs if STUDY.reinforced(run) == reinforced]
    return "|".join(named) or "none"


def of_job(function, **names):
    """Return an input, params or resource function: a function of the study and of a job's wildcards.

    ``function`` takes the study first; its other parameters are called as the wildcards that they are given, or
    ``names`` says which wildcard each of them is given.
    """
    _, *parameters = inspect.signature(function).parameters

    def of(wildcards):
        given = {name: wildcards[names.get(name, name)] for name in parameters}
        return function(STUDY, **given)

    return of


def stamp(rule, *scripts):
    """Return a params function: a digest of all that a job's result depends on besides its own params.

    That is the content of its inputs and the code that its scripts can reach; never a file's time, a commit
    or a file that the job does not use. Snakemake runs a job again when a param has changed; it does not
    compare params that take ``input``, so the rule's inputs are looked up here.
    """

    def digest(wildcards):
        named = dict(wildcards)
        if "table" in named:
            analysis = values.analysis(STUDY, wildcards.table)
            named["analysis"] = analysis.replace(".", "/")
        if "figure" in named:
            draws = values.drawn_by(STUDY, wildcards.figure)
            named["draws"] = draws.replace(".", "/")
        if "run" in named:
            algorithm = STUDY.runs[wildcards.run].algorithm
            named["algorithm"] = registry.module_name(algorithm)
        inputs = workflow.get_rule(rule).expand_input(named)[0]
        return code_digest.stamp(
            [ROOT / script.format(**named) for script in scripts],
            [Path(str(name)) for name in inputs],
        )

    return digest


def table_files():
    return expand(f"{R}/tables/{{table}}.csv", table=STUDY.artifacts["tables"])


def figure_files(*suffixes):
    return expand(
        f"{F}/{{figure}}.{{suffix}}",
        figure=STUDY.artifacts["figures"],
        suffix=suffixes or ["pdf", "svg", "png"],
    )


def paper_pdf():
    """Return the study's paper, if it has one."""
    return f"paper/{STUDY.name}.pdf" if config.get("paper") else []


def paper_places():
    """Return the file that tells where in the study's paper each number stands, if it has one."""
    return f"{R}/places.json" if config.get("paper") else []


# What a job asks for: more memory and time with each attempt.


def growing(amount):
    """Return a resource function: an amount, or what a function of the wildcards returns, times the attempt."""

    def of(wildcards, attempt):
        return attempt * (amount(wildcards) if callable(amount) else amount)

    return of


def model_time(rule):
    """Return a resource function: minutes for a job with a model."""
    return growing(lambda wildcards: work.job_minutes(STUDY, rule, dict(wildcards)))


def disk(rule):
    """Return a resource function: MB that a job with a model writes, what it needs while it runs included."""
    return lambda wildcards: work.disk_mb(STUDY, rule, dict(wildcards))
