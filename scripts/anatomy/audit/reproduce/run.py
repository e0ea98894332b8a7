"""A chain run again from its records: the recorded code, parameters and inputs, in an empty folder.

Each job's script is run from the code that its record lists, as a process of its own, without Snakemake; what
it makes is compared with what it made the first time (``agreement``).
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from anatomy import paths
from anatomy.audit import recorder
from anatomy.audit.job_record import File, Record
from anatomy.audit.provenance import Trail
from anatomy.audit.reproduce import agreement, agreement_result
from anatomy.audit.reproduce.agreement_result import DIFFERENT, IDENTICAL, Agreement
from anatomy.audit.reproduce.environment import ENVIRONMENTS, check_environment, interpreters
from anatomy.audit.reproduce.folder import Workspace
from anatomy.audit.reproduce.plan import STARTS, Plan, collecting, planned
from anatomy.audit.reproduce.result import (
    FAILED,
    GIVEN,
    NOT_RUN,
    Number,
    Outcome,
    Output,
    Report,
    Step,
    last_lines,
    step_line,
)
from anatomy.audit.words import counted
from anatomy.errors import AnatomyError

_RUNNER = paths.SCRIPTS / "_replay.py"
_THREADED = tuple(
    f"{name}_THREADS"
    for name in ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")
)


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

    A job that fails, or whose result is another one, does not raise: it stands in what is returned.

    Args:
        trail: The study.
        name: As ``Trail.named`` takes it.
        work: The folder, empty or new.
        start: From where on jobs run again; see STARTS.
        environment: See ENVIRONMENTS.
        jobs: How many run at once.
        report: Takes a line for people.

    Raises:
        AnatomyError: The chain cannot be run: ``work`` is not empty, a record, the kept code or a file taken
            as given was altered, the environment is another one.
    """
    if start not in STARTS or environment not in ENVIRONMENTS or jobs < 1:
        raise AnatomyError(
            f"start is one of {', '.join(STARTS)}, environment one of {', '.join(ENVIRONMENTS)}, jobs from 1"
            f" on; not {start}, {environment}, {jobs}"
        )
    numbers, files = trail.named(name)
    tables = list(dict.fromkeys(trail.numbers[number]["file"] for number in numbers))
    plan = planned(trail, [*tables, *files], start)
    if not plan.run and not numbers:
        raise AnatomyError(f"{name}: starting from {start}, nothing is left to run")
    work = work.absolute()
    if work.exists() and (not work.is_dir() or any(work.iterdir())):
        raise AnatomyError(f"{work}: not an empty folder; name one that is empty or does not exist yet")
    collect = collecting(trail, tables) if numbers else None
    everything = [*plan.run, *([collect] if collect else [])]
    if environment != "build":
        check_environment(everything, environment, report)
    taken = sum(float(job.run["seconds"]) for job in plan.run)
    report(
        f"{counted(len(plan.run), 'job')} to run, {taken:,.0f} s when recorded;"
        f" files taken as given: {len(plan.given)}"
    )
    workspace = Workspace(trail, work)
    try:
        code = list(workspace.lay_code(everything))
        workspace.lay_inputs(plan)
    except (AnatomyError, OSError) as error:
        workspace.clear()
        if isinstance(error, AnatomyError):
            raise
        raise AnatomyError(f"{error.filename or work}: {error.strerror}; nothing was run") from error
    code.append(f"First run on: {'; '.join(dict.fromkeys(map(_machine, everything)))}")
    for line in code:
        report(line)
    pythons = interpreters(workspace, everything, report) if environment == "build" else {}
    with _Replay(workspace, plan, pythons, jobs, report) as replay:
        steps = replay.all()
        again = replay.numbers(collect, numbers) if collect else []
    return Outcome(name, work, start, code, steps, again)


def _machine(record: Record) -> str:
    return " with ".join([str(record.run["cpu"]), *map(str, record.run["gpu"])])


# The run ---------------------------------------------------------------------------------------------


class _Replay:
    """Runs a plan's jobs, several at once, and compares what each has made."""

    def __init__(
        self, workspace: Workspace, plan: Plan, pythons: Mapping[str, str], jobs: int, report: Report
    ):
        """Prepare a run; ``pythons``: interpreters by the digests of jobs' records, where not this one's."""
        self.workspace, self.plan, self.pythons, self.report = workspace, plan, pythons, report
        self.work, self.trail = workspace.work, workspace.trail
        self.made = {file.path for record in plan.run for file in record.outputs}
        self.outputs = {path: Output(path, GIVEN) for path in plan.given}
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
                if any(path not in self.outputs for path in needed):
                    continue
                waiting.remove(record)
                lost = [path for path in needed if self.outputs[path].outcome in (FAILED, NOT_RUN)]
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
                Step(
                    record.name,
                    [self.outputs[f.path] for f in record.outputs if f.path in self.outputs],
                    GIVEN,
                )
                for record in given.values()
            ),
            *(self.steps[record.digest] for record in self.plan.run),
        ]

    def _give_up(self, record: Record, outcome: str, detail: str, seconds: float = 0.0) -> None:
        outputs = [Output(file.path, outcome) for file in record.outputs]
        self._finish(record, Step(record.name, outputs, outcome, detail, seconds))

    def _finish(self, record: Record, step: Step) -> None:
        self.outputs |= {output.path: output for output in step.outputs}
        self.steps[record.digest] = step
        self.report(f"[{len(self.steps)}/{len(self.plan.run)}] {step_line(step)}")

    # One job

    def _job(self, record: Record) -> dict[str, Any]:
        """Return a job for the runner, as its record tells it."""
        result, place = record.result, self.workspace.place

        def placed(named: Any) -> Any:
            return place(named) if isinstance(named, str) else [place(path) for path in named]

        named = result["named"]
        return {
            "script": str(self.workspace.trees[record.run["sources"]] / result["script"]),
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
        return f"exit status {status}; {log} ends:\n{last_lines(log)}"

    # Comparison

    def _compare(self, record: Record, seconds: float) -> None:
        agreements = {file.path: self._agreement(file) for file in record.outputs}
        outcome = agreement_result.worst(list(agreements.values()))
        said = [
            f"{path}: {agreement.detail}" if len(agreements) > 1 else agreement.detail
            for path, agreement in agreements.items()
            if agreement.detail
        ]
        if record.outputs[0].path.startswith(f"{self.trail.figures}/"):
            data = {self.workspace.place(file.path): self.outputs.get(file.path) for file in record.inputs}
            data_outcomes = ", ".join(
                f"{Path(path).stem} {output.outcome}" for path, output in data.items() if output
            )
            said = [f"data: {data_outcomes}", *(said or ["picture: identical"])]
        outputs = [
            Output(path, agreement.outcome, agreement.detail) for path, agreement in agreements.items()
        ]
        self._finish(record, Step(record.name, outputs, outcome, "; ".join(said), seconds))

    def _agreement(self, file: File) -> Agreement:
        """Compare a file that was made again with what was recorded of it, and with the study's."""
        again, first = self.work / file.path, self.workspace.folder / file.path
        if not again.exists():
            return Agreement(DIFFERENT, "the job did not make it")
        same = recorder.look(str(again)).sha256 == file.sha256
        if not first.exists():
            gone = (
                "other bytes than were recorded, and the study's own file is gone, so there is no more to say"
            )
            return Agreement(IDENTICAL) if same else Agreement(DIFFERENT, gone)
        if recorder.look(str(first)).sha256 != file.sha256:
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
        lost = [path for path in files.values() if self.outputs[path].outcome in (FAILED, NOT_RUN)]
        tables = [path for path in dict.fromkeys(files.values()) if path not in lost]
        job = self._job(collect)
        job |= {"inputs": tables, "named": {"inputs": {}, "outputs": job["named"]["outputs"]}}
        status = self._run(collect, job)[0] if tables else 0
        again = {}
        if tables and not status:
            again = json.loads((self.work / collect.outputs[0].path).read_text(encoding="utf-8"))
        numbers = []
        for name, path in files.items():
            recorded = self.trail.numbers[name]
            before = _text(recorded)
            if path in lost or status:
                why = f"there is no {path}" if path in lost else self._reason(collect, status)
                numbers.append(Number(name, NOT_RUN if path in lost else FAILED, why, before, None))
            elif name not in again:
                numbers.append(Number(name, DIFFERENT, f"{path} has no such row any more", before, None))
            else:
                agreement = agreement_result.number(recorded, again[name])
                numbers.append(Number(name, agreement.outcome, agreement.detail, before, _text(again[name])))
        return numbers


def _text(number: Mapping[str, Any]) -> str:
    ends = number.get("interval_text")
    return str(number["text"]) + (f" [{', '.join(ends)}]" if ends else "")
