"""A chain run again from its records: the recorded code, parameters and inputs, in an empty folder.

Each job's script is run from the code that its record lists, as a process of its own, without Snakemake; what
it makes is compared with what it made the first time (``agreement``).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from anatomy.audit import agreement, hashing, recording, records
from anatomy.audit.agreement import DIFFERENT, IDENTICAL, WITHIN, Agreement
from anatomy.audit.records import File, Record
from anatomy.audit.trail import Trail
from anatomy.audit.words import counted, few
from anatomy.errors import AnatomyError

GIVEN, FAILED, NOT_RUN = "taken as given", "failed", "not run"
"""Outcomes of a job besides those of ``agreement``."""
STARTS = ("data", "models", "samples", "verdicts", "counts", "tables")
"""Where a chain can start. ``data``: everything is run; else what comes up to there is taken as given."""
ENVIRONMENTS = ("same", "current", "build")
"""``same``: this one, and it must be the recorded one; ``current``: this one, whatever it is; ``build``: the
recorded one, made anew.
"""
OUTSIDE = ("download", "fetch", "annotate", "ledger", "browse")
"""Rules whose outputs are always taken as given: those that ask a hub or a language model, which change, and
the ledger and the audit site, which show a study's records and compute nothing.
"""

_STAGES = {
    "downloads": "data",
    "problems": "data",
    "annotations": "data",
    "prompts": "data",
    "models": "models",
    "samples": "samples",
    "temperatures": "samples",
    "verdicts": "verdicts",
    "counts": "counts",
    "scores": "counts",
    "tables": "tables",
}
"""The stage of a job, by the folder of its study that its first output lies in."""
_RUNNER = Path(__file__).resolve().parents[2] / "replay.py"
_LINKED = 64 << 20
"""Bytes from which a file taken as given is linked instead of copied, where that is possible."""
_THREADED = tuple(
    f"{name}_THREADS"
    for name in ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")
)
_TAIL = 15
"""Lines of a failed job's log that are shown."""
_VERSIONS = """
import importlib.metadata, json, platform, re
found = {"python": platform.python_version()}
for one in importlib.metadata.distributions():
    if one.name:
        found[re.sub("[_.]", "-", one.name.lower())] = one.version
print(json.dumps(found))
"""
"""What an interpreter is asked."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Output:
    """One file or folder of a job, and how it agrees with the first one."""

    path: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True)
class Step:
    """One job: what came of it, or why nothing did."""

    job: str
    """Rule and wildcards."""
    outputs: list[Output]
    outcome: str
    detail: str = ""
    seconds: float = 0.0
    """Wall-clock seconds of the job, its process's start included; 0 where it was not run."""


@dataclass(frozen=True)
class Number:
    """A reported number, read again from the table that was made again."""

    name: str
    outcome: str
    detail: str
    recorded: str
    """Its text in the study."""
    again: str | None
    """Its text now; None where it could not be read."""


@dataclass
class Outcome:
    """What running a chain again has come to."""

    name: str
    work: Path
    start: str
    code: list[str] = field(default_factory=list)
    """Where the code that was run comes from, and on what machines it was run first, in words."""
    steps: list[Step] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    """The number asked for; several where a page of the paper was."""

    @property
    def ok(self) -> bool:
        """Whether everything was run, or taken as given, and nothing is different."""
        found = [step.outcome for step in self.steps] + [number.outcome for number in self.numbers]
        return all(outcome in (IDENTICAL, WITHIN, GIVEN) for outcome in found)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the tolerances."""
        tolerances = list(agreement.TOLERANCES)
        return asdict(self) | {"work": str(self.work), "ok": self.ok, "tolerances": tolerances}


def reproduce(
    trail: Trail,
    name: str,
    work: Path,
    *,
    start: str = "data",
    environment: str = "same",
    jobs: int = 1,
    report: Report,
) -> Outcome:
    """Run the chain behind a number, figure, table or file again in ``work``, and compare step by step.

    name: as ``Trail.named`` takes it. start: see STARTS; environment: see ENVIRONMENTS; jobs: how many run at
    once. Raises AnatomyError where the chain cannot be run: ``work`` is not empty, a record, the kept code or
    a file taken as given was altered, the environment is another one. A job that fails, or whose result is
    another one, does not raise: it stands in what is returned.
    """
    if start not in STARTS or environment not in ENVIRONMENTS or jobs < 1:
        raise AnatomyError(
            f"start is one of {', '.join(STARTS)}, environment one of {', '.join(ENVIRONMENTS)}, jobs from 1"
            f" on; not {start}, {environment}, {jobs}"
        )
    numbers, files = trail.named(name)
    tables = list(dict.fromkeys(trail.numbers[number]["file"] for number in numbers))
    plan = _planned(trail, [*tables, *files], start)
    if not plan.run and not numbers:
        raise AnatomyError(f"{name}: starting from {start}, nothing is left to run")
    work = work.absolute()
    if work.exists() and (not work.is_dir() or any(work.iterdir())):
        raise AnatomyError(f"{work}: not an empty folder; name one that is empty or does not exist yet")
    collect = _collecting(trail, tables) if numbers else None
    everything = [*plan.run, *([collect] if collect else [])]
    if environment != "build":
        _check_environment(everything, environment, report)
    taken = sum(float(job.run["seconds"]) for job in plan.run)
    report(
        f"{counted(len(plan.run), 'job')} to run, {taken:,.0f} s when recorded;"
        f" files taken as given: {len(plan.given)}"
    )
    laid = _Laid(trail, work)
    try:
        code = list(laid.lay_code(everything))
        laid.lay_inputs(plan)
    except (AnatomyError, OSError) as error:
        laid.clear()
        if isinstance(error, AnatomyError):
            raise
        raise AnatomyError(f"{error.filename or work}: {error.strerror}; nothing was run") from error
    code.append(f"First run on: {'; '.join(dict.fromkeys(map(_machine, everything)))}")
    for line in code:
        report(line)
    pythons = _built(laid, everything, report) if environment == "build" else {}
    with _Replay(laid, plan, pythons, jobs, report) as replay:
        steps = replay.all()
        found = replay.numbers(collect, numbers) if collect else []
    return Outcome(name, work, start, code, steps, found)


def lines(outcome: Outcome) -> Iterator[str]:
    """Yield what a reproduction has come to, for a terminal."""
    yield f"{outcome.name}, run again in {outcome.work}, from {outcome.start}"
    yield from outcome.code
    given = Counter(step.job.partition(" ")[0] for step in outcome.steps if step.outcome == GIVEN)
    for rule, count in given.items():
        yield f"{GIVEN:16}  {counted(count, 'job')} of {rule}"
    yield from (_line(step) for step in outcome.steps if step.outcome != GIVEN)
    for number in outcome.numbers:
        again = "" if number.again is None else f", {number.again} now"
        detail = f" ({number.detail})" if number.detail else ""
        yield f"{number.outcome:16}  {number.name}: {number.recorded} in the study{again}{detail}"
    yield "Tolerances: " + "; ".join(agreement.TOLERANCES) + "."
    kinds = Counter(step.outcome for step in outcome.steps)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    verdict = "Reproduced." if outcome.ok else "Not reproduced."
    yield f"{counted(len(outcome.steps), 'job')}: {told}. {verdict}"


def _line(step: Step) -> str:
    seconds = f" ({step.seconds:.1f} s)" if step.seconds else ""
    return f"{step.outcome:16}  {step.job}{seconds}" + (f": {step.detail}" if step.detail else "")


def _machine(record: Record) -> str:
    return " with ".join([str(record.run["cpu"]), *map(str, record.run["gpu"])])


# What is to be run -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    run: list[Record]
    """In an order in which each job comes after those that it depends on."""
    given: dict[str, tuple[File, Record]]
    """Files of the study that are taken as given, each with the job that made it."""
    raw: list[File]
    """Inputs that no job made."""


def _planned(trail: Trail, targets: Sequence[str], start: str) -> _Plan:
    chain = trail.chain(targets)
    makers = {file.path: record for record in chain for file in record.outputs}
    for path in targets:
        if path not in makers:
            raise AnatomyError(f"{path}: no job made it, or its record is gone: it cannot be made again")
    for record in chain:
        _check_record(record, makers, record.inputs)
    running: set[str] = set()
    for record in chain:
        after = any(file.path in makers and makers[file.path].digest in running for file in record.inputs)
        if not _taken(trail, record, start, after):
            running.add(record.digest)
    wanted: set[str] = set()
    given: dict[str, tuple[File, Record]] = {}
    raw: dict[str, File] = {}
    todo = list(targets)
    while todo:
        path = todo.pop()
        record = makers[path]
        if record.digest not in running:
            file = record.output(path)
            assert file
            given[path] = file, record
        elif record.digest not in wanted:
            wanted.add(record.digest)
            raw |= {file.path: file for file in record.inputs if file.path not in makers}
            todo += [file.path for file in record.inputs if file.path in makers]
    return _Plan([record for record in chain if record.digest in wanted], given, list(raw.values()))


def _taken(trail: Trail, record: Record, start: str, after: bool) -> bool:
    """Tell whether a job's outputs are taken as given; after: it depends on a job that is run."""
    if record.rule in OUTSIDE:
        return True
    parts = Path(record.outputs[0].path).parts
    stage = _STAGES.get(parts[2]) if parts[:2] == Path(trail.results).parts else None
    if stage is None or start == "data":
        return False
    if stage == "data":  # problems that a model fails, say, come after that model's samples
        return not after
    return STARTS.index(stage) <= STARTS.index(start)


def _check_record(record: Record, makers: Mapping[str, Record], inputs: Iterable[File]) -> None:
    """Raise AnatomyError where a record was edited, or an input's record is not the one that it names."""
    if records.digest(record.result) != record.digest:
        raise AnatomyError(
            f"{record.path}: edited since it was written; its content is not that of its digest"
        )
    for file in inputs:
        maker = makers.get(file.path)
        if file.made_by and (maker is None or maker.digest != file.made_by):
            what = "is gone" if maker is None else f"({maker.path}) is another one now"
            raise AnatomyError(
                f"{file.path}: the record of the job that made it for {record.name} {what};"
                " `verify` tells what was altered"
            )


def _collecting(trail: Trail, tables: Sequence[str]) -> Record:
    """Return the record of the job that read the numbers from tables, these among them."""
    path = f"{trail.results}/numbers.json"
    record = trail.maker(path)
    if record is None:
        raise AnatomyError(f"{path}: it has no record, so numbers cannot be read from their tables again")
    makers = {table: maker for table in tables if (maker := trail.maker(table))}
    _check_record(record, makers, [file for file in record.inputs if file.path in tables])
    return record


# The folder ------------------------------------------------------------------------------------------


class _Laid:
    """The folder in which a chain is run, and the study whose kept files are laid there."""

    def __init__(self, trail: Trail, work: Path):
        self.trail, self.work = trail, work
        self.folder = trail.folder.absolute()
        self.store = self.folder / trail.results / recording.SOURCES
        self.trees: dict[str, Path] = {}
        """Where each list of sources was laid, relative to the folder."""
        self.places: dict[str, str] = {}
        """Where raw inputs were laid that are not the repository's, by their recorded paths."""

    def clear(self) -> None:
        """Empty the folder, which was empty before."""
        for path in self.work.iterdir() if self.work.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    # Code

    def lay_code(self, jobs: Sequence[Record]) -> Iterator[str]:
        """Lay the code of each job; yield in words where it comes from.

        The list that most jobs share is laid where it lay when it was run, others below ``code``.
        """
        lists = Counter(str(job.run["sources"]) for job in jobs)
        for rank, (digest, count) in enumerate(lists.most_common()):
            tree = self.trees[digest] = Path("code", digest[:12]) if rank else Path()
            listed = self._listed(digest)
            for path, source in listed.items():
                _copied(self.kept(source, path), self.work / tree / path)
            its = [job for job in jobs if job.run["sources"] == digest]
            for job in its:
                if not job.code.items() <= listed.items():
                    raise AnatomyError(
                        f"{job.path}: the list of sources that it names is not of the code that it ran"
                    )
            ran = {path: listed[path] for job in its for path in job.code}
            commits = dict.fromkeys(str(job.run["git"]["commit"]) for job in its)
            where = f" (in {tree})" if rank else ""
            said = "; ".join(self._of_commit(commit, ran) for commit in commits)
            yield f"Code of {counted(count, 'job')}{where}: {said}"

    def _listed(self, digest: str) -> dict[str, str]:
        text = self.kept(digest, "the list of a job's sources").read_text(encoding="utf-8")
        listed: dict[str, str] = json.loads(text)
        for path in listed:
            if _outside(path):
                raise AnatomyError(f"{self.store / digest}: lists {path}, which is not in the repository")
        return listed

    def kept(self, digest: str, what: str) -> Path:
        """Return where a source is kept. Raises AnatomyError unless it is there, and unaltered."""
        path = self.store / digest
        shown = f"{self.trail.results}/{recording.SOURCES}/{digest}"
        if not path.is_file():
            raise AnatomyError(
                f"{shown}: {what} is not kept here any more; copy it from where the study was made"
            )
        if hashing.sha256(path) != digest:
            raise AnatomyError(f"{shown}: {what}, altered since it was kept: its checksum is not its name")
        return path

    def _of_commit(self, commit: str, ran: Mapping[str, str]) -> str:
        """Say how the files that were run stand to the commit that was checked out then."""
        if commit == "None":
            return "of no repository; its files are those that the study kept"
        short = commit[:12]
        kept = [str(self.store / digest) for digest in ran.values()]
        try:
            tree = self._git(["ls-tree", "-r", "-z", commit]).split("\0")
            blobs = self._git(["hash-object", "--no-filters", "--stdin-paths"], "\n".join(kept)).split()
        except (OSError, subprocess.SubprocessError):
            return f"commit {short}, which is not in this repository; its files are those that the study kept"
        committed = {
            name: about.split()[2] for about, _, name in (line.partition("\t") for line in tree if line)
        }
        changed = [path for path, blob in zip(ran, blobs, strict=True) if committed.get(path) != blob]
        if not changed:
            return f"commit {short}, unchanged"
        more = ", ..." if len(changed) > 3 else ""
        return (
            f"commit {short} with changes to {len(changed)} of its {len(ran)} files, which the study kept"
            f" ({', '.join(changed[:3])}{more})"
        )

    def _git(self, words: Sequence[str], said: str = "") -> str:
        return subprocess.run(
            ["git", *words],
            cwd=self.folder,
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    # Inputs

    def lay_inputs(self, plan: _Plan) -> None:
        """Lay inputs that no job made, and files taken as given with their records; each is checked first."""
        for file in plan.raw:
            place = file.path
            if _outside(place):
                place = self.places[file.path] = f"outside/{file.sha256[:12]}/{Path(file.path).name}"
            if (self.store / file.sha256).is_file():
                _copied(self.kept(file.sha256, file.path), self.work / place)
            else:
                self._lay(file, self.folder / recording.unscrubbed(file.path), place)
        for path, (file, _) in plan.given.items():
            self._lay(file, self.folder / path, path)
            _copied(self.folder / records.path_of(path), self.work / records.path_of(path))

    def _lay(self, file: File, source: Path, place: str) -> None:
        if not source.exists():
            raise AnatomyError(f"{file.path}: not here any more, so it cannot be taken as given")
        if recording.look(str(source)).sha256 != file.sha256:
            raise AnatomyError(
                f"{file.path}: altered since it was recorded, so it cannot be taken as given;"
                " bring the recorded file back, or start further up where a job makes it"
            )
        files = hashing.files_of(source) if source.is_dir() else [source]
        for one in files:
            target = self.work / place / one.relative_to(source)
            if one.stat().st_size >= _LINKED and _linked(one, target):
                continue
            _copied(one, target)

    def place(self, path: str) -> str:
        """Return where an input lies in the folder."""
        return self.places.get(path, path)


def _outside(path: str) -> bool:
    """Tell whether a recorded path is none within the repository."""
    return path.startswith(("/", "~", "$")) or ".." in Path(path).parts


def _copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _linked(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False  # another file system, or one without links
    return True


# The environment -------------------------------------------------------------------------------------


def _check_environment(jobs: Sequence[Record], environment: str, report: Report) -> None:
    found = _unlike(jobs, sys.executable)
    if found and environment == "same":
        raise AnatomyError(
            f"this environment is not the recorded one: {few(found)}; `--environment build` makes the"
            " recorded one; `--environment current` goes on with this one, and tolerances tell the rest"
        )
    if found:
        report(f"The environment is not the recorded one: {few(found)}")


def _unlike(jobs: Iterable[Record], python: str) -> list[str]:
    """Return, in words, which versions of an environment are not those that jobs were run with."""
    here: dict[str, str] = json.loads(
        subprocess.run([python, "-c", _VERSIONS], capture_output=True, text=True, check=True).stdout
    )
    needed: dict[str, dict[str, None]] = {}
    for job in jobs:
        recorded = job.result["environment"]
        for name, version in {"python": recorded["python"], **recorded["packages"]}.items():
            needed.setdefault(name, {})[version] = None
    return [
        f"{name} {version} (here {here.get(name, 'none')})"
        for name, versions in needed.items()
        for version in versions
        if here.get(name) != version
    ]


def _built(laid: _Laid, jobs: Sequence[Record], report: Report) -> dict[str, str]:
    """Make an environment for each lock that jobs were run with; return the interpreter for each job."""
    of_lock: dict[tuple[str, str], list[Record]] = {}
    for job in jobs:
        lock = job.result["environment"]["lock"]
        if lock is None or Path(lock["path"]).suffix in (".yaml", ".yml"):
            what = "no lock is recorded" if lock is None else f"{lock['path']} is an environment of conda"
            raise AnatomyError(
                f"{job.name}: {what}: it cannot be built; set it up, and use `--environment current` in it"
            )
        of_lock.setdefault((lock["path"], lock["sha256"]), []).append(job)
    found: dict[str, str] = {}
    for (path, digest), its in of_lock.items():
        folder = Path("environment", digest[:12])
        report(f"Making the environment of {path} in {laid.work / folder}")
        lock_file = laid.work / folder.with_suffix(".txt")
        _copied(laid.kept(digest, path), lock_file)
        torch = {v for job in its if (v := job.result["environment"]["packages"].get("torch"))}
        if len(torch) > 1:
            raise AnatomyError(f"jobs were run with several versions of torch: {', '.join(sorted(torch))}")
        python = build(laid.work / folder, lock_file, next(iter(torch), None))
        if unlike := _unlike(its, python):
            raise AnatomyError(
                f"{laid.work / folder}: what {path} gives is not the recorded environment: {few(unlike)};"
                " `--environment current` goes on with the environment that is here"
            )
        found |= {job.digest: python for job in its}
    return found


def build(folder: Path, lock: Path, torch: str | None) -> str:
    """Make a virtual environment of a lock, and of torch where a version is given; return its Python.

    Raises AnatomyError with the last lines of the log, which lies beside the folder, where that fails.
    """
    log = folder.with_suffix(".log")
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
    steps = [
        [[sys.executable, "-m", "venv", str(folder)]],
        [[*pip, "--no-deps", "--require-hashes", "-r", str(lock)]],
    ]
    if torch:
        version, _, backend = torch.partition("+")
        uv = [str(folder / "bin" / "uv"), "pip", "install", "--python", str(python)]
        # Builds for a backend have a name of their own in an index of their own, which uv knows.
        other = [[*uv, f"--torch-backend={backend}", f"torch=={version}"]] if backend else []
        steps.append([[*pip, f"torch=={torch}"], *other])
    with log.open("w", encoding="utf-8") as file:
        for ways in steps:
            if not any(_went_well(words, file) for words in ways):
                raise AnatomyError(f"the environment cannot be made; {log} ends:\n{_last(log)}")
    return str(python)


def _went_well(words: Sequence[str], log: Any) -> bool:
    try:
        return subprocess.run(words, stdout=log, stderr=subprocess.STDOUT).returncode == 0
    except OSError as error:
        print(f"{words[0]}: {error.strerror}", file=log, flush=True)
        return False


# The run ---------------------------------------------------------------------------------------------


class _Replay:
    """Runs a plan's jobs, several at once, and compares what each has made."""

    def __init__(self, laid: _Laid, plan: _Plan, pythons: Mapping[str, str], jobs: int, report: Report):
        """pythons: the interpreter of a job by its record's digest; without one, that of this process."""
        self.laid, self.plan, self.pythons, self.report = laid, plan, pythons, report
        self.work, self.trail = laid.work, laid.trail
        self.made = {file.path for record in plan.run for file in record.outputs}
        self.found = {path: Output(path, GIVEN) for path in plan.given}
        """What has come of each file by now."""
        self.steps: dict[str, Step] = {}
        """Finished jobs, by the digests of their records."""
        self._pool = ThreadPoolExecutor(jobs)
        self._lock, self._ended = threading.Lock(), False
        self._processes: set[subprocess.Popen[bytes]] = set()

    def __enter__(self) -> "_Replay":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._ended = True
            for process in self._processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        self._pool.shutdown(cancel_futures=True)

    # Order

    def all(self) -> list[Step]:
        """Run every job of the plan once its inputs are there; return the steps in the plan's order."""
        waiting = list(self.plan.run)
        running: dict[Future[tuple[int, float]], Record] = {}
        while waiting or running:
            for record in list(waiting):
                needed = [file.path for file in record.inputs if file.path in self.made]
                if any(path not in self.found for path in needed):
                    continue
                waiting.remove(record)
                lost = [path for path in needed if self.found[path].outcome in (FAILED, NOT_RUN)]
                if lost:
                    self._give_up(record, NOT_RUN, f"an earlier job failed: there is no {lost[0]}")
                else:
                    running[self._pool.submit(self._run, record, self._job(record))] = record
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                record, (status, seconds) = running.pop(future), future.result()
                if status:
                    self._give_up(record, FAILED, self._reason(record, status), seconds)
                else:
                    self._compare(record, seconds)
        given = {record.digest: record for _, record in self.plan.given.values()}
        return [
            *(
                Step(record.name, [self.found[f.path] for f in record.outputs if f.path in self.found], GIVEN)
                for record in given.values()
            ),
            *(self.steps[record.digest] for record in self.plan.run),
        ]

    def _give_up(self, record: Record, outcome: str, detail: str, seconds: float = 0.0) -> None:
        outputs = [Output(file.path, outcome) for file in record.outputs]
        self._finish(record, Step(record.name, outputs, outcome, detail, seconds))

    def _finish(self, record: Record, step: Step) -> None:
        self.found |= {output.path: output for output in step.outputs}
        self.steps[record.digest] = step
        self.report(f"[{len(self.steps)}/{len(self.plan.run)}] {_line(step)}")

    # One job

    def _job(self, record: Record) -> dict[str, Any]:
        """Return a job for the runner, as its record tells it."""
        result, place = record.result, self.laid.place

        def placed(named: Any) -> Any:
            return place(named) if isinstance(named, str) else [place(path) for path in named]

        named = result["named"]
        return {
            "script": str(self.laid.trees[record.run["sources"]] / result["script"]),
            "rule": record.rule,
            "wildcards": result["wildcards"],
            "inputs": [place(file.path) for file in record.inputs],
            "outputs": [file.path for file in record.outputs],
            "named": {
                "inputs": {name: placed(files) for name, files in named["inputs"].items()},
                "outputs": named["outputs"],
            },
            "params": result["params"],
            "threads": result["threads"],
            "gpu": result["gpu"],
        }

    def _log(self, record: Record) -> Path:
        return self.work / "logs" / f"{record.outputs[0].path}.log"

    def _run(self, record: Record, job: Mapping[str, Any]) -> tuple[int, float]:
        """Run a job's script; return its exit status and the seconds that it took."""
        began, log = perf_counter(), self._log(record)
        log.parent.mkdir(parents=True, exist_ok=True)
        threads = str(job["threads"])
        # As rules/common.smk and Snakemake set them; a repository further up is not the one of this code.
        environment = {
            **os.environ,
            "OMP_WAIT_POLICY": "PASSIVE",
            **dict.fromkeys(_THREADED, threads),
            "GIT_CEILING_DIRECTORIES": str(self.work.resolve().parent),
        }
        with log.open("wb") as file, self._lock:
            if self._ended:
                return 1, 0.0
            process = subprocess.Popen(
                [self.pythons.get(record.digest, sys.executable), str(_RUNNER)],
                cwd=self.work,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that whatever it starts can be ended with it
            )
            self._processes.add(process)
        assert process.stdin
        with process.stdin, suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            process.wait()  # with its input open: it ends where that is closed
        status = process.wait()
        with self._lock:
            self._processes.discard(process)
        return status, perf_counter() - began

    def _reason(self, record: Record, status: int) -> str:
        log = self._log(record)
        return f"exit status {status}; {log} ends:\n{_last(log)}"

    # Comparison

    def _compare(self, record: Record, seconds: float) -> None:
        agreements = {file.path: self._agreement(file) for file in record.outputs}
        outcome = agreement.worst(list(agreements.values()))
        said = [
            f"{path}: {found.detail}" if len(agreements) > 1 else found.detail
            for path, found in agreements.items()
            if found.detail
        ]
        if record.outputs[0].path.startswith(f"{self.trail.figures}/"):
            data = {self.laid.place(file.path): self.found.get(file.path) for file in record.inputs}
            told = ", ".join(f"{Path(path).stem} {one.outcome}" for path, one in data.items() if one)
            said = [f"data: {told}", *(said or ["picture: identical"])]
        outputs = [Output(path, found.outcome, found.detail) for path, found in agreements.items()]
        self._finish(record, Step(record.name, outputs, outcome, "; ".join(said), seconds))

    def _agreement(self, file: File) -> Agreement:
        """Compare a file that was made again with what was recorded of it, and with the study's."""
        again, first = self.work / file.path, self.laid.folder / file.path
        if not again.exists():
            return Agreement(DIFFERENT, "the job did not make it")
        same = recording.look(str(again)).sha256 == file.sha256
        if not first.exists():
            gone = (
                "other bytes than were recorded, and the study's own file is gone, so there is no more to say"
            )
            return Agreement(IDENTICAL) if same else Agreement(DIFFERENT, gone)
        if recording.look(str(first)).sha256 != file.sha256:
            now = "as it was recorded" if same else "with other bytes than were recorded"
            return Agreement(DIFFERENT, f"the study's file was altered since; made again it is {now}")
        return Agreement(IDENTICAL) if same else agreement.compare(first, again, self._keys(file.path))

    def _keys(self, path: str) -> list[str]:
        """Return the columns that name a row of a table of results."""
        collect = self.trail.maker(f"{self.trail.results}/numbers.json")
        known = collect.params["tables"] if collect else {}
        return list(known.get(Path(path).stem, {}).get("keys", []))

    # Numbers

    def numbers(self, collect: Record, names: Sequence[str]) -> list[Number]:
        """Read numbers again from their tables in the folder, with the code that read them."""
        files = {name: str(self.trail.numbers[name]["file"]) for name in names}
        lost = [path for path in files.values() if self.found[path].outcome in (FAILED, NOT_RUN)]
        tables = [path for path in dict.fromkeys(files.values()) if path not in lost]
        job = self._job(collect)
        job |= {"inputs": tables, "named": {"inputs": {}, "outputs": job["named"]["outputs"]}}
        status = self._run(collect, job)[0] if tables else 0
        again = {}
        if tables and not status:
            again = json.loads((self.work / collect.outputs[0].path).read_text(encoding="utf-8"))
        found = []
        for name, path in files.items():
            recorded = self.trail.numbers[name]
            told = _text(recorded)
            if path in lost or status:
                why = f"there is no {path}" if path in lost else self._reason(collect, status)
                found.append(Number(name, NOT_RUN if path in lost else FAILED, why, told, None))
            elif name not in again:
                found.append(Number(name, DIFFERENT, f"{path} has no such row any more", told, None))
            else:
                one = agreement.number(recorded, again[name])
                found.append(Number(name, one.outcome, one.detail, told, _text(again[name])))
        return found


def _text(number: Mapping[str, Any]) -> str:
    ends = number.get("interval_text")
    return str(number["text"]) + (f" [{', '.join(ends)}]" if ends else "")


def _last(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL:]) or "(nothing was written)"
