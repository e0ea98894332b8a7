"""The files of a study against the digests in its records."""

from collections.abc import Mapping

from anatomy.audit import hashing, job_record, recorder, source_diff
from anatomy.audit.job_record import File, Record
from anatomy.audit.provenance import Affected
from anatomy.audit.scrubbing import unscrubbed
from anatomy.audit.verify.comparison import Comparison
from anatomy.audit.verify.numbers import changed_numbers, changed_rows


def check_files(comparison: Comparison) -> None:
    """Compare each output, and each input that no job made, with its digest."""
    recorded = {file.sha256: file.path for record in comparison.jobs for file in record.outputs}
    for record in comparison.jobs:
        if not comparison.concerns(record):
            continue
        for file in record.outputs:
            comparison.verdict.files += 1
            _check_output(comparison, file, recorded)
        for file in record.inputs:
            _check_input(comparison, file, record)


def _check_output(comparison: Comparison, file: File, recorded: Mapping[str, str]) -> None:
    now = comparison.look(file.path)
    if now is None:
        comparison.find("data missing", file.path, "it is gone", comparison.affected([file.path]))
    elif now.sha256 != file.sha256:
        detail = f"SHA-256 was {file.sha256[:12]}, is {now.sha256[:12]}"
        if file.files is not None:
            was, now_files = dict(file.files), dict(now.files or {})
            names = sorted(n for n in was.keys() | now_files.keys() if was.get(n) != now_files.get(n))
            detail = f"in it {', '.join(names[:3])}{' ...' if len(names) > 3 else ''} changed"
        elif recorded.get(now.sha256, file.path) != file.path:
            detail = f"it has the content of {recorded[now.sha256]}"
        rows = changed_rows(comparison, file.path) if file.path.endswith(".csv") else None
        if file.path == f"{comparison.disk.results}/numbers.json":
            after = comparison.affected([file.path])
            affected = Affected(changed_numbers(comparison), after.figures, after.tables, after.files)
            comparison.find("data changed", file.path, detail, affected)
        else:
            comparison.find("data changed", file.path, detail, comparison.affected([file.path], rows))


def _check_input(comparison: Comparison, file: File, reader: Record) -> None:
    if file.made_by:
        maker = comparison.trusted.makers.get(file.path)
        made = maker.output(file.path) if maker else None
        if maker is None:
            detail = f"'{reader.name}' read it, and no record tells what made it"
            comparison.find("record missing", file.path, detail, comparison.affected([file.path]))
        elif made and (maker.digest != file.made_by or made.sha256 != file.sha256):
            path = str(job_record.path_of(file.path))
            detail = f"it is not the record that '{reader.name}' followed: the chain is broken here"
            comparison.find("record altered", path, detail, comparison.affected([file.path]))
        return
    place = unscrubbed(file.path)
    now = comparison.look(str(place))
    key = f"input {file.path}"
    if (now is None or now.sha256 != file.sha256) and key not in comparison.reported:
        comparison.reported.add(key)
        readers = [job for job in comparison.jobs if any(read.path == file.path for read in job.inputs)]
        detail = "it is gone" if now is None else _source_change(comparison, file)
        comparison.find("source changed", file.path, detail, comparison.outputs_of(readers))


def _source_change(comparison: Comparison, file: File) -> str:
    old, new = comparison.source(file.sha256), comparison.disk.folder / file.path
    if old is None:
        return f"SHA-256 was {file.sha256[:12]}"
    fresh = source_diff.new_lines(old, new.read_text(encoding="utf-8", errors="replace"))
    return f"{len(fresh)} lines are new, first: {fresh[0]}" if fresh else "lines are missing"


def check_sources(comparison: Comparison) -> None:
    """Compare every source that the study keeps with its name, which is its digest."""
    if comparison.only is not None:
        return
    store = f"{comparison.disk.results}/{recorder.SOURCES}"
    kept = {path.name: path for path in hashing.files_of(comparison.disk.folder / store)}
    for name, path in kept.items():
        if hashing.sha256(path) != name:
            comparison.find("data changed", f"{store}/{name}", "it is not what its name, a digest, says")
    trees = {str(record.run["sources"]) for record in comparison.jobs} - {""}
    for name in sorted({*trees, *comparison.disk.ledger["workflow"].values()} - kept.keys()):
        comparison.find("data missing", f"{store}/{name}", "a source that a record or the ledger names")
