"""Downloads, really made from a small hub on this machine (tests/hub.py) by the hub's own client."""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hub import Hub, Repo, running
from hypothesis import given
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.hub import download, pins, repository
from anatomy.hub.download import download_model, fetch_dataset, look
from anatomy.hub.errors import HubError
from anatomy.hub.pins import pin
from anatomy.hub.repository import Repository
from anatomy.models import store
from anatomy.names import MANIFEST
from anatomy.problems import math_sets

ROOT = Path(__file__).resolve().parents[1]
COMMIT, OTHER = "a" * 40, "b" * 40
MODEL, SET = "some/model", "some/set"
TOKEN = "hf_ThisIsASecretOfTheTests"
WEIGHTS = "model.safetensors"
LARGE = 24 << 20
"""Bytes of a large file: more than two of the blocks in which the client writes."""


def silent(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as it would be published, beside files that a download leaves out."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    tokenizer = store.word_tokenizer(["one", "two"])
    store.save(store.create(tokenizer, 16, 1, 2, 2, 32), tokenizer, folder)
    (folder / MANIFEST).unlink()
    (folder / "LICENSE").write_text("free")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    for left_out in ("pytorch_model.bin", "model.gguf", "consolidated.safetensors", ".gitattributes", "a.py"):
        (folder / left_out).write_bytes(b"x" * 2000)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def served(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the tiny model and a small data set, to which the client is pointed; nobody is logged in."""
    data = tmp_path / "data"
    (data / "main").mkdir(parents=True)
    (data / "README.md").write_text(
        "---\nconfigs:\n"
        "- {config_name: main, default: true, data_files: [{split: test, path: main/test.jsonl}]}\n"
        "- {config_name: more, data_files: [{split: test, path: more/*.jsonl}]}\n---\n# A set\n"
    )
    with (data / "main" / "test.jsonl").open("w") as file:
        for number in range(40):
            file.write(
                json.dumps({"question": f"Wie viel ist {number} + 1? é", "answer": [str(number + 1)]}) + "\n"
            )
    (data / "more").mkdir()
    (data / "more" / "some.jsonl").write_text('{"question": "?", "answer": ["1"]}\n')
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with running() as server:
        server.repos = {f"models/{MODEL}": Repo(model_folder, COMMIT), f"datasets/{SET}": Repo(data, COMMIT)}
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


def big(served: Hub, folder: Path) -> bytes:
    """Let the hub serve a model with a large file of weights, and return its content."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    content = bytes(range(256)) * (LARGE // 256)
    (folder / WEIGHTS).write_bytes(content)
    served.repos[f"models/{MODEL}"] = Repo(folder, COMMIT)
    return content


def get(folder: Path, revision: str = COMMIT, id: str = MODEL) -> None:
    download_model(id, revision, folder / "seed-0" / "step-0", folder / "work", silent)


def test_a_downloaded_model_is_the_published_one(served: Hub, model_folder: Path, tmp_path: Path) -> None:
    get(tmp_path)
    folder = tmp_path / "seed-0" / "step-0"
    store.check_manifest(folder)
    model, tokenizer = store.load(folder)
    published = type(model).from_pretrained(model_folder)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), published.parameters(), strict=True))
    assert tokenizer("one two")["input_ids"] == [2, 3]
    assert json.loads((folder / download.ORIGIN).read_text()) == {"id": MODEL, "revision": COMMIT}
    names = {path.name for path in folder.iterdir()}
    assert names - {MANIFEST, download.ORIGIN} == {
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        WEIGHTS,
        "tokenizer.json",
        "tokenizer_config.json",
        "word-level",
    }
    assert set(json.loads((folder / MANIFEST).read_text())) == names - {MANIFEST}
    assert not (tmp_path / "work").exists()
    before = (folder / MANIFEST).read_bytes()
    store.write_manifest(folder)
    assert (folder / MANIFEST).read_bytes() == before


def test_bin_weights_are_taken_only_without_safetensors(served: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    for name in ("config.json", "pytorch_model-00001-of-00001.bin", "training_args.bin"):
        (folder / name).write_text("{}")
    served.repos[f"models/{MODEL}"] = Repo(folder, COMMIT)
    found = download.files(Repository("model", MODEL, COMMIT))
    assert {file.path for file in found} == {"config.json", "pytorch_model-00001-of-00001.bin"}
    (folder / "pytorch_model-00001-of-00001.bin").unlink()
    with pytest.raises(HubError, match=r"has no safetensors or pytorch_model\*\.bin at revision a{40}"):
        get(tmp_path)


def test_a_cut_connection_is_gone_on_with(served: Hub, tmp_path: Path) -> None:
    content = big(served, tmp_path / "big")
    served.repos[f"models/{MODEL}"].cut = {WEIGHTS: [11 << 20]}
    get(tmp_path)
    assert (tmp_path / "seed-0" / "step-0" / WEIGHTS).read_bytes() == content
    # The client writes blocks of 10 MiB: of the 11 that came, one was not written yet.
    assert served.sent[WEIGHTS] == LARGE + (1 << 20)


@pytest.mark.slow
def test_a_killed_download_fetches_nothing_again(served: Hub, tmp_path: Path) -> None:
    content = big(served, tmp_path / "big")
    repo = served.repos[f"models/{MODEL}"]
    repo.cut, repo.hanging = {WEIGHTS: [20 << 20]}, {WEIGHTS}
    code = (
        "import sys; from anatomy.hub.download import download_model;"
        f"download_model({MODEL!r}, {COMMIT!r}, sys.argv[1] + '/seed-0/step-0', sys.argv[1] + '/work', print)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    )
    partial = tmp_path / "work" / COMMIT / f"{WEIGHTS}.partial"
    assert served.hung.wait(60)
    while not partial.exists() or partial.stat().st_size < 20 << 20:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "seed-0").exists()
    get(tmp_path)
    assert (tmp_path / "seed-0" / "step-0" / WEIGHTS).read_bytes() == content
    assert served.sent == {WEIGHTS: LARGE, "config.json": 2}


@pytest.mark.slow
def test_a_finished_file_is_not_fetched_again_and_another_revision_starts_anew(
    served: Hub, tmp_path: Path
) -> None:
    big(served, tmp_path / "big")
    repo = served.repos[f"models/{MODEL}"]
    repo.damaged = {WEIGHTS}
    with pytest.raises(HubError, match=WEIGHTS):
        get(tmp_path)
    repo.damaged = set()
    get(tmp_path)
    assert served.sent == {WEIGHTS: 2 * LARGE, "config.json": 2}
    repo.damaged = {WEIGHTS}
    with pytest.raises(HubError):
        get(tmp_path)
    repo.revision, repo.damaged = OTHER, set()
    get(tmp_path, OTHER)
    assert served.sent["config.json"] == 6
    assert json.loads((tmp_path / "seed-0" / "step-0" / download.ORIGIN).read_text())["revision"] == OTHER


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_damaged_content_is_refused_by_name(served: Hub, name: str, tmp_path: Path) -> None:
    served.repos[f"models/{MODEL}"].damaged = {name}
    with pytest.raises(HubError, match=rf"the content of {name} is not that which .*run again"):
        get(tmp_path)
    assert not (tmp_path / "seed-0").exists()
    assert not list((tmp_path / "work" / COMMIT).glob(f"{name}*"))


def test_all_damaged_files_are_named_together(served: Hub, tmp_path: Path) -> None:
    served.repos[f"models/{MODEL}"].damaged = {WEIGHTS, "config.json"}
    with pytest.raises(HubError, match=rf"the content of config.json, {WEIGHTS} .*expected .*; .*expected"):
        get(tmp_path)
    served.repos[f"models/{MODEL}"].damaged = set()
    get(tmp_path)
    store.check_manifest(tmp_path / "seed-0" / "step-0")


def test_a_part_that_is_longer_than_its_file_is_fetched_anew(served: Hub, tmp_path: Path) -> None:
    content = big(served, tmp_path / "big")
    partial = tmp_path / "work" / COMMIT / f"{WEIGHTS}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * (LARGE + 1))
    get(tmp_path)
    assert (tmp_path / "seed-0" / "step-0" / WEIGHTS).read_bytes() == content


def test_what_the_verification_would_leave_out_is_not_fetched(served: Hub) -> None:
    folder = served.repos[f"datasets/{SET}"].folder / ".cache/huggingface"
    folder.mkdir(parents=True)
    (folder / "notes.json").write_text("{}")
    found = download.files(Repository("dataset", SET, COMMIT))
    assert {file.path for file in found} == {"README.md", "main/test.jsonl", "more/some.jsonl"}


@pytest.mark.parametrize("revision", ["", "main", "abc123", "A" * 40])
def test_what_is_not_pinned_is_refused_before_anything_is_asked(
    served: Hub, revision: str, tmp_path: Path
) -> None:
    with pytest.raises(HubError, match=r"no full commit.*python scripts/pin\.py.*config/models\.tsv"):
        get(tmp_path, revision)
    with pytest.raises(HubError, match=r"no full commit.*config/benchmarks\.tsv"):
        fetch_dataset(SET, "", "test", revision, tmp_path / "test.jsonl", tmp_path / "work", silent)
    assert served.requests == []


def gone(served: Hub) -> None:
    served.repos[f"models/{MODEL}"].revision = OTHER


def gated(served: Hub) -> None:
    served.repos[f"models/{MODEL}"].gated = True


def absent(served: Hub) -> None:
    served.repos.clear()


def busy(served: Hub) -> None:
    served.status = 418


FAILURES: list[tuple[Callable[[Hub], None], str, str]] = [
    (gone, "", r"has no revision a{40}.*some/model/commits/main.*python scripts/pin\.py"),
    (
        gated,
        "",
        r"gated and there is no token; accept its licence on http.*some/model, then set HF_TOKEN or run",
    ),
    (gated, TOKEN, r"gated and the token's account has no access; accept its licence"),
    (gated, "hf_unknownToken", r"refuses the token \(401\); it is wrong, expired"),
    (absent, "", r"'some/model' is not on the hub: renamed, deleted or private; .*hub_id"),
    (absent, TOKEN, r"'some/model' is not on the hub: renamed, deleted or private; .*hub_id"),
    (busy, "", r"answered 418; run again later"),
]


@pytest.mark.parametrize(("failure", "token", "message"), FAILURES)
def test_each_failure_says_what_to_do_and_no_token(
    served: Hub,
    failure: Callable[[Hub], None],
    token: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served.tokens = {TOKEN: set()}
    failure(served)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match=message) as raised:
        get(tmp_path)
    assert "\n" not in str(raised.value)
    assert not token or token not in str(raised.value)
    with pytest.raises(HubError, match=message):
        look(Repository("model", MODEL, COMMIT))
    assert not (tmp_path / "seed-0").exists()


def test_a_gated_model_comes_with_a_token_that_may_read_it(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gated(served)
    served.tokens = {TOKEN: {MODEL}}
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    download_model(MODEL, COMMIT, tmp_path / "seed-0" / "step-0", tmp_path / "work", print)
    output = capfd.readouterr()
    assert WEIGHTS in output.out and TOKEN not in output.out + output.err
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]


def test_an_unreachable_hub_is_told_at_once(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://name:password@127.0.0.1:1")
    with pytest.raises(HubError, match=r"cannot be reached at http://127\.0\.0\.1:1 .*HTTPS_PROXY") as raised:
        get(tmp_path)
    assert "password" not in str(raised.value)


def test_an_offline_client_says_so(served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read once, when it is imported
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set; unset it"):
        get(tmp_path)


def test_a_renamed_repository_is_found_under_its_old_name(served: Hub, tmp_path: Path) -> None:
    served.repos["models/old/model"] = Repo(tmp_path, OTHER, renamed=MODEL)
    get(tmp_path, id="old/model")
    store.check_manifest(tmp_path / "seed-0" / "step-0")
    size, name = look(Repository("model", "old/model", COMMIT))
    assert name == MODEL
    ours = (MANIFEST, download.ORIGIN)
    folder = tmp_path / "seed-0" / "step-0"
    assert size == sum(path.stat().st_size for path in folder.iterdir() if path.name not in ours)


@pytest.fixture
def quota() -> Iterator[None]:
    """No file may grow beyond 12 MiB; the system then answers as it does for a full disk or quota (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_an_exhausted_quota_stops_and_the_download_goes_on_later(
    served: Hub, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    content = big(served, tmp_path / "big")
    request.getfixturevalue("quota")
    with pytest.raises(HubError, match=r"File too large; free some space.*goes on where it stopped"):
        get(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    get(tmp_path)
    assert (tmp_path / "seed-0" / "step-0" / WEIGHTS).read_bytes() == content


def test_a_full_disk_is_told_before_it_is_full(served: Hub, tmp_path: Path) -> None:
    big(served, tmp_path / "big")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(small)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(
            HubError, match=r"25\.2 MB are still to be fetched, .* has 4\.2 MB left; free some space"
        ):
            get(small)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_split_is_the_same_lines_every_time(served: Hub, tmp_path: Path) -> None:
    for name in ("first", "second"):
        fetch_dataset(SET, "", "test", COMMIT, tmp_path / name, tmp_path / "work", silent)
    data = served.repos[f"datasets/{SET}"].folder
    lines = [json.loads(line) for line in (data / "main/test.jsonl").open(encoding="utf-8")]
    assert list(math_sets.local(tmp_path / "first")) == lines
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert "é" in (tmp_path / "first").read_text(encoding="utf-8")
    assert not (tmp_path / "work").exists()


def test_configs_are_told_apart(served: Hub, tmp_path: Path) -> None:
    fetch_dataset(SET, "more", "test", COMMIT, tmp_path / "more", tmp_path / "work", silent)
    assert (tmp_path / "more").read_text() == '{"question": "?", "answer": ["1"]}\n'


def publish(served: Hub, folder: Path, rows: dict[str, list[Any]]) -> None:
    """Let the hub serve a data set of one parquet file without a card."""
    folder.mkdir()
    pq.write_table(pa.table(rows), folder / "test-00000-of-00001.parquet")
    served.repos[f"datasets/{SET}"] = Repo(folder, COMMIT)


def test_a_parquet_file_is_read_and_dates_are_text(served: Hub, tmp_path: Path) -> None:
    publish(served, tmp_path / "set", {"q": ["a", "b"], "day": [date(2025, 4, 18), None], "x": [1.5, 2.0]})
    fetch_dataset(SET, "", "test", COMMIT, tmp_path / "x", tmp_path / "work", silent)
    assert list(math_sets.local(tmp_path / "x")) == [
        {"q": "a", "day": "2025-04-18", "x": 1.5},
        {"q": "b", "day": None, "x": 2.0},
    ]


def test_a_file_elsewhere_is_fetched_by_its_digest_and_without_the_hubs_token(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)  # which the server refuses wherever it is sent
    content = (served.repos[f"datasets/{SET}"].folder / "main/test.jsonl").read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    url = f"{served.address}/blobs/datasets/{SET}/{COMMIT}/main/test.jsonl"
    fetch_dataset(url, "", "test", digest, tmp_path / "x", tmp_path / "work", silent)
    assert (tmp_path / "x").read_bytes() == content
    assert look(Repository("dataset", url, digest)) == (len(content), url)
    assert pins.newest(Repository("dataset", url)) == digest
    with pytest.raises(HubError, match=rf"is {digest}, expected sha256:0+; run again"):
        fetch_dataset(url, "", "test", f"sha256:{'0' * 64}", tmp_path / "y", tmp_path / "work", silent)
    with pytest.raises(HubError, match=r"no full digest.*but 'main'"):
        fetch_dataset(url, "", "test", "main", tmp_path / "y", tmp_path / "work", silent)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match=r"answered 401; look whether the file has moved"):
        look(Repository("dataset", f"{served.address}/gone.jsonl", digest))
    with pytest.raises(HubError, match=r"the file cannot be reached at http://127\.0\.0\.1:1 "):
        fetch_dataset(
            "http://127.0.0.1:1/x.jsonl", "", "test", digest, tmp_path / "y", tmp_path / "work", silent
        )
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(
    ("config", "split", "message"),
    [("none", "test", r"config 'none'.*hub_config"), ("", "train", r"split 'train'.*train.*hub_split")],
)
def test_what_a_data_set_has_not_is_named(
    served: Hub, config: str, split: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(HubError, match=message):
        fetch_dataset(SET, config, split, COMMIT, tmp_path / "x", tmp_path / "work", silent)
    assert not (tmp_path / "x").exists()


def test_pictures_are_refused(served: Hub, tmp_path: Path) -> None:
    publish(served, tmp_path / "pictures", {"picture": [b"\x89PNG"]})
    with pytest.raises(HubError, match="values of type bytes"):
        fetch_dataset(SET, "", "test", COMMIT, tmp_path / "x", tmp_path / "work", silent)
    assert not (tmp_path / "x").exists()


SHEET = (
    b"model\thub_id\trevision\tnote\r\n"
    b"one\tsome/model\t-\tkept \xc3\xa9 \r\n"
    b"two\t-\t-\t-\r\n"
    b"three\tsome/model\t" + OTHER.encode() + b"\t-\n"
    b"# not a row\n"
    b"four\tsome/model\t-\tx\r\n"
)


def test_pin_changes_only_the_empty_cells(served: Hub, tmp_path: Path) -> None:
    path = tmp_path / "models.tsv"
    path.write_bytes(SHEET)
    path.chmod(0o640)
    told: list[str] = []
    assert pin(path, "model", told.append) == 2
    assert path.read_bytes() == SHEET.replace(b"some/model\t-", b"some/model\t" + COMMIT.encode())
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(told) == 1 and COMMIT in told[0]
    assert served.requests == ["GET /api/models/some/model"]
    assert pin(path, "model", told.append) == 0


def test_pin_leaves_the_sheet_where_one_id_is_unknown(served: Hub, tmp_path: Path) -> None:
    path = tmp_path / "models.tsv"
    sheet = SHEET + b"five\tsome/other\t-\t-\n"
    path.write_bytes(sheet)
    with pytest.raises(HubError, match=r"'some/other' is not on the hub"):
        pin(path, "model", silent)
    assert path.read_bytes() == sheet
    path.write_bytes(b"model\thub_id\n")
    with pytest.raises(AnatomyError, match=r"missing column \['revision'\]"):
        pin(path, "model", silent)


@pytest.mark.slow
def test_the_command_pins_both_sheets_and_refuses_without_a_hub(served: Hub, tmp_path: Path) -> None:
    sheets = {name: tmp_path / f"{name}.tsv" for name in ("models", "benchmarks")}
    sheets["models"].write_bytes(SHEET)
    sheets["benchmarks"].write_bytes(b"benchmark\thub_id\trevision\nfirst\tsome/set\t-\n")
    command = [sys.executable, str(ROOT / "scripts/pin.py")]
    command += [f"--{name}={path}" for name, path in sheets.items()]

    def run(endpoint: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HF_ENDPOINT": endpoint}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    refused = run("http://127.0.0.1:1")
    assert refused.returncode == 1 and "error: the hub cannot be reached" in refused.stderr
    assert sheets["models"].read_bytes() == SHEET
    done = run(served.address)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "3 pinned"), done.stderr
    assert sheets["benchmarks"].read_bytes().endswith(b"some/set\t" + COMMIT.encode() + b"\n")
    assert run(served.address).stdout.startswith("nothing to pin")


@given(st.floats(1, 1e15))
def test_sizes_are_told_within_half_of_their_last_digit(size: float) -> None:
    number, unit = download.gigabytes(size).split()
    scale = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert abs(float(number) * scale - size) <= 0.0501 * scale


def test_what_the_sheets_pin_is_a_full_commit_or_nothing() -> None:
    for name in ("benchmarks", "models"):
        lines = (ROOT / f"config/{name}.tsv").read_text(encoding="utf-8").splitlines()
        place = lines[0].split("\t").index("revision")
        found = [line.split("\t")[place] for line in lines[1:]]
        assert all(
            cell == "-" or repository.COMMIT.fullmatch(cell) or repository.DIGEST.fullmatch(cell)
            for cell in found
        )


@pytest.mark.slow
def test_the_scripts_fetch_what_the_sheets_name(served: Hub, tmp_path: Path) -> None:
    """Both rules' scripts, as Snakemake runs them, in a workflow of their own."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "Snakefile").write_text(f"""
rule download_model:
    output: directory("models/m/seed-0")
    params: id={MODEL!r}, revision={COMMIT!r}, checkpoint="step-0", work="work/m"
    script: "scripts/download_model.py"
rule download_benchmark:
    output: "data/set.jsonl"
    params:
        hub=dict(id={SET!r}, config="", split="test", revision={COMMIT!r}),
        work="work/set",
    script: "scripts/download_benchmark.py"
""")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "models/m/seed-0", "data/set.jsonl"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "scripts")},
    )
    assert done.returncode == 0, done.stderr
    store.check_manifest(tmp_path / "models/m/seed-0/step-0")
    assert len(list(math_sets.local(tmp_path / "data/set.jsonl"))) == 40
    assert list((tmp_path / "work").iterdir()) == []
