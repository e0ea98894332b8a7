"""Grade completions with mathematical answers, one problem a line; works in a pipe.

    python scripts/grade_file.py IN.jsonl -o OUT.jsonl
    zcat IN.jsonl.gz | python scripts/grade_file.py - --k 1,8,64 | gzip > OUT.jsonl.gz

A line of IN has `answer`, a text or a list of texts (all of them, in any order, are the answer), and
`completion`, a text or a list of texts; also, if it is known, how they ended: `truncated` (true or false) or
`finish_reason` ("length": cut off), one or a list. OUT repeats each line with three lists, an entry for each
completion: `verdicts` (right, wrong, no_answer, truncated, unparsable, timeout), `extracted` (the answer, or
null) and `lenient` (right, or right where anything that looks like an answer counts). What counts as an
answer, and which answers are equal, is told in scripts/anatomy/grading/math_equality.py. A summary goes to
the standard error: counts, and pass@k where lines have several completions.

A bad line is reported by its number and left out of OUT. Exit status: 0; 1 where a line was bad; 2 where
nothing could be done; 130 when interrupted, with OUT as it was before.
"""

import argparse
import contextlib
import os
import sys
from functools import partial

from tqdm import tqdm

from anatomy.errors import AnatomyError
from anatomy.grading import answer_files, worker_pool
from anatomy.storage import atomic


def numbers(text: str) -> list[int]:
    """Return the numbers of a list such as ``1,8,64``."""
    ks = [int(part) for part in text.split(",")]
    if min(ks) < 1:
        raise ValueError(text)
    return ks


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="IN", help="file with one JSON object a line; -: standard input")
    parser.add_argument("-o", "--output", metavar="OUT", default="-", help="default: standard output")
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    parser.add_argument("--workers", type=int, default=cpus, help="processes; default: %(default)s")
    parser.add_argument("--tags", help="tags of a response, the answer in the last: 'think answer'")
    parser.add_argument(
        "--k", type=numbers, metavar="K,K", help="of pass@k; default: powers of two up to what all lines have"
    )
    arguments = parser.parse_args()
    summary = answer_files.Summary()
    try:
        with contextlib.ExitStack() as stack:
            if arguments.input == "-":
                source, size = sys.stdin.buffer, None
            else:
                source = stack.enter_context(open(arguments.input, "rb"))
                size = os.fstat(source.fileno()).st_size or None
            # On a terminal only.
            progress = stack.enter_context(tqdm(total=size, unit="B", unit_scale=True, disable=None))
            judge = stack.enter_context(worker_pool.Judge(arguments.workers))
            output = stack.enter_context(atomic.text_output(arguments.output))
            complain = partial(progress.write, file=sys.stderr)
            for line in answer_files.graded(
                source, judge, arguments.tags, summary, complain, progress.update
            ):
                output.write(line + "\n")
    except BrokenPipeError:  # the reader has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (else Python complains at its end)
    except (AnatomyError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "" if arguments.output == "-" else f"; {arguments.output} is as it was"
        print(f"interrupted after {len(summary.solved):,} lines{kept}", file=sys.stderr)
        return 130
    print(*summary.lines(arguments.k), sep="\n", file=sys.stderr)
    return 1 if summary.bad else 0


if __name__ == "__main__":
    sys.exit(main())
