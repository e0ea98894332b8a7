"""Which files a study consists of, and which of them each rule reads.

Functions take the study and values of wildcards, under the wildcards' names. An optional input that a job
does not have is an empty list, as the workflow wants it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.planning import sizing
from anatomy.prompts import templates
from anatomy.study.checked import as_given
from anatomy.study.study import Study


def results(study: Study) -> str:
    """Return the folder of all that a study computes."""
    return f"results/{study.name}"


def models_folder(study: Study, model: str, seed: int | str) -> str:
    """Return the folder of a model's checkpoints, of one training seed."""
    return f"{results(study)}/models/{model}/seed-{seed}"


def template_file(template: str) -> str:
    """Return the file of a prompt template."""
    return f"config/templates/{template}.yaml"


def prompts_file(study: Study, benchmark: str, template: str) -> str:
    """Return the file of a benchmark's prompts in a template."""
    return f"{results(study)}/prompts/{benchmark}/{template}.parquet"


def shard_files(study: Study, table: str, arm: str, seed: int | str, benchmark: str) -> list[str]:
    """Return the files of an arm's shards on a benchmark, of one seed.

    Args:
        study: The study.
        table: What they hold: ``samples`` or ``verdicts``.
        arm: The arm.
        seed: Its training seed.
        benchmark: The benchmark.
    """
    folder = f"{results(study)}/{table}/{arm}/seed-{seed}/{benchmark}"
    return [f"{folder}/shard-{shard:03d}.parquet" for shard in range(sizing.shards(study, arm, benchmark))]


def counts_file(study: Study, arm: str, seed: int | str, benchmark: str) -> str:
    """Return the file of the counts of an arm's verdicts on a benchmark, of one seed."""
    return f"{results(study)}/counts/{arm}/seed-{seed}/{benchmark}.parquet"


def conditions(study: Study, benchmark: str, template: str) -> list[str]:
    """Return the conditions whose prompts a benchmark needs in a template; all, if it is not sampled."""
    arms = [
        arm
        for arm in study.arms.values()
        if benchmark in study.tests_of(arm.arm) and study.template(arm.arm, benchmark) == template
    ]
    if study.benchmarks[benchmark].source == "hub" and not arms:
        return ["plain", *templates.GIVEN, templates.SUBPROBLEMS, *templates.PARTIAL]
    used = {arm.condition for arm in arms}
    used.update(probe for arm in arms if benchmark in arm.probed for probe in study.probes)
    return sorted({"plain", *templates.PARTIAL, *used} - {templates.OWN})


def written_annotations(study: Study, benchmark: str) -> str | list[str]:
    """Return the file of a benchmark's annotations that people wrote, if there is one."""
    folder = study.settings.annotations.folder
    path = Path(folder) / f"{benchmark}.jsonl" if folder else None
    return str(path) if path and path.exists() else []


def annotations(study: Study, benchmark: str) -> str | list[str]:
    """Return the file of a real benchmark's annotations, if the configuration says where they come from."""
    real = study.benchmarks[benchmark].source == "hub"
    wanted = study.settings.annotations.endpoint or written_annotations(study, benchmark)
    return f"{results(study)}/annotations/{benchmark}.parquet" if real and wanted else []


def downloads(study: Study) -> list[dict[str, Any]]:
    """Return what a study takes from the hub, and the file or folder (``path``) that each becomes."""
    models = [
        {
            "kind": "model",
            "id": model.hub_id,
            "revision": model.revision,
            "gated": bool(model.gated),
            "path": models_folder(study, model.model, model.seed),
        }
        for model in study.models.values()
        if model.source == "hub"
    ]
    sets = [
        {
            "kind": "dataset",
            "id": row.hub_id,
            "revision": row.revision,
            "gated": False,
            "path": f"{results(study)}/downloads/{row.benchmark}.jsonl",
        }
        for row in study.benchmarks.values()
        if row.source == "hub" and study.name in row.studies and not study.settings.benchmarks_folder
    ]
    return models + sets


# What jobs read ----------------------------------------------------------------------------------------


def arm_model(study: Study, arm: str, seed: int | str) -> str:
    """Return the folder of the model that an arm samples from."""
    return models_folder(study, study.arms[arm].model, seed)


def arm_template(study: Study, arm: str, benchmark: str) -> str:
    """Return the file of the template in which an arm is asked a benchmark's problems."""
    return template_file(study.template(arm, benchmark))


def arm_prompts(study: Study, arm: str, benchmark: str) -> str:
    """Return the file of the prompts that an arm answers on a benchmark."""
    return prompts_file(study, benchmark, study.template(arm, benchmark))


def arm_samples(study: Study, arm: str, seed: int | str, benchmark: str) -> list[str]:
    """Return the files of an arm's completions on a benchmark."""
    return shard_files(study, "samples", arm, seed, benchmark)


def arm_verdicts(study: Study, arm: str, seed: int | str, benchmark: str) -> list[str]:
    """Return the files of the verdicts on an arm's completions on a benchmark."""
    return shard_files(study, "verdicts", arm, seed, benchmark)


def local_file(study: Study, benchmark: str) -> str:
    """Return the publisher's file of a real test set: one that lies at hand, or the download."""
    folder = study.settings.benchmarks_folder
    if folder:
        return f"{folder}/{benchmark}/test.jsonl"
    return f"{results(study)}/downloads/{benchmark}.jsonl"


def whole_problems(study: Study, benchmark: str) -> str:
    """Return the file of the problems that a benchmark is taken from."""
    return f"{results(study)}/problems/{study.benchmarks[benchmark].taken_from}.parquet"


def parts_of(study: Study, benchmark: str) -> dict[str, str | list[str]]:
    """Return what a part of another split is taken from, by the names of the rule's inputs.

    That is ``problems``, and ``failed`` where it has the problems that an arm fails: the counts of that arm.
    """
    row = study.benchmarks[benchmark]
    if not row.taken_from:
        return {}
    files: dict[str, str | list[str]] = {"problems": whole_problems(study, benchmark)}
    if row.failed_by:
        files["failed"] = [
            counts_file(study, row.failed_by, seed, row.taken_from)
            for seed in study.seeds(row.failed_by)
            if row.taken_from in study.tests_of(row.failed_by)
        ]
    return files


def start_folder(study: Study, model: str, seed: int | str) -> str:
    """Return the folder of the model that a run, or a student (``model``), starts from."""
    return models_folder(study, *study.start(model, int(seed)))


def run_problems(study: Study, run: str) -> str:
    """Return the file of the problems that a run trains on."""
    return f"{results(study)}/problems/{study.runs[run].benchmark}.parquet"


def run_template(study: Study, run: str) -> str:
    """Return the file of the template in which a run is asked its problems."""
    return template_file(study.run_template(run))


def run_prompts(study: Study, run: str) -> str:
    """Return the file of the prompts that a run trains on."""
    return prompts_file(study, study.runs[run].benchmark, study.run_template(run))


def failed_counts(study: Study, run: str, seed: int | str) -> str | list[str]:
    """Return the counts of the arm whose failures make a run's hard set, of the run's training seed."""
    row = study.runs[run]
    return _counts_beside(study, row.failed_by, seed, row.benchmark) if row.failed_by else []


def student_prompts(study: Study, model: str) -> str:
    """Return the file of the prompts that a student (``model``) learns to answer."""
    benchmark = study.models[model].benchmark
    return prompts_file(study, benchmark, study.benchmarks[benchmark].template)


def teacher_samples(study: Study, model: str) -> list[str]:
    """Return a teacher's completions of the problems of a student (``model``)."""
    return _teacher_files(study, "samples", model)


def teacher_verdicts(study: Study, model: str) -> list[str]:
    """Return the verdicts on a teacher's completions of the problems of a student (``model``)."""
    return _teacher_files(study, "verdicts", model)


def _teacher_files(study: Study, table: str, model: str) -> list[str]:
    row = study.models[model]
    return shard_files(study, table, row.teacher, study.seeds(row.teacher)[0], row.benchmark)


def temperature_file(study: Study, arm: str, seed: int | str, benchmark: str) -> str | list[str]:
    """Return where a matched arm's temperature stands; nothing for an arm whose temperature is given."""
    if study.matched(arm) is None:
        return []
    return f"{results(study)}/temperatures/{arm}/seed-{seed}/{benchmark}.json"


def matched_counts(study: Study, arm: str, seed: int | str, benchmark: str) -> str:
    """Return the counts of the arm whose entropy a matched arm takes over.

    Raises:
        AnatomyError: The arm's temperature is given.
    """
    other = study.matched(arm)
    if other is None:
        raise AnatomyError(f"{arm}: the arm is matched to no other")
    return _counts_beside(study, other, seed, benchmark)


def disagreeing_counts(
    study: Study, arm: str, seed: int | str, other: str, other_seed: int | str, benchmark: str
) -> list[str]:
    """Return the counts of two arms that tell on which problems of a benchmark they disagree."""
    both = (arm, seed), (other, other_seed)
    return [counts_file(study, name, of, benchmark) for name, of in both]


def scored_texts(study: Study, text: str, text_seed: int | str, benchmark: str) -> list[str]:
    """Return the samples that are scored; nothing for reference solutions (``gold``)."""
    return [] if text == "gold" else shard_files(study, "samples", text, text_seed, benchmark)


def scored_prompts(study: Study, scorer: str, text: str, benchmark: str) -> str:
    """Return the prompts before the texts that are scored: those they were sampled with."""
    return arm_prompts(study, scorer if text == "gold" else text, benchmark)


def _counts_beside(study: Study, arm: str, seed: int | str, benchmark: str) -> str:
    """Return the counts of an arm, of its seed that stands beside another arm's or a run's."""
    return counts_file(study, arm, study.seed_beside(arm, int(seed)), benchmark)


def real_prompts(study: Study) -> list[str]:
    """Return the prompts of the real test sets, in every template that asks them."""
    return [
        prompts_file(study, name, template)
        for name in study.real
        for template in sorted(study.templates(name))
    ]


# What the workflow itself stands in ----------------------------------------------------------------------


def named(root: Path, path: str | Path) -> str:
    """Return a file's name relative to the repository (``root``), if it lies in it."""
    absolute = root / path
    return str(absolute.relative_to(root) if absolute.is_relative_to(root) else absolute)


def site_templates(root: Path) -> list[str]:
    """Return the templates of the audit site's pages, relative to the repository (``root``)."""
    return sorted(named(root, path) for path in (root / "scripts/anatomy/audit/site/pages").iterdir())


def of_workflow(study: Study, root: Path, configfiles: Iterable[str]) -> list[str]:
    """Return the files that the workflow and the study's settings stand in, relative to the repository.

    Args:
        study: The study.
        root: The repository.
        configfiles: The files that the settings were read from; what lies outside the repository is left out.
    """
    patterns = ("Snakefile", "rules/*.smk", "profiles/**/*.yaml", "report/*.rst", "config/**/*")
    files = [path for pattern in patterns for path in root.glob(pattern) if path.is_file()]
    settings = study.settings
    sheets = as_given(settings.sheets).values()
    files += [root / path for path in (*configfiles, *sheets, *settings.artifacts, settings.claims) if path]
    return sorted({named(root, path) for path in files if path.is_relative_to(root)})
