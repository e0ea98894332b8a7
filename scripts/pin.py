"""Pin every unpinned model and data set of the sheets to its newest commit on the hub.

Only the cells "-" of the column ``revision`` change, in rows that have a ``hub_id``::

    python scripts/pin.py [--models config/models.tsv] [--benchmarks config/benchmarks.tsv]
"""

import argparse
import sys
from pathlib import Path

from anatomy.errors import AnatomyError
from anatomy.hub import download, pins


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    config = Path(__file__).resolve().parents[1] / "config"
    parser.add_argument("--models", type=Path, default=config / "models.tsv", help="the sheet of models")
    parser.add_argument(
        "--benchmarks", type=Path, default=config / "benchmarks.tsv", help="the sheet of data sets"
    )
    arguments = parser.parse_args()
    try:
        download.reachable()
        pinned = pins.pin(arguments.models, "model", print) + pins.pin(arguments.benchmarks, "dataset", print)
    except AnatomyError as error:
        sys.exit(f"error: {error}")
    print(
        f"{pinned} pinned" if pinned else "nothing to pin: every model and data set of the hub has a revision"
    )


if __name__ == "__main__":
    main()
