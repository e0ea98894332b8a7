"""Params of rules that are more than a value of the configuration or of a row of a sheet.

Functions take the study and values of wildcards, under the wildcards' names. Snakemake runs a job again when
one of its params has changed, so what does not change a job's result stays out of them.
"""

from collections.abc import Mapping
from typing import Any

from anatomy.study.checked import as_given
from anatomy.study.rows import Model, Run
from anatomy.study.study import Study

SHAPE = ("hidden", "layers", "heads", "kv_heads", "inner")
"""What a preset of supervised training says of a model that is made from scratch."""


def has_programs(study: Study) -> bool:
    """Whether a study runs programs that models write."""
    return any(study.benchmarks[name].grader == "program" for name in study.tests)


# Problems ----------------------------------------------------------------------------------------------


def hub_source(study: Study, benchmark: str) -> dict[str, str]:
    """Return where on the hub a real test set is."""
    row = study.benchmarks[benchmark]
    return {
        "id": row.hub_id,
        "config": row.hub_config,
        "split": row.hub_split,
        "revision": row.revision,
    }


def grader(study: Study, benchmark: str) -> str:
    """Return what grades completions on a benchmark."""
    return study.benchmarks[benchmark].grader


def field_names(study: Study, benchmark: str) -> dict[str, str]:
    """Return how the publisher's file of a real test set calls its fields."""
    row = study.benchmarks[benchmark]
    names = "question answer answer_from window solution id difficulty domain"
    return {name: getattr(row, name) for name in names.split()}


# Training ----------------------------------------------------------------------------------------------


def checkpoint(study: Study, model: str) -> str:
    """Return the name of a model's last checkpoint."""
    return f"step-{study.last_step(model)}"


def start_checkpoint(study: Study, model: str) -> str:
    """Return the name of the checkpoint from which a run, or a student (``model``), starts."""
    row = study.runs[model] if model in study.runs else study.models[model]
    return checkpoint(study, row.start)


def supervised_preset(study: Study, model: str) -> Mapping[str, Any]:
    """Return the preset of a model's supervised training."""
    return as_given(study.settings.presets.supervised[study.models[model].preset])


def mixture(study: Study, model: str) -> Any:
    """Return the documents on which a model is trained from scratch, as shares of their kinds."""
    return supervised_preset(study, model)["mixture"]


def shape(study: Study, model: str) -> dict[str, Any]:
    """Return the shape of a model that is made from scratch."""
    return {name: supervised_preset(study, model)[name] for name in SHAPE}


def supervised(study: Study, model: str) -> dict[str, Any]:
    """Return how a base model or a student is trained."""
    return _optimisation(study, study.models[model])


def finetuning(study: Study, run: str) -> dict[str, Any]:
    """Return how a supervised run is trained."""
    return _optimisation(study, study.runs[run])


def _optimisation(study: Study, row: Model | Run) -> dict[str, Any]:
    preset = as_given(study.settings.presets.supervised[row.preset])
    settings = {key: value for key, value in preset.items() if key not in (*SHAPE, "mixture")}
    return {**settings, **_shared(preset, row), "steps": row.steps}


def _shared(preset: Mapping[str, Any], row: Model | Run) -> dict[str, Any]:
    """Return how the GPUs of a row share a training, if its preset says that they do."""
    if "scale" not in preset:
        return {}
    nodes = row.nodes if isinstance(row, Run) else 1
    processes = {"processes": max(row.gpus, 1), "nodes": max(nodes, 1)}
    return {"scale": {**preset["scale"], **processes}}


def reinforcement(study: Study, run: str) -> dict[str, Any]:
    """Return how a run of reinforcement learning is trained."""
    row = study.runs[run]
    preset = as_given(study.settings.presets.reinforcement[row.preset])
    # The scheme of rewards is a param of its own, and the expected tokens are the planner's.
    settings = {key: value for key, value in preset.items() if key not in ("reward", "expected_tokens")}
    return {**settings, **_shared(preset, row), "algorithm": row.algorithm, "steps": row.steps}


def reward(study: Study, run: str) -> str:
    """Return the scheme by which completions of a run are rewarded."""
    return study.settings.presets.reinforcement[study.runs[run].preset].reward


def run_grader(study: Study, run: str) -> str:
    """Return what grades the completions of a run."""
    return grader(study, study.runs[run].benchmark)


def run_conditions(study: Study, run: str) -> list[str]:
    """Return the conditions whose prompts a run trains on."""
    return [f"partial-{level}" for level in study.runs[run].levels] or ["plain"]


# Sampling ----------------------------------------------------------------------------------------------


def sample_key(study: Study, arm: str, seed: str) -> list[Any]:
    """Return the key of the randomness of an arm's completions."""
    return [study.settings.seed, arm, int(seed)]


def match_key(study: Study, arm: str, seed: str) -> list[Any]:
    """Return the key of the randomness with which an arm's temperature is found."""
    return [study.settings.seed, "match", arm, int(seed)]


def extra_key(study: Study, arm: str, seed: str, other: str, other_seed: str) -> list[Any]:
    """Return the key of the randomness of an arm's further completions: their own, since they are new."""
    return [study.settings.seed, "extra", arm, int(seed), other, int(other_seed)]


def context(study: Study, arm: str) -> int:
    """Return how many positions an arm's model has; 0 where it tells itself."""
    return study.root(study.arms[arm].model).context


def text_condition(study: Study, text: str) -> str:
    """Return the condition of the prompts before texts that are scored."""
    return "plain" if text == "gold" else study.arms[text].condition


# Tables and figures ------------------------------------------------------------------------------------


def analysis(study: Study, table: str) -> str:
    """Return the name of the module that makes a table."""
    return str(study.artifacts["tables"][table].get("analysis", table))


def drawn_by(study: Study, figure: str) -> str:
    """Return the name of the script that draws a figure."""
    return str(study.artifacts["figures"][figure].get("draws", figure))


def table_options(study: Study, table: str) -> Mapping[str, Any]:
    """Return the settings of a table's analysis; those of ``claims`` are the claims and what they rest on."""
    artifact = study.artifacts["tables"][table]
    options: Mapping[str, Any] = artifact.get("options", {})
    if analysis(study, table) == "claims":
        keys = {name: study.artifacts["tables"][name]["keys"] for name in artifact["tables"]}
        options = {**options, "claims": study.claims, "keys": keys, **study.behind()}
    return options


def table_pairs(study: Study, table: str) -> list[list[str]]:
    """Return the pairs of an arm and its base that a table compares."""
    return study.pairs_of(study.artifacts["tables"][table])


def table_arms(study: Study, table: str) -> dict[str, dict[str, Any]]:
    """Return what an analysis may know about the arms that its table covers, by arm."""
    return {
        arm: {
            "model": study.arms[arm].model,
            "step": study.step(arm),
            "condition": study.arms[arm].condition,
            "base": study.arms[arm].base,
        }
        for arm in study.arms_of(study.artifacts["tables"][table])
    }


def study_facts(study: Study, table: str) -> dict[str, Any]:
    """Return what the table ``study`` tells of the study; nothing for others."""
    return study.facts() if table == "study" else {}


def figure_arms(study: Study, figure: str) -> dict[str, str]:
    """Return the labels of the arms that a figure covers, by arm."""
    return {arm: study.arms[arm].label for arm in study.arms_of(study.artifacts["figures"][figure])}


def figure_options(study: Study, figure: str) -> Mapping[str, Any]:
    """Return the settings of a figure's script."""
    options: Mapping[str, Any] = study.artifacts["figures"][figure].get("options", {})
    return options
