"""The validated study, and the functions that give rules their inputs and params."""

import fcntl
import os
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from snakemake.io import _IOFile

from anatomy import config as settings
from anatomy import provenance
from anatomy.errors import AnatomyError

# A waiting thread must not take the core of the job beside it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    STUDY = settings.load(
        config, ROOT, ", ".join(map(str, workflow.configfiles)) or "config"
    )
except AnatomyError as error:
    raise SystemExit(f"error: {error}")

R = f"results/{STUDY.name}"
F = f"figures/{STUDY.name}"
WORLD = [b.benchmark for b in STUDY.benchmarks.values() if b.source == "world"]
SHARDS = range(config["sampling"]["shards"])


async def never_newer(file, time):
    """File times never count: a copied or restored study has times in any order (see ``stamp``)."""
    return False


# No option switches the comparison of times off: Snakemake 9.27 makes it whatever rerun-triggers says.
_IOFile.is_newer = never_newer


def clear_stale_locks():
    """Remove the locks that a killed Snakemake left behind, so that a rerun simply continues.

    The operating system holds the lock on our file for as long as the process lives, and no longer; while
    another Snakemake runs here, nothing is removed and its own locks protect it.
    """
    state = Path(".snakemake")
    state.mkdir(exist_ok=True)
    held = (state / "running").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return held
    for lock in (state / "locks").glob("*.lock"):
        lock.unlink(missing_ok=True)
    return held


RUNNING = clear_stale_locks()


wildcard_constraints:
    benchmark="|".join(STUDY.benchmarks),
    arm="|".join(STUDY.arms),
    model="|".join([*STUDY.models, *STUDY.runs]),
    run="|".join(STUDY.runs) or "none",
    table="|".join(STUDY.artifacts["tables"]),
    figure="|".join(STUDY.artifacts["figures"]),
    seed=r"\d+",
    shard=r"\d{3}",


def stamp(rule, script):
    """Return a params function: a digest of all that a job's result depends on besides its own params.

    That is the content of its inputs and the code that its script can reach; never a file's time, a commit
    or a file that the job does not use. Snakemake runs a job again when a param has changed; it does not
    compare params that take ``input``, so the rule's inputs are looked up here.
    """

    def digest(wildcards):
        named = dict(wildcards)
        inputs = workflow.get_rule(rule).expand_input(named)[0]
        return provenance.stamp(
            ROOT / script.format(**named), [Path(str(name)) for name in inputs]
        )

    return digest


def models_folder(model, seed):
    return f"{R}/models/{model}/seed-{seed}"


def arm_model(wildcards):
    return models_folder(STUDY.arms[wildcards.arm].model, wildcards.seed)


def arm_template(wildcards):
    template = STUDY.benchmarks[wildcards.benchmark].template
    return f"config/templates/{template}.yaml"


def conditions(wildcards):
    """Return the conditions whose prompts a benchmark needs."""
    benchmark = STUDY.benchmarks[wildcards.benchmark]
    used = {arm.condition for arm in STUDY.arms.values() if benchmark.source == "world"}
    partial = [f"partial-{level}" for level in range(5)]
    return sorted({"plain", *partial, *used})


def counts(arms):
    """Return the counts of arms, over all of their seeds and the study's benchmarks."""
    return [
        f"{R}/counts/{arm}/seed-{seed}/{benchmark}.parquet"
        for arm in arms
        for seed in STUDY.seeds(arm)
        for benchmark in STUDY.tests
    ]


def needs(kind, name):
    """Return the inputs of a table or figure, as config/artifacts.yaml declares them."""
    artifact = STUDY.artifacts[kind][name]
    files = [f"{R}/tables/{table}.csv" for table in artifact.get("tables", [])]
    if "counts" in artifact.get("needs", []):
        files += counts(STUDY.arms_of(artifact))
    if "problems" in artifact.get("needs", []):
        files += [f"{R}/problems/{name}.parquet" for name in STUDY.tests]
    if "training" in artifact.get("needs", []):
        files += [
            f"{R}/training/{run.run}/seed-{seed}.parquet"
            for run in STUDY.runs.values()
            for seed in run.seeds
        ]
    return files


def table_files():
    return expand(f"{R}/tables/{{table}}.csv", table=STUDY.artifacts["tables"])


def figure_files():
    return expand(
        f"{F}/{{figure}}.{{suffix}}",
        figure=STUDY.artifacts["figures"],
        suffix=["pdf", "svg", "png"],
    )


def benchmark_files():
    return expand(f"{R}/prompts/{{benchmark}}.parquet", benchmark=STUDY.real)


def paper_pdf():
    return f"paper/{STUDY.name}.pdf"


# Params and inputs of single rules, in the order data flows.


def benchmark_row(wildcards):
    return STUDY.benchmarks[wildcards.benchmark]


def local_file(wildcards):
    folder = config.get("benchmarks_folder")
    return f"{folder}/{wildcards.benchmark}/test.jsonl" if folder else []


def hub_source(wildcards):
    row = benchmark_row(wildcards)
    return {
        "id": row.hub_id,
        "config": row.hub_config,
        "split": row.hub_split,
        "revision": row.revision,
    }


def field_names(wildcards):
    row = benchmark_row(wildcards)
    names = "question answer answer_from solution id difficulty domain"
    return {name: getattr(row, name) for name in names.split()}


def pretraining(wildcards):
    model = STUDY.models[wildcards.model]
    preset = config["presets"]["pretraining"][model.preset]
    return {**preset, "steps": model.steps}


def run_row(wildcards):
    return STUDY.runs[wildcards.run]


def start_folder(wildcards):
    start = run_row(wildcards).start
    return models_folder(start, STUDY.models[start].seed)


def reinforcement(wildcards):
    run = run_row(wildcards)
    return {**config["presets"]["reinforcement"][run.preset], "steps": run.steps}


def sampling(wildcards):
    names = ("temperature", "top_p", "max_new_tokens")
    return {name: config["sampling"][name] for name in names}


def shards(table):
    return expand(
        f"{R}/{table}/{{{{arm}}}}/seed-{{{{seed}}}}/{{{{benchmark}}}}/shard-{{shard:03d}}.parquet",
        shard=SHARDS,
    )


def cells(wildcards):
    """Return (arm, seed, benchmark) of each counts file among a table's inputs, in their order."""
    files = needs("tables", wildcards.table)
    inside = [Path(name).parts for name in files if f"{R}/counts/" in name]
    return [(p[-3], int(p[-2].removeprefix("seed-")), Path(p[-1]).stem) for p in inside]
