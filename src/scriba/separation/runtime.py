"""onnxruntime, as every separator uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scriba.domain.errors import EngineError, ModelUnavailableError


def open_session(model: Path, threads: int, device: str = "cpu") -> Any:
    """
    Raises:
        ModelUnavailableError: the file is no model that onnxruntime runs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # What a graph would keep between calls costs more memory than it saves time.
    options.enable_cpu_mem_arena = False
    providers = ["CPUExecutionProvider"]
    if device == "cuda" or (device == "auto" and has_cuda()):
        providers.insert(0, "CUDAExecutionProvider")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers)
    except Exception as error:
        raise ModelUnavailableError("The separation model is no ONNX file that can be run.") from error


@contextmanager
def running() -> Iterator[None]:
    """
    Raises:
        EngineError: onnxruntime failed in here.
    """
    try:
        yield
    except Exception as error:
        raise EngineError("The separation model failed on this recording.") from error


def has_cuda() -> bool:
    """Whether onnxruntime can compute on a GPU here."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
