"""How long the bootstrap of pass@k takes: 1,000 problems, 20 values of k, 2,000 draws.

python performance/passk.py [--problems 1000] [--n 1024] [--draws 2000] [--arms 1] [--repeat 3]
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from anatomy.statistics import bootstrap, pass_at_k

KS, TARGET = 20, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--n", type=int, default=1024, help="completions a problem")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--arms", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3, help="the fastest time counts")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    n = np.full(arguments.problems, arguments.n)
    arms = {
        f"arm-{index}": [pass_at_k.Counts(n, rng.binomial(n, rng.beta(0.3, 1.0, arguments.problems)))]
        for index in range(arguments.arms)
    }
    ks = np.unique(np.geomspace(1, arguments.n / 2, KS).round().astype(int))
    while len(ks) < KS:  # small k coincide after rounding
        ks = np.unique(np.append(ks, rng.integers(1, arguments.n // 2)))
    seconds = []
    for repetition in range(arguments.repeat):
        began = time.perf_counter()
        curves = bootstrap.bootstrap(arms, ks.tolist(), np.random.default_rng(repetition), arguments.draws)
        for arm in arms:
            curves.interval(arm)
        seconds.append(time.perf_counter() - began)
    verdict = "within" if min(seconds) <= TARGET else "MISSES"
    print(
        f"{arguments.arms} arm(s), {arguments.problems:,} problems, n = {arguments.n:,}, {len(ks)} values of"
        f" k, {arguments.draws:,} draws: {min(seconds):.2f} s ({verdict} the target of {TARGET:g} s);"
        f" all times: {', '.join(f'{s:.2f}' for s in seconds)} s"
    )


if __name__ == "__main__":
    main()
