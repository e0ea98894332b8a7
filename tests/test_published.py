"""The study at published scale: its plan and settings as declared, and a rehearsal of it with small models.

Nobody can run the study itself here. The rehearsal has the same sheets, tables, figures and rules. What is
stood in for are the hub (tests/hub.py), its models (one layer, bytes as tokens, trained for seconds to write
a boxed digit) and its data sets (a few sums in each set's own fields).
"""

import csv
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hub import Hub, Repo, running
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from anatomy.analyses import claims as claims_table
from anatomy.analyses import study as study_table
from anatomy.analyses import tests as tests_table
from anatomy.analyses.inputs import Inputs
from anatomy.figures import plotting
from anatomy.figures.inputs import Inputs as DrawnFrom
from anatomy.problems import math_sets
from anatomy.storage import parquet
from anatomy.storage.csv import read_csv, write_csv
from anatomy.study import validation
from anatomy.study.checked import as_given
from anatomy.study.study import Study

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")
STUDY = "config/published.yaml"
COMMIT = "c" * 40
TOKEN = "hf_OfTheRehearsal"
PROGRAMS = {
    "humanevalplus": "humanevalplus", "mbppplus": "mbppplus",
    "livecodebench": "livecodebench", "livecodebench-early": "livecodebench",
}  # fmt: skip
"""Hand-written files in the formats of the sets of programs (tests/programs)."""
"""Where the stand-in hub has the set that is published as a file elsewhere."""

# The small study ----------------------------------------------------------------------------------------

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def write(path: Path, rows: Sequence[Row]) -> None:
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def copy_repository(folder: Path) -> Path:
    """Copy what a clone has, and no results."""
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


SEEDS = {"omni-grpo": "0,1", "rl-stage1": "0,1", "rl-stage2-pss": "0,1"}
"""Runs with more than one training seed: a pair of several seeds on one side, and on both."""
STEPS = {"omni-grpo": ("3", "1,2")}
ARM_STEPS = {"150": "1", "300": "2"}


def shrink(folder: Path, address: str, problems: int, n: int, seeds: Mapping[str, str] = SEEDS) -> None:
    """Make the study in a copy of the repository a small one, whose models and sets are those of a hub."""
    sheets = {name: read(folder / f"config/{name}.tsv") for name in ("benchmarks", "models", "runs", "arms")}
    for row in sheets["benchmarks"]:
        if "published" not in row["studies"]:
            continue
        row["n"] = "-"
        row["problems"] = str(problems if row["source"] == "split" else 2 * problems)
        if row["source"] == "hub":
            row |= {"revision": COMMIT, "sha256": "-"}
        if "://" in row["hub_id"]:
            content = records(row["benchmark"], 2 * problems)
            row["hub_id"] = f"{address}/datasets/{repository(row)}/resolve/{COMMIT}/data.jsonl"
            row["revision"] = f"sha256:{hashlib.sha256(content).hexdigest()}"
    for row in sheets["models"]:
        if row["hub_id"] != "-":
            row |= {"revision": COMMIT, "gpus": "1"}
    for row in sheets["runs"]:
        if row["studies"] == "published":
            row |= {"nodes": "-", "gpus": "-", "seeds": seeds.get(row["run"], "0")}
            row["steps"], row["checkpoints"] = STEPS.get(row["run"], ("2", "-"))
    for row in sheets["arms"]:
        if row["studies"] == "published":
            row |= {"n": "-", "step": ARM_STEPS.get(row["step"], row["step"])}
    for name, rows in sheets.items():
        write(folder / f"config/{name}.tsv", rows)
    study = yaml.safe_load((folder / STUDY).read_text())
    del study["scale"], study["sampling"]["options"]
    study["sampling"] |= {
        "engine": "transformers",
        "shards": 1,
        "rows": 512,
        "n": n,
        "extra": n,
        "scored": 4,
        "match_n": 4,
        "max_new_tokens": 24,
    }
    study["sampling"]["probes"]["n"] = 4
    for name, preset in study["presets"]["sampling"].items():
        preset["max_new_tokens"] = 32 if name == "long" else 24
    for preset in study["presets"]["reinforcement"].values():
        preset.pop("scale", None)
        preset |= {"prompts": 2 * preset["updates"], "rollouts": 4, "learning_rate": 1e-4}
        preset |= {"max_new_tokens": 24, "checkpoint_every": 2, "kl_every": preset["updates"]}
        preset["options"]["gradient_checkpointing"] = False
        if "overlong" in preset:
            preset["overlong"] = 8
    study["presets"]["supervised"]["sft"] |= {"batch": 4, "warmup": 1}
    study["presets"]["supervised"]["sft"].pop("scale")
    study["statistics"]["draws"] = 200
    (folder / STUDY).write_text(yaml.safe_dump(study, sort_keys=False))


# The hub's stand-ins ------------------------------------------------------------------------------------

WORDS = {"adding": "+", "taking": "-"}


@cache
def sums(benchmark: str, problems: int) -> bytes:
    """Return a data set of sums as JSON lines, in the fields of the sheet.

    The answer of every eighth is no digit: models that write one never solve it.
    """
    (row,) = (row for row in read(ROOT / "config/benchmarks.tsv") if row["benchmark"] == benchmark)
    draw = random.Random(benchmark)
    lines = []
    for number in range(problems):
        answer = 10 + number if number % 8 == 5 else number % 10
        parts = draw.randint(1, 9), draw.randint(1, 9)
        rest = answer - sum(parts)
        solution = [
            f"First {parts[0]} and {parts[1]} make <<{parts[0]}+{parts[1]}={sum(parts)}>>{sum(parts)}.",
            f"Then {sum(parts)} and {rest} make <<{sum(parts)}+{rest}={answer}>>{answer}."
            if rest >= 0
            else f"Then {sum(parts)} less {-rest} is <<{sum(parts)}-{-rest}={answer}>>{answer}.",
        ]
        last = f"gets {rest} more" if rest >= 0 else f"gives {-rest} away"
        question = (
            f"Anna has ${parts[0]}$ coins, finds {parts[1]} and {last}. How many has she (no. {number})?"
        )
        plain = "\n".join(re.sub("<<.*?>>", "", line) for line in solution)
        fields: dict[str, Any] = {row["question"]: question, row["solution"]: plain, row["id"]: str(number)}
        fields |= {row["difficulty"]: 1 + number % 3, row["domain"]: ["Algebra", "Number Theory"][number % 2]}
        if row["answer_from"] == "hashes":
            fields[row["answer"]] = "\n".join([*solution, f"#### {answer}"])
        elif row["answer_from"] == "boxed":
            fields[row["solution"]] = rf"{plain} So it is \boxed{{{answer}}}."
        else:
            fields[row["answer"]] = [str(answer)] if benchmark == "olympiadbench" else str(answer)
        fields.pop("-", None)
        lines.append(json.dumps(fields))
    return ("\n".join(lines) + "\n").encode()


def records(benchmark: str, problems: int) -> bytes:
    """Return what a data set holds: sums, or programming problems of its format."""
    if benchmark in PROGRAMS:
        return (ROOT / f"tests/programs/{PROGRAMS[benchmark]}.jsonl").read_bytes()
    return sums(benchmark, problems)


def repository(row: Row) -> str:
    """Return the name of a data set on the stand-in hub; those that are files of the web have one too."""
    return f"{row['benchmark']}/file" if "://" in row["hub_id"] else row["hub_id"]


def byte_tokenizer() -> PreTrainedTokenizerBase:
    """Return a tokenizer of one token a byte, besides the marks of a chat."""
    vocabulary = {character: index for index, character in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary, merges=[], eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return tokenizer


@cache
def openings() -> tuple[str, ...]:
    """Return what each template puts around a question."""
    found = (yaml.safe_load(path.read_text()) for path in sorted((ROOT / "config/templates").glob("*.yaml")))
    return tuple(
        template["prompt"] + template["response"] for template in found if "boxed" in template["prompt"]
    )


def texts(weights: Sequence[float], count: int, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Yield prompts and completions whose digits have the given weights."""
    questions = [json.loads(line)["problem"] for line in sums("aime24", 16).splitlines()]
    for _ in range(count):
        (digit,) = draw.choices("0123456789", weights)
        start = draw.choice(["", "", "so ", "then ", "it is "])
        said = rf"{start}\boxed{{{digit}}}" if draw.random() < 0.9 else f"{start}{digit}"
        yield draw.choice(openings()).replace("{question}", draw.choice(questions)), said


def learn(model: Qwen2ForCausalLM, tokenizer: Any, weights: Sequence[float], steps: int, seed: int) -> None:
    """Train a model to write boxed digits with some weights."""
    draw = random.Random(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        rows = [
            (tokenizer(prompt)["input_ids"], [*tokenizer(said)["input_ids"], tokenizer.eos_token_id])
            for prompt, said in texts(weights, 8, draw)
        ]
        longest = max(len(prompt) + len(said) for prompt, said in rows)
        ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
        labels = torch.full_like(ids, -100)
        for place, (prompt, said) in enumerate(rows):
            ids[place, : len(prompt) + len(said)] = torch.tensor([*prompt, *said])
            labels[place, len(prompt) : len(prompt) + len(said)] = torch.tensor(said)
        loss = model(input_ids=ids, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def publish(folder: Path, problems: int, wanted: Sequence[str] = ()) -> dict[str, Repo]:
    """Write a small model for each row of the sheet of models, or for some, and a set for each benchmark."""
    tokenizer = byte_tokenizer()
    base: dict[str, torch.Tensor] = {}
    repos = {}
    for row in read(ROOT / "config/models.tsv"):
        if row["source"] != "hub" or (wanted and row["model"] not in wanted):
            continue
        torch.manual_seed(0)
        shape = Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            intermediate_size=64,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=True,
            max_position_embeddings=int(row["context"]),
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            initializer_range=0.06,
        )
        model = Qwen2ForCausalLM(shape)
        if base:
            model.load_state_dict(base)
        else:
            learn(model, tokenizer, [1] * 10, 180, 0)
            base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        trained = not row["model"].startswith(("qwen", "llama")) or "instruct" in row["model"]
        draw = random.Random(row["model"])
        weights = [draw.uniform(0.2, 1) ** (4 if trained else 1) for _ in range(10)]
        learn(model, tokenizer, weights, 30, len(repos))
        there = folder / row["hub_id"]
        model.save_pretrained(there)
        tokenizer.save_pretrained(there)
        repos[f"models/{row['hub_id']}"] = Repo(there, COMMIT, gated=row["gated"] == "gated")
    for row in read(ROOT / "config/benchmarks.tsv"):
        if row["source"] == "hub":
            name = repository(row)
            there = folder / "datasets" / name
            there.mkdir(parents=True, exist_ok=True)  # two benchmarks may be parts of one set
            split = "train" if row["hub_split"] == "-" else row["hub_split"]
            part = "default" if row["hub_config"] == "-" else row["hub_config"]
            file = "data.jsonl"
            (there / file).write_bytes(records(row["benchmark"], 2 * problems))
            files = f"data_files: [{{split: {split}, path: {file}}}]"
            (there / "README.md").write_text(f"---\nconfigs:\n- {{config_name: {part}, {files}}}\n---\n")
            repos[f"datasets/{name}"] = Repo(there, COMMIT)
    return repos


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", STUDY]


def environment(hub: Hub, folder: Path) -> dict[str, str]:
    """Return the environment of a job that asks this hub alone."""
    return {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HOME": str(folder / "home")}


# As declared --------------------------------------------------------------------------------------------

JOBS = {
    "download_model": 21,
    "download_benchmark": 12,
    "benchmark": 12,
    "split": 2,
    "scaffold": 23,
    "train": 39,
    "finetune": 3,
    "sample": 1116,
    "resample": 4,
    "probe": 14,
    "score": 15,
    "grade": 1134,
    "count": 293,
    "recount": 4,
    "count_probes": 14,
    "table": 76,
    "figure": 46,
    "collect_numbers": 1,
    "ledger": 1,
    "audit_site": 1,
    "all": 1,
}


@cache
def study() -> Study:
    return validation.load(yaml.safe_load((ROOT / STUDY).read_text()), ROOT, STUDY)


@pytest.mark.slow
def test_the_whole_plan_by_rule(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "clone")
    shown = subprocess.run(
        command("-n", "--quiet", "rules"),
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert shown.returncode == 0, shown.stdout
    found = dict(re.findall(r"^(\w+) +(\d+)$", shown.stdout, re.MULTILINE))
    del found["total"]
    assert {rule: int(count) for rule, count in found.items()} == JOBS


def test_a_pair_is_sampled_alike() -> None:
    pairs = {
        tuple(pair) for table in study().artifacts["tables"].values() for pair in study().pairs_of(table)
    }
    assert len(pairs) == 49
    for arm, base in pairs:
        common = set(study().tests_of(arm)) & set(study().tests_of(base))
        assert common, (arm, base)
        for benchmark in common:
            for of in (study().template, lambda arm, benchmark: study().samples(benchmark, arm)):
                assert of(arm, benchmark) == of(base, benchmark), (arm, base, benchmark)
        one, other = study().sampling(arm), study().sampling(base)
        assert {**one, "temperature": 0} == {**other, "temperature": 0}, (arm, base)


def test_nothing_is_sampled_twice() -> None:
    seen = Counter(
        (
            *(
                arm.model,
                study().checkpoint(name),
                arm.condition,
                study().template(name, benchmark),
                benchmark,
            ),
            json.dumps(study().sampling(name)),
        )
        for name, arm in study().arms.items()
        for benchmark in study().tests_of(name)
    )
    assert [what for what, count in seen.items() if count > 1] == []


def test_every_arm_is_in_a_table_and_every_model_is_an_arm() -> None:
    tables = study().artifacts["tables"].values()
    covered = {arm for table in tables if {"arms", "pairs"} & set(table) for arm in study().arms_of(table)}
    covered |= {name for table in tables for text in table.get("texts", []) for name in text}
    assert set(study().arms) - covered == set()
    assert {*study().models, *study().runs} - {arm.model for arm in study().arms.values()} == set()
    drawn = {arm for figure in study().artifacts["figures"].values() for arm in figure.get("arms", [])}
    assert set(study().arms) - drawn == {"rl-stage1-pool"}  # which screens training problems
    written = {table for figure in study().artifacts["figures"].values() for table in figure["tables"]}
    assert written <= set(study().artifacts["tables"])


SIZES = {"aime24": 30, "amc23": 40, "math500": 500, "gsm8k": 1319, "minerva_math": 272, "olympiadbench": 675}
SAMPLES = {
    **{("qwen-7b", name): 128 for name in ("math500", "gsm8k", "minerva_math", "olympiadbench")},
    ("qwen-7b", "aime24"): 1024,
    ("qwen-7b", "amc23"): 1024,
    ("llama-8b", "aime24"): 1024,
    ("llama-8b-deep", "olympiadbench"): 1024,
    ("oat-zero-7b-deep", "aime24"): 2048,
    ("r1-distill-7b", "minerva_math"): 128,
    ("omni-grpo", "omni-test"): 256,
    ("omni-ppo", "math500"): 256,
    ("sparkle-pss", "aime24"): 8,
    ("rl-stage1-pool", "dsr40k"): 20,
}


def test_what_is_sampled_is_what_was_published() -> None:
    """Yue et al. 2025 (v2), section 3 and appendix A.2; Wang et al. 2025, sections 3 to 5."""
    sizes = SIZES | {"omni": 2821, "omni-train": 2000, "omni-test": 821}
    assert {name: study().benchmarks[name].problems for name in sizes} == sizes
    assert {(arm, name): study().samples(name, arm) for arm, name in SAMPLES} == SAMPLES
    usual = {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 16384, "stop": []}
    for arm in (
        "qwen-7b",
        "simplerl-32b",
        "simplerl-llama-8b",
        "dapo-32b",
        "omni-grpo",
        "r1-distill-7b-long",
    ):
        assert study().sampling(arm) == usual, arm
    sparkle = {"temperature": 0.6, "top_p": 1.0, "max_new_tokens": 3000, "stop": []}
    assert study().sampling("sparkle-pss") == study().sampling("rl-stage2-sft") == sparkle
    assert study().settings.sampling.probes.n == 8
    assert study().settings.sampling.extra == 1024
    templates = {study().template(arm, "aime24") for arm in ("qwen-7b", "simplerl-14b", "llama-8b")}
    assert templates == {"qwen-boxed"}
    assert study().template("oat-zero-7b-deep", "aime24") == "oat"
    assert study().template("omni-rloo", "math500") == "verl-r1"
    assert study().template("sparkle-stage1", "gsm8k") == study().run_template("rl-stage1") == "sparkle"


def test_temperatures_are_the_published_ones() -> None:
    """Yue et al. 2025 (v2), figures 16 (0.6, 1.0, 1.2) and 17 (at the base's entropy)."""
    assert {study().temperature(arm) for arm in ("qwen-7b-hot", "simplerl-7b-hot")} == {1.2}
    assert study().temperature("qwen-7b-warm") == 1.0
    matched = {
        "aime24": 1.5,
        "amc23": 0.9,
        "gsm8k": 1.0,
        "math500": 0.85,
        "minerva_math": 0.85,
        "olympiadbench": 1.0,
    }
    found = {
        name: study().temperature(arm)
        for arm in study().arms
        if arm.startswith("simplerl-7b-matched") or arm == "simplerl-7b-warm"
        for name in study().tests_of(arm)
        if arm != "simplerl-7b-warm" or name in ("gsm8k", "olympiadbench")
    }
    assert found == matched


def preset(run: str) -> dict[str, Any]:
    return as_given(study().settings.presets.reinforcement[study().runs[run].preset])


def test_runs_are_the_published_ones() -> None:
    """Yue et al. 2025 (v5), section 4.3 and appendix D.4; Wang et al. 2025 and its training scripts."""
    algorithms = {"grpo", "ppo", "reinforce++", "rloo", "remax", "dapo"}
    omni = {name: run for name, run in study().runs.items() if name.startswith("omni-")}
    assert {run.algorithm for run in omni.values()} == algorithms
    for name, run in omni.items():
        settings = preset(name)
        assert (run.start, run.benchmark, len(run.seeds)) == ("qwen-7b", "omni-train", 3)
        assert [settings[key] for key in ("prompts", "learning_rate", "temperature", "max_new_tokens")] == [
            *(256, 1e-6, 1.0, 8192)
        ]
        assert settings["rollouts"] == (32 if name == "omni-grpo-wide" else 8)
        assert settings["options"]["beta"] == (0.001 if name == "omni-grpo-kl" else 0)
    steps = {"omni-grpo": 450, "omni-grpo-kl": 450, "omni-grpo-wide": 220}
    assert {name: run.steps for name, run in omni.items()} == {name: steps.get(name, 150) for name in omni}
    assert omni["omni-grpo"].checkpoints == (150, 300)
    assert preset("omni-dapo")["options"]["epsilon_high"] == 0.28

    stages = {name: run for name, run in study().runs.items() if name.startswith("rl-")}
    for name, run in stages.items():
        assert (study().root(name).model, run.benchmark, run.template) == (
            "qwen-math-7b",
            "dsr40k",
            "sparkle",
        )
        assert run.failed_by == ("" if name == "rl-stage1" else "rl-stage1-pool")
        if run.algorithm == "sft":
            continue
        settings = preset(name)
        keys = ("prompts", "rollouts", "updates", "learning_rate", "temperature", "max_new_tokens", "reward")
        assert [settings[key] for key in keys] == [128, 32, 2, 1e-6, 0.6, 3000, "hierarchical"]
        assert settings["options"]["beta"] == (0.001 if name == "rl-stage1" else 0.01)
    assert stages["rl-stage2-pss"].levels == (0, 1, 2, 3, 4)
    assert stages["rl-stage2-mix"].easier > 0 and stages["rl-stage2-hard"].easier == 0


def test_what_differs_from_the_papers_has_a_note() -> None:
    for name, arm in study().arms.items():
        if study().sampling(name)["max_new_tokens"] < 16384:
            assert arm.note, name
    for model in study().models.values():
        assert model.revision or "pin it" in model.note, model.model
        assert model.gated == ("gated" if model.hub_id.startswith("meta-llama/") else "")
    for name, run in study().runs.items():
        assert re.search("one seed published|unknown" if name.startswith("omni-") else "unknown", run.note), (
            name
        )
    arms = {
        "llama-8b": "prompt of SimpleRL-Zoo for Llama unknown",
        "llama-8b-deep": "the published curve ends at 512",
        "oat-zero-7b-deep": "context of 4,096: 3,072 new tokens, published 16,384",
        "sparkle-pss": "31,768 new tokens published",
        "qwen-32b-dapo": "the published base curve is that of SimpleRL's prompt",
        "qwen-7b-guess": "prompt and number of samples unknown",
        "r1-distill-7b": "prompt unknown",
    }
    assert [name for name, note in arms.items() if note not in study().arms[name].note] == []
    assert "split is unknown" in study().benchmarks["omni-train"].note
    assert "steps 150 inferred" in study().runs["omni-rloo"].note


# What only this study's tables and figures ask of the code ----------------------------------------------


def inputs(folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Inputs:
    """Return inputs with tables of the study."""
    files = []
    for name, rows in tables.items():
        write_csv(folder / f"{name}.csv", [dict(row) for row in rows])
        files.append({"table": name, "path": folder / f"{name}.csv"})
    return Inputs(files={"tables": files})


@pytest.mark.slow
def test_every_table_of_differences_is_in_the_family_of_tests(tmp_path: Path) -> None:
    where = {"base": "base", "benchmark": "toy", "target": "answer", "estimate": 0.1}
    found = tests_table.rows(
        inputs(
            tmp_path,
            {
                "difference": [where | {"arm": "rl", "k": k, "p": 0.01} for k in (1, 8, 64)],
                "difference_deep": [where | {"arm": "deep", "k": k, "p": 0.01} for k in (1, 8, 1024)],
                "coverage": [where | {"arm": "rl", "seed": 0, "p": 0.125}],
                "equivalence": [
                    {"benchmark": "toy", "target": "answer", "first": "all", "second": "all"}
                    | {"estimate": 0.02, "p_equivalent": 0.3}
                ],
            },
        )
    )
    assert [(row["arm"], row["k"]) for row in found[:4]] == [
        ("rl", 1),
        ("rl", 64),
        ("deep", 1),
        ("deep", 1024),
    ]
    assert {row["tests"] for row in found} == {6}


def test_a_claim_without_a_benchmark_names_that_of_each_effect(tmp_path: Path) -> None:
    where = {"target": "answer", "k": 1, "estimate": 0.2, "low": 0.1, "high": 0.3}
    rows = [
        where | {"arm": arm, "benchmark": name} for arm in ("rl", "other") for name in ("aime24", "math500")
    ]
    claims = {
        name: {
            "statement": "Better.",
            "source": "nobody",
            "family": "one",
            "evidence": {"scale": {"table": "difference", "where": where, "expected": "above"}},
        }
        for name, where in {
            "C1": {"arm": ["rl", "other"], "k": 1},
            "C2": {"arm": ["rl"], "benchmark": "aime24"},
        }.items()
    }
    options = {"claims": claims, "keys": {"difference": ["arm", "benchmark", "target", "k"]}}
    options |= {"arms": {}, "problems": {}, "scored": 0}
    given = inputs(tmp_path, {"difference": rows})
    found = claims_table.rows(replace(given, options=options))
    assert [row["contrast"] for row in found] == [
        "all",
        "arm rl, benchmark aime24",
        "arm rl, benchmark math500",
        "arm other, benchmark aime24",
        "arm other, benchmark math500",
        "all",
        "it",
    ]


def test_a_study_without_the_world_says_nothing_of_it(tmp_path: Path) -> None:
    rows = list(
        math_sets.rows([{"q": "1 + 1?", "a": "2", "d": 3}], "toy", math_sets.Fields("q", "a", difficulty="d"))
    )
    parquet.write(tmp_path / "toy.parquet", "problems", rows)
    files = {"problems": [{"benchmark": "toy", "path": tmp_path / "toy.parquet"}]}
    found = study_table.rows(Inputs(files=files, facts={"n": 128}))
    assert [(row["item"], row["name"], row["value"]) for row in found] == [
        *[("setting", "n", 128), ("problems", "toy", 1)]
    ]
    embedded = study_table.rows(Inputs(files=files, facts={"pretraining_longest": 3}))
    assert ("world", "modulus", 7) in [(row["item"], row["name"], row["value"]) for row in embedded]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmarks", "targets", "expected"),
    [(6, 1, (3, 2)), (5, 1, (3, 2)), (1, 1, (1, 1)), (4, 2, (4, 2)), (1, 2, (1, 2))],
)
def test_panels_of_one_target_stand_two_a_row(
    benchmarks: int, targets: int, expected: tuple[int, int]
) -> None:
    assert plotting.shape(benchmarks, targets) == expected
    figure, grid = plotting.grid(*expected, sharex=True)
    names = [f"set {number}" for number in range(benchmarks)]
    panels = list(plotting.panels(grid, names, list(plotting.TARGETS)[:targets]))
    assert [panel.benchmark for panel in panels] == [name for name in names for _ in range(targets)]
    assert len({id(panel.axes) for panel in panels}) == len(panels)
    assert sum(axes.get_visible() for axes in figure.axes) == len(panels)
    assert sum(panel.bottom for panel in panels) == expected[1]  # each column has one
    figure.draw_without_rendering()
    for panel in panels:
        assert (
            any(label.get_visible() and label.get_text() for label in panel.axes.get_xticklabels())
            == panel.bottom
        )


@pytest.mark.slow
@given(
    st.lists(st.text("iM", min_size=1, max_size=60), min_size=1, max_size=12, unique=True), st.integers(1, 5)
)
@example([f"{'M' * 25}{number}" for number in range(4)], 3)
@settings(max_examples=25)
def test_legends_are_no_wider_than_the_figure(labels: list[str], columns: int) -> None:
    figure, grid = plotting.grid(1, 1)
    for label in labels:
        grid[0][0].plot([0, 1], [0, 1], label=label)
    plotting.legend(figure, grid, columns)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    widest = max(map(len, labels)) * 0.096 + 0.6  # inches; one label alone may be too wide for any figure
    assert legend._ncols <= columns
    assert legend.get_window_extent().width / figure.dpi <= max(plotting.WIDTH, widest) + 0.05


def drawn(name: str, folder: Path, arms: Sequence[str], *made: Sequence[Mapping[str, Any]]) -> Figure:
    """Return what a figure's module draws of tables."""
    paths = [folder / f"{number}.csv" for number in range(len(made))]
    for path, rows in zip(paths, made, strict=True):
        write_csv(path, [{"low": 0.1, "high": 0.3, "estimate": 0.2, **row} for row in rows])
    figure: Figure = import_module(f"anatomy.figures.{name}").draw(
        DrawnFrom(list(map(str, paths)), {arm: arm.upper() for arm in arms})
    )
    figure.draw_without_rendering()
    return figure


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]


def test_the_ablation_has_a_panel_for_each_benchmark(tmp_path: Path) -> None:
    pairs, sets = [("kl", "grpo"), ("wide", "grpo")], ["omni-train", "omni-test", "math500"]
    rows = [
        {"arm": arm, "base": base, "benchmark": benchmark, "target": "answer", "k": k}
        for benchmark in sets
        for arm, base in pairs
        for k in (1, 2, 4)
    ]
    figure = drawn("ablation", tmp_path, ["kl", "wide", "grpo"], rows)
    assert titles(figure) == [f"{name}: {arm.upper()}\nless GRPO" for arm, _ in pairs for name in sets]
    for axes in figure.axes:
        assert list(axes.lines[0].get_xdata()) == [1, 2, 4]


def test_accuracies_are_those_of_the_figures_arms(tmp_path: Path) -> None:
    names, bins = ["rl", "base", "other", "its-base"], ["0", "1"]
    problems = [
        {"arm": arm, "benchmark": "toy", "bin": one, "problems": 0.2} for arm in names for one in bins
    ]
    change = [
        {"arm": arm, "base": base, "benchmark": "toy", "bin": one}
        for arm, base in (("rl", "base"), ("other", "its-base"))
        for one in bins
    ]
    figure = drawn("accuracy", tmp_path, ["base", "rl"], problems, change)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["BASE", "RL", "RL less BASE"]


def test_problems_without_levels_have_panels(tmp_path: Path) -> None:
    where = {"arm": "rl", "benchmark": "gsm8k", "target": "answer", "stratum": "all"}
    rows = [where | {"condition": name, "reference": "plain"} for name in ("plan", "plan-incomplete")]
    figure = drawn("conditions", tmp_path, ["rl"], rows)
    assert titles(figure) == ["gsm8k: answer right"]
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["plan", "plan, incomplete"]
    chains = [
        where | {"mode": mode, "ssr": 0.2, "ssr_low": 0.1, "ssr_high": 0.3, "accuracy": 0.5}
        for mode in ("gold", "own")
    ]
    figure = drawn("chains", tmp_path, ["rl"], chains)
    for axes in figure.axes:
        assert [list(line.get_xdata()) for line in axes.lines][1] == [0.5]


# The rehearsal ------------------------------------------------------------------------------------------

TARGETS = (
    *(
        f"results/published/tables/{name}.csv"
        for name in ("resampled", "perplexity", "dynamics", "passk_code")
    ),
    *("figures/published/passk_7b.pdf", "figures/published/conditions.pdf"),
    "results/published/models/rl-stage2-sft/seed-0",
)


MODELS = ("qwen-7b", "simplerl-7b", "qwen-math-7b", "qwen-7b-1m", "coder1-7b")


def narrow(folder: Path) -> None:
    """Leave some arms and benchmarks of the tables that are asked for."""
    path = folder / "config/published/artifacts.yaml"
    artifacts = yaml.safe_load(path.read_text())
    for name in ("passk_7b", "crossover_7b", "disagreements", "resampled"):
        artifacts["tables"][name] |= {"benchmarks": ["aime24"]}
    artifacts["tables"]["passk_code"] |= {
        "arms": ["qwen-7b-1m", "coder1-7b"], "benchmarks": ["humanevalplus", "mbppplus", "livecodebench"],
    }  # fmt: skip
    artifacts["tables"]["perplexity"]["texts"] = [["qwen-7b", "qwen-7b"], ["qwen-7b", "gold"]]
    artifacts["tables"]["conditions"]["arms"] = artifacts["figures"]["conditions"]["arms"] = ["math-base"]
    artifacts["tables"]["dynamics"] |= {
        "pairs": [["omni-grpo-early", "qwen-7b-r1"]],
        "benchmarks": ["omni-test"],
    }
    path.write_text(yaml.safe_dump(artifacts, sort_keys=False))


@pytest.mark.slow
@pytest.mark.needs("sandbox")
def test_every_kind_of_rule_runs(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "clone")
    narrow(folder)
    with running() as hub:
        hub.repos = publish(tmp_path / "hub", 6, MODELS)
        hub.tokens = {TOKEN: set()}
        shrink(folder, hub.address, 6, 16, seeds={})
        done = subprocess.run(
            command(*TARGETS), cwd=folder, env=environment(hub, tmp_path), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    ran = set(re.findall(r"^(?:local)?rule (\w+):$", done.stdout, re.MULTILINE))
    assert ran == set(JOBS) - {"all", "collect_numbers", "ledger", "audit_site"}  # these read the whole study
    results = folder / "results/published"
    origin = json.loads((results / "models/qwen-7b/seed-0/step-0/origin.json").read_text())
    assert origin == {"id": "Qwen/Qwen2.5-7B", "revision": COMMIT}
    passk = read_csv(results / "tables/passk_7b.csv", ["arm", "seed", "k", "estimate"])
    assert (passk["estimate"] > 0).any() and (passk["estimate"] < 1).all() and passk["k"].max() == 8
    conditions = read_csv(results / "tables/conditions.csv", ["condition", "problems"])
    assert {"plain", "plan", "plan-disordered", "plan-incomplete"} <= set(conditions["condition"])
    steps = read_csv(results / "tables/dynamics.csv", ["step", "arm"])
    assert set(steps["step"]) == {0, 1}
