"""What analyses work with: the counts of arms, paired by problem, and everything else a table is made from.

Each module of ``anatomy.analyses`` has the name of a table and one function, ``rows``, that turns ``Inputs``
into the table's rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from anatomy.errors import AnatomyError
from anatomy.rng import generator
from anatomy.statistics import bootstrap, pass_at_k
from anatomy.statistics.bootstrap import Curves
from anatomy.statistics.pass_at_k import Counts
from anatomy.storage import csv, parquet

TARGETS = ("answer", "derivation")
"""What counts as a success: the answer is right; or it is, and so is every line of the derivation."""

Cells = Mapping[str, Mapping[str, Mapping[int, pd.DataFrame]]]
"""benchmark -> arm -> training seed -> counts, a benchmark's all with the same problems in the same order."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Inputs:
    """All that an analysis may read."""

    cells: Cells = field(default_factory=dict)
    probes: Cells = field(default_factory=dict)
    """The same under the study's other conditions, several rows a problem."""
    pairs: Sequence[tuple[str, str]] = ()
    """(arm, base) pairs that are compared, problem by problem."""
    arms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Facts about each arm: model, step, condition, base."""
    files: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Other inputs by kind (problems, training, scores, tables ...): ``path`` and the names in it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The study's settings that the paper quotes."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The table's own settings, from config/artifacts.yaml."""
    seed: int = 0
    draws: int = 2000
    level: float = 0.95

    def table(self, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
        """Return another table of the study that this one is made from."""
        (file,) = (file for file in self.files["tables"] if file["table"] == name)
        return csv.read_csv(file["path"], columns)

    def problems(self, benchmark: str) -> pd.DataFrame:
        """Return a benchmark's problems, in the order of its counts."""
        (file,) = (file for file in self.files["problems"] if file["benchmark"] == benchmark)
        columns = ["problem", "difficulty", "domain", "subproblems"]
        found = parquet.read(file["path"], "problems", columns)
        return found.sort_values("problem", ignore_index=True)

    def panels(self) -> Iterator[tuple[str, str]]:
        """Yield each benchmark with each target that all of its arms were checked for."""
        for benchmark, arms in self.cells.items():
            frames = [frame for seeds in arms.values() for frame in seeds.values()]
            for target in TARGETS:
                if not any(frame[target].isna().any() for frame in frames):
                    yield benchmark, target

    def pairs_on(self, benchmark: str) -> list[tuple[str, str]]:
        """Return the pairs whose two arms were both sampled on a benchmark."""
        here = self.cells[benchmark]
        return [(arm, base) for arm, base in self.pairs if arm in here and base in here]

    def replicates(self, benchmark: str, arm: str, target: str) -> dict[int, Counts]:
        """Return an arm's counts by training seed."""
        return {seed: counts(frame, target) for seed, frame in self.cells[benchmark][arm].items()}

    def temperature(self, benchmark: str, arm: str) -> float:
        """Return an arm's sampling temperature, the mean over its training seeds where it was matched."""
        seeds = self.cells[benchmark][arm].values()
        return float(np.mean([frame["temperature"].iloc[0] for frame in seeds]))

    def curves(self, benchmark: str, target: str, each_seed: bool = False) -> Curves:
        """Return pass@k of every arm on a benchmark, bootstrapped together; the same draws for every table.

        With ``each_seed`` an arm's single training seeds are arms too, named ``arm/seed``.
        """
        arms: dict[str, list[Counts]] = {}
        for arm in self.cells[benchmark]:
            found = self.replicates(benchmark, arm, target)
            arms[arm] = list(found.values())
            if each_seed:
                arms |= {f"{arm}/{seed}": [replicate] for seed, replicate in found.items()}
        n = min(int(one.n.min()) for replicates in arms.values() for one in replicates)
        return bootstrap.bootstrap(arms, pass_at_k.ks(n), self.generator(benchmark, target), self.draws)

    def generator(self, *names: object) -> np.random.Generator:
        """Return the randomness of a bootstrap, keyed by the study's seed and names."""
        return generator(self.seed, "bootstrap", *names)


def gather(
    sources: Sequence[Mapping[str, Any]],
    pairs: Sequence[tuple[str, str]],
    arms: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any],
    options: Mapping[str, Any],
    seed: int,
    draws: int,
    level: float,
) -> Inputs:
    """Return an analysis's inputs; ``sources`` gives each file's ``kind``, ``path`` and names."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for source in sources:
        kinds.setdefault(str(source["kind"]), []).append(source)
    found = cells(kinds.get("counts", []))
    probed = probes(kinds.get("probes", []))
    return Inputs(found, probed, pairs, arms, kinds, facts, options, seed, draws, level)


def counts(frame: pd.DataFrame, target: str) -> Counts:
    """Return n and the successes c of a table 'counts'."""
    return Counts(frame["n"].to_numpy(np.int64), frame[target].to_numpy(np.int64))


def cells(files: Sequence[Mapping[str, Any]]) -> Cells:
    """Read counts files, each given as ``path``, ``arm``, ``seed`` and ``benchmark``.

    Raises AnatomyError where arms of a benchmark differ in problems or n: nothing is paired then.
    """
    found: dict[str, dict[str, dict[int, pd.DataFrame]]] = {}
    for file in files:
        frame = parquet.read(file["path"], "counts").sort_values("problem", ignore_index=True)
        of_benchmark = found.setdefault(file["benchmark"], {})
        of_benchmark.setdefault(file["arm"], {})[int(file["seed"])] = frame
        first = next(iter(next(iter(of_benchmark.values())).values()))
        if not frame[["problem", "n"]].equals(first[["problem", "n"]]):
            raise AnatomyError(f"{file['path']}: not the same problems and n as the benchmark's other arms")
    return found


def probes(files: Sequence[Mapping[str, Any]]) -> Cells:
    """Read counts of probed arms, given as for ``cells``; a row is a problem under a condition."""
    found: dict[str, dict[str, dict[int, pd.DataFrame]]] = {}
    for file in files:
        of_arm = found.setdefault(file["benchmark"], {}).setdefault(file["arm"], {})
        of_arm[int(file["seed"])] = parquet.read(file["path"], "counts")
    return found
