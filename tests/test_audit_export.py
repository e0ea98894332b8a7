"""What `export` writes: an RO-Crate that a validator accepts, and an archive to verify it elsewhere."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tiny import STUDY, planned

from anatomy.audit import archive, hashing, job_record, ledger, recorder
from anatomy.audit.crate import crate, validate, vocabulary
from anatomy.audit.provenance import Trail
from anatomy.errors import AnatomyError

# The crate -------------------------------------------------------------------------------------------

Graph = dict[str, dict[str, Any]]


def graph(folder: Path) -> Graph:
    """Return a crate's entities by id."""
    content = json.loads((folder / "ro-crate-metadata.json").read_text())
    found = {one["@id"]: one for one in content["@graph"]}
    assert len(found) == len(content["@graph"])
    return found


def refs(entity: dict[str, Any], name: str) -> list[str]:
    """Return the ids that a property refers to."""
    held = entity.get(name, [])
    return [one["@id"] for one in (held if isinstance(held, list) else [held])]


def types(entity: dict[str, Any]) -> list[str]:
    held = entity["@type"]
    return list(held) if isinstance(held, list) else [held]


@pytest.fixture(scope="module")
def written(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crate.write(Trail("tiny", finished), tmp_path_factory.mktemp("crate") / "crate")


@pytest.mark.slow
def test_the_validator_finds_nothing_wrong(written: Path) -> None:
    assert validate.validate(written) == []


@pytest.mark.slow
def test_the_validator_finds_what_is_wrong(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "crate"
    shutil.copytree(written, folder)
    (folder / f"{STUDY}/tables/passk.csv").unlink()
    content = json.loads((folder / "ro-crate-metadata.json").read_text())
    entities = {one["@id"]: one for one in content["@graph"]}
    job = next(name for name, one in entities.items() if one.get("name") == "train grpo 0")
    del entities[job]["instrument"]
    del entities["#control-table"]["object"]
    del entities["#sample-input-model"]["additionalType"]
    entities["Snakefile"]["@type"].remove("ComputationalWorkflow")
    entities["#engine"]["unheard"] = "of"
    (folder / "ro-crate-metadata.json").write_text(json.dumps(content))
    found = "\n".join(validate.validate(folder))
    for told in (
        "does not include the Data Entity 'results/tiny/tables/passk.csv'",
        "The Action MUST have an instrument",
        "A ControlAction must reference the action",
        "FormalParameter MUST have an additionalType",
        "The Main Workflow must have types File, SoftwareSourceCode, ComputationalWorkflow",
        "unheard",
    ):
        assert told in found, found


@pytest.mark.slow
def test_every_job_is_told_with_what_it_read_and_made(finished: Path, written: Path) -> None:
    trail, found = Trail("tiny", finished), graph(written)
    jobs = trail.chain([trail.paper, f"{STUDY}/ledger.json"])
    assert {line["digest"] for line in trail.ledger["records"]} < {job.digest for job in jobs}
    names = {name: one["name"].rstrip("/") for name, one in found.items() if "name" in one}
    for job in jobs:
        action = found[f"#job-{job.digest}"]
        assert {names[ref] for ref in refs(action, "result")} == {file.path for file in job.outputs}
        read = [ref for ref in refs(action, "object") if found[ref]["@type"] != "PropertyValue"]
        assert {names[ref] for ref in read} == {file.path for file in job.inputs}
        values = {
            found[ref]["name"]: found[ref]["value"] for ref in refs(action, "object") if ref not in read
        }
        expected = {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
            for name, value in job.params.items()
        }
        assert values == expected
        assert refs(action, "instrument") == [f"#tool-{job.rule}"]
        assert action["startTime"] == job.run["start"] and action["endTime"] == job.run["end"]
        used = {found[ref]["name"]: found[ref]["value"] for ref in refs(action, "resourceUsage")}
        assert used["Peak memory"] == str(job.run["peak_memory_mib"])
        assert f"#job-{job.digest}" in refs(found[f"#control-{job.rule}"], "object")
        assert found[refs(action, "subjectOf")[0]]["name"].endswith(job_record.SUFFIX)


@pytest.mark.slow
def test_every_digest_in_a_crate_is_right(finished: Path, written: Path) -> None:
    digests = {
        file.path: file.sha256
        for job in Trail("tiny", finished).jobs
        for file in job.outputs
        if not file.files
    }
    carried, described = 0, 0
    for name, entity in graph(written).items():
        if "sha256" not in entity:
            continue
        if name.startswith("arcp:"):
            described += 1
            assert entity["sha256"] == digests[entity["name"]] and not (written / entity["name"]).exists()
        else:
            carried += 1
            assert entity["sha256"] == hashing.sha256(written / name), name
            assert int(entity["contentSize"]) == (written / name).stat().st_size
    assert carried > 400 and described > 200


@pytest.mark.slow
def test_a_slot_is_filled_by_what_a_rule_calls_so(written: Path) -> None:
    found = graph(written)
    model = found["#sample-input-model"]
    assert (model["@type"], model["additionalType"], model["name"]) == ("FormalParameter", "Dataset", "model")
    fills = [one for one in found.values() if "#sample-input-model" in refs(one, "exampleOfWork")]
    assert fills and all("/models/" in one["name"] for one in fills)
    connected = {
        (*refs(one, "sourceParameter"), *refs(one, "targetParameter"))
        for one in found.values()
        if one["@type"] == "ParameterConnection"
    }
    assert ("#train-output-model", "#sample-input-model") in connected
    assert ("#count-output-output", "#table-input-input") in connected
    assert ("#collect_numbers-output-output", "#workflow-output-numbers") in connected
    assert found["#sample-param-n"]["additionalType"] == "Integer"
    assert found["#sample-param-sampling"]["additionalType"] == "PropertyValue"


@pytest.mark.slow
def test_the_run_goes_from_settings_to_what_is_reported(finished: Path, written: Path) -> None:
    trail, found = Trail("tiny", finished), graph(written)
    run = found[f"#run-{trail.ledger['root']}"]
    made = set(refs(run, "result"))
    assert {trail.paper, f"{STUDY}/numbers.json", f"{STUDY}/ledger.json"} < made
    assert f"{STUDY}/tables/passk.csv" in made and "figures/tiny/passk.svg" in made
    read = {found[ref]["name"] for ref in refs(run, "object")}
    assert {"sampling", "statistics", "config/templates/world.yaml"} < read
    root = found["./"]
    assert refs(root, "mainEntity") == ["Snakefile"] == refs(run, "instrument")
    jobs = trail.chain([trail.paper, f"{STUDY}/ledger.json"])
    assert root["datePublished"] == run["endTime"] == max(str(job.run["end"]) for job in jobs)
    assert refs(root, "license") == ["https://spdx.org/licenses/MIT"]
    assert found[refs(root, "author")[0]]["name"] == "The rlvr-anatomy authors"
    assert found[refs(root, "identifier")[0]]["value"] == trail.ledger["root"]
    passk = found[f"{STUDY}/tables/passk.csv"]
    assert "pass@k of answers and of whole derivations" in passk["description"]
    assert passk["encodingFormat"] == "text/csv"
    language = found[refs(found["Snakefile"], "programmingLanguage")[0]]
    assert f"\nsnakemake=={language['version']} " in (finished / "envs/requirements.txt").read_text()


@pytest.mark.slow
def test_a_crate_uses_no_term_that_its_context_lacks(written: Path) -> None:
    content = json.loads((written / "ro-crate-metadata.json").read_text())
    assert content["@context"] == ["https://w3id.org/ro/crate/1.1/context", vocabulary.TERMS]
    known = {*vocabulary.KNOWN, *vocabulary.TERMS, "@id", "@type"}
    for entity in content["@graph"]:
        assert known.issuperset([*entity, *types(entity)]), entity["@id"]


@pytest.mark.slow
def test_a_crate_tells_nothing_of_who_made_it(finished: Path, written: Path) -> None:
    text = (written / "ro-crate-metadata.json").read_text()
    hosts = {str(job.run["host"]) for job in Trail("tiny", finished).jobs}
    assert not any(f'"{host}"' in text for host in hosts)
    assert not any(place in text for place in (str(finished), str(written), os.path.expanduser("~/")))
    assert '"agent"' not in text


@pytest.mark.slow
def test_another_program_reads_a_crate(written: Path) -> None:
    from rocrate.rocrate import ROCrate

    read = ROCrate(written)
    assert read.mainEntity.id == "Snakefile" and read.mainEntity["programmingLanguage"]["name"] == "Snakemake"
    assert {step["workExample"].type for step in read.mainEntity["step"]} == {"SoftwareApplication"}


@pytest.mark.slow
def test_the_same_study_gives_the_same_crate(finished: Path, written: Path, tmp_path: Path) -> None:
    second = crate.write(Trail("tiny", finished), tmp_path / "crate")
    assert hashing.tree(second) == hashing.tree(written)


@pytest.mark.slow
def test_how_much_data_a_crate_carries_is_chosen(finished: Path, tmp_path: Path) -> None:
    trail = Trail("tiny", finished)
    found = {}
    for data in ("none", "all"):
        folder = crate.write(trail, tmp_path / data, data)  # type: ignore[arg-type]
        found[data] = set(graph(folder))
        missing = [
            name
            for name, one in graph(folder).items()
            if {"File", "Dataset"} & set(types(one)) and "://" not in name and not (folder / name).exists()
        ]
        assert not missing
    shard = f"{STUDY}/samples/base/seed-0/hard/shard-000.parquet"
    model = f"{STUDY}/models/grpo/seed-0/"
    assert {shard, model, f"{model}step-6/model.safetensors", f"{STUDY}/tables/passk.csv"} <= found["all"]
    assert not {shard, model, f"{STUDY}/tables/passk.csv"} & found["none"]
    assert {"scripts/table.py", f"{STUDY}/ledger.json", f"{STUDY}/tables/passk.record.json"} <= found["none"]
    assert not any(name.startswith("arcp:") for name in found["all"])


@pytest.mark.slow
def test_a_crate_has_the_source_that_ran(again: Path, tmp_path: Path) -> None:
    script = again / "scripts/table.py"
    ran = script.read_bytes()
    script.write_text(script.read_text() + "\n# later\n")
    (again / "scripts/count.py").unlink()
    folder = crate.write(Trail("tiny", again), tmp_path / "crate")
    assert (folder / "scripts/table.py").read_bytes() == ran
    assert (folder / "scripts/count.py").is_file()


@pytest.mark.slow
def test_a_crate_of_an_altered_study_is_refused(again: Path, tmp_path: Path) -> None:
    table = again / f"{STUDY}/tables/passk.csv"
    table.write_text(table.read_text().replace("0.", "1.", 1))
    with pytest.raises(AnatomyError, match=r"tables/passk\.csv: not what its record says"):
        crate.write(Trail("tiny", again), tmp_path / "crate")
    table.unlink()
    with pytest.raises(AnatomyError, match=r"tables/passk\.csv: missing"):
        crate.write(Trail("tiny", again), tmp_path / "crate")
    assert not list(tmp_path.iterdir())  # nothing half written


@pytest.mark.slow
def test_a_crate_overwrites_nothing(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    for place in (tmp_path, tmp_path / "mine"):
        with pytest.raises(AnatomyError, match="there is something already"):
            crate.write(Trail("tiny", finished), place)
    assert (tmp_path / "mine").read_text() == "kept"


@pytest.mark.slow
def test_a_study_that_is_not_finished_gives_no_crate(again: Path, tmp_path: Path) -> None:
    (again / f"{STUDY}/ledger.json").unlink()
    with pytest.raises(AnatomyError, match="no ledger"):
        crate.write(Trail("tiny", again), tmp_path / "crate")
    with pytest.raises(AnatomyError, match="no ledger"):
        archive.pack(Trail("tiny", again), tmp_path / "packed.tar.gz", [])
    assert not (tmp_path / "packed.tar.gz").exists()


# The archive -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "tiny.tar.gz"
    return archive.pack(Trail("tiny", finished), path, archive.tracked(finished))


@pytest.mark.slow
def test_an_unpacked_archive_is_the_study(finished: Path, packed: Path, tmp_path: Path) -> None:
    folder = archive.unpack(packed, tmp_path)
    there, here = Trail("tiny", folder), Trail("tiny", finished)
    assert there.ledger == here.ledger and there.numbers == here.numbers and there.places == here.places
    assert [job.digest for job in there.jobs] == [job.digest for job in here.jobs]
    for job in there.jobs:
        assert job_record.digest(job.result) == job.digest
        for file in [*job.inputs, *job.outputs]:
            found = recorder.look(str(folder / file.path))
            assert (found.sha256, found.bytes) == (file.sha256, file.bytes), file.path
        for path, digest in job.code.items():
            assert hashing.sha256(folder / STUDY / recorder.SOURCES / digest) == digest
            assert (folder / path).is_file()
    for line in there.ledger["records"]:
        assert {path: hashing.sha256(folder / path) for path in line["files"]} == line["files"]
    for path, digest in there.ledger["workflow"].items():
        assert hashing.sha256(folder / path) == digest
    root = there.ledger["root"]
    assert ledger.read_history(ledger.history(folder / STUDY, root))["root"] == root


@pytest.mark.slow
def test_an_unpacked_archive_is_verified(finished: Path, packed: Path, tmp_path: Path) -> None:
    folder = archive.unpack(packed, tmp_path)
    words = [sys.executable, "scripts/audit.py", "--study", "tiny", "verify"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing differs" in done.stdout and Trail("tiny", finished).ledger["root"] in done.stdout
    counts = folder / f"{STUDY}/counts/base/seed-0/hard.parquet"
    counts.write_bytes(counts.read_bytes()[:-1])
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1 and "counts/base/seed-0/hard.parquet" in done.stdout


@pytest.mark.slow
def test_an_unpacked_archive_has_nothing_to_run(packed: Path, tmp_path: Path) -> None:
    assert planned(archive.unpack(packed, tmp_path)) == {}


@pytest.mark.slow
def test_an_archive_says_what_it_is(finished: Path, packed: Path, tmp_path: Path) -> None:
    folder = archive.unpack(packed, tmp_path)
    root = Trail("tiny", finished).ledger["root"]
    assert folder.name == f"tiny-{root[:12]}"
    lines = (folder / archive.NOTE).read_text().splitlines()
    assert len(lines) == 5 and root in lines[1]
    assert lines[3].endswith("make setup")
    assert lines[4].endswith(".venv/bin/python scripts/audit.py --study tiny verify")


@pytest.mark.slow
def test_an_archive_has_all_source_and_only_this_study(finished: Path, packed: Path, tmp_path: Path) -> None:
    folder = archive.unpack(packed, tmp_path)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    source = {name for name in archive.tracked(finished) if (finished / name).is_file()}
    assert source <= names
    top = {name.partition("/")[0] for name in names}
    assert not {".git", ".venv", ".snakemake"} & top
    assert {name.split("/")[1] for name in names if name.startswith(("results/", "figures/"))} == {"tiny"}
    folders = {name.split("/")[2] for name in names if name.startswith(f"{STUDY}/")}
    assert {"models", "samples", "tables", "sources", "ledgers", "ledger.json"} <= folders
    assert not {"work", "logs"} & folders
    assert not any(".partial-" in name or name.endswith(hashing.STAMP) for name in names)


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(again: Path, packed: Path, tmp_path: Path) -> None:
    for place, path in enumerate(sorted(again.rglob("*"), reverse=True)):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, (1_600_000_000 + place, 1_600_000_000 + place))
            path.chmod(0o755 if os.access(path, os.X_OK) else 0o600)
    (again / f"{STUDY}/logs/more.log").write_text("of no account")
    (again / f"{STUDY}/tables/.partial-1-x.csv").write_text("half written")
    second = archive.pack(Trail("tiny", again), tmp_path / "named-otherwise.tgz", archive.tracked(again))
    assert second.read_bytes() == packed.read_bytes()


@pytest.mark.slow
def test_names_and_owners_in_an_archive_are_plain(packed: Path) -> None:
    with tarfile.open(packed) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names[1:] == sorted(names[1:]) and len(set(names)) == len(names)
    for member in members:
        assert member.isreg() and not member.name.startswith("/") and ".." not in member.name.split("/")
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        assert member.mode in (0o644, 0o755)


@pytest.mark.slow
def test_without_a_checkout_the_source_of_the_jobs_is_packed(again: Path, tmp_path: Path) -> None:
    shutil.rmtree(again / ".git")
    (again / "private.txt").write_text("not of the study")
    assert archive.tracked(again) == []
    path = archive.pack(Trail("tiny", again), tmp_path / "packed.tar.gz", archive.tracked(again))
    folder = archive.unpack(path, tmp_path)
    trail = Trail("tiny", folder)
    read = {file.path for job in trail.jobs for file in job.inputs} | {
        name for job in trail.jobs for name in job.code
    }
    assert all((folder / name).exists() for name in {*read, *trail.ledger["workflow"], "scripts/plan.py"})
    assert not (folder / "private.txt").exists()


@pytest.mark.slow
def test_results_behind_a_link_are_packed_and_a_circle_is_left(again: Path, tmp_path: Path) -> None:
    (again / f"{STUDY}/samples").rename(tmp_path / "elsewhere")
    (again / f"{STUDY}/samples").symlink_to(tmp_path / "elsewhere")
    (again / f"{STUDY}/models/back").symlink_to(again / f"{STUDY}/models")
    folder = archive.unpack(archive.pack(Trail("tiny", again), tmp_path / "packed.tar.gz", []), tmp_path)
    shard = folder / f"{STUDY}/samples/base/seed-0/hard/shard-000.parquet"
    assert shard.is_file() and not shard.parent.is_symlink()
    assert not (folder / f"{STUDY}/models/back").exists()


def tar_of(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
    return found


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("top/../../outside"),
        member("top/../outside"),
        member("/outside"),
        member("top//outside"),
        member("outside"),
        member("top/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("top/link", tarfile.LNKTYPE, "top/a"),
        member("top/device", tarfile.CHRTYPE),
        member("top/.git/hooks/post-checkout"),
    ],
)
def test_an_unsafe_archive_is_refused(bad: tarfile.TarInfo, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "bad.tar.gz", member("top/a"), bad)
    (tmp_path / "into").mkdir()
    with pytest.raises(AnatomyError, match=r"bad\.tar\.gz: not an archive of a study"):
        archive.unpack(path, tmp_path / "into")
    left = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()}
    assert left == {"bad.tar.gz", "into/top/a"}


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    good = tar_of(tmp_path / "good.tar.gz", *(member(f"top/{n}") for n in range(1000))).read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    bad = tmp_path / "bad.tar.gz"
    for content in (good[:-500], good[:20], bytes(flipped), b"", b"no archive", gzip.compress(b"")):
        bad.write_bytes(content)
        with pytest.raises(AnatomyError, match=r"bad\.tar\.gz: "):
            archive.unpack(bad, tmp_path / "into")
    with pytest.raises(AnatomyError, match="No such file"):
        archive.unpack(tmp_path / "nowhere.tar.gz", tmp_path / "into")
    two = tar_of(bad, member("one/a"), member("two/a"))
    with pytest.raises(AnatomyError, match="not an archive of a study"):
        archive.unpack(two, tmp_path / "into")


@pytest.mark.slow
def test_where_nothing_can_be_written_is_told(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AnatomyError, match="cannot write the archive"):
        archive.pack(Trail("tiny", finished), tmp_path / "file/packed.tar.gz", [])
    with pytest.raises(AnatomyError, match="cannot write the crate"):
        crate.write(Trail("tiny", finished), tmp_path / "file/crate")
