"""A study's configuration: read, and validated as a whole before anything runs.

Every mistake becomes one message that names file, place, value and what is allowed. Models of the files
(``settings``, ``rows``, ``artifacts``) say what each may contain; here stands what they must have in common.
"""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from anatomy import paths
from anatomy.errors import AnatomyError
from anatomy.names import AT_TOKENS
from anatomy.prompts.templates import CONDITIONS, PARTIAL, SUBPROBLEMS
from anatomy.study.checked import as_given, checked
from anatomy.study.rows import Arm, Benchmark, Model, Run, Throughput
from anatomy.study.settings import ReinforcementPreset, Settings
from anatomy.study.sheets import sheet
from anatomy.study.study import Study
from anatomy.study.training_rules import Division
from anatomy.study.yaml_files import read_artifacts, read_claims
from anatomy.world import problems, programs


def load(settings: Mapping[str, Any], root: str | Path, where: str) -> Study:
    """Validate a study's settings, its sheets and every name that one of them takes from another.

    Args:
        settings: the content of the study's yaml file.
        root: the folder that the settings' paths are relative to.
        where: how messages call the settings.

    Returns:
        The study, with those rows of the sheets that name it, and all benchmarks.

    Raises:
        AnatomyError: the first mistake that is found.
    """
    root = Path(root)
    given = checked(Settings, settings, where)
    name = given.study
    paths = {sheet_name: root / path for sheet_name, path in as_given(given.sheets).items()}
    artifacts, files = read_artifacts(root, given.artifacts)
    claims = read_claims(root, given.claims)
    study = Study(
        settings=given,
        benchmarks={b.benchmark: b for b in sheet(paths["benchmarks"], Benchmark)},
        models={m.model: m for m in sheet(paths["models"], Model) if name in m.studies},
        runs={r.run: r for r in sheet(paths["runs"], Run) if name in r.studies},
        arms={a.arm: a for a in sheet(paths["arms"], Arm) if name in a.studies},
        throughputs=sheet(paths["throughputs"], Throughput) if "throughputs" in paths else [],
        artifacts=artifacts,
        claims=claims,
    )
    both = sorted(set(study.models) & set(study.runs))
    if both:
        raise AnatomyError(f"{paths['runs']}: {both} are names of models too; rename the runs")
    templates = {path.stem for path in (root / "config" / "templates").glob("*.yaml")}
    for model in study.models.values():
        if model.source == "pretrain" and given.world is None:
            raise AnatomyError(f"{where}: a pretrained model such as {model.model} needs the key `world`")
        _check_model(study, model, f"{paths['models']}, model {model.model}")
    for run in study.runs.values():
        _check_run(study, run, templates, f"{paths['runs']}, run {run.run}")
    for benchmark in study.benchmarks.values():
        _check_benchmark(
            study, benchmark, templates, f"{paths['benchmarks']}, benchmark {benchmark.benchmark}"
        )
    for arm in study.arms.values():
        _check_arm(study, arm, templates, f"{paths['arms']}, arm {arm.arm}")
    _check_pairs(study, str(paths["arms"]))
    _check_sampled_once(study, str(paths["arms"]))
    _check_claims(study)
    recorded = {path.stem for path in (root / "config" / "published").glob("*.csv")}
    for (kind, entry), file in files.items():
        _check_artifact(study, kind, entry, recorded, f"{file}: {kind}.{entry}")
    return study


def _known(name: str, allowed: Collection[str], what: str, place: str) -> None:
    if name not in allowed:
        raise AnatomyError(f"{place}: unknown {what} '{name}'; allowed: {', '.join(sorted(allowed))}")


def _at_least(least: int, number: int, what: str, place: str) -> None:
    if number < least:
        raise AnatomyError(f"{place}: {what} {number}; allowed: {least} or more")


# Rows ---------------------------------------------------------------------------------------------------


def _check_model(study: Study, model: Model, place: str) -> None:
    if model.source == "hub":
        _at_least(1, model.gpus, "gpus", place)
        _at_least(1, model.context, "context", place)
        if not model.hub_id or not model.billions:
            raise AnatomyError(f"{place}: a model of the hub needs a hub_id and its size (billions)")
        return
    presets = study.settings.presets.supervised
    _at_least(1, model.steps, "steps", place)
    _known(model.preset, presets, "preset", place)
    if (presets[model.preset].mixture is not None) != (model.source == "pretrain"):
        raise AnatomyError(f"{place}: preset '{model.preset}' is not one of source '{model.source}'")
    if model.source == "distill":
        _known(model.start, study.models, "start model", place)
        _known(model.teacher, study.arms, "teacher arm", place)
        _known(model.benchmark, study.benchmarks, "benchmark", place)


def _check_run(study: Study, run: Run, templates: Collection[str], place: str) -> None:
    reinforced = study.reinforced(run.run)
    presets = study.settings.presets
    _known(run.preset, presets.reinforcement if reinforced else presets.supervised, "preset", place)
    _known(run.start, {**study.models, **study.runs}, "start model or run", place)
    _known(run.benchmark, study.benchmarks, "benchmark", place)
    _known(study.run_template(run.run), templates, "template", place)
    _at_least(1, run.steps, "steps", place)
    if run.failed_by:
        _known(run.failed_by, study.arms, "arm whose failures are used", place)
        if run.benchmark not in study.arms[run.failed_by].benchmarks:
            raise AnatomyError(f"{place}: arm '{run.failed_by}' is not sampled on '{run.benchmark}'")
    for level in run.levels:
        _known(f"partial-{level}", PARTIAL, "level", place)
    _check_ancestors(study, run, place)
    if reinforced:
        _check_reinforcement(run, presets.reinforcement[run.preset], place)
    elif run.levels or run.tokens or run.checkpoints or presets.supervised[run.preset].mixture:
        raise AnatomyError(
            f"{place}: algorithm sft takes no levels, tokens, checkpoints or preset with a mixture"
        )


def _check_ancestors(study: Study, run: Run, place: str) -> None:
    runs = study.runs
    followed = [run.run]
    while (before := followed[-1]) in runs and runs[before].start in runs:
        if runs[before].start in followed:
            raise AnatomyError(f"{place}: it starts from itself: {' <- '.join(followed)}")
        followed.append(runs[before].start)
    if run.start in runs and set(run.seeds) - set(runs[run.start].seeds):
        raise AnatomyError(f"{place}: run '{run.start}' that it starts from has not all of its seeds")


def _check_reinforcement(run: Run, preset: ReinforcementPreset, place: str) -> None:
    division = Division(
        algorithm=run.algorithm,
        steps=run.steps,
        checkpoint_every=preset.checkpoint_every,
        prompts=preset.prompts,
        rollouts=preset.rollouts,
        updates=preset.updates,
        value=preset.value is not None,
        processes=max(run.gpus, 1) * max(run.nodes, 1) if preset.scale else 1,
        passes_of=preset.scale.batch if preset.scale else 0,
    )
    try:
        division.check()
    except AnatomyError as error:
        raise AnatomyError(f"{place}: {error}") from error
    if len(set(run.seeds)) < len(run.seeds):
        raise AnatomyError(f"{place}: a seed stands twice in {list(run.seeds)}")
    late = [step for step in run.checkpoints if not 0 < step <= run.steps]
    if late:
        raise AnatomyError(f"{place}: checkpoints {late} beyond step {run.steps}")
    if not run.seeds:
        raise AnatomyError(f"{place}: no seeds")


def _check_benchmark(study: Study, benchmark: Benchmark, templates: Collection[str], place: str) -> None:
    _known(benchmark.template, templates, "template", place)
    for domain in benchmark.splits_domains:
        _known(domain, problems.DOMAINS, "domain", place)
    most = programs.MAX_STATEMENTS if benchmark.source == "tasks" else problems.MAX_STEPS
    beyond = [steps for steps in benchmark.splits_steps if not 1 <= steps <= most]
    if beyond:
        raise AnatomyError(f"{place}: {beyond} steps; allowed: 1 to {most}")
    if benchmark.source in ("world", "tasks"):
        _at_least(1, benchmark.problems, "problems", place)
    if (benchmark.source == "tasks") != (benchmark.grader == "program") and benchmark.source != "hub":
        raise AnatomyError(
            f"{place}: grader program belongs to source tasks, and to sets of programs of the hub"
        )
    if benchmark.taken_from:
        source = "hub" if benchmark.source == "split" else "world"
        wholes = {n: b for n, b in study.benchmarks.items() if b.source == source and not b.taken_from}
        _known(benchmark.taken_from, wholes, "benchmark to take problems from", place)
    if benchmark.source == "split":
        _check_split(study, benchmark, place)
    if benchmark.failed_by and study.name in benchmark.studies:
        _known(benchmark.failed_by, study.arms, "arm whose failures are taken", place)
        if benchmark.taken_from not in study.arms[benchmark.failed_by].benchmarks:
            raise AnatomyError(
                f"{place}: arm '{benchmark.failed_by}' is not sampled on '{benchmark.taken_from}', where"
                " problems that it fails are to be taken from"
            )


def _check_split(study: Study, benchmark: Benchmark, place: str) -> None:
    if benchmark.side not in ("training", "test") or not benchmark.taken_from:
        raise AnatomyError(f"{place}: a split has a side, training or test, and is taken from a benchmark")
    whole = study.benchmarks[benchmark.taken_from].problems
    splits = sum(
        b.problems
        for b in study.benchmarks.values()
        if b.source == "split" and b.taken_from == benchmark.taken_from
    )
    if splits > whole:
        raise AnatomyError(
            f"{place}: the splits of '{benchmark.taken_from}' have {splits} problems, and it has {whole}"
        )


def _check_arm(study: Study, arm: Arm, templates: Collection[str], place: str) -> None:
    conditions = [name for name in CONDITIONS if name != SUBPROBLEMS]
    _known(arm.model, {**study.models, **study.runs}, "model or run", place)
    _known(arm.condition, conditions, "condition", place)
    _known(arm.base or arm.arm, study.arms, "base arm", place)
    if arm.template:
        _known(arm.template, templates, "template", place)
    if arm.sampling:
        _known(arm.sampling, study.settings.presets.sampling, "preset of presets.sampling", place)
    reinforced = arm.model in study.runs
    kept = study.exports(arm.model) if reinforced else [study.models[arm.model].steps]
    by_tokens = [AT_TOKENS] if reinforced and study.runs[arm.model].tokens else []
    _known(arm.step, ["last", *map(str, kept), *by_tokens], "step", place)
    for benchmark in arm.benchmarks:
        _known(benchmark, study.benchmarks, "benchmark", place)
    first = study.root(arm.model)
    new = study.preset(arm.arm).max_new_tokens or study.settings.sampling.max_new_tokens
    if first.context and new >= first.context:
        raise AnatomyError(
            f"{place}: max_new_tokens {new} leaves no room for a prompt: model '{first.model}' has"
            f" {first.context} positions; choose another sampling preset"
        )
    for benchmark in arm.probed:
        _known(benchmark, study.tests_of(arm.arm), "benchmark of the arm to probe it on", place)
    _check_temperature(study, arm, place)


def _check_temperature(study: Study, arm: Arm, place: str) -> None:
    matched = study.matched(arm.arm)
    if matched is not None:
        _known(matched, study.arms, "arm to match", place)
        absent = set(study.tests_of(arm.arm)) - set(study.tests_of(matched))
        if absent:
            raise AnatomyError(
                f"{place}: '{matched}' cannot be matched: it is not sampled on {sorted(absent)}"
            )
        if study.matched(matched):
            raise AnatomyError(f"{place}: '{matched}' cannot be matched: its temperature is matched too")
    elif arm.temperature:
        try:
            wrong = not 0 <= float(arm.temperature) < math.inf
        except ValueError:
            wrong = True
        if wrong:
            raise AnatomyError(
                f"{place}: temperature '{arm.temperature}' is neither a number from 0 up nor match:ARM"
            )


def _check_pairs(study: Study, where: str) -> None:
    """Raise AnatomyError where an arm and its base are sampled differently."""
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


def _check_sampled_once(study: Study, where: str) -> None:
    """Raise AnatomyError where two arms are one."""
    sampled: dict[Any, str] = {}
    for name, arm in study.arms.items():
        for benchmark in study.tests_of(name):
            which = (
                *(arm.model, study.checkpoint(name), arm.condition, study.template(name, benchmark)),
                benchmark,
                json.dumps([study.sampling(name), study.samples(benchmark, name), study.matched(name)]),
            )
            if which in sampled:
                raise AnatomyError(
                    f"{where}, arm {name}: on '{benchmark}' it is the same as arm '{sampled[which]}';"
                    " name that one where both are meant, so that it is sampled once"
                )
            sampled[which] = name


# Claims, tables and figures -----------------------------------------------------------------------------


def _check_claims(study: Study) -> None:
    judged = study.artifacts["tables"].get("claims", {}).get("tables", [])
    own = [name for name, claim in study.claims.items() if "counters" not in claim]
    for name, claim in study.claims.items():
        place = f"{study.settings.claims}, claim {name}"
        if "counters" in claim:
            _known(claim["counters"], own, "claim with evidence of its own", place)
        for evidence in claim.get("evidence", {}).values():
            if not isinstance(evidence, str):
                _known(evidence["table"], judged, "table of the table claims", place)


def _check_artifact(study: Study, kind: str, name: str, recorded: Collection[str], place: str) -> None:
    artifact, tables = study.artifacts[kind][name], study.artifacts["tables"]
    arms = study.arms_of(artifact)
    for arm in arms:
        _known(arm, study.arms, "arm", place)
    sampled = {test for arm in arms for test in study.tests_of(arm)}
    for benchmark in artifact.get("benchmarks", []):
        _known(benchmark, sampled, "benchmark", place)
    for table in artifact.get("tables", []):
        _known(table, tables, "table", place)
    if kind == "tables":
        _known(artifact.get("analysis", name), _ANALYSES, "analysis", place)
    else:
        _known(artifact.get("draws", name), _FIGURES, "figure", place)
    for group in artifact.get("options", {}).get("groups", {}).values():
        for arm in group:
            _known(arm, arms, "arm", f"{place}: options.groups")
    if "overlay" in artifact:
        overlay = artifact["overlay"]
        _known(overlay["table"], tables, "table", f"{place}.overlay")
        for arm in overlay["arms"]:
            _known(arm, arms, "arm", f"{place}.overlay.arms")
        for benchmark in overlay["benchmarks"]:
            _known(benchmark, sampled, "benchmark", f"{place}.overlay.benchmarks")
    if ("record" in artifact.get("needs", [])) != ("record" in artifact):
        raise AnatomyError(f"{place}: `needs: [record]` and `record`, its files, go together")
    for file in artifact.get("record", []):
        _known(file, recorded, "file of the record", place)
    if "scores" in artifact.get("needs", []) and "texts" not in artifact:
        raise AnatomyError(f"{place}: scores are of texts; name them under `texts`")
    for scorer, text in artifact.get("texts", []):
        _known(scorer, study.arms, "scorer", place)
        _known(text, [*study.arms, "gold"], "text", place)


def _modules(package: str, defines: str) -> set[str]:
    """Return the modules of a package, by their dotted names in it, that define a function."""
    folder = paths.LIBRARY / package
    files = (path for path in folder.rglob("*.py") if defines in path.read_text(encoding="utf-8"))
    return {".".join(path.relative_to(folder).with_suffix("").parts) for path in files}


_ANALYSES = _modules("analyses", "def rows(")
_FIGURES = _modules("figures", "def draw(")
