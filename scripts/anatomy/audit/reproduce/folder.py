"""The folder in which jobs run again: the recorded code, inputs and kept sources."""

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from anatomy.audit import hashing, job_record, recorder
from anatomy.audit.job_record import File, Record
from anatomy.audit.provenance import Trail
from anatomy.audit.reproduce.plan import Plan
from anatomy.audit.scrubbing import unscrubbed
from anatomy.audit.words import counted
from anatomy.errors import AnatomyError

_LINKED = 64 << 20
"""Bytes from which a file taken as given is linked instead of copied, where that is possible."""


# The folder ------------------------------------------------------------------------------------------


class Workspace:
    """The folder in which a chain is run, and the study whose kept files are laid there."""

    def __init__(self, trail: Trail, work: Path):
        self.trail, self.work = trail, work
        self.folder = trail.folder.absolute()
        self.store = self.folder / trail.results / recorder.SOURCES
        self.trees: dict[str, Path] = {}
        """Where each list of sources was laid, relative to the folder."""
        self.places: dict[str, str] = {}
        """Where raw inputs were laid that are not the repository's, by their recorded paths."""

    def clear(self) -> None:
        """Empty the folder, which was empty before."""
        for path in self.work.iterdir() if self.work.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    # Code

    def lay_code(self, jobs: Sequence[Record]) -> Iterator[str]:
        """Lay the code of each job; yield in words where it comes from.

        The list that most jobs share is laid where it lay when it was run, others below ``code``.
        """
        lists = Counter(str(job.run["sources"]) for job in jobs)
        for rank, (digest, count) in enumerate(lists.most_common()):
            tree = self.trees[digest] = Path("code", digest[:12]) if rank else Path()
            listed = self._listed(digest)
            for path, source in listed.items():
                copied(self.kept(source, path), self.work / tree / path)
            its = [job for job in jobs if job.run["sources"] == digest]
            for job in its:
                if not job.code.items() <= listed.items():
                    raise AnatomyError(
                        f"{job.path}: the list of sources that it names is not of the code that it ran"
                    )
            ran = {path: listed[path] for job in its for path in job.code}
            commits = dict.fromkeys(str(job.run["git"]["commit"]) for job in its)
            where = f" (in {tree})" if rank else ""
            said = "; ".join(self._of_commit(commit, ran) for commit in commits)
            yield f"Code of {counted(count, 'job')}{where}: {said}"

    def _listed(self, digest: str) -> dict[str, str]:
        text = self.kept(digest, "the list of a job's sources").read_text(encoding="utf-8")
        listed: dict[str, str] = json.loads(text)
        for path in listed:
            if _outside(path):
                raise AnatomyError(f"{self.store / digest}: lists {path}, which is not in the repository")
        return listed

    def kept(self, digest: str, what: str) -> Path:
        """Return where a source is kept.

        Raises:
            AnatomyError: It is not there, or altered.
        """
        path = self.store / digest
        shown = f"{self.trail.results}/{recorder.SOURCES}/{digest}"
        if not path.is_file():
            raise AnatomyError(
                f"{shown}: {what} is not kept here any more; copy it from where the study was made"
            )
        if hashing.sha256(path) != digest:
            raise AnatomyError(f"{shown}: {what}, altered since it was kept: its checksum is not its name")
        return path

    def _of_commit(self, commit: str, ran: Mapping[str, str]) -> str:
        """Say how the files that were run stand to the commit that was checked out then."""
        if commit == "None":
            return "of no repository; its files are those that the study kept"
        short = commit[:12]
        kept = [str(self.store / digest) for digest in ran.values()]
        try:
            tree = self._git(["ls-tree", "-r", "-z", commit]).split("\0")
            blobs = self._git(["hash-object", "--no-filters", "--stdin-paths"], "\n".join(kept)).split()
        except (OSError, subprocess.SubprocessError):
            return f"commit {short}, which is not in this repository; its files are those that the study kept"
        committed = {
            name: about.split()[2] for about, _, name in (line.partition("\t") for line in tree if line)
        }
        changed = [path for path, blob in zip(ran, blobs, strict=True) if committed.get(path) != blob]
        if not changed:
            return f"commit {short}, unchanged"
        more = ", ..." if len(changed) > 3 else ""
        return (
            f"commit {short} with changes to {len(changed)} of its {len(ran)} files, which the study kept"
            f" ({', '.join(changed[:3])}{more})"
        )

    def _git(self, words: Sequence[str], said: str = "") -> str:
        return subprocess.run(
            ["git", *words],
            cwd=self.folder,
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    # Inputs

    def lay_inputs(self, plan: Plan) -> None:
        """Lay inputs that no job made, and files taken as given with their records; each is checked first."""
        for file in plan.raw:
            place = file.path
            if _outside(place):
                place = self.places[file.path] = f"outside/{file.sha256[:12]}/{Path(file.path).name}"
            if (self.store / file.sha256).is_file():
                copied(self.kept(file.sha256, file.path), self.work / place)
            else:
                self._lay(file, self.folder / unscrubbed(file.path), place)
        for path, (file, _) in plan.given.items():
            self._lay(file, self.folder / path, path)
            copied(self.folder / job_record.path_of(path), self.work / job_record.path_of(path))

    def _lay(self, file: File, source: Path, place: str) -> None:
        if not source.exists():
            raise AnatomyError(f"{file.path}: not here any more, so it cannot be taken as given")
        if recorder.look(str(source)).sha256 != file.sha256:
            raise AnatomyError(
                f"{file.path}: altered since it was recorded, so it cannot be taken as given;"
                " bring the recorded file back, or start further up where a job makes it"
            )
        files = hashing.files_of(source) if source.is_dir() else [source]
        for path_of in files:
            target = self.work / place / path_of.relative_to(source)
            if path_of.stat().st_size >= _LINKED and _linked(path_of, target):
                continue
            copied(path_of, target)

    def place(self, path: str) -> str:
        """Return where an input lies in the folder."""
        return self.places.get(path, path)


def _outside(path: str) -> bool:
    """Tell whether a recorded path is none within the repository."""
    return path.startswith(("/", "~", "$")) or ".." in Path(path).parts


def copied(source: Path, target: Path) -> None:
    """Copy a file, with the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _linked(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        return False  # another file system, or one without links
    return True
