"""What rules ask of the study: files, sources of tables and figures, params, and what jobs ask for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import ROOT

from anatomy.errors import AnatomyError
from anatomy.paths import LIBRARY
from anatomy.study import validation, without_programs, yaml_files
from anatomy.study.settings import Annotations
from anatomy.study.study import Study
from anatomy.workflow import files, params, resources, sources

CONFIGS = ("tests/tiny/config.yaml", "config/embedded.yaml", "config/published.yaml")


def load(path: str, **changes: Any) -> Study:
    return validation.load(yaml_files.read_yaml(ROOT / path) | changes, ROOT, path)


def with_settings(study: Study, **changes: Any) -> Study:
    return replace(study, settings=study.settings.model_copy(update=changes))


@pytest.fixture(scope="module")
def tiny() -> Study:
    return load(CONFIGS[0])


@pytest.fixture(scope="module")
def published() -> Study:
    return load(CONFIGS[2])


@pytest.fixture(scope="module", params=CONFIGS)
def study(request: pytest.FixtureRequest) -> Study:
    return load(request.param)


def artifacts(study: Study) -> Iterator[tuple[str, str]]:
    return ((kind, name) for kind in ("tables", "figures") for name in study.artifacts[kind])


# Files --------------------------------------------------------------------------------------------------


def test_files_have_known_names(tiny: Study) -> None:
    assert files.models_folder(tiny, "base", 0) == "results/tiny/models/base/seed-0"
    assert files.arm_model(tiny, "base", "0") == "results/tiny/models/base/seed-0"
    assert files.arm_prompts(tiny, "base", "hard") == "results/tiny/prompts/hard/world.parquet"
    assert files.arm_template(tiny, "base", "hard") == "config/templates/world.yaml"
    assert files.counts_file(tiny, "base", 0, "hard") == "results/tiny/counts/base/seed-0/hard.parquet"
    shards = files.arm_samples(tiny, "base", 0, "hard")
    assert shards[0] == "results/tiny/samples/base/seed-0/hard/shard-000.parquet"
    assert [path.replace("samples", "verdicts", 1) for path in shards] == files.arm_verdicts(
        tiny, "base", 0, "hard"
    )


def test_a_run_starts_from_its_model_and_reads_its_benchmark(tiny: Study) -> None:
    run = tiny.runs["grpo"]
    assert files.start_folder(tiny, "grpo", "1").startswith(f"results/tiny/models/{run.start}/seed-")
    assert files.run_problems(tiny, "grpo") == f"results/tiny/problems/{run.benchmark}.parquet"
    assert files.run_prompts(tiny, "grpo").startswith(f"results/tiny/prompts/{run.benchmark}/")


def test_a_run_without_a_hard_set_needs_no_counts(tiny: Study) -> None:
    for name, run in tiny.runs.items():
        needed = files.failed_counts(tiny, name, "0")
        if run.failed_by:
            assert f"/counts/{run.failed_by}/" in str(needed) and str(needed).endswith(
                f"{run.benchmark}.parquet"
            )
        else:
            assert needed == []


def test_a_whole_split_is_taken_from_nothing_a_part_from_problems_and_failures(study: Study) -> None:
    own = {name: row for name, row in study.benchmarks.items() if study.name in row.studies}
    for name, row in own.items():
        found = files.parts_of(study, name)
        assert ("problems" in found) == bool(row.taken_from)
        assert ("failed" in found) == bool(row.taken_from and row.failed_by)
        if "failed" in found:
            assert len(found["failed"]) == len(study.seeds(row.failed_by))


def test_a_temperature_is_read_where_it_is_matched_alone(study: Study) -> None:
    for arm in study.arms:
        for benchmark in study.tests_of(arm):
            temperature = files.temperature_file(study, arm, 0, benchmark)
            assert bool(temperature) == (study.matched(arm) is not None)


def test_an_arm_that_is_matched_to_no_other_is_named(tiny: Study) -> None:
    with pytest.raises(AnatomyError, match="base: the arm is matched to no other"):
        files.matched_counts(tiny, "base", 0, "hard")


def test_every_prompt_of_an_arm_is_made(study: Study) -> None:
    for arm in study.arms.values():
        for benchmark in study.tests_of(arm.arm):
            made = files.conditions(study, benchmark, study.template(arm.arm, benchmark))
            assert {"plain", arm.condition} - {"own"} <= {*made} | {"own"}
            assert made == sorted(set(made))


def test_annotations_are_for_real_benchmarks_and_only_where_some_are_wanted(published: Study) -> None:
    real = published.real[0]
    assert files.annotations(published, real) == []
    endpoint = {"folder": None, "endpoint": {"url": "http://127.0.0.1/v1", "model": "small"}}
    asked = with_settings(published, annotations=Annotations.model_validate(endpoint))
    assert files.annotations(asked, real) == f"results/published/annotations/{real}.parquet"


def test_written_annotations_are_found(published: Study, tmp_path: Path) -> None:
    real = published.real[0]
    study = with_settings(published, annotations=Annotations(folder=str(tmp_path), endpoint=None))
    assert files.written_annotations(study, real) == []
    (tmp_path / f"{real}.jsonl").touch()
    assert files.written_annotations(study, real) == f"{tmp_path}/{real}.jsonl"


def test_what_lies_at_hand_is_not_downloaded(published: Study) -> None:
    real = published.real[0]
    assert files.local_file(published, real) == f"results/published/downloads/{real}.jsonl"
    assert {row["kind"] for row in files.downloads(published)} == {"model", "dataset"}
    here = with_settings(published, benchmarks_folder="sets")
    assert files.local_file(here, real) == f"sets/{real}/test.jsonl"
    assert {row["kind"] for row in files.downloads(here)} == {"model"}


def test_reference_solutions_are_scored_in_the_scorers_prompts(tiny: Study) -> None:
    assert files.scored_texts(tiny, "gold", 0, "hard") == []
    assert files.scored_prompts(tiny, "base", "gold", "hard") == files.arm_prompts(tiny, "base", "hard")
    assert files.scored_texts(tiny, "base", 0, "hard") == files.arm_samples(tiny, "base", 0, "hard")


def test_the_workflows_files_are_there_and_lie_in_the_repository(study: Study, tmp_path: Path) -> None:
    outside = str(tmp_path / "mine.yaml")
    found = files.of_workflow(study, ROOT, ["config/embedded.yaml", outside])
    assert {"Snakefile", "rules/common.smk", "config/embedded.yaml"} <= set(found)
    assert all((ROOT / path).is_file() for path in found) and found == sorted(found)
    assert files.named(ROOT, outside) == outside
    assert files.named(ROOT, ROOT / "Snakefile") == "Snakefile"


# Sources ------------------------------------------------------------------------------------------------


def test_sources_have_paths_of_their_own_and_are_told_what_they_are(study: Study) -> None:
    for kind, name in artifacts(study):
        found = sources.sources(study, kind, name)
        assert found, name
        keys = [tuple(sorted((k, str(v)) for k, v in row.items())) for row in found]
        assert len(set(keys)) == len(keys), f"{name}: the same source twice"
        assert all({"kind", "path"} < set(row) for row in found)


def test_tables_and_figures_read_nothing_that_is_not_declared(study: Study) -> None:
    for kind, name in artifacts(study):
        artifact = study.artifacts[kind][name]
        allowed = {*artifact.get("needs", []), *(["tables"] if artifact.get("tables") else [])}
        if "scores" in allowed:
            allowed.add("verdicts")
        assert {row["kind"] for row in sources.sources(study, kind, name)} <= allowed, name


def test_counts_are_those_of_all_seeds_and_wanted_benchmarks(tiny: Study) -> None:
    found = list(sources.counts_sources(tiny, ["base", "grpo"], ["hard"]))
    assert [(row["arm"], row["seed"]) for row in found] == [
        (arm, seed) for arm in ("base", "grpo") for seed in tiny.seeds(arm)
    ]
    assert {row["benchmark"] for row in found} == {"hard"}


def test_each_pair_has_further_counts_of_both_arms(tiny: Study) -> None:
    found = list(sources.extra_sources(tiny, [("grpo", "base")], ["hard"]))
    assert [row["of"] for row in found] == ["arm", "base"] * len(tiny.seeds("grpo"))
    assert found[0]["path"] == "results/tiny/counts/grpo/seed-0/hard/extra-base-0.parquet"
    assert found[1]["path"] == "results/tiny/counts/base/seed-0/hard/extra-grpo-0.parquet"


def test_an_overlay_is_read_only_where_it_is_on() -> None:
    off, on = (load(CONFIGS[1], overlay=shown) for shown in (False, True))
    shown = [name for name, figure in on.artifacts["figures"].items() if figure.get("overlay")]
    assert shown
    for name in shown:
        more = {*sources.figure_files(on, name)} - {*sources.figure_files(off, name)}
        assert sources.overlay(off, name) == {}
        table = sources.overlay(on, name)["table"]
        assert more <= {f"results/embedded/tables/{table}.csv"}


def test_the_record_needs_no_model() -> None:
    study = load(CONFIGS[1])
    found = sources.record_files(study)
    assert found
    for path in found:
        kind = "tables" if path.endswith(".csv") else "figures"
        made_from = sources.sources(study, kind, Path(path).stem)
        assert {row["kind"] for row in made_from} <= {"record", "tables"}


# Params -------------------------------------------------------------------------------------------------


def test_params_of_a_training_leave_out_what_it_does_not_ask_for(study: Study) -> None:
    for run in study.runs:
        if study.reinforced(run):
            found = params.reinforcement(study, run)
            assert not {"reward", "expected_tokens"} & set(found)
            assert found["algorithm"] == study.runs[run].algorithm and params.reward(study, run)
        else:
            assert not {*params.SHAPE, "mixture"} & set(params.finetuning(study, run))
    for model in study.models.values():
        if model.source == "pretrain":
            assert set(params.shape(study, model.model)) == set(params.SHAPE)
            assert not {*params.SHAPE, "mixture"} & set(params.supervised(study, model.model))


def test_randomness_of_further_completions_is_their_own(tiny: Study) -> None:
    seed = tiny.settings.seed
    assert params.sample_key(tiny, "grpo", "1") == [seed, "grpo", 1]
    assert params.match_key(tiny, "grpo", "1") == [seed, "match", "grpo", 1]
    assert params.extra_key(tiny, "grpo", "1", "base", "0") == [seed, "extra", "grpo", 1, "base", 0]


def test_a_table_knows_its_analysis_and_a_figure_its_script(study: Study) -> None:
    for table in study.artifacts["tables"]:
        assert (LIBRARY / "analyses" / f"{params.analysis(study, table).replace('.', '/')}.py").is_file()
        assert set(params.table_arms(study, table)) == set(study.arms_of(study.artifacts["tables"][table]))
    for figure in study.artifacts["figures"]:
        assert (LIBRARY / "figures" / f"{params.drawn_by(study, figure).replace('.', '/')}.py").is_file()


def test_programs_are_told_from_the_graders(tiny: Study) -> None:
    assert params.has_programs(tiny) and not params.has_programs(without_programs.programs(tiny))


# Resources ----------------------------------------------------------------------------------------------


def test_without_a_gpu_a_job_has_one_core(tiny: Study) -> None:
    assert all(resources.arm_cores(tiny, arm) == 1 for arm in tiny.arms)
    assert all(resources.run_own_steps(tiny, run) is None for run in tiny.runs)
    assert resources.gpu(tiny) is None


def test_cores_and_gpus_follow_the_sheets(published: Study) -> None:
    assert published.settings.scale
    each = published.settings.scale.cores_per_gpu
    for name, run in published.runs.items():
        assert resources.run_gpus(published, name) == run.gpus * max(run.nodes, 1)
        assert resources.run_cores(published, name) == max(1, run.gpus * each)
        assert (resources.run_own_steps(published, name) == 0) == (run.nodes > 1)
    gpu = resources.gpu(published)
    assert gpu and gpu["name"] == published.settings.scale.gpu and gpu["memory"] > 0


def test_every_arm_and_run_has_its_largest_job(published: Study) -> None:
    jobs = resources.largest_jobs(published)
    assert len(jobs) == len(published.arms) + len(published.runs)
    assert {job["rule"] for job in jobs} <= {"sample", "train", "finetune"}
    assert all(job["minutes"] > 0 and job["memory"] > 0 and job["cpus"] >= 1 for job in jobs)


def test_programs_of_the_hubs_sets_may_take_more_memory(study: Study) -> None:
    for name, row in study.benchmarks.items():
        hub_programs = row.grader == "program" and row.source == "hub"
        assert resources.grading_memory(study, name) == (8000 if hub_programs else 2000)
