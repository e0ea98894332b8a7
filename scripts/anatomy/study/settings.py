"""The keys of a study's yaml file: types, units, defaults, and what is allowed.

``docs/generate.py`` makes the reference from these models: a docstring below a key describes it there.
"""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from anatomy.prompts import templates
from anatomy.storage.verdicts import Scheme
from anatomy.study import endpoint, training_rules
from anatomy.study.checked import (
    Count,
    Distinct,
    Names,
    Natural,
    Positive,
    Section,
    Share,
    Temperature,
    Text,
    fault,
)
from anatomy.study.training_rules import Precision, Rollouts, Sharding, VllmMode
from anatomy.world import problems

Nucleus = Annotated[float, Field(gt=0, le=1)]
Stop = Annotated[list[Text], Distinct]


def _condition(name: str) -> str:
    allowed = (*templates.CONDITIONS, templates.OWN)
    if name not in allowed:
        raise fault(f"unknown condition '{name}'; allowed: {', '.join(sorted(allowed))}")
    return name


def _several(files: object) -> object:
    return [files] if isinstance(files, str) else files


class Sheets(Section):
    """The sheets of the study."""

    benchmarks: str
    models: str
    runs: str
    arms: str
    throughputs: str | None = None
    """What a GPU does; needed with `scale`."""


class Scale(Section):
    """How large jobs are cut; left out for a study of small models."""

    gpu: str
    """The GPU of the throughput sheet that shards are sized for."""
    shard_hours: Positive
    """Hours that a shard's sampling is meant to take."""
    cores_per_gpu: Count


class Audit(Section):
    """The audit site."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset({"url", "completions"})

    url: Annotated[str, Field(pattern="/$")] | None = None
    """Address at which the site is published, with a slash at its end; `null`: links in the paper lead to the
    site beside the study's results."""
    completions: Natural | None = None
    """Completions of each problem whose text the site shows; `null`: all."""


class Endpoint(Section):
    """A language model behind an OpenAI-compatible endpoint."""

    url: Annotated[str, Field(pattern="^https?://")]
    """The base, `.../v1`; without a key."""
    model: Text
    key_variable: Annotated[str, Field(pattern="^([A-Za-z_][A-Za-z0-9_]*)?$")] = (
        endpoint.Endpoint.key_variable
    )
    """Name of the environment variable that holds the key."""
    timeout: Positive = endpoint.Endpoint.timeout
    """Seconds a request."""
    retries: Natural = endpoint.Endpoint.retries
    """Further tries of a request that got no usable answer."""
    workers: Count = endpoint.Endpoint.workers
    """Requests at the same time."""
    max_tokens: Count = endpoint.Endpoint.max_tokens
    temperature: Temperature = endpoint.Endpoint.temperature
    seed: Natural = endpoint.Endpoint.seed
    """Of the first try; a try after an unusable answer has the next one."""
    largest: Count = endpoint.Endpoint.largest
    """Bytes of a response."""
    backoff: Positive = endpoint.Endpoint.backoff
    """Seconds before the first retry."""
    longest: Positive = endpoint.Endpoint.longest
    """Seconds before any retry, at most."""


class Annotations(Section):
    """Plans, knowledge and chains of real benchmarks."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset({"folder", "endpoint"})

    folder: str | None
    """Folder with `<benchmark>.jsonl`, annotations written by people; `null`: none."""
    endpoint: Endpoint | None
    """Where a model writes the others; `null`: nowhere."""


class World(Section):
    """The text on which base models are pretrained."""

    steps: Annotated[list[Annotated[int, Field(ge=1, le=problems.MAX_STEPS)]], Field(min_length=1)]
    """Numbers of steps of its chains."""


class SamplingPreset(Section):
    """Sampling parameters that arms name; what one leaves out is as in `sampling`."""

    temperature: Temperature | None = None
    top_p: Nucleus | None = None
    max_new_tokens: Count | None = None
    stop: Stop | None = None
    """Strings that end a completion, and are no part of it."""
    expected_tokens: Count | None = None
    """Of a completion, for planning alone."""


class Sharing(Section):
    """How the GPUs of a sheet's line share a training."""

    sharding: Sharding = training_rules.Scale.sharding
    """`none`: every process holds the whole model; `fsdp2`: its part of weights, gradients and moments."""
    rollouts: Rollouts = training_rules.Scale.rollouts
    """Who draws them: this project's decoder, or vLLM."""
    vllm_mode: VllmMode = training_rules.Scale.vllm_mode
    """Within the training's processes, or a server that already runs (its address among `options`)."""
    tensor_parallel: Count = training_rules.Scale.tensor_parallel
    """Processes that share one copy of the model in vLLM (`colocate`)."""
    memory: Share = training_rules.Scale.memory
    """The share of a GPU's memory that vLLM may take (`colocate`)."""
    batch: Natural = training_rules.Scale.batch
    """Rollouts (documents) in one forward and backward pass of a process; 0: its whole part of a step."""
    gradient_checkpointing: bool = training_rules.Scale.gradient_checkpointing
    dtype: Precision = training_rules.Scale.dtype
    """Of the arithmetic and of the models kept. Master weights are float32."""


class Mixture(Section):
    """What the pretraining text is made of."""

    drills_first: Natural
    """Documents of single operations before everything else."""
    drills: Share
    """Share of such documents after them."""
    errors: Share
    """Share of derivations with one wrong line, carried on from."""
    guesses: Share
    """Share of problems that are answered at random without a derivation."""
    exchanged: Share
    """Share of documents that use the invented operators with their operands exchanged."""
    plan: Share
    """Share of derivations that are shown the plan after the problem."""
    knowledge: Share
    """Share of derivations whose problem states the operators' meaning."""
    links: Share
    """Share of derivations of one link of a problem's chain, its earlier answers given."""
    programs: Share
    """Share of programming tasks among all documents; the other shares are of the rest."""


class SupervisedPreset(Section):
    """Training on documents: with a shape and a `mixture` a model from scratch, else fine-tuning."""

    hidden: Count | None = None
    layers: Count | None = None
    heads: Count | None = None
    kv_heads: Count | None = None
    inner: Count | None = None
    """Width of the feed-forward layers."""
    batch: Count
    """Documents a step."""
    learning_rate: Positive
    warmup: Natural
    """Steps of linear warm-up; the rate is constant until half-way and then falls to zero."""
    checkpoint_every: Count
    """Steps."""
    scale: Sharing | None = None
    mixture: Mixture | None = None

    @model_validator(mode="after")
    def _shape_and_mixture_go_together(self) -> Self:
        shape = ("mixture", "hidden", "layers", "heads", "kv_heads", "inner")
        absent = [name for name in shape if getattr(self, name) is None]
        if 0 < len(absent) < len(shape):
            given = [name for name in shape if name not in absent]
            raise fault(
                f"a model from scratch has {_quoted(shape)}; {_quoted(given)} without {_quoted(absent)}"
            )
        return self


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


class Value(Section):
    """PPO's value model and its advantages."""

    learning_rate: Positive
    gamma: Share
    """Discount of a token's return."""
    lam: Share
    """Lambda of generalised advantage estimation; 1: the whole return, less the value."""
    clip: Positive
    """How far a value may move from that of the rollouts before its loss no longer pulls it further."""


class ReinforcementPreset(Section):
    """Training by reinforcement learning."""

    prompts: Count
    """Prompts that are sampled together."""
    rollouts: Annotated[int, Field(ge=2)]
    """Completions a prompt (the group)."""
    updates: Count
    """Optimiser steps that share the rollouts."""
    learning_rate: Positive
    temperature: Positive
    max_new_tokens: Count
    checkpoint_every: Count
    """Steps; a multiple of `updates`."""
    kl_every: Natural
    """Steps between estimates of the KL to the start model; 0: none."""
    expected_tokens: Count | None = None
    """Of a rollout, for planning alone."""
    scale: Sharing | None = None
    reward: Scheme = "outcome"
    """`outcome`: 1 or 0; `signed`: 1 or -1; `hierarchical`: 2, 1 or -1, by answer and format."""
    refills: Natural = 0
    """How often groups without a signal (all right or all wrong) are drawn anew; those that still have none
    take no part in the update. 0: all take part."""
    overlong: Natural = 0
    """Tokens before the limit over which a penalty, taken from the reward, grows to 1; 0: no penalty."""
    value: Value | None = None
    """Of algorithm `ppo`, which needs it, alone."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further fields of TRL's GRPOConfig."""


class Presets(Section):
    """Named settings, which lines of the sheets refer to."""

    sampling: dict[str, SamplingPreset] = Field(default_factory=dict)
    supervised: dict[str, SupervisedPreset]
    reinforcement: dict[str, ReinforcementPreset]


class Probes(Section):
    """Probed arms are sampled under further conditions."""

    n: Count
    """Completions a problem and condition."""
    conditions: Annotated[list[str], AfterValidator(lambda names: [*map(_condition, names)]), Distinct]
    """The conditions besides the arm's own."""


class Sampling(Section):
    """How completions are drawn, for every arm alike unless a sheet says otherwise."""

    engine: Literal["transformers", "vllm"]
    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of vLLM's engine."""
    n: Annotated[int, Field(ge=2)]
    """Completions a problem."""
    shards: Count | None = None
    """Of each arm and benchmark; left out: by `scale.shard_hours`."""
    rows: Count
    """Completions that are decoded together."""
    temperature: Temperature
    top_p: Nucleus
    max_new_tokens: Count
    stop: Stop = Field(default_factory=list)
    """Strings that end a completion, and are no part of it."""
    expected_tokens: Count | None = None
    """Of a completion, for planning alone."""
    extra: Count
    """Further completions a problem where two arms disagree."""
    scored: Count
    """Completions a problem whose likelihood is computed."""
    match_n: Count
    """Completions a problem in each step of entropy matching."""
    probes: Probes


class Statistics(Section):
    """What all intervals have in common."""

    draws: Annotated[int, Field(ge=100)]
    """Bootstrap draws."""
    level: Annotated[float, Field(gt=0, lt=1)]
    """Of intervals."""


class Settings(Section):
    """A study."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset({"paper", "benchmarks_folder"})

    study: Annotated[str, Field(pattern="^[a-z0-9-]+$")]
    """Names the folders under `results/` and `figures/`."""
    title: str
    seed: Natural
    """Of everything random in the study."""
    sheets: Sheets
    scale: Scale | None = None
    paper: str | None = None
    """Source of the study's paper; `null`: it has none."""
    audit: Audit = Audit()
    annotations: Annotations
    claims: str
    """File of the claims that the study is asked about."""
    overlay: bool = False
    """Whether figures that say so (`overlay` in the files of figures) show published numbers beside their
    own."""
    artifacts: Annotated[Names, BeforeValidator(_several)]
    """The file of tables and figures, or several that are put together."""
    benchmarks_folder: str | None = None
    """Folder with `<benchmark>/test.jsonl` for each real benchmark; `null`: from the hub."""
    programs: bool = True
    """`false`: the study without programs, which only run in a sandbox (bubblewrap, on Linux)."""
    real_benchmarks: bool = False
    """Whether `all` prepares the real benchmarks too."""
    world: World | None = None
    """Needed for models that are pretrained."""
    presets: Presets
    sampling: Sampling
    statistics: Statistics

    @model_validator(mode="after")
    def _shards_are_known(self) -> Self:
        if not self.sampling.shards and not (self.scale and self.sheets.throughputs):
            raise fault(
                "nothing says how samples are divided into shards: write `sampling.shards`, or `scale` and"
                " `sheets.throughputs`"
            )
        return self
