"""Tables between stages: whole, of their schema, and unaltered, or refused by name."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.storage import atomic, parquet, schemas
from anatomy.storage.verdicts import COUNTED

Row = dict[str, Any]
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): TEXT,
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.bool_(): st.booleans(),
    pa.list_(pa.string()): st.lists(TEXT, max_size=4),
    pa.list_(pa.struct([(name, pa.string()) for name in ("question", "answer", "fact")])): st.lists(
        st.fixed_dictionaries({"question": TEXT, "answer": TEXT, "fact": TEXT}), max_size=3
    ),
}


def rows_of(table: str, most: int = 8) -> st.SearchStrategy[list[Row]]:
    columns = {
        field.name: st.none() | VALUES[field.type] if field.nullable else VALUES[field.type]
        for field in schemas.SCHEMAS[table]
    }
    return st.lists(st.fixed_dictionaries(columns), max_size=most)


def counts(rows: int = 12) -> list[Row]:
    return [
        {
            "problem": f"p{i}",
            "condition": "plain",
            "n": 8,
            "answer": i % 9,
            "derivation": None,
            "chain": None,
            "lenient": None,
            **dict.fromkeys(COUNTED, 1),
            "tokens": 90,
            "entropy": 45.5 if i % 2 else None,
            "temperature": 1.0,
        }
        for i in range(rows)
    ]


def refused(path: Path, table: str = "counts") -> str:
    """The message with which a file is refused, by every way of reading; it names the file."""
    with pytest.raises(AnatomyError, match=path.name) as caught:
        parquet.verify(path, table)
    with pytest.raises(AnatomyError):
        parquet.read(path, table)
    with pytest.raises(AnatomyError):
        list(parquet.records(path, table))
    return str(caught.value)


# Round trips --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("table", schemas.SCHEMAS)
def test_round_trip(table: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tables") / f"{table}.parquet"

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(rows_of(table))
    def check(rows: list[Row]) -> None:
        parquet.write(path, table, rows)
        parquet.verify(path, table)
        assert list(parquet.records(path, table)) == rows
        frame = parquet.read(path, table)
        assert list(frame.columns) == schemas.SCHEMAS[table].names and len(frame) == len(rows)
        first = schemas.SCHEMAS[table].names[0]
        assert list(parquet.records(path, table, [first])) == [{first: row[first]} for row in rows]

    check()


@pytest.mark.parametrize(
    ("table", "columns", "nullable"),
    [
        (
            "problems",
            "problem benchmark text answers solution difficulty domain plan plan_disordered plan_incomplete"
            " knowledge knowledge_irrelevant subproblems chunks tests",
            {
                *("solution", "difficulty", "domain", "plan", "plan_disordered", "plan_incomplete"),
                *("knowledge", "knowledge_irrelevant", "subproblems", "chunks", "tests"),
            },
        ),
        (
            "verdicts",
            "problem condition sample answer verdict lenient derivation_right first_bad_line",
            {"answer", "lenient", "derivation_right", "first_bad_line"},
        ),
        (
            "samples",
            "problem condition sample completion tokens finish_reason logprob entropy temperature",
            {"entropy"},
        ),
        (
            "counts",
            "problem condition n answer derivation chain lenient no_answer unparsable timeout crashed"
            " truncated tokens entropy temperature",
            {"derivation", "chain", "lenient", "entropy"},
        ),
        (
            "training",
            "run seed step loss reward length entropy kl zero_signal clipped value_loss generated tokens",
            {"loss", "reward", "length", "entropy", "kl", "zero_signal", "clipped", "value_loss"},
        ),
    ],
)
def test_columns_and_what_may_be_missing(table: str, columns: str, nullable: set[str]) -> None:
    schema = schemas.SCHEMAS[table]
    assert schema.names == columns.split()
    assert {field.name for field in schema if field.nullable} == nullable


@pytest.mark.parametrize("table", schemas.SCHEMAS)
def test_every_column_has_a_unit(table: str) -> None:
    assert all(field.metadata[b"unit"] for field in schemas.SCHEMAS[table])


def test_pieces_and_shards_are_read_in_order(tmp_path: Path) -> None:
    rows = counts(50)
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    with parquet.writing(paths[0], "counts") as writer:
        for start in range(0, 30, 10):
            writer.write(pd.DataFrame(rows[start : start + 10]))
        assert writer.rows == 30 and not paths[0].exists()
    parquet.write(paths[1], "counts", rows[30:])
    assert list(parquet.records(paths, "counts")) == rows
    assert parquet.read(paths, "counts")["problem"].tolist() == [row["problem"] for row in rows]
    assert [len(piece) for piece in parquet.stream(paths, "counts", rows=20)] == [20, 10, 20]
    assert list(parquet.read([], "counts").columns) == schemas.SCHEMAS["counts"].names


# Files that are refused ---------------------------------------------------------------------------------


def test_small_pieces_share_row_groups_that_stay_small(tmp_path: Path) -> None:
    path = tmp_path / "prompts.parquet"
    row = {"benchmark": "b", "condition": "plain", "template": "t", "prefix": ""}
    with parquet.writing(path, "prompts") as writer:
        for piece in range(3_000):
            writer.write([{**row, "problem": f"p{piece}", "prompt": f"{piece:05d}" * 1_000}])
    assert writer.rows == 3_000
    metadata = pq.read_metadata(path)
    sizes = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
    assert len(sizes) == 4 and all(820 < size < 840 for size in sizes[:-1])  # 4 MiB of 5 kB each
    assert parquet.read(path, "prompts")["prompt"].tolist() == [f"{at:05d}" * 1_000 for at in range(3_000)]


def test_the_footer_holds_no_content(tmp_path: Path) -> None:
    path = tmp_path / "prompts.parquet"
    row = {"benchmark": "b", "condition": "plain", "template": "t", "prefix": ""}
    parquet.write(path, "prompts", [{**row, "problem": "p", "prompt": "told" * 1_000}])
    assert pq.read_metadata(path).serialized_size < 5_000
    assert not any(pq.read_metadata(path).row_group(0).column(at).is_stats_set for at in range(6))


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    parquet.write(tmp_path / "whole.parquet", "counts", counts())
    data = (tmp_path / "whole.parquet").read_bytes()
    path = tmp_path / "cut.parquet"
    for size in [*range(0, len(data), 50), len(data) - 1]:
        path.write_bytes(data[:size])
        refused(path)
    path.write_bytes(data + b"\0")
    refused(path)


def test_a_flipped_bit_is_refused_by_name(tmp_path: Path) -> None:
    parquet.write(tmp_path / "whole.parquet", "counts", counts())
    data = (tmp_path / "whole.parquet").read_bytes()
    path = tmp_path / "flipped.parquet"
    unseen: list[object] = []
    for at in [*range(0, len(data), 7), *range(len(data) - 12, len(data))]:
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        try:
            parquet.verify(path, "counts")
            unseen.append(at)
        except AnatomyError as error:
            assert path.name in str(error)  # noqa: PT017
        except Exception as error:
            unseen.append(f"{at}: {error!r}")
    assert not unseen, f"{len(unseen)} changes of {len(data)} bytes were not noticed: {unseen[:8]}"


def test_a_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "foreign.parquet"
    pd.DataFrame(counts()).to_parquet(path)
    assert "not a table of this workflow" in refused(path)
    # Even with the right schema, and the name of the table in it.
    schema = schemas.SCHEMAS["counts"].with_metadata({b"anatomy.table": b"counts"})
    pq.write_table(pa.Table.from_pylist(counts(), schema=schema), path)
    refused(path)
    path.write_text("problem,n,answer\n" * 5)
    assert "not a parquet file" in refused(path)


def test_an_edited_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "edited.parquet"
    parquet.write(path, "counts", counts())
    table = pq.read_table(path)
    answers = pa.array([8] * len(table), pa.int64())
    pq.write_table(table.set_column(3, table.schema.field("answer"), answers), path)
    refused(path)


def test_another_table_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    parquet.write(path, "counts", counts())
    for table in set(schemas.SCHEMAS) - {"counts"}:
        assert f"'{table}'" in refused(path, table)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "nothing.parquet")


# Rows that are refused ----------------------------------------------------------------------------------


def unfit(path: Path, change: Row, frame: bool) -> str:
    """The message that names file and table, and then this, when rows of such a change are written."""
    rows = counts()
    for row in rows:
        row.update(change)
        for name in [name for name, value in change.items() if value is ...]:
            del row[name]
    with pytest.raises(AnatomyError) as caught:
        parquet.write(path, "counts", pd.DataFrame(rows) if frame else rows)
    assert not list(path.parent.iterdir())
    named, _, told = str(caught.value).partition("'counts'")
    assert path.name in named
    return told


@pytest.mark.parametrize(
    ("change", "column", "frame"),
    [
        ({"n": "eight"}, "n", False),
        ({"n": "eight"}, "n", True),
        ({"entropy": "low"}, "entropy", False),
        ({"entropy": "low"}, "entropy", True),
    ],
)
def test_a_value_of_the_wrong_type_names_file_and_column(
    tmp_path: Path, change: Row, column: str, frame: bool
) -> None:
    assert re.search(rf"\b{column}\b", unfit(tmp_path / "wrong.parquet", change, frame))


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"n": 8.5}, "n"),
        ({"answer": None}, "answer"),
        ({"problem": None}, "problem"),
        ({"surprise": 1}, "surprise"),
        ({"tokens": ...}, "tokens"),
        ({"derivation": ...}, "derivation"),
        ({"entropy": ...}, "entropy"),
        ({"temperature": None}, "temperature"),
        ({"temperature": ...}, "temperature"),
    ],
)
def test_rows_that_do_not_fit_name_file_and_column(
    tmp_path: Path, change: Row, column: str, frame: bool
) -> None:
    assert re.search(rf"\b{column}\b", unfit(tmp_path / "wrong.parquet", change, frame))


def test_one_row_with_an_extra_column_is_refused(tmp_path: Path) -> None:
    rows = counts()
    rows[7]["surprise"] = 1
    with pytest.raises(AnatomyError, match="surprise"):
        parquet.write(tmp_path / "wrong.parquet", "counts", rows)


# Whole or not at all ------------------------------------------------------------------------------------


def test_a_writer_that_raises_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    with pytest.raises(RuntimeError), parquet.writing(path, "counts") as writer:  # noqa: PT012
        writer.write(counts())
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_writer_that_raises_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    parquet.write(path, "counts", counts(3))
    with pytest.raises(AnatomyError), parquet.writing(path, "counts") as writer:
        writer.write([{"problem": "p"}])
    assert len(parquet.read(path, "counts")) == 3
    assert [found.name for found in tmp_path.iterdir()] == ["counts.parquet"]


def test_atomic_keeps_the_suffix_and_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    with atomic.atomic(path) as partial:
        assert partial.suffix == ".csv" and partial.parent == path.parent
        partial.write_text("a")
        assert not path.exists()
    assert path.read_text() == "a"
    with pytest.raises(FileNotFoundError), atomic.atomic(path):
        pass  # nothing was written
    assert [found.name for found in path.parent.iterdir()] == ["table.csv"]


KILLED = """
import itertools, sys
sys.path.append(sys.argv[1])
from anatomy.storage import parquet
with parquet.writing(sys.argv[2], "samples") as writer:
    for piece in itertools.count():
        writer.write([
            {"problem": f"p{piece}", "condition": "plain", "sample": i, "completion": f"{piece} {i} " * 40,
             "tokens": 9, "finish_reason": "stop", "logprob": -1.5, "entropy": None, "temperature": 1.0}
            for i in range(200)
        ])
        if piece == 100:  # more than a row group, so that some of it is on the disk
            print("writing", flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    library = str(Path(parquet.__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, library, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not path.exists()
    (left,) = tmp_path.iterdir()  # the kill did come in the middle of writing
    assert left.stat().st_size > 10_000
    refused(left, "samples")
    parquet.write(path, "samples", [])
    assert parquet.read(path, "samples").empty


# Identity -----------------------------------------------------------------------------------------------


def test_identity_is_that_of_the_content(tmp_path: Path) -> None:
    def identity(name: str, rows: list[Row]) -> str:
        parquet.write(tmp_path / name, "counts", rows)
        return parquet.identity(tmp_path / name)

    same = identity("a.parquet", counts())
    assert identity("b.parquet", counts()) == same
    os.utime(tmp_path / "a.parquet", (0, 0))
    assert parquet.identity(tmp_path / "a.parquet") == same
    others = []
    for row, (column, value) in enumerate(
        [
            ("answer", 7),
            ("problem", "q"),
            ("derivation", 0),
            ("tokens", 91),
            ("entropy", 0.0),
            ("temperature", 0.6),
        ]
    ):
        changed = counts()
        changed[row] |= {column: value}
        others.append(identity("c.parquet", changed))
    swapped = counts()
    swapped[4], swapped[5] = swapped[5], swapped[4]
    others += [identity("c.parquet", swapped), identity("c.parquet", counts(11))]
    assert len({same, *others}) == len(others) + 1


def test_identity_refuses_what_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    parquet.write(path, "counts", counts())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(AnatomyError, match=r"cut\.parquet"):
        parquet.identity(path)


@pytest.mark.parametrize("kind", [atomic.atomic, atomic.atomic_folder])
def test_what_is_being_written_beside_a_name_that_ends_alike_is_left_alone(kind: Any, tmp_path: Path) -> None:
    with kind(tmp_path / "code-train") as other:
        (other / "a" if kind is atomic.atomic_folder else other).write_text("whole")
        left = tmp_path / ".partial-1-train"
        left.mkdir() if kind is atomic.atomic_folder else left.touch()
        with kind(tmp_path / "train") as partial:
            assert not left.exists() and other.exists()
            (partial / "a" if kind is atomic.atomic_folder else partial).write_text("too")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code-train", "train"]


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    """A limit on file size stands for the disk: the write fails in the middle in the same way."""
    code = """
import resource, signal, sys
from anatomy.storage import parquet
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
rows = [{"problem": f"p{i}", "benchmark": "b", "condition": "c", "template": "t",
         "prompt": str(i) * 50, "prefix": ""} for i in range(5000)]
try:
    parquet.write(sys.argv[1], "prompts", rows)
except OSError as error:
    print("OSError", error.errno)
"""
    target = tmp_path / "prompts.parquet"
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        env={**os.environ, "PYTHONPATH": str(Path(parquet.__file__).parents[2])},
        text=True,
        capture_output=True,
    )
    assert "OSError" in done.stdout, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
