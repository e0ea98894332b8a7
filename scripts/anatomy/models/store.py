"""Models on disk: a folder with weights, configuration, tokenizer and a manifest of their checksums."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.utils import logging

from anatomy.errors import AnatomyError
from anatomy.names import MANIFEST

# Progress bars of single files would drown a job's own progress.
logging.disable_progress_bar()

_WORDS = "word-level"
"""Marks a model whose tokenizer is ``word_tokenizer``."""
_PAD, _END = "<pad>", "<eos>"


def word_tokenizer(vocabulary: Sequence[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer of one token a word, words being separated by white space."""
    ids = {word: index for index, word in enumerate((_PAD, _END, *vocabulary))}
    backend = Tokenizer(WordLevel(ids))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=_PAD, eos_token=_END, padding_side="left"
    )


def create(
    tokenizer: PreTrainedTokenizerBase, hidden: int, layers: int, heads: int, kv_heads: int, inner: int
) -> Qwen2ForCausalLM:
    """Return a small Qwen2 language model with fresh weights (seed torch before)."""
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            intermediate_size=inner,
            # The default, 0.02, is meant for wide models; at width 128 it delays arithmetic many-fold.
            initializer_range=0.06,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )


def trainable(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model made ready for training on the device it is on."""
    if model.device.type == "cpu":
        # For short sequences the fused kernel's backward pass takes twice the time of plain products.
        model.set_attn_implementation("eager")
    return model


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Write a model, its tokenizer and their manifest into a folder."""
    folder = Path(folder)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if isinstance(tokenizer.backend_tokenizer.model, WordLevel):
        (folder / _WORDS).touch()
    write_manifest(folder)


def load(folder: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Read a model (float32, on the best device present) and its tokenizer.

    Raises:
        AnatomyError: The folder is incomplete or was altered since it was written.
    """
    folder = Path(folder)
    check_manifest(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if torch.cuda.is_available():
        model.to("cuda")
    return model.eval(), load_tokenizer(folder)


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Read a tokenizer as itself: for ours, AutoTokenizer would choose that of the architecture."""
    folder = Path(folder)
    ours = (folder / _WORDS).exists()
    kind = PreTrainedTokenizerFast if ours else AutoTokenizer
    tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(folder)
    return tokenizer


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> None:
    """Write the digests of a model folder's files into the folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    manifest = {path.name: _hash(path) for path in files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def check_manifest(folder: Path) -> None:
    """Raise AnatomyError unless every file of the model is there as it was written."""
    try:
        manifest: dict[str, str] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise AnatomyError(f"{folder}: not a complete model (no readable {MANIFEST})") from error
    for name, digest in manifest.items():
        if not (folder / name).is_file() or _hash(folder / name) != digest:
            raise AnatomyError(
                f"{folder / name}: missing or altered since the model was written;"
                " delete the model's folder and run the workflow again"
            )
