"""What jobs have to do: completions, tokens, seconds and bytes, from the study and its throughputs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from anatomy.algorithms import registry
from anatomy.planning.sizing import SMALL_MINUTES, completion_tokens, shards, throughput
from anatomy.study.study import Study


def job_minutes(study: Study, rule: str, wildcards: Mapping[str, str]) -> int:
    """Return the time limit of a job that uses a model: an hour, and twice what is stated for it."""
    what = work(study, rule, wildcards)
    if not what.gpus or study.settings.scale is None:
        return SMALL_MINUTES
    return SMALL_MINUTES + math.ceil(2 * stated_seconds(study, rule, what) / 60)


def shard_minutes(study: Study, arm: str, benchmark: str) -> int:
    """Return the time limit of a shard of an arm's sampling."""
    return job_minutes(study, "sample", {"arm": arm, "benchmark": benchmark})


def training_minutes(study: Study, run: str) -> int:
    """Return the time limit of a training job: a day at most, and then on from its checkpoint."""
    if not study.runs[run].gpus or study.settings.scale is None:
        return 2 * SMALL_MINUTES
    return min(24 * 60, job_minutes(study, "train" if study.reinforced(run) else "finetune", {"run": run}))


# What each job costs -----------------------------------------------------------------------------------

PROMPT_TOKENS = 250
"""Of a prompt. Assumed."""
SOLUTION_TOKENS = 500
"""Of a reference solution, and of a text that is learned from. Assumed."""
WITHOUT_SIGNAL = 0.7
"""Share of groups that are all right or all wrong, which DAPO draws anew. With 5 refills that is three times
the samples, the low end of the 3 to 6 times that Yue et al. 2025, appendix D.4, state."""
DISAGREEING = 0.05
"""Share of problems that only one arm of a pair solves: 23 of 500 of MATH500 in Yue et al. 2025 (v5)."""
LINKS = 4
"""Subproblems of a problem. Assumed."""
TRIALS = 6
"""Temperatures that entropy matching tries; 5 or 6 in the embedded study."""
LOADING = 1.0
"""GB of weights that a job reads per second. Assumed."""
RATES: Mapping[str, float] = {"grade": 1000.0, "count": 200_000.0, "download": 100e6}
"""Completions graded and counted per second and core, as performance/volume.py measured them on a core of
two; bytes downloaded per second (assumed)."""
BYTES: Mapping[str, float] = {"token": 1.1, "completion": 20.0, "verdict": 3.0, "score": 15.0}
"""On disk: a token of a completion, the rest of its row, a verdict (performance/volume.py), and a score."""
_SECONDS: Mapping[float, str] = {
    3.0: "grade count recount count_probes scaffold world split collect_numbers",
    10.0: "figure typeset ledger benchmark download_model",
    60.0: "table score download_benchmark annotate audit_site",
    150.0: "sample resample probe match_entropy",
    300.0: "train finetune distill pretrain",
}
SECONDS: Mapping[str, float] = {rule: time for time, rules in _SECONDS.items() for rule in rules.split()}
"""What a job of each rule takes besides the work that grows with its volume: start of Python, of the engine,
and so on. Assumed; on CPUs it is about what the jobs of the embedded study take."""


@dataclass(frozen=True)
class Work:
    """What a job does, besides starting: the volume of each task, with a model on GPUs."""

    amounts: Mapping[str, float]
    """``sample``, ``score``, ``train``: tokens; ``grade``, ``count``: completions; ``download``: bytes."""
    billions: float = 0.0
    gpus: int = 0
    disk: float = 0.0
    """GB that it leaves behind."""
    scratch: float = 0.0
    """GB that it needs besides while it runs."""


def completions(study: Study, arm: str, benchmark: str, piece: str) -> float:
    """Return how many completions a piece of an arm's samples has: a shard, ``extra-...``, or ``probes``.

    A shard: problems x n / shards. Extra ones: problems x ``DISAGREEING`` x ``sampling.extra``. Probes:
    problems x prompts x ``sampling.probes.n``; a condition of subproblems has ``LINKS`` prompts a problem.
    """
    problems, sampling = study.benchmarks[benchmark].problems, study.settings.sampling
    if piece.startswith("extra"):
        return problems * DISAGREEING * float(sampling.extra)
    if piece == "probes":
        prompts = sum(LINKS if "subproblems" in condition else 1 for condition in study.probes)
        return problems * prompts * float(sampling.probes.n)
    return problems * study.samples(benchmark, arm) / shards(study, arm, benchmark)


def training_work(study: Study, run: str) -> dict[str, float]:
    """Return the tokens that a run samples, scores (forward pass) and trains on (forward and backward pass).

    Reinforcement learning, in each round of ``updates`` steps:

    * sample: prompts x rollouts x ``expected_tokens``; where groups are drawn anew, times the sum of
      ``WITHOUT_SIGNAL``^i over the refills i; and one more completion a prompt for a greedy response (ReMax);
    * train: prompts x rollouts x (``PROMPT_TOKENS`` + expected tokens), twice with PPO's critic;
    * score: as much for each of: the reference of a KL term, log-probabilities at another temperature than 1,
      the critic's values, and, every ``kl_every`` steps, the KL to the start.

    Fine-tuning: steps x batch x (``PROMPT_TOKENS`` + ``SOLUTION_TOKENS``) to train on.
    """
    row = study.runs[run]
    if not study.reinforced(run):
        batch = study.settings.presets.supervised[row.preset].batch
        return {"train": float(row.steps * batch * (PROMPT_TOKENS + SOLUTION_TOKENS))}
    preset = study.settings.presets.reinforcement[row.preset]
    rounds, tokens = row.steps / preset.updates, preset.expected_tokens or preset.max_new_tokens
    groups = sum(WITHOUT_SIGNAL**refill for refill in range(preset.refills + 1))
    drawn = preset.prompts * (preset.rollouts * groups + registry.find(row.algorithm).greedy)
    text = rounds * preset.prompts * preset.rollouts * (PROMPT_TOKENS + tokens)
    critic = preset.value is not None
    passes = (preset.options.get("beta", 0.0) > 0) + (preset.temperature != 1) + critic
    judged = preset.updates / math.lcm(preset.updates, preset.kl_every)
    return {
        "sample": rounds * drawn * tokens,
        "train": text * (1 + critic),
        "score": text * (passes + judged),
    }


def work(study: Study, rule: str, wildcards: Mapping[str, str]) -> Work:
    """Return what a job of a rule does; nothing that grows for rules whose volume is not known.

    * sample, resample, probe: ``completions`` x ``completion_tokens``; match_entropy: ``TRIALS`` x problems x
      ``match_n`` x ``completion_tokens``;
    * score: problems x ``sampling.scored`` x (prompt and completion), or problems x (prompt and solution);
    * train, finetune: ``training_work``; distill, pretrain: as fine-tuning;
    * grade, count, ...: ``completions``;
    * download_model: 2 GB a billion parameters.

    Disk: completions, verdicts and scores by ``BYTES``; 2 GB a billion parameters for each model that is
    kept. While a training runs: two checkpoints of weights and optimiser in 32 bits, 12 GB a billion each.
    """
    if rule == "download_model":
        size = 2 * study.models[wildcards["model"]].billions
        return Work({"download": size * 1e9}, disk=size)
    if rule in ("train", "finetune"):
        run = wildcards["run"]
        row, billions = study.runs[run], study.root(run).billions
        kept = len(study.exports(run)) + bool(row.tokens)
        gpus = row.gpus * max(row.nodes, 1)
        return Work(training_work(study, run), billions, gpus, 2 * billions * kept, 24 * billions)
    if rule in ("pretrain", "distill"):
        model = study.models[wildcards["model"]]
        batch = study.settings.presets.supervised[model.preset].batch
        tokens = float(model.steps * batch * (PROMPT_TOKENS + SOLUTION_TOKENS))
        size = model.billions
        return Work({"train": tokens}, size, model.gpus, 2 * size, 24 * size)
    if rule == "score":
        return _scoring(study, wildcards)
    if rule not in (
        "sample",
        "resample",
        "probe",
        "match_entropy",
        "grade",
        "count",
        "recount",
        "count_probes",
    ):
        return Work({})
    arm, benchmark = wildcards["arm"], wildcards["benchmark"]
    model = study.root(study.arms[arm].model)
    tokens = completion_tokens(study, arm)
    if rule == "match_entropy":
        number: float = TRIALS * study.benchmarks[benchmark].problems * study.settings.sampling.match_n
        return Work({"sample": number * tokens}, model.billions, model.gpus)
    extra, probes = "other" in wildcards, rule in ("probe", "count_probes")
    piece = wildcards.get("piece") or ("extra" if extra else "probes" if probes else "shard")
    number = completions(study, arm, benchmark, piece)
    if rule == "grade":
        return Work({"grade": number}, disk=number * BYTES["verdict"] / 1e9)
    if rule in ("count", "recount", "count_probes"):
        return Work({"count": number * (shards(study, arm, benchmark) if rule == "count" else 1)})
    size = number * (BYTES["completion"] + tokens * BYTES["token"]) / 1e9
    return Work({"sample": number * tokens}, model.billions, model.gpus, size)


def disk_mb(study: Study, rule: str, wildcards: Mapping[str, str]) -> int:
    """Return the MB that a job writes, and needs besides while it runs; 1,000 at least."""
    what = work(study, rule, wildcards)
    return max(1000, math.ceil(1000 * (what.disk + what.scratch)))


def results_bytes(study: Study) -> float:
    """Return the bytes that a study leaves behind, besides downloads: completions and models of runs."""
    sampled = sum(
        work(study, "sample", {"arm": arm, "benchmark": benchmark}).disk
        * shards(study, arm, benchmark)
        * len(study.seeds(arm))
        for arm in study.arms
        for benchmark in study.tests_of(arm)
    )
    trained = [(work(study, "train", {"run": run.run}), len(run.seeds)) for run in study.runs.values()]
    kept = sum(work_of.disk * seeds for work_of, seeds in trained)
    return 1e9 * (sampled + kept + max((work_of.scratch for work_of, _ in trained), default=0.0))


def _scoring(study: Study, wildcards: Mapping[str, str]) -> Work:
    benchmark, text = wildcards["benchmark"], wildcards["text"]
    number, tokens = study.benchmarks[benchmark].problems, float(SOLUTION_TOKENS)
    if text != "gold":
        number *= min(study.samples(benchmark, text), study.settings.sampling.scored)
        tokens = completion_tokens(study, text)
    model = study.root(study.arms[wildcards["scorer"]].model)
    amounts = {"score": number * (PROMPT_TOKENS + tokens)}
    return Work(amounts, model.billions, model.gpus, number * BYTES["score"] / 1e9)


def stated_seconds(study: Study, rule: str, job: Work) -> float:
    """Return the seconds of a job of a study with ``scale``: start, loading of the model, and work."""
    load = 2 * job.billions / LOADING if job.gpus else 0.0
    return SECONDS[rule] + load + _seconds(study, job)


def _seconds(study: Study, job: Work) -> float:
    """Return the seconds of a job's work at the stated throughputs, without its start."""
    total = 0.0
    for task, amount in job.amounts.items():
        if task in RATES:
            total += amount / RATES[task]
        elif amount:
            speed = throughput(study, task, job.billions).tokens_per_second
            total += amount / (speed * max(job.gpus, 1))
    return total
