"""The engine that a study asks for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.sampling.engine import Engine
from anatomy.sampling.transformers_engine import TransformersEngine


def load(
    kind: str,
    folder: str | Path,
    threads: int | None = None,
    gpus: int = 0,
    context: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Engine:
    """Return an engine with the model in a folder.

    Args:
        kind: ``transformers`` or ``vllm``.
        folder: The model.
        threads: Of the processor.
        gpus: That share the model (vLLM).
        context: Positions to which the model is held, if fewer than it has.
        options: Further arguments of vLLM's ``EngineArgs``.

    Raises:
        AnatomyError: The model's folder is incomplete or was altered.
    """
    if kind == "transformers":
        return TransformersEngine(folder, threads, context)
    if kind == "vllm":
        from anatomy.sampling.vllm_engine import VllmEngine

        return VllmEngine(folder, threads, gpus, context, options)
    raise AnatomyError(f"sampling.engine: {kind!r} is no engine; choose transformers or vllm")
