"""What each table and figure is made from, as the artifacts declare: files, and what each of them holds."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from anatomy.study.study import Study
from anatomy.workflow.files import counts_file, results, shard_files

Source = dict[str, Any]
"""A file that a table or figure is made from: its ``kind``, its ``path``, and the names of what it holds."""


def counts_source(study: Study, arm: str, seed: int | str, benchmark: str) -> Source:
    """Return the counts of an arm's verdicts on a benchmark, of one seed."""
    return {
        "kind": "counts",
        "path": counts_file(study, arm, seed, benchmark),
        "arm": arm,
        "seed": seed,
        "benchmark": benchmark,
    }


def counts_sources(study: Study, arms: Iterable[str], benchmarks: Collection[str]) -> Iterator[Source]:
    """Yield the counts of arms, over all of their seeds and of their benchmarks those that are wanted."""
    for arm in arms:
        for seed in study.seeds(arm):
            for benchmark in study.tests_of(arm):
                if benchmark in benchmarks:
                    yield counts_source(study, arm, seed, benchmark)


def probe_sources(study: Study, arms: Iterable[str], benchmarks: Collection[str]) -> Iterator[Source]:
    """Yield the counts of probed arms under the study's other conditions."""
    for source in counts_sources(study, arms, benchmarks):
        if source["benchmark"] in study.arms[source["arm"]].probed:
            folder = source["path"].removesuffix(".parquet")
            yield {**source, "kind": "probes", "path": f"{folder}/probes.parquet"}


def extra_sources(
    study: Study, pairs: Iterable[Sequence[str]], benchmarks: Collection[str]
) -> Iterator[Source]:
    """Yield the further counts of both arms of each pair, on the problems where they disagree.

    Args:
        study: The study.
        pairs: Pairs of an arm and its base.
        benchmarks: The benchmarks that are wanted.
    """
    for arm, base in pairs:
        for seed in study.seeds(arm):
            other = study.seed_beside(base, seed)
            for benchmark in _shared(study.tests_of(arm), study.tests_of(base), benchmarks):
                for of, mine, against in (
                    ("arm", (arm, seed), (base, other)),
                    ("base", (base, other), (arm, seed)),
                ):
                    folder = f"{results(study)}/counts/{mine[0]}/seed-{mine[1]}/{benchmark}"
                    yield {
                        "kind": "extra",
                        "arm": arm,
                        "base": base,
                        "seed": seed,
                        "path": f"{folder}/extra-{against[0]}-{against[1]}.parquet",
                        "benchmark": benchmark,
                        "of": of,
                    }


def _shared(first: Iterable[str], *others: Collection[str]) -> list[str]:
    """Return the names that stand in all lists, in the order of the first."""
    return [name for name in first if all(name in other for other in others)]


def score_sources(
    study: Study, texts: Iterable[Sequence[str]], benchmarks: Collection[str]
) -> Iterator[Source]:
    """Yield the scores of texts under their scorers.

    Args:
        study: The study.
        texts: Pairs of a scorer (an arm) and a text: the arm whose completions are scored, or ``gold``.
        benchmarks: The benchmarks that are wanted.
    """
    for scorer, text in texts:
        arm = scorer if text == "gold" else text
        for seed in study.seeds(arm):
            folder = f"{results(study)}/scores/{scorer}/seed-{study.seed_beside(scorer, seed)}"
            for benchmark in _shared(study.tests_of(scorer), study.tests_of(arm), benchmarks):
                yield {
                    "seed": seed,
                    "benchmark": benchmark,
                    "kind": "scores",
                    "path": f"{folder}/{text}/seed-{seed}/{benchmark}.parquet",
                    "scorer": scorer,
                    "text": text,
                }


def verdict_sources(
    study: Study, texts: Iterable[Sequence[str]], benchmarks: Collection[str]
) -> Iterator[Source]:
    """Yield the verdicts on each text that is an arm's, once; arguments as of ``score_sources``."""
    arms = dict.fromkeys(text for _, text in texts if text != "gold")
    for source in counts_sources(study, arms, benchmarks):
        names = source["arm"], source["seed"], source["benchmark"]
        for path in shard_files(study, "verdicts", *names):
            yield {**source, "kind": "verdicts", "path": path}


def record_sources(artifact: Source) -> list[Source]:
    """Return the files of the published record that a table reads, and the one that tells their sources."""
    return [
        {"kind": "record", "path": f"config/published/{name}.csv", "file": name}
        for name in [*artifact["record"], "sources"]
    ]


def training_sources(study: Study) -> Iterator[Source]:
    """Yield the training logs of all runs and seeds."""
    for run in study.runs.values():
        for seed in run.seeds:
            path = f"{results(study)}/training/{run.run}/seed-{seed}.parquet"
            yield {"kind": "training", "path": path, "run": run.run, "seed": seed}


def overlay(study: Study, figure: str) -> Source:
    """Return which published numbers a figure shows beside its own; nothing where the overlay is off."""
    if not study.settings.overlay:
        return {}
    shown: Source = study.artifacts["figures"][figure].get("overlay", {})
    return shown


def from_record(study: Study, kind: str, name: str) -> bool:
    """Whether a table or figure is made from the published record alone; arguments as of ``sources``."""
    artifact = study.artifacts[kind][name]
    needed, tables = artifact.get("needs", []), artifact.get("tables", [])
    return (
        bool(needed or tables)
        and set(needed) <= {"record"}
        and all(from_record(study, "tables", table) for table in tables)
    )


def sources(study: Study, kind: str, name: str) -> list[Source]:
    """Return what a table or figure is made from, as config/artifacts.yaml declares it.

    Args:
        study: The study.
        kind: ``tables`` or ``figures``.
        name: The table or figure.

    Returns:
        One dictionary a file, in the order in which the rule names its inputs.
    """
    artifact = study.artifacts[kind][name]
    wanted = artifact.get("needs", [])
    benchmarks = artifact.get("benchmarks", study.tests)
    tables = list(artifact.get("tables", []))
    if kind == "figures" and (shown := overlay(study, name)):
        tables.append(shown["table"])
    sources: list[Source] = [
        {"kind": "tables", "path": f"{results(study)}/tables/{table}.csv", "table": table} for table in tables
    ]
    if "counts" in wanted:
        sources += counts_sources(study, study.arms_of(artifact), benchmarks)
    if "probes" in wanted:
        sources += probe_sources(study, study.arms_of(artifact), benchmarks)
    if "extra" in wanted:
        sources += extra_sources(study, study.pairs_of(artifact), benchmarks)
    if "scores" in wanted:
        sources += score_sources(study, artifact["texts"], benchmarks)
        sources += verdict_sources(study, artifact["texts"], benchmarks)
    if "record" in wanted:
        sources += record_sources(artifact)
    if "problems" in wanted:
        for benchmark in benchmarks:
            path = f"{results(study)}/problems/{benchmark}.parquet"
            sources.append({"kind": "problems", "path": path, "benchmark": benchmark})
    if "training" in wanted:
        sources += training_sources(study)
    return sources


def of_table(study: Study, table: str) -> list[Source]:
    """Return what a table is made from."""
    return sources(study, "tables", table)


def table_files(study: Study, table: str) -> list[str]:
    """Return the files that a table is made from."""
    return [source["path"] for source in of_table(study, table)]


def figure_files(study: Study, figure: str) -> list[str]:
    """Return the files that a figure is made from."""
    return [source["path"] for source in sources(study, "figures", figure)]


def record_files(study: Study) -> list[str]:
    """Return every table and figure that is made from the published record alone."""
    tables, figures = (
        [name for name in study.artifacts[kind] if from_record(study, kind, name)]
        for kind in ("tables", "figures")
    )
    return [f"{results(study)}/tables/{table}.csv" for table in tables] + [
        f"figures/{study.name}/{figure}.{suffix}" for figure in figures for suffix in ("pdf", "svg", "png")
    ]
