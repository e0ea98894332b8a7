"""The plan of a study: its jobs, what they take, and how long they keep a cluster busy."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from anatomy.planning.sizing import scale
from anatomy.planning.work import SECONDS, Work, stated_seconds, work
from anatomy.study.study import Study


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
        self.scaled = study.settings.scale is not None
        self.foreign = self.scaled and scale(study).gpu != scale(self.stated).gpu
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
        """Return the line as cells of a table, by column."""
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "cost"}
        return {**named, **asdict(self.cost)}


@dataclass(frozen=True)
class Plan:
    """What is left to do; ``path``: the jobs of the longest path with their hours, in order."""

    lines: Sequence[Line]
    path: Sequence[tuple[Job, float]]
    finished: int

    def of(self, part: str) -> list[Line]:
        """Return the lines of a part: rule, artifact, own, shared, other or total."""
        return [line for line in self.lines if line.part == part]

    @property
    def total(self) -> Line:
        """The line of everything together."""
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
