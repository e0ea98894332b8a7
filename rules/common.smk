"""The validated study, and the functions that give rules their inputs and params."""

import fcntl
import os
import sys
from pathlib import Path
from threading import Timer

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from snakemake.io import _IOFile
from snakemake.jobs import Job
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.shell import shell

from anatomy import cluster, omitting, planning, provenance, sandbox, scaffold
from anatomy.errors import AnatomyError
from anatomy.study import validation
import forkserver

provenance.remember(Path(".snakemake/code.json"))
# A waiting thread must not take the core of the job beside it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Statistics multiply small matrices: threads would only wait for those of the job beside it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What YAML calls true and false is a text to Snakemake 9 after --config.
for key, value in config.items():
    if value in ("true", "false"):
        config[key] = value == "true"
try:
    STUDY = validation.load(
        config, ROOT, ", ".join(map(str, workflow.configfiles)) or "config"
    )
except AnatomyError as error:
    raise SystemExit(f"error: {error}")
if not config.get("programs", True):
    STUDY = omitting.programs(STUDY)

R = f"results/{STUDY.name}"
F = f"figures/{STUDY.name}"
WORLD = [b.benchmark for b in STUDY.benchmarks.values() if b.source == "world"]
ENGINE = config["sampling"]["engine"]
# The environment of jobs that sample; what only loads a model is done with transformers in any study.
ENGINE_ENV = "../envs/vllm.yaml" if ENGINE == "vllm" else "../envs/train.yaml"


async def never_newer(file, time):
    """File times never count: a copied or restored study has times in any order (see ``stamp``)."""
    return False


# No option switches the comparison of times off: Snakemake 9.27 makes it whatever rerun-triggers says.
_IOFile.is_newer = never_newer


def reevaluate_once(scheduler, delay):
    """Wake the scheduler once after a delay, unless that is already going to happen.

    It asks for this each time it wakes, so in Snakemake 9.27 every finished job begins one more endless chain of
    timers: after some hundred jobs the scheduler takes a quarter of a core for nothing.
    """

    def wake():
        scheduler.will_wake = False  # before it does, so that it can ask again at once
        scheduler._open_jobs.release()

    if not getattr(scheduler, "will_wake", False):
        scheduler.will_wake = True
        Timer(delay, wake).start()


JobScheduler._schedule_reevalutation = reevaluate_once


def forget_params(job):
    """Forget the params of a job that is ready, those that are recorded of it too.

    Snakemake 9.27 keeps the latter, so a job that another node runs was recorded with the params of before its
    inputs were there, and would run again.
    """
    if not job._params_and_resources_resetted:
        job._resources = job._params = job._non_derived_params = None
        job._params_and_resources_resetted = True


Job.reset_params_and_resources = forget_params


def has_programs():
    """Tell whether the study runs programs that models write."""
    return any(STUDY.benchmarks[name].grader == "program" for name in STUDY.tests)


def clear_stale_locks():
    """Remove the locks that a killed Snakemake left behind, so that a rerun simply continues.

    The operating system holds the lock on our file for as long as the process lives, and no longer; while
    another Snakemake runs here, nothing is removed, its own locks protect it, and None is returned.
    """
    state = Path(".snakemake")
    state.mkdir(exist_ok=True)
    held = (state / "running").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    for lock in (state / "locks").glob("*.lock"):
        lock.unlink(missing_ok=True)
    return held


# A job's own Snakemake, on another node perhaps, leaves the locks of the one that sent it alone.
RUNNING = clear_stale_locks() if workflow.is_main_process else None


def fork_jobs():
    """Have jobs start as forks of servers that have imported their packages: one for models, one for the rest."""
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    found = {path.name: provenance.foreign(path) for path in scripts}
    for path in (ROOT / "scripts/anatomy/analyses").glob("*.py"):
        found["table.py"] += provenance.foreign(path)
    loaded = {
        name: sorted({(module, names) for module, names, loads in imports if loads})
        for name, imports in found.items()
    }
    models = {name for name, modules in loaded.items() if ("torch", ()) in modules}
    families = [
        {name: loaded[name] for name in loaded if (name in models) == with_models}
        for with_models in (False, True)
        if forkserver.available(with_models)
    ]
    if families:
        command, workflow.job_servers = forkserver.start(families, count=1)
        quoted = command.replace("{", "{{").replace("}", "}}")
        shell.prefix(f"set -euo pipefail; exec {quoted} ")


# Not where a study is only looked at (scripts/workflow.py).
if workflow.logger_manager:

    onstart:
        if workflow.is_main_process and workflow.local_exec and has_programs():
            try:
                sandbox.check_available()
            except AnatomyError as error:
                raise SystemExit(
                    f"error: {error}\nTo leave programs out of the study: make study PROGRAMS=False, or --config programs=false"
                )
        if (
            workflow.is_main_process
            and workflow.local_exec
            and not workflow.deployment_settings.deployment_method
        ):
            fork_jobs()
        if RUNNING and not workflow.local_exec:
            try:
                orphans = cluster.cancel_orphans(Path.cwd())
            except AnatomyError as error:
                raise SystemExit(f"error: {error}")
            if orphans:
                logger.info(
                    f"Cancelled Slurm jobs of a killed run: {', '.join(orphans)}"
                )


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


def stamp(rule, *scripts):
    """Return a params function: a digest of all that a job's result depends on besides its own params.

    That is the content of its inputs and the code that its scripts can reach; never a file's time, a commit
    or a file that the job does not use. Snakemake runs a job again when a param has changed; it does not
    compare params that take ``input``, so the rule's inputs are looked up here.
    """

    def digest(wildcards):
        named = dict(wildcards)
        if "table" in named:
            named["analysis"] = analysis_of(wildcards)
        if "figure" in named:
            named["draws"] = drawn_by(wildcards)
        inputs = workflow.get_rule(rule).expand_input(named)[0]
        return provenance.stamp(
            [ROOT / script.format(**named) for script in scripts],
            [Path(str(name)) for name in inputs],
        )

    return digest


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


def models_folder(model, seed):
    return f"{R}/models/{model}/seed-{seed}"


def arm_model(wildcards):
    return models_folder(model_name(wildcards), wildcards.seed)


def template_file(template):
    return f"config/templates/{template}.yaml"


def arm_template(wildcards):
    return template_file(STUDY.template(wildcards.arm, wildcards.benchmark))


def prompts_file(benchmark, template):
    return f"{R}/prompts/{benchmark}/{template}.parquet"


def arm_prompts(wildcards):
    template = STUDY.template(wildcards.arm, wildcards.benchmark)
    return prompts_file(wildcards.benchmark, template)


def conditions(wildcards):
    """Return the conditions whose prompts a benchmark needs in a template; of one that is not sampled, all."""
    arms = [
        arm
        for arm in STUDY.arms.values()
        if wildcards.benchmark in STUDY.tests_of(arm.arm)
        and STUDY.template(arm.arm, wildcards.benchmark) == wildcards.template
    ]
    real = STUDY.benchmarks[wildcards.benchmark].source == "hub"
    if real and not arms:
        return ["plain", *scaffold.GIVEN, scaffold.SUBPROBLEMS, *scaffold.PARTIAL]
    used = {
        condition
        for arm in arms
        for condition in (
            arm.condition,
            *(STUDY.probes if wildcards.benchmark in arm.probed else []),
        )
    }
    return sorted({"plain", *scaffold.PARTIAL, *used} - {scaffold.OWN})


def shards_of(arm, benchmark):
    """Return the numbers of the shards in which an arm is sampled on a benchmark."""
    return range(planning.shards(STUDY, arm, benchmark))


def shard_files(table, arm, seed, benchmark):
    folder = f"{R}/{table}/{arm}/seed-{seed}/{benchmark}"
    return [
        f"{folder}/shard-{shard:03d}.parquet" for shard in shards_of(arm, benchmark)
    ]


# What a job asks for. Small models take what the rule says; those of the hub what their size asks for.


def arm_gpus(wildcards):
    return STUDY.root(STUDY.arms[wildcards.arm].model).gpus


def run_nodes(wildcards):
    return max(run_row(wildcards).nodes, 1)


def without_step(wildcards):
    """Return 0, which has a job of several nodes start its own steps on them; None for one node."""
    return 0 if run_nodes(wildcards) > 1 else None


def run_gpus_of_node(wildcards):
    return run_row(wildcards).gpus


def run_gpus(wildcards):
    return run_row(wildcards).gpus * run_nodes(wildcards)


def cores(gpus):
    """Return an input function: the cores of a job with so many GPUs; one core without."""

    def of(wildcards):
        return max(1, gpus(wildcards) * config.get("scale", {}).get("cores_per_gpu", 0))

    return of


def holding(model):
    """Return a resource function: MB of main memory for a job that holds a model, more with each attempt."""
    return lambda wildcards, attempt: (
        attempt * planning.model_memory(STUDY, model(wildcards))
    )


def model_name(wildcards):
    return STUDY.arms[wildcards.arm].model


def training_memory(wildcards, attempt):
    return attempt * planning.training_memory(STUDY, wildcards.run)


def growing(amount):
    """Return a resource function: an amount that grows with each attempt."""
    return lambda wildcards, attempt: amount * attempt


def grading_memory(wildcards, attempt):
    """Return MB for a job that grades: beside a program of the hub's sets runs what it may use."""
    row = benchmark_row(wildcards)
    hub_programs = row.grader == "program" and row.source == "hub"
    return attempt * (8000 if hub_programs else 2000)


def model_time(rule):
    """Return a resource function: minutes for a job with a model, more with each attempt."""
    return lambda wildcards, attempt: (
        attempt * planning.job_minutes(STUDY, rule, dict(wildcards))
    )


def disk(rule):
    """Return a resource function: MB that a job with a model writes, what it needs while it runs included."""
    return lambda wildcards: planning.disk_mb(STUDY, rule, dict(wildcards))


def training_time(wildcards, attempt):
    return attempt * planning.training_minutes(STUDY, wildcards.run)


def written_annotations(wildcards):
    """Return the annotations of a benchmark that were written by people, if there are any."""
    folder = config["annotations"]["folder"]
    path = Path(folder) / f"{wildcards.benchmark}.jsonl" if folder else None
    return str(path) if path and path.exists() else []


def annotations(wildcards):
    """Return the annotations of a real benchmark, if the configuration says where they come from."""
    real = STUDY.benchmarks[wildcards.benchmark].source == "hub"
    wanted = config["annotations"]["endpoint"] or written_annotations(wildcards)
    return f"{R}/annotations/{wildcards.benchmark}.parquet" if real and wanted else []


def source_files(wildcards):
    """Return what a part of another split is taken from: its problems, and the counts of an arm that fails them."""
    row = benchmark_row(wildcards)
    if not row.taken_from:
        return {}
    files = {"problems": f"{R}/problems/{row.taken_from}.parquet"}
    if row.failed_by:
        files["failed"] = [
            source["path"]
            for source in counts_sources([row.failed_by], [row.taken_from])
        ]
    return files


# What tables and figures are made from: one dictionary a file, with its kind, path and names.


def counts_source(arm, seed, benchmark):
    return {
        "kind": "counts",
        "path": f"{R}/counts/{arm}/seed-{seed}/{benchmark}.parquet",
        "arm": arm,
        "seed": seed,
        "benchmark": benchmark,
    }


def counts_sources(arms, benchmarks):
    """Yield the counts of arms, over all of their seeds and of their benchmarks those that are wanted."""
    for arm in arms:
        for seed in STUDY.seeds(arm):
            for benchmark in STUDY.tests_of(arm):
                if benchmark in benchmarks:
                    yield counts_source(arm, seed, benchmark)


def probe_sources(arms, benchmarks):
    """Yield the counts of probed arms under the study's other conditions."""
    for source in counts_sources(arms, benchmarks):
        if source["benchmark"] in STUDY.arms[source["arm"]].probed:
            folder = source["path"].removesuffix(".parquet")
            yield {**source, "kind": "probes", "path": f"{folder}/probes.parquet"}


def extra_sources(pairs, benchmarks):
    """Yield the further counts of both arms of each pair, on the problems where they disagree."""
    for arm, base in pairs:
        for seed in STUDY.seeds(arm):
            other = STUDY.seed_beside(base, seed)
            for benchmark in set_order(STUDY.tests_of(arm), STUDY.tests_of(base)):
                if benchmark not in benchmarks:
                    continue
                names = {"kind": "extra", "arm": arm, "base": base, "seed": seed}
                for of, mine, against in (
                    ("arm", (arm, seed), (base, other)),
                    ("base", (base, other), (arm, seed)),
                ):
                    folder = f"{R}/counts/{mine[0]}/seed-{mine[1]}/{benchmark}"
                    yield {
                        **names,
                        "path": f"{folder}/extra-{against[0]}-{against[1]}.parquet",
                        "benchmark": benchmark,
                        "of": of,
                    }


def set_order(first, second):
    return [name for name in first if name in second]


def score_sources(texts, benchmarks):
    """Yield the scores of each text (an arm, or gold) under its scorer, and the verdicts on it."""
    for scorer, text in texts:
        arm = scorer if text == "gold" else text
        for seed in STUDY.seeds(arm):
            for benchmark in set_order(STUDY.tests_of(scorer), STUDY.tests_of(arm)):
                if benchmark not in benchmarks:
                    continue
                names = {"seed": seed, "benchmark": benchmark}
                path = f"{R}/scores/{scorer}/seed-{STUDY.seed_beside(scorer, seed)}"
                yield {
                    **names,
                    "kind": "scores",
                    "path": f"{path}/{text}/seed-{seed}/{benchmark}.parquet",
                    "scorer": scorer,
                    "text": text,
                }


def verdict_sources(texts, benchmarks):
    """Yield the verdicts on each text that is an arm's, once."""
    arms = dict.fromkeys(text for _, text in texts if text != "gold")
    for source in counts_sources(arms, benchmarks):
        names = source["arm"], source["seed"], source["benchmark"]
        for path in shard_files("verdicts", *names):
            yield {**source, "kind": "verdicts", "path": path}


def overlay_of(figure):
    """Return which published numbers a figure shows beside its own; nothing where the study's overlay is off."""
    if not config.get("overlay"):
        return {}
    return STUDY.artifacts["figures"][figure].get("overlay", {})


def record_sources(artifact):
    """Return the files of the published record that a table reads, and the one that tells their sources."""
    folder = "config/published"
    return [
        {"kind": "record", "path": f"{folder}/{name}.csv", "file": name}
        for name in [*artifact["record"], "sources"]
    ]


def from_record(kind, name):
    """Tell whether a table or figure is made from the published record alone."""
    artifact = STUDY.artifacts[kind][name]
    needed, tables = artifact.get("needs", []), artifact.get("tables", [])
    return (
        bool(needed or tables)
        and set(needed) <= {"record"}
        and all(from_record("tables", table) for table in tables)
    )


def sources(kind, name):
    """Return what a table or figure is made from, as config/artifacts.yaml declares it."""
    artifact = STUDY.artifacts[kind][name]
    wanted = artifact.get("needs", [])
    benchmarks = artifact.get("benchmarks", STUDY.tests)
    found = [
        {"kind": "tables", "path": f"{R}/tables/{table}.csv", "table": table}
        for table in artifact.get("tables", [])
    ]
    if kind == "figures" and overlay_of(name):
        table = overlay_of(name)["table"]
        found.append(
            {"kind": "tables", "path": f"{R}/tables/{table}.csv", "table": table}
        )
    if "counts" in wanted:
        found += counts_sources(STUDY.arms_of(artifact), benchmarks)
    if "probes" in wanted:
        found += probe_sources(STUDY.arms_of(artifact), benchmarks)
    if "extra" in wanted:
        found += extra_sources(STUDY.pairs_of(artifact), benchmarks)
    if "scores" in wanted:
        found += score_sources(artifact["texts"], benchmarks)
        found += verdict_sources(artifact["texts"], benchmarks)
    if "record" in wanted:
        found += record_sources(artifact)
    if "problems" in wanted:
        found += [
            {
                "kind": "problems",
                "path": f"{R}/problems/{name}.parquet",
                "benchmark": name,
            }
            for name in benchmarks
        ]
    if "training" in wanted:
        found += [
            {
                "kind": "training",
                "path": f"{R}/training/{run.run}/seed-{seed}.parquet",
                "run": run.run,
                "seed": seed,
            }
            for run in STUDY.runs.values()
            for seed in run.seeds
        ]
    return found


def needs(kind, name):
    """Return the files that a table or figure is made from."""
    return [source["path"] for source in sources(kind, name)]


def artifact(wildcards):
    return STUDY.artifacts["tables"][wildcards.table]


def drawn_by(wildcards):
    """Return the name of the script that draws a figure."""
    return STUDY.artifacts["figures"][wildcards.figure].get("draws", wildcards.figure)


def analysis_of(wildcards):
    """Return the name of the module that makes a table."""
    return artifact(wildcards).get("analysis", wildcards.table)


def table_options(wildcards):
    """Return the settings of a table's analysis; those of ``claims`` are the claims and what they rest on."""
    options = artifact(wildcards).get("options", {})
    if analysis_of(wildcards) == "claims":
        named = artifact(wildcards)["tables"]
        keys = {name: STUDY.artifacts["tables"][name]["keys"] for name in named}
        options = {**options, "claims": STUDY.claims, "keys": keys, **STUDY.behind()}
    return options


def arm_facts(artifact):
    """Return what analyses may know about the arms that an artifact covers."""
    return {
        arm: {
            "model": STUDY.arms[arm].model,
            "step": STUDY.step(arm),
            "condition": STUDY.arms[arm].condition,
            "base": STUDY.arms[arm].base,
        }
        for arm in STUDY.arms_of(artifact)
    }


def table_files():
    return expand(f"{R}/tables/{{table}}.csv", table=STUDY.artifacts["tables"])


def figure_files():
    return expand(
        f"{F}/{{figure}}.{{suffix}}",
        figure=STUDY.artifacts["figures"],
        suffix=["pdf", "svg", "png"],
    )


def record_files():
    """Return every table and figure that is made from the published record alone."""
    tables = [name for name in STUDY.artifacts["tables"] if from_record("tables", name)]
    figures = [
        name for name in STUDY.artifacts["figures"] if from_record("figures", name)
    ]
    return expand(f"{R}/tables/{{table}}.csv", table=tables) + expand(
        f"{F}/{{figure}}.{{suffix}}", figure=figures, suffix=["pdf", "svg", "png"]
    )


def benchmark_files():
    return [
        prompts_file(name, template)
        for name in STUDY.real
        for template in sorted(STUDY.templates(name))
    ]


def paper_pdf():
    """Return the study's paper, if it has one."""
    return f"paper/{STUDY.name}.pdf" if config.get("paper") else []


def paper_places():
    """Return the file that tells where in the study's paper each number stands, if it has one."""
    return f"{R}/places.json" if config.get("paper") else []


def config_files():
    """Return the files that the study's settings were read from, relative to the repository where they lie in it."""
    found = [ROOT / path for path in map(str, workflow.configfiles)]
    return [str(p.relative_to(ROOT) if p.is_relative_to(ROOT) else p) for p in found]


def site_templates():
    """Return the templates of the audit site's pages, relative to the repository."""
    folder = "scripts/anatomy/audit/pages"
    return sorted(f"{folder}/{path.name}" for path in (ROOT / folder).iterdir())


def workflow_files():
    """Return the files that the workflow and the study's settings stand in, relative to the repository."""
    found = [
        ROOT / "Snakefile",
        *ROOT.glob("rules/*.smk"),
        *ROOT.glob("profiles/**/*.yaml"),
        *ROOT.glob("report/*.rst"),
    ]
    found += [path for path in ROOT.glob("config/**/*") if path.is_file()]
    found += [ROOT / path for path in config_files()]
    named = [
        *config["sheets"].values(),
        *validation.artifact_paths(config),
        config.get("claims"),
    ]
    found += [ROOT / path for path in named if path]
    return sorted({str(p.relative_to(ROOT)) for p in found if p.is_relative_to(ROOT)})


# Params and inputs of single rules, in the order data flows.


def benchmark_row(wildcards):
    return STUDY.benchmarks[wildcards.benchmark]


def local_file(wildcards):
    folder = config.get("benchmarks_folder")
    if folder:
        return f"{folder}/{wildcards.benchmark}/test.jsonl"
    return f"{R}/downloads/{wildcards.benchmark}.jsonl"


def whole_problems(wildcards):
    return f"{R}/problems/{benchmark_row(wildcards).taken_from}.parquet"


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
    names = "question answer answer_from window solution id difficulty domain"
    return {name: getattr(row, name) for name in names.split()}


SHAPE = ("hidden", "layers", "heads", "kv_heads", "inner")


def supervised(wildcards):
    model = STUDY.models[wildcards.model]
    return optimisation(model)


def optimisation(row):
    preset = config["presets"]["supervised"][row.preset]
    settings = {k: v for k, v in preset.items() if k not in (*SHAPE, "mixture")}
    return {**settings, **shared(preset, row), "steps": row.steps}


def shared(preset, row):
    """Return how the GPUs of a row of the run sheet share a training, if its preset says that they do."""
    if "scale" not in preset:
        return {}
    processes = {"processes": max(row.gpus, 1), "nodes": max(row.nodes, 1)}
    return {"scale": {**preset["scale"], **processes}}


def supervised_preset(wildcards):
    return config["presets"]["supervised"][STUDY.models[wildcards.model].preset]


def shape(wildcards):
    return {name: supervised_preset(wildcards)[name] for name in SHAPE}


def run_row(wildcards):
    return STUDY.runs[wildcards.run]


def model_row(wildcards):
    return STUDY.models[wildcards.model]


def checkpoint_of(model):
    return f"step-{STUDY.last_step(model)}"


def start_folder(wildcards):
    trained = wildcards.run if "run" in wildcards.keys() else wildcards.model
    return models_folder(*STUDY.start(trained, int(wildcards.seed)))


def run_template(wildcards):
    return template_file(STUDY.run_template(wildcards.run))


def run_prompts(wildcards):
    return prompts_file(run_row(wildcards).benchmark, STUDY.run_template(wildcards.run))


def distilled_prompts(wildcards):
    benchmark = model_row(wildcards).benchmark
    return prompts_file(benchmark, STUDY.benchmarks[benchmark].template)


def failed_counts(wildcards):
    """Return the counts of the arm whose failures make a run's hard set, of the run's training seed."""
    row = run_row(wildcards)
    if not row.failed_by:
        return []
    seed = STUDY.seed_beside(row.failed_by, int(wildcards.seed))
    return counts_source(row.failed_by, seed, row.benchmark)["path"]


def run_conditions(wildcards):
    """Return the conditions whose prompts a run trains on."""
    return [f"partial-{level}" for level in run_row(wildcards).levels] or ["plain"]


def taught(table):
    """Return an input function: a teacher's samples, or verdicts on them, on the student's problems."""

    def files(wildcards):
        row = model_row(wildcards)
        seed = STUDY.seeds(row.teacher)[0]
        return shard_files(table, row.teacher, seed, row.benchmark)

    return files


def reinforcement(wildcards):
    run = run_row(wildcards)
    preset = dict(config["presets"]["reinforcement"][run.preset])
    for other in (
        "reward",
        "expected_tokens",
    ):  # which training itself does not ask for
        preset.pop(other, None)
    return {
        **preset,
        **shared(preset, run),
        "algorithm": run.algorithm,
        "steps": run.steps,
    }


def context(wildcards):
    """Return how many positions an arm's model has; 0 where it tells itself."""
    return STUDY.root(model_name(wildcards)).context


def sampling(wildcards):
    return STUDY.sampling(wildcards.arm)


def temperature_file(wildcards):
    """Return where a matched arm's temperature stands; nothing for an arm whose temperature is given."""
    if STUDY.matched(wildcards.arm) is None:
        return []
    return f"{R}/temperatures/{wildcards.arm}/seed-{wildcards.seed}/{wildcards.benchmark}.json"


def matched_counts(wildcards):
    other = STUDY.matched(wildcards.arm)
    return counts_source(
        other, STUDY.seed_beside(other, int(wildcards.seed)), wildcards.benchmark
    )["path"]


def disagreeing_counts(wildcards):
    return [
        counts_source(arm, seed, wildcards.benchmark)["path"]
        for arm, seed in (
            (wildcards.arm, wildcards.seed),
            (wildcards.other, wildcards.other_seed),
        )
    ]


def shards(table):
    """Return an input function: all shards of an arm on a benchmark."""
    return lambda wildcards: shard_files(
        table, wildcards.arm, wildcards.seed, wildcards.benchmark
    )


def scored_texts(wildcards):
    if wildcards.text == "gold":
        return []
    return shard_files(
        "samples", wildcards.text, wildcards.text_seed, wildcards.benchmark
    )


def scored_prompts(wildcards):
    arm = wildcards.scorer if wildcards.text == "gold" else wildcards.text
    template = STUDY.template(arm, wildcards.benchmark)
    return prompts_file(wildcards.benchmark, template)


def scorer_model(wildcards):
    return STUDY.arms[wildcards.scorer].model


def scorer_gpus(wildcards):
    return STUDY.root(scorer_model(wildcards)).gpus


def text_condition(wildcards):
    return "plain" if wildcards.text == "gold" else STUDY.arms[wildcards.text].condition


# What `check` looks at.


def still_to_download():
    """Return what the study takes from the hub, and the file or folder that each becomes."""
    models = [
        {
            "kind": "model",
            "id": model.hub_id,
            "revision": model.revision,
            "gated": bool(model.gated),
            "path": models_folder(model.model, model.seed),
        }
        for model in STUDY.models.values()
        if model.source == "hub"
    ]
    sets = [
        {
            "kind": "dataset",
            "id": row.hub_id,
            "revision": row.revision,
            "gated": False,
            "path": f"{R}/downloads/{row.benchmark}.jsonl",
        }
        for row in STUDY.benchmarks.values()
        if row.source == "hub"
        and STUDY.name in row.studies
        and not config["benchmarks_folder"]
    ]
    return models + sets


def largest_jobs():
    """Return the most that jobs with a model of the hub ask Slurm for."""
    cores_per_gpu = config.get("scale", {}).get("cores_per_gpu", 0)
    jobs = [
        {
            "rule": "sample",
            "minutes": max(
                planning.shard_minutes(STUDY, arm.arm, benchmark)
                for benchmark in STUDY.tests_of(arm.arm)
            ),
            "memory": planning.model_memory(STUDY, arm.model),
            "gpus": STUDY.root(arm.model).gpus,
            "cpus": max(1, STUDY.root(arm.model).gpus * cores_per_gpu),
        }
        for arm in STUDY.arms.values()
    ]
    return jobs + [
        {
            "rule": "train" if STUDY.reinforced(run.run) else "finetune",
            "minutes": planning.training_minutes(STUDY, run.run),
            "memory": planning.training_memory(STUDY, run.run),
            "gpus": run.gpus * max(run.nodes, 1),
            "cpus": max(1, run.gpus * cores_per_gpu),
            "nodes": max(run.nodes, 1),
        }
        for run in STUDY.runs.values()
    ]


def gpu_of_study():
    """Return name and memory (GiB) of the GPU that jobs are sized for; None without one."""
    name = config.get("scale", {}).get("gpu")
    rows = [row for row in STUDY.throughputs if row.gpu == name]
    return {"name": name, "memory": rows[0].memory} if rows else None
