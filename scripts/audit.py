"""Where each reported number of a study comes from, and whether anything was touched since.

    python scripts/audit.py list [PATTERN]          numbers, figures and tables
    python scripts/audit.py trace ID                the chain behind one
    python scripts/audit.py verify [ID]             every digest and number recomputed
    python scripts/audit.py reproduce ID            the chain run again, and compared
    python scripts/audit.py diff A B                two studies, or two commits
    python scripts/audit.py export FOLDER           an RO-Crate; --archive FILE: an archive

An ID is a number's (`list` shows them), the name of a figure or table, a file, or paper/embedded.pdf:p3.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import _snakemake
from anatomy.audit import lineage
from anatomy.audit.provenance import Trail
from anatomy.audit.verify import finding as verify_finding
from anatomy.audit.verify import verify as verify_verify
from anatomy.errors import AnatomyError


def trace(trail: Trail, a: argparse.Namespace) -> Iterator[str]:
    if a.sample is not None and a.problem is None:
        raise AnatomyError("--sample needs --problem")
    nodes = lineage.tree(trail, a.id, a.depth)
    if a.dot:
        yield from lineage.dot(nodes)
        return
    counts = lineage.counts(trail, a.id, a.problem) if a.id in trail.numbers else []
    if a.problem is not None and not counts:
        raise AnatomyError(f"--problem: {a.id} is not a number that completions stand behind directly")
    completions = lineage.completions(counts, trail, a.sample) if a.problem is not None else []
    if a.json:
        parts = {"chain": [node.to_json() for node in nodes], "counts": counts, "completions": completions}
        yield json.dumps(parts, indent=1, ensure_ascii=False)
        return
    if not completions:
        yield from lineage.lines(nodes)
    if counts:
        yield ""
        yield from lineage.counts_lines(counts)
    yield from lineage.completion_lines(completions, text=a.sample is not None)


def verify(trail: Trail, a: argparse.Namespace) -> Iterator[str]:
    settings = list(map(Path, trail.ledger["configfiles"])), trail.ledger["overrides"]
    verdict = verify_verify.verify(trail, a.id, a.root, lambda jobs: _snakemake.params(jobs, *settings))
    if a.json:
        parts = {"root": verdict.root, "findings": [finding.to_json() for finding in verdict.findings]}
        yield json.dumps(parts | {"notes": verdict.notes}, indent=1, ensure_ascii=False)
    else:
        yield from verify_finding.lines(verdict)
    a.status = 1 if verdict.findings else 0


def reproduce(trail: Trail, a: argparse.Namespace) -> Iterator[str]:
    from anatomy.audit.reproduce import (
        result,
        run,  # and what compares models and tables
    )

    work = a.work or Path(tempfile.mkdtemp(prefix="anatomy-"))
    options = {"start": a.start, "environment": a.environment, "jobs": a.jobs}
    outcome = run.reproduce(trail, a.id, work, **options, report=lambda line: print(line, flush=True))
    yield from result.lines(outcome)
    a.status = 0 if outcome.ok else 1


def diff(trail: Trail, a: argparse.Namespace) -> Iterator[str]:
    from anatomy.audit.diff import compare, report, side

    difference = compare.compare(side.side(a.a), side.side(a.b))
    if a.json:
        yield json.dumps(difference.to_json(), indent=1, ensure_ascii=False)
    else:
        yield from report.lines(difference, a.limit or None)


def export(trail: Trail, a: argparse.Namespace) -> Iterator[str]:
    from anatomy.audit import archive
    from anatomy.audit.crate import crate, validate

    if not a.folder and not a.archive:
        raise AnatomyError("name a folder for the RO-Crate, or --archive FILE")
    if a.folder:
        yield f"{crate.write(trail, a.folder, a.data)}: RO-Crate"
        if a.check:
            wrong = validate.validate(a.folder)
            yield from wrong or ["it conforms to the profile Provenance Run Crate"]
            a.status = 1 if wrong else 0
    if a.archive:
        yield f"{archive.pack(trail, a.archive, archive.tracked(trail.folder))}: archive"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", default="embedded", help="default: %(default)s")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "list", help="numbers, figures and tables, with values and where they stand"
    )
    command.add_argument("pattern", nargs="?", default="", help="part of an id; * and ? as in a shell")
    command.set_defaults(run=lambda trail, a: lineage.listed(trail, a.pattern))
    command = commands.add_parser(
        "trace", help="the chain behind a number, figure or file, back to raw data and code"
    )
    command.add_argument("id")
    command.add_argument("--depth", type=int, help="levels of files; default: all")
    command.add_argument("--problem", help="every completion of this problem behind the number")
    command.add_argument("--sample", type=int, help="of these, the one with this index, with its text")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--dot", action="store_true", help="a graph for Graphviz")
    command.set_defaults(run=trace)
    command = commands.add_parser("verify", help="recompute every digest and number; exit 1 if any differs")
    command.add_argument("id", nargs="?", help="only what is behind this")
    command.add_argument("--root", help="the ledger's root as it is known from elsewhere, or how it begins")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=verify)
    command = commands.add_parser("reproduce", help="run the chain again in an empty folder, and compare")
    command.add_argument("id")
    command.add_argument("--work", type=Path, help="the empty folder; default: a temporary one")
    stages = ("data", "models", "samples", "verdicts", "counts", "tables")
    command.add_argument(
        "--from", dest="start", choices=stages, default="data", help="take what comes before as given"
    )
    environments = ("same", "current", "build")
    text = "same: refuse another one; current: go on, by tolerance; build: from the recorded lock"
    command.add_argument("--environment", choices=environments, default="same", help=text)
    command.add_argument("--jobs", type=int, default=1, help="jobs at once; default: %(default)s")
    command.set_defaults(run=reproduce)
    command = commands.add_parser("diff", help="which numbers differ, and where their chains part")
    text = "a study, the folder of another checkout or archive (FOLDER:STUDY), a commit, or a ledger's root"
    command.add_argument("a", help=text)
    command.add_argument("b", help="the same")
    command.add_argument("--limit", type=int, default=10, help="numbers shown for each cause; 0: all")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=diff)
    command = commands.add_parser("export", help="a Workflow Run RO-Crate, or an archive to verify elsewhere")
    command.add_argument("folder", type=Path, nargs="?", help="of the RO-Crate; new or empty")
    text = "data within the crate: none, the results, or all, models and samples too; default: %(default)s"
    command.add_argument("--data", choices=("none", "results", "all"), default="results", help=text)
    command.add_argument("--check", action="store_true", help="validate the crate")
    command.add_argument("--archive", type=Path, metavar="FILE", help="a .tar.gz of source and results")
    command.set_defaults(run=export)
    arguments = parser.parse_args(namespace=argparse.Namespace(status=0))
    try:
        show(arguments.run(Trail(arguments.study), arguments))
    except AnatomyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return int(arguments.status)


def show(lines: Iterable[str]) -> None:
    """Print lines; a reader that has seen enough (``| head``) is no mistake."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115  (else Python complains at its end)


if __name__ == "__main__":
    sys.exit(main())
