"""A study's configuration: read, validated as a whole before anything runs, and turned into typed rows.

Every mistake becomes one message that names file, place, value and what is allowed.
"""

import csv
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from anatomy import scaffold, tasks, world
from anatomy.algorithms import registry
from anatomy.errors import AnatomyError
from anatomy.names import AT_TOKENS

REAL = "real"
"""Stands among a benchmark's studies where it is one of the real test sets that ``benchmarks`` prepares."""
EMPTY = "-"
"""How a sheet writes an empty cell."""


@dataclass(frozen=True)
class Benchmark:
    """A row of the benchmark sheet: a split of the world, or a real test set."""

    benchmark: str
    studies: tuple[str, ...]
    source: str
    hub_id: str
    hub_config: str
    hub_split: str
    revision: str
    sha256: str
    question: str
    answer: str
    answer_from: str
    """Where in a record the answer stands (``anatomy.benchmarks``), or the format of a set of programs."""
    window: str
    """Of LiveCodeBench, the dates of the problems taken, both ends included: ``2024-08-01..2025-02-01``."""
    solution: str
    id: str
    difficulty: str
    domain: str
    template: str
    grader: str
    splits_steps: tuple[int, ...]
    splits_domains: tuple[str, ...]
    taken_from: str
    """The benchmark of which this one is a part: the first ``problems`` of its problems with these steps."""
    failed_by: str
    """An arm: only problems that all of its training seeds fail in all attempts are taken."""
    problems: int
    """Number of problems; at most so many where only those that an arm fails are taken."""
    n: int
    """Completions a problem, for all arms; 0 for the study's usual number."""
    side: str
    role: str
    note: str
    """What differs from the published study, or is unknown of it; so in every sheet."""


@dataclass(frozen=True)
class Model:
    """A row of the model sheet: a model that is not the result of one of the study's RL runs.

    It is pretrained from scratch; or distilled: a start model, fine-tuned on a teacher's right completions on
    a benchmark; or downloaded from the hub, at a pinned revision.
    """

    model: str
    studies: tuple[str, ...]
    source: str
    preset: str
    start: str
    teacher: str
    """An arm."""
    benchmark: str
    hub_id: str
    revision: str
    gated: str
    """``gated`` where the hub asks for a token."""
    billions: float
    """Parameters, in 1e9."""
    context: int
    """Positions of prompt and completion together; 0 where the model itself tells."""
    gpus: int
    """GPUs that share the model when it is sampled from; 0 for none."""
    steps: int
    seed: int
    note: str


@dataclass(frozen=True)
class Run:
    """A row of the run sheet: a training run of an algorithm, repeated over seeds.

    ``sft`` fine-tunes on reference solutions; every other algorithm is one of reinforcement learning.
    """

    run: str
    studies: tuple[str, ...]
    algorithm: str
    preset: str
    start: str
    """A model, or another run: its last step, of the same training seed."""
    benchmark: str
    failed_by: str
    """An arm: only problems that it, of the same training seed, fails in all its completions are used."""
    easier: int
    """Other problems that are mixed in, drawn at random, for each that is failed."""
    levels: tuple[int, ...]
    """Partial step scaffolding: how many chunks of the solution open the response; empty for none at all."""
    steps: int
    checkpoints: tuple[int, ...]
    tokens: int
    """Generated tokens at which a model is kept too."""
    template: str
    """Of its prompts; empty for that of its benchmark."""
    nodes: int
    gpus: int
    """GPUs of each node; 0 for none."""
    seeds: tuple[int, ...]
    note: str


@dataclass(frozen=True)
class Arm:
    """A row of the arm sheet: a model at a step, a condition, sampling settings, and how figures call it."""

    arm: str
    studies: tuple[str, ...]
    model: str
    step: str
    """``last``, a step that the run keeps, or ``tokens``: the model kept at the run's number of tokens."""
    condition: str
    template: str
    """Of its prompts; empty for each benchmark's own."""
    sampling: str
    """A preset of sampling parameters; empty for the study's usual ones."""
    temperature: str
    """A number, or ``match:ARM``: that at which the mean token entropy equals the other arm's."""
    n: int
    """Completions a problem; 0 for each benchmark's own number."""
    benchmarks: tuple[str, ...]
    probed: tuple[str, ...]
    """Benchmarks on which it is sampled under the study's other conditions too (``probes``)."""
    base: str
    label: str
    note: str


@dataclass(frozen=True)
class Throughput:
    """A row of the throughput sheet: what one GPU of a kind does with models up to a size.

    ``sample`` is decoding at full load, ``score`` one forward pass, ``train`` a forward and a backward pass.
    """

    gpu: str
    memory: float
    """GiB."""
    task: str
    billions: float
    """Parameters, in 1e9: the row holds for models of at most this size, down to the next smaller row."""
    tokens_per_second: float
    source: str


Row = TypeVar("Row", Benchmark, Model, Run, Arm, Throughput)

_CHOICES: Mapping[str, Sequence[str]] = {
    "benchmark.source": ("world", "tasks", "hub", "split"),
    "benchmark.grader": ("world", "math", "program"),
    "benchmark.side": (EMPTY, "pretraining", "training", "test"),
    "benchmark.role": ("train", "pool", "test"),
    "model.source": ("pretrain", "distill", "hub"),
    "model.gated": (EMPTY, "gated"),
    "gpu.task": ("sample", "score", "train"),
    "run.algorithm": (*registry.names(), "sft"),
}


def _numbers(cell: str) -> tuple[int, ...]:
    """Read ``1,2,5`` or ``2-6`` (both ends) or a mixture of them."""
    numbers: list[int] = []
    for part in cell.split(","):
        low, dash, high = part.partition("-")
        numbers += range(int(low), int(high) + 1) if dash else [int(part)]
    return tuple(numbers)


_READERS: Mapping[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    tuple[int, ...]: _numbers,
    tuple[str, ...]: lambda cell: tuple(cell.split(",")),
}
_BLANK: Mapping[Any, Any] = {str: "", int: 0, float: 0.0, tuple[int, ...]: (), tuple[str, ...]: ()}


def sheet(path: str | Path, kind: type[Row]) -> list[Row]:
    """Read a tab-separated sheet whose columns are the fields of ``kind``.

    Raises AnatomyError for a missing file, a missing or unknown column, a cell of the wrong type or value,
    or a name that stands twice.
    """
    path = Path(path)
    names = [field.name for field in fields(kind)]
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns, lines = list(reader.fieldnames or []), list(reader)
    except OSError as error:
        raise AnatomyError(f"{path}: cannot read the sheet: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnatomyError(f"{path}: not UTF-8 text: {error}") from error
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise AnatomyError(f"{path}: column {', '.join(twice)} stands twice; delete one")
    missing, unknown = set(names) - set(columns), set(columns) - set(names)
    if missing or unknown:
        wrong = (
            f"missing column {sorted(missing)}" if missing else f"unknown column {sorted(map(str, unknown))}"
        )
        raise AnatomyError(f"{path}: {wrong}; columns are {', '.join(names)}")
    rows: list[Row] = []
    for number, line in enumerate(lines, start=2):
        if None in line:
            raise AnatomyError(f"{path}, line {number}: more cells than the {len(names)} columns")
        values: dict[str, Any] = {}
        for field in fields(kind):
            cell = line[field.name]
            where = f"{path}, line {number}, column {field.name}"
            if not cell:
                raise AnatomyError(f"{where}: the cell is empty; write '{EMPTY}' where nothing is meant")
            try:
                blank = cell == EMPTY
                values[field.name] = _BLANK[field.type] if blank else _READERS[field.type](cell)
            except ValueError as error:
                kinds: Mapping[Any, str] = {int: "a whole number", float: "a number"}
                expected = kinds.get(field.type, "whole numbers such as 0,1,2 or 2-6")
                raise AnatomyError(f"{where}: '{cell}' is not {expected}") from error
            allowed = _CHOICES.get(f"{names[0]}.{field.name}")
            if allowed and cell not in allowed:
                raise AnatomyError(f"{where}: unknown '{cell}'; allowed: {', '.join(allowed)}")
        row = kind(**values)
        if names[0] != "gpu" and any(getattr(row, names[0]) == getattr(other, names[0]) for other in rows):
            raise AnatomyError(f"{path}, line {number}: '{getattr(row, names[0])}' stands twice")
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Study:
    """A validated study: its settings as given, and those rows of the sheets that name it."""

    settings: Mapping[str, Any]
    benchmarks: Mapping[str, Benchmark]
    models: Mapping[str, Model]
    runs: Mapping[str, Run]
    arms: Mapping[str, Arm]
    throughputs: Sequence[Throughput]
    artifacts: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.settings["study"])

    @property
    def tests(self) -> list[str]:
        """Names of the study's benchmarks that arms are sampled on."""
        return [b.benchmark for b in self.benchmarks.values() if b.role == "test" and self.name in b.studies]

    @property
    def real(self) -> list[str]:
        """Names of the real test sets, whichever study samples them."""
        return [b.benchmark for b in self.benchmarks.values() if REAL in b.studies]

    def seeds(self, arm: str) -> tuple[int, ...]:
        """Return the training seeds whose models make up an arm."""
        model = self.arms[arm].model
        return self.runs[model].seeds if model in self.runs else (self.models[model].seed,)

    def last_step(self, model: str) -> int:
        return self.runs[model].steps if model in self.runs else self.models[model].steps

    def step(self, arm: str) -> int | None:
        """Return the training step of an arm's model; None for one that is kept by its number of tokens."""
        step = self.arms[arm].step
        if step == AT_TOKENS:
            return None
        return self.last_step(self.arms[arm].model) if step == "last" else int(step)

    def checkpoint(self, arm: str) -> str:
        """Return the name of an arm's model within its run's folder."""
        step = self.step(arm)
        return AT_TOKENS if step is None else f"step-{step}"

    def matched(self, arm: str) -> str | None:
        """Return the arm whose entropy an arm's temperature is to match, if there is one."""
        prefix, _, other = self.arms[arm].temperature.partition(":")
        return other if prefix == "match" else None

    def temperature(self, arm: str) -> float | None:
        """Return an arm's temperature; None where it is found by matching."""
        if self.matched(arm):
            return None
        return float(self.sampling(arm)["temperature"])

    def tests_of(self, arm: str) -> list[str]:
        """Return the benchmarks that an arm is sampled on."""
        return list(self.arms[arm].benchmarks) or self.tests

    def samples(self, benchmark: str, arm: str | None = None) -> int:
        """Return the number of completions a problem of a benchmark, for an arm that may have its own."""
        own = self.arms[arm].n if arm else 0
        return own or self.benchmarks[benchmark].n or int(self.settings["sampling"]["n"])

    def template(self, arm: str, benchmark: str) -> str:
        """Return the template of an arm's prompts on a benchmark."""
        return self.arms[arm].template or self.benchmarks[benchmark].template

    def run_template(self, run: str) -> str:
        return self.runs[run].template or self.benchmarks[self.runs[run].benchmark].template

    def templates(self, benchmark: str) -> set[str]:
        """Return the templates in which a benchmark's prompts are used."""
        arms = {self.template(arm, benchmark) for arm in self.arms if benchmark in self.tests_of(arm)}
        runs = {self.run_template(run.run) for run in self.runs.values() if run.benchmark == benchmark}
        return arms | runs or {self.benchmarks[benchmark].template}

    def sampling(self, arm: str) -> dict[str, Any]:
        """Return an arm's sampling parameters; the temperature is absent where it is found by matching."""
        names = ("temperature", "top_p", "max_new_tokens", "stop")
        usual = {name: self.settings["sampling"].get(name, []) for name in names}
        preset = self.preset(arm)
        found = {name: preset.get(name, usual[name]) for name in names}
        if self.matched(arm):
            del found["temperature"]
        elif self.arms[arm].temperature:
            found["temperature"] = float(self.arms[arm].temperature)
        return found

    def preset(self, arm: str) -> Mapping[str, Any]:
        name = self.arms[arm].sampling
        return self.settings["presets"]["sampling"][name] if name else {}

    def root(self, model: str) -> Model:
        """Return the model that a run began from, through all the runs before it; a model itself."""
        while model in self.runs:
            model = self.runs[model].start
        return self.models[model]

    @property
    def probes(self) -> list[str]:
        """The conditions under which probed arms are sampled besides their own."""
        return list(self.settings["sampling"]["probes"]["conditions"])

    def reinforced(self, run: str) -> bool:
        """Tell whether a run is one of reinforcement learning."""
        return self.runs[run].algorithm != "sft"

    def start(self, model: str, seed: int) -> tuple[str, int]:
        """Return the model or run that a training starts from, and which training seed of it."""
        name = self.runs[model].start if model in self.runs else self.models[model].start
        return (name, seed) if name in self.runs else (name, self.models[name].seed)

    def seed_beside(self, arm: str, seed: int) -> int:
        """Return the training seed of an arm that goes with another arm's seed: the same, or its only one."""
        seeds = self.seeds(arm)
        return seed if seed in seeds else seeds[0]

    def arms_of(self, artifact: Mapping[str, Any]) -> list[str]:
        """Return the arms that a table or figure covers."""
        arms = artifact.get("arms", "all")
        pairs = {arm: None for pair in self.pairs_of(artifact) for arm in pair} if "pairs" in artifact else {}
        return list(pairs or (self.arms if arms == "all" else arms))

    def pairs_of(self, artifact: Mapping[str, Any]) -> list[list[str]]:
        """Return the (arm, base) pairs that a table or figure compares: by default those of the arm sheet."""
        pairs = artifact.get("pairs", "all")
        if pairs == "all":
            return [[arm.arm, arm.base] for arm in self.arms.values() if arm.base]
        return list(pairs)

    def facts(self) -> dict[str, Any]:
        """Return the settings that the paper quotes."""
        sampling, statistics = self.settings["sampling"], self.settings["statistics"]
        facts = {
            "n": sampling["n"],
            "extra": sampling["extra"],
            "scored": sampling["scored"],
            "temperature": sampling["temperature"],
            "largest_k": 1 << (max(sampling["n"] // 2, 1).bit_length() - 1),
            "draws": statistics["draws"],
            "level": round(100 * statistics["level"]),
            "probe_n": sampling["probes"]["n"],
        }
        if "world" in self.settings:
            facts["pretraining_longest"] = max(self.settings["world"]["steps"])
        for model in self.models.values():
            if not model.preset:
                continue
            facts[f"{model.model}_steps"] = model.steps
            mixture = self.settings["presets"]["supervised"][model.preset].get("mixture", {})
            for name, share in mixture.items():
                if name != "drills_first":
                    facts[f"{model.model}_{name}_percent"] = round(100 * share, 1)
        facts |= {f"{name}_n": self.samples(name) for name in self.tests}
        for run in self.runs.values():
            facts[f"{run.run}_steps"] = run.steps
            facts[f"{run.run}_seeds"] = len(run.seeds)
            if not self.reinforced(run.run):
                continue
            preset = self.settings["presets"]["reinforcement"][run.preset]
            facts[f"{run.run}_prompts"] = preset["prompts"]
            facts[f"{run.run}_rollouts"] = preset["rollouts"]
            facts[f"{run.run}_kl"] = preset.get("options", {}).get("beta", 0.0)
        return facts

    def behind(self) -> dict[str, Any]:
        """Return what stands behind the study's effects: seeds and samples of arms, problems of tests."""
        sampling = self.settings["sampling"]
        arms = {
            arm.arm: {
                "seeds": len(self.seeds(arm.arm)),
                "samples": {test: self.samples(test, arm.arm) for test in self.tests_of(arm.arm)},
                "probed": dict.fromkeys(arm.probed, int(sampling["probes"]["n"])),
            }
            for arm in self.arms.values()
        }
        problems = {test: self.benchmarks[test].problems for test in self.tests}
        return {"arms": arms, "problems": problems, "scored": int(sampling["scored"])}

    def exports(self, run: str) -> list[int]:
        """Return the steps at which a run's model is kept."""
        return sorted({*self.runs[run].checkpoints, self.runs[run].steps})


def validate(settings: Any, schema: str | Path, where: str) -> None:
    """Raise AnatomyError, naming the key and what is allowed, unless the settings fit a JSON schema."""
    validator = Draft202012Validator(json.loads(Path(schema).read_text(encoding="utf-8")))
    error = best_match(validator.iter_errors(settings))
    if error is None:
        return
    place = ".".join(map(str, error.absolute_path)) or "top level"
    hint = ""
    if error.validator == "additionalProperties":
        hint = f"; allowed keys: {', '.join(sorted(error.schema['properties']))}"
    elif error.validator == "enum":
        hint = f"; allowed: {', '.join(map(str, error.validator_value))}"
    raise AnatomyError(f"{where}: {place}: {error.message}{hint}")


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file; AnatomyError names the file and line of a mistake."""
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)  # ten times faster
    except OSError as error:
        raise AnatomyError(f"{path}: cannot read the file: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise AnatomyError(f"{path}: not valid YAML: {error}") from error


def artifact_paths(settings: Mapping[str, Any]) -> list[str]:
    """Return the files that declare a study's tables and figures."""
    named = settings["artifacts"]
    return [named] if isinstance(named, str) else list(named)


def read_artifacts(root: Path, paths: Sequence[str]) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Return the tables and figures of several files together, and the file of each by its kind and name.

    Raises AnatomyError where a file is not as its schema says, or a name stands in two of them.
    """
    schema = Path(__file__).resolve().parents[2] / "config" / "schemas" / "artifacts.schema.json"
    together: dict[str, Any] = {"tables": {}, "figures": {}}
    files: dict[tuple[str, str], str] = {}
    for path in paths:
        found = read_yaml(root / path)
        validate(found, schema, path)
        for kind, entries in together.items():
            for name, entry in found[kind].items():
                if (kind, name) in files:
                    raise AnatomyError(
                        f"{path}: {kind}.{name} stands in {files[kind, name]} too; rename one of them"
                    )
                entries[name], files[kind, name] = entry, path
    return together, files


def load(settings: Mapping[str, Any], root: str | Path, where: str) -> Study:
    """Validate a study's settings, its sheets and every name that one of them takes from another.

    root: the folder that the settings' paths are relative to; where: how messages call the settings.
    """
    root = Path(root)
    schemas = Path(__file__).resolve().parents[2] / "config" / "schemas"
    validate(settings, schemas / "config.schema.json", where)
    study = settings["study"]
    paths = {name: root / path for name, path in settings["sheets"].items()}
    artifacts, artifact_files = read_artifacts(root, artifact_paths(settings))
    claims = read_yaml(root / settings["claims"])
    validate(claims, schemas / "claims.schema.json", str(settings["claims"]))
    throughputs = sheet(paths["throughputs"], Throughput) if "throughputs" in paths else []
    benchmarks = {b.benchmark: b for b in sheet(paths["benchmarks"], Benchmark)}
    models = {m.model: m for m in sheet(paths["models"], Model) if study in m.studies}
    runs = {r.run: r for r in sheet(paths["runs"], Run) if study in r.studies}
    arms = {a.arm: a for a in sheet(paths["arms"], Arm) if study in a.studies}

    def known(name: str, allowed: Collection[str], what: str, place: str) -> None:
        if name not in allowed:
            raise AnatomyError(f"{place}: unknown {what} '{name}'; allowed: {', '.join(sorted(allowed))}")

    def at_least(least: int, number: int, what: str, place: str) -> None:
        if number < least:
            raise AnatomyError(f"{place}: {what} {number}; allowed: {least} or more")

    both = sorted(set(models) & set(runs))
    if both:
        raise AnatomyError(f"{paths['runs']}: {both} are names of models too; rename the runs")
    templates = {path.stem: path for path in (root / "config" / "templates").glob("*.yaml")}
    presets = settings["presets"]
    for model in models.values():
        place = f"{paths['models']}, model {model.model}"
        if model.source == "pretrain" and "world" not in settings:
            raise AnatomyError(f"{where}: a pretrained model such as {model.model} needs the key `world`")
        if model.source == "hub":
            at_least(1, model.gpus, "gpus", place)
            at_least(1, model.context, "context", place)
            if not model.hub_id or not model.billions:
                raise AnatomyError(f"{place}: a model of the hub needs a hub_id and its size (billions)")
            continue
        at_least(1, model.steps, "steps", place)
        known(model.preset, presets["supervised"], "preset", place)
        wanted = "mixture" if model.source == "pretrain" else None
        has = "mixture" if "mixture" in presets["supervised"][model.preset] else None
        if wanted != has:
            raise AnatomyError(f"{place}: preset '{model.preset}' is not one of source '{model.source}'")
        if model.source == "distill":
            known(model.start, models, "start model", place)
            known(model.teacher, arms, "teacher arm", place)
            known(model.benchmark, benchmarks, "benchmark", place)
    for run in runs.values():
        place = f"{paths['runs']}, run {run.run}"
        reinforced = run.algorithm != "sft"
        kind = "reinforcement" if reinforced else "supervised"
        known(run.preset, presets[kind], "preset", place)
        known(run.start, {**models, **runs}, "start model or run", place)
        known(run.benchmark, benchmarks, "benchmark", place)
        known(run.template or benchmarks[run.benchmark].template, templates, "template", place)
        at_least(1, run.steps, "steps", place)
        at_least(0, run.tokens, "tokens", place)
        at_least(0, run.easier, "easier", place)
        if run.failed_by:
            known(run.failed_by, arms, "arm whose failures are used", place)
            if run.benchmark not in arms[run.failed_by].benchmarks:
                raise AnatomyError(f"{place}: arm '{run.failed_by}' is not sampled on '{run.benchmark}'")
        for level in run.levels:
            known(f"partial-{level}", scaffold.PARTIAL, "level", place)
        followed = [run.run]
        while (before := followed[-1]) in runs and runs[before].start in runs:
            if runs[before].start in followed:
                raise AnatomyError(f"{place}: it starts from itself: {' <- '.join(followed)}")
            followed.append(runs[before].start)
        if run.start in runs and set(run.seeds) - set(runs[run.start].seeds):
            raise AnatomyError(f"{place}: run '{run.start}' that it starts from has not all of its seeds")
        if not reinforced:
            if run.levels or run.tokens or run.checkpoints or "mixture" in presets[kind][run.preset]:
                raise AnatomyError(
                    f"{place}: algorithm sft takes no levels, tokens, checkpoints or preset with a mixture"
                )
            continue
        preset = presets["reinforcement"][run.preset]
        updates, every = preset["updates"], preset["checkpoint_every"]
        if run.steps % updates or every % updates:
            raise AnatomyError(
                f"{place}: steps {run.steps} and checkpoint_every {every} must be multiples of the preset's"
                f" updates {updates}"
            )
        if preset["prompts"] * preset["rollouts"] % updates:
            raise AnatomyError(f"{place}: prompts times rollouts must be a multiple of updates {updates}")
        processes = max(run.gpus, 1) * max(run.nodes, 1) if "scale" in preset else 1
        rows = preset["prompts"] * preset["rollouts"] // updates
        together = processes * max(preset.get("scale", {}).get("batch", 1), 1)
        if preset["prompts"] % processes or rows % together:
            raise AnatomyError(
                f"{place}: {processes} GPUs cannot divide the preset's {preset['prompts']} prompts and a"
                f" step's {rows} rollouts in passes of scale.batch; choose other GPUs, prompts or batch"
            )
        if registry.find(run.algorithm).value_model != ("value" in preset):
            learners = " or ".join(registry.value_learners())
            raise AnatomyError(
                f"{place}: a preset with `value` belongs to algorithm {learners}, and to no other"
            )
        if len(set(run.seeds)) < len(run.seeds):
            raise AnatomyError(f"{place}: a seed stands twice in {list(run.seeds)}")
        late = [step for step in run.checkpoints if not 0 < step <= run.steps]
        if not run.seeds or late:
            raise AnatomyError(
                f"{place}: " + (f"checkpoints {late} beyond step {run.steps}" if late else "no seeds")
            )
    for benchmark in benchmarks.values():
        place = f"{paths['benchmarks']}, benchmark {benchmark.benchmark}"
        known(benchmark.template, templates, "template", place)
        for domain in benchmark.splits_domains:
            known(domain, world.DOMAINS, "domain", place)
        most = tasks.MAX_STATEMENTS if benchmark.source == "tasks" else world.MAX_STEPS
        beyond = [steps for steps in benchmark.splits_steps if not 1 <= steps <= most]
        if beyond:
            raise AnatomyError(f"{place}: {beyond} steps; allowed: 1 to {most}")
        if benchmark.source in ("world", "tasks"):
            at_least(1, benchmark.problems, "problems", place)
        if (benchmark.source == "tasks") != (benchmark.grader == "program") and benchmark.source != "hub":
            raise AnatomyError(
                f"{place}: grader program belongs to source tasks, and to sets of programs of the hub"
            )
        if benchmark.taken_from:
            source = "hub" if benchmark.source == "split" else "world"
            wholes = {b.benchmark: b for b in benchmarks.values() if b.source == source and not b.taken_from}
            known(benchmark.taken_from, wholes, "benchmark to take problems from", place)
        if benchmark.source == "split":
            if benchmark.side not in ("training", "test") or not benchmark.taken_from:
                raise AnatomyError(
                    f"{place}: a split has a side, training or test, and is taken from a benchmark"
                )
            both_sides = [
                b.problems
                for b in benchmarks.values()
                if b.source == "split" and b.taken_from == benchmark.taken_from
            ]
            whole = benchmarks[benchmark.taken_from].problems
            if sum(both_sides) > whole:
                raise AnatomyError(
                    f"{place}: the splits of '{benchmark.taken_from}' have {sum(both_sides)} problems, and it"
                    f" has {whole}"
                )
        if benchmark.failed_by and study in benchmark.studies:
            known(benchmark.failed_by, arms, "arm whose failures are taken", place)
            if benchmark.taken_from not in arms[benchmark.failed_by].benchmarks:
                raise AnatomyError(
                    f"{place}: arm '{benchmark.failed_by}' is not sampled on '{benchmark.taken_from}', where"
                    " problems that it fails are to be taken from"
                )
    for condition in settings["sampling"]["probes"]["conditions"]:
        known(condition, [*scaffold.CONDITIONS, scaffold.OWN], "condition", f"{where}: sampling.probes")
    result = Study(settings, benchmarks, models, runs, arms, throughputs, artifacts, claims)
    for arm in arms.values():
        place = f"{paths['arms']}, arm {arm.arm}"
        known(arm.model, {**models, **runs}, "model or run", place)
        known(
            arm.condition,
            [name for name in scaffold.CONDITIONS if name != scaffold.SUBPROBLEMS],
            "condition",
            place,
        )
        known(arm.base or arm.arm, arms, "base arm", place)
        if arm.template:
            known(arm.template, templates, "template", place)
        if arm.sampling:
            known(arm.sampling, presets.get("sampling", {}), "preset of presets.sampling", place)
        at_least(0, arm.n, "n", place)
        kept = result.exports(arm.model) if arm.model in runs else [models[arm.model].steps]
        by_tokens = {AT_TOKENS: 0} if arm.model in runs and runs[arm.model].tokens else {}
        known(arm.step, {"last": 0, **{str(step): 0 for step in kept}, **by_tokens}, "step", place)
        for benchmark_name in arm.benchmarks:
            known(benchmark_name, benchmarks, "benchmark", place)
        first = result.root(arm.model)
        new = result.preset(arm.arm).get("max_new_tokens", settings["sampling"]["max_new_tokens"])
        if first.context and new >= first.context:
            raise AnatomyError(
                f"{place}: max_new_tokens {new} leaves no room for a prompt: model '{first.model}' has"
                f" {first.context} positions; choose another sampling preset"
            )
        for benchmark_name in arm.probed:
            known(benchmark_name, result.tests_of(arm.arm), "benchmark of the arm to probe it on", place)
        matched = result.matched(arm.arm)
        if matched is not None:
            known(matched, arms, "arm to match", place)
            absent = set(result.tests_of(arm.arm)) - set(result.tests_of(matched))
            if absent or result.matched(matched):
                raise AnatomyError(
                    f"{place}: '{matched}' cannot be matched: "
                    + (
                        f"it is not sampled on {sorted(absent)}"
                        if absent
                        else "its temperature is matched too"
                    )
                )
        elif arm.temperature:
            try:
                wrong = not 0 <= float(arm.temperature) < math.inf
            except ValueError:
                wrong = True
            if wrong:
                raise AnatomyError(
                    f"{place}: temperature '{arm.temperature}' is neither a number from 0 up nor match:ARM"
                )
    _check_pairs(result, str(paths["arms"]))
    judged = artifacts["tables"].get("claims", {}).get("tables", [])
    own = {name: 0 for name, claim in claims.items() if "counters" not in claim}
    for name, claim in claims.items():
        place = f"{settings['claims']}, claim {name}"
        if "counters" in claim:
            known(claim["counters"], own, "claim with evidence of its own", place)
        for told in claim.get("evidence", {}).values():
            if not isinstance(told, str):
                known(told["table"], judged, "table of the table claims", place)
    analyses = {path.stem: path for path in (Path(__file__).parent / "analyses").glob("[!_]*.py")}
    scripts = Path(__file__).resolve().parents[1].glob("figure_*.py")
    drawn = {path.stem.removeprefix("figure_"): path for path in scripts}
    recorded = {path.stem: path for path in (root / "config" / "published").glob("*.csv")}
    for kind in ("tables", "figures"):
        for name, artifact in artifacts[kind].items():
            place = f"{artifact_files[kind, name]}: {kind}.{name}"
            for arm_name in result.arms_of(artifact):
                known(arm_name, arms, "arm", place)
            sampled = {test: 0 for arm_name in result.arms_of(artifact) for test in result.tests_of(arm_name)}
            for benchmark_name in artifact.get("benchmarks", []):
                known(benchmark_name, sampled, "benchmark", place)
            for table in artifact.get("tables", []):
                known(table, artifacts["tables"], "table", place)
            if kind == "tables":
                known(artifact.get("analysis", name), analyses, "analysis", place)
            else:
                known(artifact.get("draws", name), drawn, "figure", place)
            options = artifact.get("options", {})
            named = [arm for group in options.get("groups", {}).values() for arm in group]
            for arm_name in named:
                known(arm_name, result.arms_of(artifact), "arm", f"{place}: options.groups")
            if "overlay" in artifact:
                known(artifact["overlay"]["table"], artifacts["tables"], "table", f"{place}.overlay")
                for arm_name in artifact["overlay"]["arms"]:
                    known(arm_name, result.arms_of(artifact), "arm", f"{place}.overlay.arms")
                for benchmark_name in artifact["overlay"]["benchmarks"]:
                    known(benchmark_name, sampled, "benchmark", f"{place}.overlay.benchmarks")
            if ("record" in artifact.get("needs", [])) != ("record" in artifact):
                raise AnatomyError(f"{place}: `needs: [record]` and `record`, its files, go together")
            for file in artifact.get("record", []):
                known(file, recorded, "file of the record", place)
            if "scores" in artifact.get("needs", []) and "texts" not in artifact:
                raise AnatomyError(f"{place}: scores are of texts; name them under `texts`")
            for scorer, text in artifact.get("texts", []):
                known(scorer, arms, "scorer", place)
                known(text, {**arms, "gold": 0}, "text", place)
    return result


def _check_pairs(study: Study, where: str) -> None:
    """Raise AnatomyError where an arm and its base are sampled differently, or two arms are one."""
    for arm in study.arms.values():
        if not arm.base:
            continue
        for benchmark in study.tests_of(arm.arm):
            if benchmark not in study.tests_of(arm.base):
                continue
            for what, mine, theirs in (
                ("template", study.template(arm.arm, benchmark), study.template(arm.base, benchmark)),
                ("n", study.samples(benchmark, arm.arm), study.samples(benchmark, arm.base)),
                *(
                    (name, study.sampling(arm.arm)[name], study.sampling(arm.base)[name])
                    for name in ("top_p", "max_new_tokens", "stop")
                ),
            ):
                if mine != theirs:
                    raise AnatomyError(
                        f"{where}, arm {arm.arm}: its {what} on '{benchmark}' is {mine}, and that of its base"
                        f" '{arm.base}' {theirs}; a pair is sampled alike"
                    )
    sampled: dict[Any, str] = {}
    for name, arm in study.arms.items():
        for benchmark in study.tests_of(name):
            which = (
                *(
                    arm.model,
                    study.checkpoint(name),
                    arm.condition,
                    study.template(name, benchmark),
                    benchmark,
                ),
                json.dumps([study.sampling(name), study.samples(benchmark, name), study.matched(name)]),
            )
            if which in sampled:
                raise AnatomyError(
                    f"{where}, arm {name}: on '{benchmark}' it is the same as arm '{sampled[which]}';"
                    " name that one where both are meant, so that it is sampled once"
                )
            sampled[which] = name
