r"""What everything after sampling takes at published volume: grading, counting and the tables of pass@k.

    python performance/volume.py [COMPLETIONS [FOLDER]] [--n 1000] [--shard 50000] [--cores 1] [--csv FILE]

Two arms' completions of made-up mathematics problems, 1,000 tokens (3.5 kB) on average, are written as
shards, then graded, counted and turned into tables by the rules' own scripts, each job in a process of its
own that may not use more than ``--memory`` MiB. Gold answers are of ten kinds. Known shares of the
completions are right, wrong, without a box, with one that is empty or never closed, with an answer of
thousands of characters, or cut off; counts and tables have to give them back exactly, or the benchmark
fails. Rates are of one core, by processor time, and include the start of each job.

Measured with 1,000,000 completions (3.5 GB of text, 1.1 GB on disk), 500 problems, n = 1,000, in shards of
50,000, on two shared cores:

    stage         completions/s  s per million  peak MiB
    make                 16,196           61.7       185
    grade                 1,031          970.2       303
    count               201,029            5.0       131
    passk               375,014            2.7       279
    difference          458,964            2.2       317

Nearly all of grading is Math-Verify's, once for each pair of gold and other answer, of which there are
17 in 100 answers here: 0.7 to 1.2 ms where the answer is a whole number (GSM8K, AMC, AIME), 5 ms in
MATH500, 8 ms in OlympiadBench, 29 ms in Minerva Math. So n = 8, where few answers occur twice, takes
about 4,000 s per million. The tables depend on problems and arms, not on completions.
"""

import argparse
import csv
import json
import os
import resource
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from math import comb, gcd
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.append(str(SCRIPTS))

ARMS = ("base", "tuned")
BENCHMARK = "made"
STAGES = ("make", "grade", "count", "passk", "difference", "check")


# Completions with known verdicts. ------------------------------------------------------------------------


def question(index: int) -> tuple[list[str], list[str], Callable[[int], str]]:
    """Return a problem's gold answers, right ways to write them, and its j-th wrong answer (j from 1)."""
    a, b = 2 + index % 89, 3 + index % 7
    while gcd(a, b) > 1:
        a += 1
    kinds: list[tuple[list[str], list[str], Callable[[int], str]]] = [
        ([f"{a}"], [f"{a}", f"{a}.0", f"x = {a}"], lambda j: f"{a + j}"),
        ([f"{a}.5"], [f"{a}.5", rf"\frac{{{2 * a + 1}}}{{2}}"], lambda j: f"{a + j}.5"),
        (
            [rf"\frac{{{a}}}{{{b}}}"],
            [rf"\dfrac{{{a}}}{{{b}}}", f"{a}/{b}"],
            lambda j: rf"\frac{{{a + j}}}{{{b}}}",
        ),
        ([rf"{a}\sqrt{{3}}"], [rf"{a}\sqrt{{3}}", rf"\sqrt{{{3 * a * a}}}"], lambda j: rf"{a + j}\sqrt{{3}}"),
        (
            [f"x^2+{a + b}x+{a * b}"],
            [f"x^2 + {a + b}x + {a * b}", f"(x+{a})(x+{b})"],
            lambda j: f"x^2+{a + b}x+{a * b + j}",
        ),
        ([f"{a}", f"{-b}"], [f"{a}, {-b}", f"{-b}, {a}", rf"\{{{a}, {-b}\}}"], lambda j: f"{a + j}, {-b}"),
        ([f"({a}, {b})"], [f"({a},{b})", rf"\left({a}, {b}\right)"], lambda j: f"({a + j},{b})"),
        ([f"[{-b}, {a})"], [f"[{-b},{a})", rf"\left[{-b}, {a}\right)"], lambda j: f"[{-b},{a + j})"),
        ([rf"\text{{North {a}}}"], [rf"\text{{North {a}}}"], lambda j: rf"\text{{South {j}}}"),
        ([f"{a}e{b}"], [rf"{a} \times 10^{{{b}}}", f"{a * 10**b}"], lambda j: rf"{a} \times 10^{{{b + j}}}"),
    ]
    return kinds[index % len(kinds)]


def shares(arm: int, index: int, problems: int, n: int) -> dict[str, int]:
    """Return how many of a problem's completions are of each class."""
    right = int(n * (index / problems) ** (2 - arm / 2))
    rest = n - right
    found = {"right": right, "truncated": rest // 8, "endless": rest // 64}
    found |= dict.fromkeys(("missing", "empty", "unclosed"), rest // 16)
    return {**found, "wrong": n - sum(found.values())}


CHARACTERS = 3.5
"""Characters a token, as in English mathematics."""


@cache
def pieces() -> list[str]:
    """Return what texts are put together from: words, numbers and formulas."""
    import numpy as np

    rng = np.random.default_rng(0)
    syllables = [a + b for a in "bcdfglmnprstv" for b in "aeiou"]
    found = [" " + "".join(rng.choice(syllables, size)) for size in rng.integers(1, 5, 2_000)]
    for p, q, r in rng.integers(2, 400, (1_000, 3)):
        found += [
            f" {p}",
            f" ${p}x + {q} = {r}$",
            rf" $\frac{{{p}}}{{{q}}}$",
            f".\n\nSo $y_{{{p}}} = {q}^{{2}}$",
        ]
    return [found[at] for at in rng.permutation(len(found))]


def completions(arm: int, index: int, problems: int, n: int, tokens: int) -> Iterator[dict[str, Any]]:
    """Yield a problem's completions by an arm, rows of the table 'samples'."""
    import numpy as np

    rng = np.random.default_rng([arm, index])
    texts = pieces()
    mean = sum(map(len, texts)) / len(texts)
    _, rights, wrong = question(index)
    classes = [name for name, count in shares(arm, index, problems, n).items() for _ in range(count)]
    # Some wrong answers are given often, and many once.
    wrongs = np.minimum(rng.zipf(1.3, n), 1_000_000)
    lengths = rng.lognormal(np.log(tokens * CHARACTERS / mean) - 0.125, 0.5, n)
    for sample, at in enumerate(rng.permutation(n)):
        # Zipf-like: some words are frequent, and most are rare.
        chosen = (rng.random(1 + int(lengths[sample])) ** 2 * len(texts)).astype(int)
        text = "".join(map(texts.__getitem__, chosen.tolist()))
        right, answer = rights[sample % len(rights)], wrong(int(wrongs[sample]))
        endings = {
            "right": rf" Not \boxed{{{answer}}}, so the answer is $\boxed{{{right}}}$.",
            "wrong": rf" The answer is $\boxed{{{answer}}}$.",
            "truncated": rf" The answer is $\boxed{{{right}}}$. But",
            "endless": rf" The answer is $\boxed{{{'1 + ' * 1_000}1}}$.",
            "missing": f" The answer is ${right}$.",
            "empty": r" The answer is $\boxed{}$.",
            "unclosed": rf" The answer is $\boxed{{{right}$.",
        }
        text += endings[classes[at]]
        size = 1 + int(len(text) / CHARACTERS)
        yield {
            "problem": f"problem-{index:05d}",
            "condition": "plain",
            "sample": sample,
            "completion": text,
            "tokens": size,
            "finish_reason": "length" if classes[at] == "truncated" else "stop",
            "logprob": -0.4 * size,
            "entropy": 0.5 * size,
            "temperature": 0.6,
        }


# Stages, each in a process of its own. -------------------------------------------------------------------


@dataclass(frozen=True)
class Volume:
    """What is made and where it lies."""

    completions: int
    folder: Path
    n: int
    tokens: int
    shard: int

    @property
    def problems(self) -> int:
        return max(1, self.completions // (len(ARMS) * self.n))

    @property
    def shards(self) -> list[range]:
        """Return the problems of each shard, whole ones."""
        size = max(1, self.shard // self.n)
        return [range(at, min(at + size, self.problems)) for at in range(0, self.problems, size)]

    def path(self, kind: str, *names: object) -> str:
        return str(self.folder.joinpath(kind, *map(str, names)).with_suffix(".parquet"))

    def pieces(self, kind: str, arm: str) -> list[str]:
        return [self.path(kind, arm, f"shard-{shard:03d}") for shard in range(len(self.shards))]


def make(volume: Volume, arm: str, shard: int) -> None:
    """Write a shard of an arm's completions, a prompt at a time; the problems with the first."""
    from anatomy.storage import parquet, schemas

    if arm == ARMS[0] and shard == 0:
        rows = [
            {"problem": f"problem-{index:05d}", "benchmark": BENCHMARK, "text": f"Question {index}?"}
            | {"answers": question(index)[0]}
            for index in range(volume.problems)
        ]
        columns = schemas.SCHEMAS["problems"].names
        parquet.write(
            volume.path("problems"), "problems", [{name: row.get(name) for name in columns} for row in rows]
        )
        parquet.write(volume.path("prompts"), "prompts", [])
    known, characters = {}, 0
    with parquet.writing(volume.pieces("samples", arm)[shard], "samples") as samples:
        for index in volume.shards[shard]:
            of = list(completions(ARMS.index(arm), index, volume.problems, volume.n, volume.tokens))
            samples.write(of)
            known[of[0]["problem"]] = sum(row["tokens"] for row in of)
            characters += sum(len(row["completion"]) for row in of)
    told = {"tokens": known, "characters": characters}
    Path(volume.pieces("samples", arm)[shard]).with_suffix(".json").write_text(json.dumps(told))


def check(volume: Volume) -> None:
    """Compare counts and tables with what was put in; raises AssertionError where they differ."""
    from anatomy.storage import parquet
    from anatomy.storage.csv import read_csv

    curves: dict[tuple[str, int], float] = {}
    for arm_index, arm in enumerate(ARMS):
        tokens: dict[str, int] = {}
        for path in volume.pieces("samples", arm):
            tokens |= json.loads(Path(path).with_suffix(".json").read_text())["tokens"]
        rows = list(parquet.records(volume.path("counts", arm), "counts"))
        assert len(rows) == volume.problems
        for index, row in enumerate(rows):
            put = shares(arm_index, index, volume.problems, volume.n)
            wanted = {
                "problem": f"problem-{index:05d}",
                "n": volume.n,
                "answer": put["right"],
                "no_answer": put["missing"] + put["empty"] + put["unclosed"],
                "truncated": put["truncated"],
                "tokens": tokens[row["problem"]],
                "entropy": 0.5 * tokens[row["problem"]],
            }
            found = {name: row[name] for name in wanted}
            assert found == wanted, f"{arm}: {found} instead of {wanted}"
        n, c = volume.n, [row["answer"] for row in rows]
        k = 1
        while k <= n // 2:
            curves[arm, k] = sum(1 - comb(n - one, k) / comb(n, k) for one in c) / len(c)
            k *= 2
    passk = read_csv(volume.folder / "tables/passk.csv")
    difference = read_csv(volume.folder / "tables/difference.csv")
    found = {(row.arm, row.k): row for row in passk[passk["seed"] == "all"].itertuples()}
    assert set(found) == set(curves)
    for key, value in curves.items():
        assert abs(found[key].estimate - value) < 1e-9 and found[key].low <= value <= found[key].high, key
    for row in difference.itertuples():
        assert abs(row.estimate - curves[ARMS[1], row.k] + curves[ARMS[0], row.k]) < 1e-9
        assert row.band_low <= row.estimate <= row.band_high and 0 <= row.p <= 1


def rule(script: str, output: str, params: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """Describe a job of a rule's script, for ``child``."""
    return {"script": script, "output": [output], "params": params, "input": inputs}


def jobs(volume: Volume, stage: str) -> list[dict[str, Any]]:
    """Return a stage's jobs."""
    shards = [(arm, shard) for arm in ARMS for shard in range(len(volume.shards))]
    if stage == "make":
        return [{"make": [arm, shard]} for arm, shard in shards]
    if stage == "check":
        return [{"check": []}]
    if stage == "grade":
        return [
            rule(
                "grade",
                volume.pieces("verdicts", arm)[shard],
                {"grader": "math"},
                samples=volume.pieces("samples", arm)[shard],
                problems=volume.path("problems"),
                prompts=volume.path("prompts"),
                template=str(SCRIPTS.parent / "config/templates/qwen-boxed.yaml"),
            )
            for arm, shard in shards
        ]
    if stage == "count":
        return [
            rule(
                "count",
                volume.path("counts", arm),
                {"n": volume.n},
                samples=volume.pieces("samples", arm),
                verdicts=volume.pieces("verdicts", arm),
            )
            for arm in ARMS
        ]
    sources = [
        {"kind": "counts", "path": volume.path("counts", arm), "arm": arm, "seed": 0, "benchmark": BENCHMARK}
        for arm in ARMS
    ]
    params = {
        "analysis": stage,
        "sources": sources,
        "pairs": [[ARMS[1], ARMS[0]]],
        "arms": {},
        "facts": {},
        "options": {},
        "seed": 0,
        "statistics": {"draws": 2000, "level": 0.95},
    }
    return [rule("table", str(volume.folder / f"tables/{stage}.csv"), params)]


def child(volume: Volume, job: dict[str, Any], memory: int) -> None:
    """Do one job in this process, within ``memory`` MiB: a rule's script as Snakemake runs it."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory << 20, memory << 20))
    if "make" in job:
        make(volume, *job["make"])
    elif "check" in job:
        check(volume)
    else:
        script = SCRIPTS / f"{job['script']}.py"
        files = [one if isinstance(one, list) else [one] for one in job["input"].values()]
        told = {"rule": job["script"], "wildcards": {}, "params": job["params"], "threads": 1, "gpu": 0}
        told |= {"inputs": [path for paths in files for path in paths], "outputs": job["output"]}
        sys.path.insert(0, str(SCRIPTS))
        from _replay import rebuilt

        shown = rebuilt(told | {"named": {"inputs": job["input"], "outputs": {}}})
        runpy.run_path(str(script), {"snakemake": shown}, "__main__")


@dataclass
class Usage:
    """What a stage's jobs used."""

    jobs: int = 0
    seconds: float = 0.0
    """Processor time of all jobs."""
    peak: float = 0.0
    """MiB of the largest job."""

    def add(self, used: resource.struct_rusage) -> None:
        self.jobs += 1
        self.seconds += used.ru_utime + used.ru_stime
        self.peak = max(self.peak, used.ru_maxrss / 1024)


@dataclass
class Runner:
    """Runs jobs, several at a time, and adds up what they use."""

    volume: Volume
    memory: int
    cores: int
    used: dict[str, Usage] = field(default_factory=dict)

    def stage(self, name: str) -> None:
        usage = self.used[name] = Usage()

        def one(job: dict[str, Any]) -> int:
            settings = {**vars(self.volume), "folder": str(self.volume.folder)}
            told = json.dumps([settings, job, self.memory])
            # This process stays small, since a child's peak counts what it was forked from.
            process = subprocess.Popen([sys.executable, __file__, "--child", told], stderr=subprocess.PIPE)
            assert process.stderr is not None
            said = process.stderr.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            usage.add(used)
            if process.returncode:
                sys.stderr.buffer.write(said)
            return process.returncode

        with ThreadPoolExecutor(self.cores) as pool:
            failed = [code for code in pool.map(one, jobs(self.volume, name)) if code]
        if failed:
            sys.exit(
                f"error: {len(failed)} of {usage.jobs} jobs of stage {name} failed (exit status {failed[0]})"
            )


def size(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def report(runner: Runner, total: int, wall: dict[str, float]) -> list[dict[str, Any]]:
    """Print and return one row a stage."""
    rows = []
    print(f"{'stage':12}{'jobs':>6}{'completions/s':>15}{'s per million':>15}{'peak MiB':>10}{'wall s':>9}")
    for name, usage in runner.used.items():
        rate = total / usage.seconds
        rows.append(
            {
                "stage": name,
                "jobs": usage.jobs,
                "rate": round(rate, 1),
                "seconds_per_million": round(1e6 / rate, 1),
                "peak_mib": round(usage.peak, 1),
            }
        )
        print(
            f"{name:12}{usage.jobs:6}{rate:15,.0f}{1e6 / rate:15,.1f}{usage.peak:10,.0f}{wall[name]:9,.1f}",
            flush=True,
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("completions", type=int, nargs="?", default=20_000, help="of both arms together")
    parser.add_argument("folder", type=Path, nargs="?", help="default: a temporary one, removed at the end")
    parser.add_argument("--n", type=int, default=1000, help="completions a problem and arm")
    parser.add_argument("--tokens", type=int, default=1000, help="a completion, on average")
    parser.add_argument("--shard", type=int, default=50_000, help="completions a shard, at most")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--memory", type=int, default=2048, help="MiB that a job may use")
    parser.add_argument("--csv", type=Path, help="write the table there too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        settings, job, memory = json.loads(arguments.child)
        child(Volume(**{**settings, "folder": Path(settings["folder"])}), job, memory)
        return
    with tempfile.TemporaryDirectory() as temporary:
        volume = Volume(
            arguments.completions,
            arguments.folder or Path(temporary),
            arguments.n,
            arguments.tokens,
            arguments.shard,
        )
        total = volume.problems * volume.n * len(ARMS)
        print(
            f"{total:,} completions: {len(ARMS)} arms, {volume.problems} problems, n = {volume.n}", flush=True
        )
        runner, wall = Runner(volume, arguments.memory, arguments.cores), {}
        for name in STAGES:
            began = time.perf_counter()
            runner.stage(name)
            wall[name] = time.perf_counter() - began
            print(f"  {name}: {wall[name]:.1f} s", flush=True)
        rows = report(runner, total, wall)
        samples = list((volume.folder / "samples").rglob("*.parquet"))
        characters = sum(json.loads(path.with_suffix(".json").read_text())["characters"] for path in samples)
        verdicts = size(list((volume.folder / "verdicts").rglob("*.parquet")))
        print(
            f"{characters / total:,.0f} characters a completion; on disk {size(samples) / total:,.0f} bytes a"
            f" completion, {verdicts / total:.1f} bytes a verdict; known shares came back exactly"
        )
        if arguments.csv:
            with arguments.csv.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, rows[0])
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
