"""A validated study, and what rules, plans and figures ask of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anatomy.names import AT_TOKENS
from anatomy.study.checked import as_given
from anatomy.study.rows import REAL, Arm, Benchmark, Model, Run, Throughput
from anatomy.study.settings import SamplingPreset, Settings


@dataclass(frozen=True)
class Study:
    """A validated study: its settings, and those rows of the sheets that name it."""

    settings: Settings
    benchmarks: Mapping[str, Benchmark]
    models: Mapping[str, Model]
    runs: Mapping[str, Run]
    arms: Mapping[str, Arm]
    throughputs: Sequence[Throughput]
    artifacts: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The study's name, by which its folders are called."""
        return self.settings.study

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
        """Return the number of steps that a model or run is trained for."""
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
        return own or self.benchmarks[benchmark].n or self.settings.sampling.n

    def template(self, arm: str, benchmark: str) -> str:
        """Return the template of an arm's prompts on a benchmark."""
        return self.arms[arm].template or self.benchmarks[benchmark].template

    def run_template(self, run: str) -> str:
        """Return the template of a run's prompts."""
        return self.runs[run].template or self.benchmarks[self.runs[run].benchmark].template

    def templates(self, benchmark: str) -> set[str]:
        """Return the templates in which a benchmark's prompts are used."""
        arms = {self.template(arm, benchmark) for arm in self.arms if benchmark in self.tests_of(arm)}
        runs = {self.run_template(run.run) for run in self.runs.values() if run.benchmark == benchmark}
        return arms | runs or {self.benchmarks[benchmark].template}

    def sampling(self, arm: str) -> dict[str, Any]:
        """Return an arm's sampling parameters; the temperature is absent where it is found by matching."""
        names = ("temperature", "top_p", "max_new_tokens", "stop")
        usual = {name: getattr(self.settings.sampling, name) for name in names}
        given = as_given(self.preset(arm))
        parameters = {name: given.get(name, usual[name]) for name in names}
        if self.matched(arm):
            del parameters["temperature"]
        elif self.arms[arm].temperature:
            parameters["temperature"] = float(self.arms[arm].temperature)
        return parameters

    def preset(self, arm: str) -> SamplingPreset:
        """Return the sampling preset that an arm names; empty where it names none."""
        name = self.arms[arm].sampling
        return self.settings.presets.sampling[name] if name else SamplingPreset()

    def root(self, model: str) -> Model:
        """Return the model that a run began from, through all the runs before it; a model itself."""
        while model in self.runs:
            model = self.runs[model].start
        return self.models[model]

    @property
    def probes(self) -> list[str]:
        """The conditions under which probed arms are sampled besides their own."""
        return list(self.settings.sampling.probes.conditions)

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
        sampling, statistics = self.settings.sampling, self.settings.statistics
        facts = {
            "n": sampling.n,
            "extra": sampling.extra,
            "scored": sampling.scored,
            "temperature": sampling.temperature,
            "largest_k": 1 << (max(sampling.n // 2, 1).bit_length() - 1),
            "draws": statistics.draws,
            "level": round(100 * statistics.level),
            "probe_n": sampling.probes.n,
        }
        if self.settings.world:
            facts["pretraining_longest"] = max(self.settings.world.steps)
        for model in self.models.values():
            if not model.preset:
                continue
            facts[f"{model.model}_steps"] = model.steps
            mixture = self.settings.presets.supervised[model.preset].mixture
            for name, share in mixture or ():
                if name != "drills_first":
                    facts[f"{model.model}_{name}_percent"] = round(100 * share, 1)
        facts |= {f"{name}_n": self.samples(name) for name in self.tests}
        for run in self.runs.values():
            facts[f"{run.run}_steps"] = run.steps
            facts[f"{run.run}_seeds"] = len(run.seeds)
            if not self.reinforced(run.run):
                continue
            preset = self.settings.presets.reinforcement[run.preset]
            facts[f"{run.run}_prompts"] = preset.prompts
            facts[f"{run.run}_rollouts"] = preset.rollouts
            facts[f"{run.run}_kl"] = preset.options.get("beta", 0.0)
        return facts

    def behind(self) -> dict[str, Any]:
        """Return what stands behind the study's effects: seeds and samples of arms, problems of tests."""
        sampling = self.settings.sampling
        arms = {
            arm.arm: {
                "seeds": len(self.seeds(arm.arm)),
                "samples": {test: self.samples(test, arm.arm) for test in self.tests_of(arm.arm)},
                "probed": dict.fromkeys(arm.probed, sampling.probes.n),
            }
            for arm in self.arms.values()
        }
        problems = {test: self.benchmarks[test].problems for test in self.tests}
        return {"arms": arms, "problems": problems, "scored": sampling.scored}

    def exports(self, run: str) -> list[int]:
        """Return the steps at which a run's model is kept."""
        return sorted({*self.runs[run].checkpoints, self.runs[run].steps})
