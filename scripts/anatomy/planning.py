"""What a study costs before it runs: shards, and the time, memory and disk of its jobs.

Throughputs are statements of a sheet (``config/throughputs.tsv``), each with its source. A study without them
is one of small models, for which only the records of finished jobs tell times.

Hours of a job = start + loading of the model (2 GB a billion parameters, at ``LOADING``) + for each task, its
amount (``work``) / (throughput of the task x GPUs). Records of a rule's jobs correct this (``Estimates``).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from anatomy.algorithms import registry
from anatomy.errors import AnatomyError
from anatomy.study.rows import Throughput
from anatomy.study.study import Study

SMALL_MINUTES = 60
SMALL_MEMORY = 3000
"""Time and memory (MB) that a job of a small model is given."""


def throughput(study: Study, task: str, billions: float, gpu: str | None = None) -> Throughput:
    """Return the row of the throughput sheet for a task and a model's size, on a GPU.

    gpu: by default the study's own, ``scale.gpu``. Raises AnatomyError where the sheet has no row for it.
    """
    gpu = gpu or study.settings["scale"]["gpu"]
    rows = [
        row for row in study.throughputs if row.gpu == gpu and row.task == task and row.billions >= billions
    ]
    if not rows:
        known = sorted({row.gpu for row in study.throughputs})
        raise AnatomyError(
            f"{study.settings['sheets']['throughputs']}: no row for gpu '{gpu}', task '{task}' and a model of"
            f" {billions} billion parameters; add one, or choose one of its GPUs: {', '.join(known)}"
        )
    return min(rows, key=lambda row: row.billions)


def completion_tokens(study: Study, arm: str) -> float:
    """Return the expected tokens of one of an arm's completions, as its sampling preset states them."""
    usual = study.settings["sampling"].get("expected_tokens")
    expected = study.preset(arm).get("expected_tokens", usual)
    return float(expected or study.sampling(arm)["max_new_tokens"])


def sampling_hours(study: Study, arm: str, completions: float) -> float:
    """Return the hours in which all the GPUs of an arm's model draw so many of its completions."""
    model = study.root(study.arms[arm].model)
    speed = throughput(study, "sample", model.billions).tokens_per_second * max(model.gpus, 1)
    return completions * completion_tokens(study, arm) / speed / 3600


def shards(study: Study, arm: str, benchmark: str) -> int:
    """Return into how many shards an arm's completions on a benchmark are divided.

    The number that the configuration states, or, at ``scale.shard_hours``, as many as the time asks for: each
    problem's completions stay together.
    """
    stated = study.settings["sampling"].get("shards")
    if stated:
        return int(stated)
    problems = study.benchmarks[benchmark].problems
    hours = sampling_hours(study, arm, problems * study.samples(benchmark, arm))
    wanted: int = math.ceil(hours / study.settings["scale"]["shard_hours"])
    return max(1, min(wanted, problems))


def job_minutes(study: Study, rule: str, wildcards: Mapping[str, str]) -> int:
    """Return the time limit of a job that uses a model: an hour, and twice what is stated for it."""
    what = work(study, rule, wildcards)
    if not what.gpus or "scale" not in study.settings:
        return SMALL_MINUTES
    return SMALL_MINUTES + math.ceil(2 * stated_seconds(study, rule, what) / 60)


def shard_minutes(study: Study, arm: str, benchmark: str) -> int:
    """Return the time limit of a shard of an arm's sampling."""
    return job_minutes(study, "sample", {"arm": arm, "benchmark": benchmark})


def model_memory(study: Study, model: str) -> int:
    """Return the MB of main memory of a job that loads a model: its weights in 16 bits, and as much again."""
    return SMALL_MEMORY + math.ceil(4000 * study.root(model).billions)


def training_memory(study: Study, run: str) -> int:
    """Return the MB of main memory, on each node, of a job that trains.

    Each process of a node reads the weights in 32 bits before they are divided; twice with a KL term, for the
    model that it is measured against. By arithmetic, not measured.
    """
    row = study.runs[run]
    kind = "reinforcement" if study.reinforced(run) else "supervised"
    options = study.settings["presets"][kind][row.preset].get("options", {})
    models = 1 + bool(options.get("beta"))
    return SMALL_MEMORY + math.ceil(4000 * study.root(run).billions * max(row.gpus, 1) * models)


def training_minutes(study: Study, run: str) -> int:
    """Return the time limit of a training job: a day at most, and then on from its checkpoint."""
    if not study.runs[run].gpus or "scale" not in study.settings:
        return 2 * SMALL_MINUTES
    return min(24 * 60, job_minutes(study, "train" if study.reinforced(run) else "finetune", {"run": run}))


# What each job costs -----------------------------------------------------------------------------------

PROMPT_TOKENS = 250
"""Of a prompt. Assumed."""
SOLUTION_TOKENS = 500
"""Of a reference solution, and of a text that is learned from. Assumed."""
DULL = 0.7
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
"""Completions graded and counted per second and core, as benchmarks/volume.py measured them on a core of two;
bytes downloaded per second (assumed)."""
BYTES: Mapping[str, float] = {"token": 1.1, "completion": 20.0, "verdict": 3.0, "score": 15.0}
"""On disk: a token of a completion, the rest of its row, a verdict (benchmarks/volume.py), and a score."""
_SECONDS: Mapping[float, str] = {
    3.0: "grade count recount count_probes scaffold world split collect",
    10.0: "figure typeset ledger benchmark download",
    60.0: "table score fetch annotate browse",
    150.0: "sample resample probe match",
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
    problems, sampling = study.benchmarks[benchmark].problems, study.settings["sampling"]
    if piece.startswith("extra"):
        return problems * DISAGREEING * float(sampling["extra"])
    if piece == "probes":
        prompts = sum(LINKS if "subproblems" in condition else 1 for condition in study.probes)
        return problems * prompts * float(sampling["probes"]["n"])
    return problems * study.samples(benchmark, arm) / shards(study, arm, benchmark)


def training_work(study: Study, run: str) -> dict[str, float]:
    """Return the tokens that a run samples, scores (forward pass) and trains on (forward and backward pass).

    Reinforcement learning, in each round of ``updates`` steps:

    * sample: prompts x rollouts x ``expected_tokens``; where groups are drawn anew, times the sum of
      ``DULL``^i over the refills i; and one more completion a prompt for a greedy response (ReMax);
    * train: prompts x rollouts x (``PROMPT_TOKENS`` + expected tokens), twice with PPO's critic;
    * score: as much for each of: the reference of a KL term, log-probabilities at another temperature than 1,
      the critic's values, and, every ``kl_every`` steps, the KL to the start.

    Fine-tuning: steps x batch x (``PROMPT_TOKENS`` + ``SOLUTION_TOKENS``) to train on.
    """
    row = study.runs[run]
    if not study.reinforced(run):
        batch = study.settings["presets"]["supervised"][row.preset]["batch"]
        return {"train": float(row.steps * batch * (PROMPT_TOKENS + SOLUTION_TOKENS))}
    preset = study.settings["presets"]["reinforcement"][row.preset]
    rounds, tokens = row.steps / preset["updates"], preset.get("expected_tokens", preset["max_new_tokens"])
    groups = sum(DULL**refill for refill in range(preset.get("refills", 0) + 1))
    drawn = preset["prompts"] * (preset["rollouts"] * groups + registry.find(row.algorithm).greedy)
    text = rounds * preset["prompts"] * preset["rollouts"] * (PROMPT_TOKENS + tokens)
    critic = "value" in preset
    passes = (preset.get("options", {}).get("beta", 0.0) > 0) + (preset["temperature"] != 1) + critic
    judged = preset["updates"] / math.lcm(preset["updates"], preset["kl_every"])
    return {
        "sample": rounds * drawn * tokens,
        "train": text * (1 + critic),
        "score": text * (passes + judged),
    }


def work(study: Study, rule: str, wildcards: Mapping[str, str]) -> Work:
    """Return what a job of a rule does; nothing that grows for rules whose volume is not known.

    * sample, resample, probe: ``completions`` x ``completion_tokens``; match: ``TRIALS`` x problems x
      ``match_n`` x ``completion_tokens``;
    * score: problems x ``sampling.scored`` x (prompt and completion), or problems x (prompt and solution);
    * train, finetune: ``training_work``; distill, pretrain: as fine-tuning;
    * grade, count, ...: ``completions``;
    * download: 2 GB a billion parameters.

    Disk: completions, verdicts and scores by ``BYTES``; 2 GB a billion parameters for each model that is
    kept. While a training runs: two checkpoints of weights and optimiser in 32 bits, 12 GB a billion each.
    """
    if rule == "download":
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
        batch = study.settings["presets"]["supervised"][model.preset]["batch"]
        tokens = float(model.steps * batch * (PROMPT_TOKENS + SOLUTION_TOKENS))
        size = model.billions
        return Work({"train": tokens}, size, model.gpus, 2 * size, 24 * size)
    if rule == "score":
        return _scoring(study, wildcards)
    if rule not in ("sample", "resample", "probe", "match", "grade", "count", "recount", "count_probes"):
        return Work({})
    arm, benchmark = wildcards["arm"], wildcards["benchmark"]
    model = study.root(study.arms[arm].model)
    tokens = completion_tokens(study, arm)
    if rule == "match":
        number = TRIALS * study.benchmarks[benchmark].problems * study.settings["sampling"]["match_n"]
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
    kept = sum(one.disk * seeds for one, seeds in trained)
    return 1e9 * (sampled + kept + max((one.scratch for one, _ in trained), default=0.0))


def _scoring(study: Study, wildcards: Mapping[str, str]) -> Work:
    benchmark, text = wildcards["benchmark"], wildcards["text"]
    number, tokens = study.benchmarks[benchmark].problems, float(SOLUTION_TOKENS)
    if text != "gold":
        number *= min(study.samples(benchmark, text), study.settings["sampling"]["scored"])
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


@dataclass(frozen=True)
class Record:
    """What a finished job took."""

    rule: str
    wildcards: Mapping[str, str]
    seconds: float


class Estimates:
    """The time of a study's jobs: from records of finished ones where a rule has any, else from statements.

    A job takes what the records of its rule took, scaled by its statement over theirs; in a study without
    ``scale``, which has no statements, by its volume over theirs. Without either its time is unknown.

    stated: the study with the throughputs and the GPU that are asked about, if not its own. Records say
    nothing of another GPU: there statements alone count for the jobs that use one.
    """

    def __init__(self, study: Study, stated: Study | None = None, records: Iterable[Record] = ()):
        self.study, self.stated = study, stated or study
        self.scaled = "scale" in study.settings
        self.foreign = self.scaled and study.settings["scale"]["gpu"] != self.stated.settings["scale"]["gpu"]
        taken: dict[str, float] = defaultdict(float)
        volumes: dict[str, float] = defaultdict(float)
        for record in records:
            taken[record.rule] += record.seconds
            volumes[record.rule] += self._volume(record.rule, work(study, record.rule, record.wildcards))
        self.ratios = {rule: taken[rule] / volumes[rule] for rule in taken}

    def _volume(self, rule: str, job: Work) -> float:
        if not self.scaled or rule not in SECONDS:
            return sum(job.amounts.values()) or 1.0
        return stated_seconds(self.stated, rule, job)

    def hours(self, rule: str, job: Work) -> tuple[float | None, str]:
        """Return the hours of a job, None where they are unknown, and what tells them."""
        volume = self._volume(rule, job)
        if rule in self.ratios and not (job.gpus and self.foreign):
            return self.ratios[rule] * volume / 3600, "records"
        if self.scaled and rule in SECONDS:
            return volume / 3600, "statements"
        return None, "unknown"


# What all of them cost together -----------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A job of the workflow."""

    rule: str
    wildcards: Mapping[str, str]
    needs: Sequence[int] = ()
    """Places, in the list of jobs, of those that it waits for; all of them before its own."""
    cores: int = 1
    gpus: int = 0
    todo: bool = True
    """False for a job that is finished: it costs nothing."""


@dataclass(frozen=True)
class Cost:
    """What jobs cost together. Hours of jobs whose time is unknown count as 0."""

    jobs: int = 0
    unknown: int = 0
    gpu_hours: float = 0.0
    """Hours x GPUs; ``cpu_hours``: hours x cores, those beside a GPU too."""
    cpu_hours: float = 0.0
    disk_gb: float = 0.0
    """1e9 bytes that stay; ``scratch_gb``: that the largest job needs besides while it runs."""
    scratch_gb: float = 0.0
    download_gb: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        summed = {name: getattr(self, name) + getattr(other, name) for name in _SUMMED}
        return Cost(**summed, scratch_gb=max(self.scratch_gb, other.scratch_gb))


_SUMMED = [field.name for field in fields(Cost) if field.name != "scratch_gb"]


@dataclass(frozen=True)
class Line:
    """A line of a plan."""

    part: str
    """``rule``; ``artifact``: a table or figure with all that it needs; ``own``: what nothing else needs;
    ``shared``: what several need; ``other``: what none needs; ``total``: own, shared and other together.

    A table that others are made from has no line ``own``: its jobs are theirs."""
    name: str
    published: str
    """The published figure or table that it corresponds to."""
    basis: str
    """What tells the hours: records, statements, or unknown."""
    longest_hours: float
    """Of a rule, its longest job; else the longest path, which no number of machines can shorten."""
    cost: Cost

    def cells(self) -> dict[str, Any]:
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "cost"}
        return {**named, **asdict(self.cost)}


@dataclass(frozen=True)
class Plan:
    """What is left to do; ``path``: the jobs of the longest path with their hours, in order."""

    lines: Sequence[Line]
    path: Sequence[tuple[Job, float]]
    finished: int

    def of(self, part: str) -> list[Line]:
        return [line for line in self.lines if line.part == part]

    @property
    def total(self) -> Line:
        return self.of("total")[0]


def plan(study: Study, jobs: Sequence[Job], estimates: Estimates) -> Plan:
    """Return what the jobs that are not finished cost: by rule, by table and figure, and in all.

    AnatomyError where the throughput sheet has no row for a job.
    """
    taken = [_taken(study, job, estimates) for job in jobs]
    todo = [place for place, job in enumerate(jobs) if job.todo]
    hours = [cost.hours for cost in taken]
    ends, before = _schedule(jobs, hours)

    def line(part: str, name: str, places: Sequence[int], longest: float, published: str = "") -> Line:
        basis = " and ".join(sorted({taken[place].basis for place in places}))
        return Line(
            part, name, published, basis, longest, sum((taken[place].cost for place in places), Cost())
        )

    def alone(places: Sequence[int]) -> float:
        """Return the longest path through some of the jobs, as if there were no others."""
        chosen = set(places)
        return max(_schedule(jobs, [hours[at] * (at in chosen) for at in range(len(jobs))])[0], default=0.0)

    rules: dict[str, list[int]] = defaultdict(list)
    for place in todo:
        rules[jobs[place].rule].append(place)
    lines = [line("rule", rule, at, max(hours[place] for place in at)) for rule, at in sorted(rules.items())]

    artifacts = _artifacts(study, jobs)
    users = _users(jobs, artifacts)
    # Those that no other is made from share out all that tables and figures need.
    finals = [bit for bit, place in enumerate(artifacts) if users[place] == 1 << bit]
    final = sum(1 << bit for bit in finals)
    for bit, place in enumerate(artifacts):
        kind = jobs[place].rule
        name = jobs[place].wildcards[kind]
        published = str(study.artifacts[f"{kind}s"].get(name, {}).get("published", ""))
        needed = [at for at in todo if users[at] >> bit & 1]
        if needed:
            lines.append(line("artifact", f"{kind} {name}", needed, ends[place], published))
        if needed and bit in finals:
            own = [at for at in needed if users[at] & final == 1 << bit]
            lines.append(line("own", f"{kind} {name}", own, alone(own), published))
    several = [at for at in todo if (users[at] & final).bit_count() > 1]
    nobody = [at for at in todo if not users[at] & final]
    lines.append(line("shared", "several tables and figures", several, alone(several)))
    lines.append(line("other", "no table or figure", nobody, alone(nobody)))
    lines.append(line("total", "all", todo, max(ends, default=0.0)))

    path: list[tuple[Job, float]] = []
    at = max(range(len(jobs)), key=ends.__getitem__, default=None)
    while at is not None:
        path[:0] = [(jobs[at], hours[at])] * jobs[at].todo
        at = before[at]
    return Plan(lines, path, len(jobs) - len(todo))


@dataclass(frozen=True)
class _Taken:
    hours: float
    basis: str
    cost: Cost


def _taken(study: Study, job: Job, estimates: Estimates) -> _Taken:
    if not job.todo:
        return _Taken(0.0, "", Cost())
    what = work(study, job.rule, job.wildcards)
    known, basis = estimates.hours(job.rule, what)
    hours, download = known or 0.0, what.amounts.get("download", 0.0) / 1e9
    amounts = (hours * job.gpus, hours * job.cores, what.disk, what.scratch, download)
    return _Taken(hours, basis, Cost(1, int(known is None), *amounts))


def _schedule(jobs: Sequence[Job], hours: Sequence[float]) -> tuple[list[float], list[int | None]]:
    """Return when each job ends if all start as early as they can, and for which other it waited longest."""
    ends: list[float] = []
    before: list[int | None] = []
    for job, time in zip(jobs, hours, strict=True):
        last = max(job.needs, key=ends.__getitem__, default=None)
        before.append(last)
        ends.append(time + (0.0 if last is None else ends[last]))
    return ends, before


def _artifacts(study: Study, jobs: Sequence[Job]) -> list[int]:
    """Return the jobs that make figures and tables, in the order of the study's artifacts."""
    order = [("figure", name) for name in study.artifacts["figures"]]
    order += [("table", name) for name in study.artifacts["tables"]]
    made = {(job.rule, job.wildcards.get(job.rule)): place for place, job in enumerate(jobs)}
    return [made[artifact] for artifact in order if artifact in made]


def _users(jobs: Sequence[Job], artifacts: Sequence[int]) -> list[int]:
    """Return for each job the artifacts that need it, themselves too: one bit each, in their order."""
    users = [0] * len(jobs)
    for bit, place in enumerate(artifacts):
        users[place] = 1 << bit
    for place in reversed(range(len(jobs))):
        for needed in jobs[place].needs:
            users[needed] |= users[place]
    return users
