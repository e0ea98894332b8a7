"""What is found before anything runs.

Where a cluster would have to answer, small scripts stand in for ``sinfo``, ``scontrol`` and ``sacctmgr`` and
say what the real ones say (Slurm 22.05); that there is no Slurm, or no controller that answers, is real.
"""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import Hub, Repo, running
from hypothesis import given
from hypothesis import strategies as st

from anatomy.cluster import preflight, slurm
from anatomy.cluster.finding import Finding
from anatomy.cluster.slurm import Nodes, Request, Site
from anatomy.errors import AnatomyError
from anatomy.hub.repository import Repository
from anatomy.sandbox import bubblewrap

ROOT = Path(__file__).resolve().parents[1]
COMMIT = "a" * 40
PATH, PYTHONPATH = os.environ["PATH"], os.environ.get("PYTHONPATH")
SINFO = """\
cpu*|up|2-00:00:00|20|64|256000|(null)
gpu|up|1-00:00:00|4|128+|1000000+|gpu:h100:8(S:0-1)
gpu|up|1-00:00:00|2|32|500000|gpu:a100:2(S:0,1),gpu:v100:1,shard:8
old|down|infinite|1|8|16000|gpu:2
"""
SITE = Site(
    file="slurm/config.yaml",
    partitions={"cpu": 2880, "gpu": 1440},
    account="",
    gpu_models={"train": "h100"},
    minutes=2880,
    memory=1e6,
    conda=False,
)


def site(**changes: object) -> Site:
    return Site(**{**vars(SITE), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2-00:00:00", 2880),
        ("1-12", 2160),
        ("1-12:30", 2190),
        ("2:00:00", 120),
        ("30:00", 30),
        ("45", 45),
        (90, 90),
        ("infinite", math.inf),
    ],
)
def test_times_are_read_as_slurm_writes_them(text: str | int, expected: float) -> None:
    assert slurm.minutes(text) == expected


@given(st.integers(0, 10**6))
def test_a_time_that_is_written_is_read_again(value: int) -> None:
    assert slurm.minutes(slurm._time(value)) == value


def test_sinfo_is_read() -> None:
    nodes = slurm.parse_nodes(SINFO)
    assert nodes[0] == Nodes("cpu", True, True, 2880, 20, 64, 256000, {})
    assert nodes[1].gpus == {"h100": 8} and (nodes[1].cpus, nodes[1].memory) == (128, 1000000)
    assert nodes[2].gpus == {"a100": 2, "v100": 1}
    assert nodes[3].gpus == {"": 2} and not nodes[3].up and nodes[3].minutes == math.inf


def test_a_site_that_fits_its_cluster_has_no_findings() -> None:
    nodes = slurm.parse_nodes(SINFO)
    assert slurm.partitions(nodes, SITE) == []
    requests = [
        Request("train", minutes=1440, memory=900000, cpus=128, gpus=32, nodes=4),
        Request("sample", minutes=120, memory=64000, cpus=16, gpus=2),
        Request("table", minutes=30, memory=2000),
        Request("table", minutes=90000, memory=1000),  # the site's own limit caps it
    ]
    assert slurm.jobs(nodes, requests, SITE) == []
    assert slurm.jobs(nodes, [Request("sample")], site(partitions={})) == []  # in the default one


@pytest.mark.parametrize(
    ("limits", "subject", "problem", "remedy"),
    [
        (
            {"gpus": 60},
            "partition gpus",
            "the cluster has none of this name; it has cpu, gpu, old",
            "`partitions`",
        ),
        ({"old": 60}, "partition old", "starts no jobs", "another one"),
        (
            {"gpu": 2880},
            "partition gpu",
            "1-00:00:00, less than max_runtime 2-00:00:00",
            "max_runtime: 1-00:00:00",
        ),
    ],
)
def test_each_wrong_partition_is_named(
    limits: dict[str, float], subject: str, problem: str, remedy: str
) -> None:
    (finding,) = slurm.partitions(slurm.parse_nodes(SINFO), site(partitions=limits))
    assert (finding.level, finding.subject) == ("error", subject)
    assert problem in finding.problem and remedy in finding.remedy


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (Request("sample", gpus=9), "gpu has not 9 GPUs a node (of each: 8 x h100)"),
        (Request("sample", gpus=1, model="h200"), "gpu has not 1 GPUs of type h200 a node"),
        (Request("train", gpus=16), "has not 16 GPUs of type h100 a node"),
        (Request("train", gpus=40, nodes=5), "gpu has 4 such nodes, asked are 5"),
        (Request("sample", gpus=1, cpus=200), "gpu has 128 cores a node, asked are 200"),
        (Request("count", memory=1.1e6), "cpu has 256000 MB a node, asked are 1000000"),
        (Request("train", gpus=8, minutes=1500), "gpu has a time limit of 1-00:00:00, asked is 1-01:00:00"),
        (Request("table", partition="none"), "none is not there"),
    ],
)
def test_each_job_that_fits_nowhere_says_why(request_: Request, problem: str) -> None:
    at = site(partitions={"cpu": 2880, "gpu": 1440} if request_.rule != "count" else {"cpu": 2880})
    (finding,) = slurm.jobs(slurm.parse_nodes(SINFO), [request_], at)
    assert finding.level == "error" and finding.subject == f"rule {request_.rule}"
    assert problem in finding.problem and "slurm/config.yaml" in finding.remedy


def test_equal_findings_are_told_once() -> None:
    requests = [Request(rule, gpus=9) for rule in ("sample", "probe", "sample")]
    (finding,) = slurm.jobs(slurm.parse_nodes(SINFO), requests, SITE)
    assert finding.subject == "rule sample, probe"


def test_the_profile_of_the_repository_is_read() -> None:
    found = slurm.read_site(ROOT / "slurm/config.yaml")
    assert found.partitions and all(limit > 0 for limit in found.partitions.values())
    assert found.gpu_models["train"] and found.minutes < math.inf and found.memory < math.inf


def test_a_profile_is_read_as_snakemake_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "default-resources: {slurm_account: \"'lab'\", slurm_partition: long}\n"
        "software-deployment-method: conda\nset-resources: {train: {gpu_model: h100}, table: {mem_mb: 1}}\n"
    )
    found = slurm.read_site(path)
    assert (found.account, found.partitions) == ("lab", {"long": math.inf})
    assert found.gpu_models == {"train": "h100"} and found.conda
    for text, message in [
        ("- a\n", "not a profile"),
        ("partitions: {a: {max_runtime: soon}}", "'soon' is not a time"),
        (": :", "not a profile"),
    ]:
        path.write_text(text)
        with pytest.raises(AnatomyError, match=message):
            slurm.read_site(path)
    with pytest.raises(AnatomyError, match="cannot read the profile"):
        slurm.read_site(tmp_path / "none.yaml")


Commands = Callable[[dict[str, str]], None]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A function that puts stand-ins on the path, by name and shell text, and nothing else."""

    def put(texts: dict[str, str]) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        if not (folder / "cat").exists():
            (folder / "cat").symlink_to(shutil.which("cat") or "/bin/cat")
        monkeypatch.setenv("PATH", str(folder))

    return put


def cluster(accounts: str, storage: str = "accounting_storage/slurmdbd") -> dict[str, str]:
    return {
        "sbatch": "exit 1",
        "sinfo": f"cat <<'EOF'\n{SINFO}EOF",
        "scontrol": f"echo 'AccountingStorageType   = {storage}'",
        "sacctmgr": accounts,
    }


def test_without_slurm_it_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = slurm.slurm([], SITE)
    assert finding.level == "error" and "sbatch, sinfo, scontrol, sacctmgr" in finding.problem
    assert "login node" in finding.remedy
    assert [found.level for found in slurm.conda(SITE)] == ["note"]
    assert [found.level for found in slurm.conda(site(conda=True))] == ["error"]


@pytest.mark.needs("sinfo")
def test_a_controller_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real ``sinfo``, at a port on which nothing listens."""
    (tmp_path / "slurm.conf").write_text(
        "ClusterName=none\nSlurmctldHost=localhost\nSlurmctldPort=1\nMessageTimeout=2\nNodeName=localhost\n"
        "PartitionName=all Nodes=localhost\n"
    )
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    (finding,) = slurm.slurm([], SITE)
    assert finding.level == "error" and "Unable to contact slurm controller" in finding.problem
    assert "scontrol ping" in finding.remedy


def test_everything_of_the_cluster_is_told_at_once(commands: Commands) -> None:
    commands(cluster("echo lab; echo other; echo lab"))
    at = site(account="mine", partitions={"gpu": 1440, "none": 60})
    found = slurm.slurm([Request("train", gpus=9)], at)
    assert [finding.subject for finding in found] == ["partition none", "rule train", "account mine"]
    assert "may not use it, but lab, other" in found[2].problem
    assert slurm.slurm([], site(account="lab")) == []


def test_no_account_at_all_is_an_error_and_none_kept_is_a_note(commands: Commands) -> None:
    commands(cluster("exit 0"))
    (finding,) = slurm.account(SITE)
    assert finding.level == "error" and "belongs to no account" in finding.problem
    commands(cluster("echo unsupported >&2; exit 1", "accounting_storage/none"))
    (finding,) = slurm.account(site(account="lab"))
    assert finding == Finding(
        "note", "account lab", "not checked, since the cluster keeps no accounts", "nothing"
    )
    commands({"scontrol": "exit 1"})
    (finding,) = slurm.account(SITE)
    assert (finding.level, finding.problem) == ("warning", "not checked: unsupported")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a model of known size, to which the client is pointed; nobody is logged in."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(5000))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with running() as server:
        server.repos = {
            "models/a/good": Repo(folder, COMMIT),
            "models/a/gone": Repo(folder, "b" * 40),
            "models/a/gated": Repo(folder, COMMIT, gated=True),
            "models/a/old": Repo(folder, COMMIT, renamed="a/good"),
        }
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


def test_everything_of_the_hub_is_told_at_once(served: Hub) -> None:
    found, size = preflight.downloads(
        [
            (Repository("model", "a/good", COMMIT), False),
            (Repository("model", "a/good", COMMIT), False),
            (Repository("model", "a/old", COMMIT), False),
            (Repository("model", "a/gone", COMMIT), False),
            (Repository("model", "a/gated", COMMIT), False),  # of which the sheet does not know it
            (Repository("model", "a/gate", COMMIT), True),
            (Repository("dataset", "a/set", "main"), False),
        ]
    )
    assert size == 2 * 5002
    told = [(finding.level, finding.problem.split("'")[1], finding.problem) for finding in found]
    assert [(level, name) for level, name, _ in told] == [
        ("error", "a/gate"),
        ("error", "a/set"),
        ("warning", "a/old"),
        ("error", "a/gone"),
        ("error", "a/gated"),
    ]
    for (_, _, problem), part in zip(
        told, ["no token", "no full commit", "a/good now", "has no revision", "gated"], strict=True
    ):
        assert part in problem


def test_an_unreachable_hub_is_told_once(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    rows = [(Repository("model", name, COMMIT), False) for name in ("a/good", "a/gone")]
    found, size = preflight.downloads(rows)
    assert [finding.subject for finding in found] == ["hub"] and size == 0
    assert "cannot be reached" in found[0].problem
    assert preflight.downloads([]) == ([], 0)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("/dev/sda1 1000 0 3000 0 5 0 0 0", 2000 * 1024),
        ("/dev/sda1 1000* 900 0 0 5 0 0 0", 0),
        ("   /scratch/with/a/long/name\n  1000 500 5000 - 1 0 0 -", 4000 * 1024),
        ("/dev/sda1 1000 0 0 0 5 0 0 0", None),
        ("none", None),
        ("/scratch unlimited none known -", None),
    ],
)
def test_quotas_are_read(line: str, left: int | None) -> None:
    assert preflight.parse_quota(line) == left


def test_free_space_and_quota_are_compared_with_what_is_needed(commands: Commands, tmp_path: Path) -> None:
    assert preflight.disk(tmp_path / "not" / "yet", 0) == []
    (finding,) = preflight.disk(tmp_path, 1e18)
    assert "1000000.0 TB are needed, the file system of" in finding.problem and "`results`" in finding.remedy
    device = preflight._device(tmp_path)
    commands(
        {"quota": f"echo 'Disk quotas for user x (uid 1):'; echo '{device} 1000 0 3000 0 5 0 0 0'; exit 1"}
    )
    assert preflight.quota_left(tmp_path) == 2000 * 1024
    (finding,) = preflight.disk(tmp_path, 3e6)
    assert "3.0 MB are needed, your quota on" in finding.problem and "2.0 MB left" in finding.problem


def test_a_model_must_fit_its_gpus() -> None:
    # 32.8e9 parameters in 16 bits are 61.1 GiB; 1.2 of it and 4 GiB are 77.3.
    assert preflight.needed_memory(32.8, 1) == pytest.approx(77.31, abs=0.01)
    assert preflight.gpu_memory([("large", 32.8, 1), ("small", 7.6, 0)], 80, "h100") == []
    (finding,) = preflight.gpu_memory([("large", 32.8, 1), ("shared", 32.8, 4)], 40, "a100-40gb")
    assert finding.subject == "model large"
    assert finding.problem == "32.8 billion parameters on 1 GPUs need 77 GiB of each, a100-40gb has 40"
    assert "or write 4 into the column 'gpus'" in finding.remedy
    (finding,) = preflight.gpu_memory([("large", 1e6, 1)], 40, "a100-40gb")
    assert finding.remedy == "choose a GPU with more memory"


@given(st.floats(0.1, 700), st.integers(1, 64))
def test_more_gpus_need_less_memory_of_each(billions: float, gpus: int) -> None:
    assert preflight.needed_memory(billions, gpus + 1) < preflight.needed_memory(billions, gpus)


def test_errors_stand_first_and_what_to_do_stands_once() -> None:
    found = [
        Finding("note", "a", "b", "c"),
        Finding("error", "d", "e", "f"),
        Finding("warning", "g", "h", "f"),
        Finding("error", "i", "j", "f"),
    ]
    assert preflight.table(found) == [
        "error    d: e",
        "error    i: j",
        "         -> f",
        "warning  g: h",
        "         -> f",
        "note     a: b",
        "         -> c",
    ]


@pytest.mark.parametrize(("elsewhere", "level"), [(False, "error"), (True, "warning")])
def test_programs_need_a_sandbox(
    elsewhere: bool, level: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bubblewrap, "_packaged", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = preflight.programs(elsewhere)
    assert found.level == level and "bubblewrap" in found.problem and "programs=False" in found.remedy


WORKFLOW = """
rule check:
    params:
        downloads=[dict(kind="model", id="a/good", revision="%s", gated=False, path="here")],
        programs=True, folder="results", bytes=1e6, models=[("large", 100.0, 1)], gpu=%s,
        slurm=True, site="site.yaml", requests=[dict(rule="train", gpus=9)],
    script: "scripts/check.py"
"""


@pytest.mark.needs("sandbox")
def test_where_there_is_a_sandbox_programs_are_no_finding() -> None:
    assert preflight.programs(elsewhere=False) == preflight.programs(elsewhere=True) == []


@pytest.mark.slow
@pytest.mark.needs("sandbox")
@pytest.mark.parametrize("good", [True, False])
def test_the_script_tells_everything_and_fails_on_errors(
    served: Hub, good: bool, commands: Commands, tmp_path: Path
) -> None:
    work = tmp_path / "study"
    work.mkdir()
    (work / "scripts").symlink_to(ROOT / "scripts")
    (work / "Snakefile").write_text(WORKFLOW % (COMMIT, None if good else {"name": "small", "memory": 40}))
    (work / "site.yaml").write_text("default-resources: {slurm_account: lab}\npartitions: {gpu: {}}\n")
    (work / "here" if good else work / "elsewhere").mkdir()
    commands(cluster("echo lab" if good else "echo other") | ({"conda": "exit 0"} if good else {}))
    commands({"sacct": "exit 0"})  # where there is sinfo, the executor's plugin wants this
    for tool in ("bash", "bwrap", "git", "which"):
        if found := shutil.which(tool, path=f"{PATH}:/usr/bin:/bin"):
            (tmp_path / "bin" / tool).symlink_to(found)
    if good:
        commands({"sinfo": "echo 'gpu|up|infinite|1|64|9999|gpu:9'"})
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "check"],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT / "scripts"), PYTHONPATH)))},
    )
    assert (done.returncode == 0) == good, done.stderr
    if good:
        assert "[check] 0 downloads (0.0 kB), 0 findings, 0 of them errors" in done.stderr
        return
    assert "[check] error" in done.stderr
    for part in (
        "100 billion parameters",
        "jobs fit no partition",
        "may not use it, but other",
        "no command conda",
    ):
        assert part in done.stderr
    assert "1 downloads (5.0 kB), 4 findings, 3 of them errors" in done.stderr
    assert "Traceback" not in done.stderr
