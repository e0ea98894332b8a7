"""Rows of the sheets, one model a sheet: a column is a field, and may be empty if it has a default.

``docs/generate.py`` makes the reference of the sheets from these models.
"""

from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from anatomy.storage.verdicts import Grader
from anatomy.study.checked import fault
from anatomy.study.training_rules import Algorithm

REAL = "real"
"""Stands among a benchmark's studies where it is one of the real test sets that ``benchmarks`` prepares."""


def _numbers(cell: object) -> object:
    """Read ``1,2,5`` or ``2-6`` (both ends) or a mixture of them."""
    if not isinstance(cell, str):
        return cell
    numbers: list[int] = []
    try:
        for part in cell.split(","):
            low, dash, high = part.partition("-")
            numbers += range(int(low), int(high) + 1) if dash else [int(part)]
    except ValueError:
        raise fault(f"'{cell}' is not whole numbers such as 0,1,2 or 2-6") from None
    return tuple(numbers)


def _names(cell: object) -> object:
    return tuple(cell.split(",")) if isinstance(cell, str) else cell


Numbers = Annotated[tuple[int, ...], BeforeValidator(_numbers)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Natural = Annotated[int, Field(ge=0)]
Row = TypeVar("Row", bound="SheetRow")


class SheetRow(BaseModel):
    """A row of a sheet, read from the text of its cells."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    NAMED: ClassVar[bool] = True
    """The first column names the row, so that a name stands once."""


class Benchmark(SheetRow):
    """A split of the world, or a real test set."""

    benchmark: str
    """Its name in wildcards, files and tables."""
    studies: Names = ()
    """Studies that use it, separated by commas; `real`: one of the real test sets that `benchmarks`
    prepares."""
    source: Literal["world", "tasks", "hub", "split"]
    """`world`, `tasks`: drawn, problems or programming tasks; `hub`: a real set; `split`: one `side` of
    the benchmark `taken_from`."""
    hub_id: str = ""
    """Where it lies on the hub; or a web address, with `sha256:...` of the file as `revision`."""
    hub_config: str = ""
    hub_split: str = ""
    revision: str = ""
    """The commit at which it is taken."""
    sha256: str = ""
    """Digest of the problems' content; where it differs, the job stops with a message that tells both.
    Empty: not pinned, only told."""
    question: str = ""
    """The publisher's name of this field; so in the columns below."""
    answer: str = ""
    answer_from: str = ""
    """Where the answer stands: `field`, `boxed` (last `\\boxed{}` of the field) or `hashes` (after
    `####`). Of programs the format: `evalplus-humaneval`, `evalplus-mbpp` or `livecodebench`."""
    window: str = ""
    """Of LiveCodeBench: first and last day of the contests, both included, `2024-08-01..2025-02-01`."""
    solution: str = ""
    id: str = ""
    difficulty: str = ""
    domain: str = ""
    template: str = ""
    """File in `config/templates/`."""
    grader: Grader
    splits_steps: Numbers = ()
    """Of the world: lengths of chains; of tasks: numbers of statements."""
    splits_domains: Names = ()
    """Of the world: domains."""
    taken_from: str = ""
    """The benchmark of which this one is a part: the first `problems` of its problems with these steps."""
    failed_by: str = ""
    """An arm that is sampled on `taken_from`: only problems that all of its training seeds fail in all
    attempts."""
    problems: int = 0
    """Number of problems; at most so many with `failed_by`."""
    n: int = 0
    """Completions a problem, for all arms; empty: `sampling.n`."""
    side: Literal["", "pretraining", "training", "test"] = ""
    """Of the split."""
    role: Literal["train", "pool", "test"]
    """`test`: arms are sampled on it; `pool`: screened for hard problems."""
    note: str = ""
    """What differs from the published study, or is unknown of it."""


class Model(SheetRow):
    """A model that is not the result of one of the study's runs.

    It is pretrained from scratch; or distilled: a start model, fine-tuned on a teacher's right completions on
    a benchmark; or downloaded from the hub, at a pinned revision.
    """

    model: str
    studies: Names = ()
    """Studies that use it, separated by commas."""
    source: Literal["pretrain", "distill", "hub"]
    """`pretrain`: trained from scratch; `distill`: `start`, fine-tuned on the right completions of the
    arm `teacher` on `benchmark`; `hub`: downloaded, which needs `billions`, `context` and `gpus`."""
    preset: str = ""
    """An entry of `presets.supervised`, for `pretrain` one with a `mixture`."""
    start: str = ""
    """A model."""
    teacher: str = ""
    """An arm."""
    benchmark: str = ""
    hub_id: str = ""
    """Where it lies on the hub."""
    revision: str = ""
    """The commit at which it is taken."""
    gated: Literal["", "gated"] = ""
    """`gated` where the hub asks for a token."""
    billions: float = 0.0
    """Parameters, in 1e9."""
    context: int = 0
    """Positions of prompt and completion together; empty: the model itself tells."""
    gpus: int = 0
    """GPUs that share the model when it is sampled from; empty: none."""
    steps: int = 0
    """Steps of the training."""
    seed: int = 0
    """Of the training."""
    note: str = ""
    """What differs from the published study, or is unknown of it."""


class Run(SheetRow):
    """A training run of an algorithm, repeated over seeds."""

    run: str
    studies: Names = ()
    """Studies that use it, separated by commas."""
    algorithm: Algorithm
    """`sft` fine-tunes on reference solutions; every other one is reinforcement learning."""
    preset: str = ""
    """An entry of `presets.reinforcement`, for `sft` one of `presets.supervised`."""
    start: str = ""
    """A model; or another run: its last step, of the same training seed."""
    benchmark: str = ""
    """The benchmark trained on."""
    failed_by: str = ""
    """An arm: only problems that it, of the same training seed, fails in all its completions are used."""
    easier: Natural = 0
    """Other problems that are mixed in, drawn at random, for each that is failed."""
    levels: Numbers = ()
    """Partial step scaffolding: how many chunks of the solution open the response (`0-4`: a prompt of
    each level for every problem); empty: none at all."""
    steps: int = 0
    """Optimiser steps."""
    checkpoints: Numbers = ()
    """Steps whose models are kept; the last one always is."""
    tokens: Natural = 0
    """Generated tokens at which a model is kept too; empty: none is."""
    template: str = ""
    """Of its prompts; empty: that of its benchmark."""
    nodes: int = 0
    gpus: int = 0
    """GPUs of each node; empty: none."""
    seeds: Numbers = ()
    """Of the training."""
    note: str = ""
    """What differs from the published study, or is unknown of it."""


class Arm(SheetRow):
    """A model at a step, under a condition and sampling settings, and how figures call it.

    A pair of arms must agree in template, n, top-p, token limit and stop strings, and nothing may be sampled
    under two names; both are checked.
    """

    arm: str
    studies: Names = ()
    """Studies that use it, separated by commas."""
    model: str = ""
    """A model or a run."""
    step: str = ""
    """`last`, a step that the run keeps, or `tokens`: the model kept at the run's number of tokens."""
    condition: str = ""
    template: str = ""
    """Of its prompts; empty: each benchmark's own."""
    sampling: str = ""
    """An entry of `presets.sampling`; empty: the study's `sampling`."""
    temperature: str = ""
    """A number, or `match:ARM`: that at which the mean token entropy equals the other arm's; empty: the
    study's."""
    n: Natural = 0
    """Completions a problem; empty: each benchmark's own number."""
    benchmarks: Names = ()
    """Benchmarks that it is sampled on; empty: all test benchmarks."""
    probed: Names = ()
    """Benchmarks on which it is sampled under the conditions of `sampling.probes` too."""
    base: str = ""
    """The arm that it is compared with."""
    label: str = ""
    """Its name in figures."""
    note: str = ""
    """What differs from the published study, or is unknown of it."""


class Throughput(SheetRow):
    """What one GPU of a kind does with models up to a size.

    The planner and the sizes of shards and time limits go by it.
    """

    NAMED: ClassVar[bool] = False

    gpu: str
    memory: float = 0.0
    """GiB."""
    task: Literal["sample", "score", "train"]
    """`sample`: decoding at full load; `score`: one forward pass; `train`: a forward and a backward pass."""
    billions: float = 0.0
    """Parameters, in 1e9: the row holds for models of at most this size, down to the next smaller row."""
    tokens_per_second: float = 0.0
    source: str = ""
    """Of the number."""
