"""The two networks on onnxruntime: who speaks in a window, and what a voice is like."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scriba.speakers.features import Features
from scriba.speakers.frames import WINDOW_SAMPLES, Activity, active_speakers


class Networks(Protocol):
    """What telling speakers apart needs; each call is one step of inference, of less than 0.2 s."""

    def segment(self, audio: NDArray[np.float32]) -> Activity:
        """(589, 3) of a window of 10 s at 16 kHz; shorter audio is followed by silence."""
        ...

    def embed(self, features: Features) -> NDArray[np.float32]:
        """(192,) of the features (frames, 80) of one voice, at least 20 frames."""
        ...


class OnnxNetworks:
    """Loaded once and shared: sessions are thread-safe.

    Args:
        directory: holds ``segmentation.onnx`` and ``embedding.onnx``.
    """

    def __init__(self, directory: Path) -> None:
        self._segmentation = _session(directory / "segmentation.onnx")
        self._embedding = _session(directory / "embedding.onnx")

    def segment(self, audio: NDArray[np.float32]) -> Activity:
        window = np.zeros((1, 1, WINDOW_SAMPLES), np.float32)
        window[0, 0, : len(audio)] = audio
        return active_speakers(self._segmentation.run(None, {"audio": window})[0][0])

    def embed(self, features: Features) -> NDArray[np.float32]:
        centred = features - features.mean(axis=0)
        vector: NDArray[np.float32] = self._embedding.run(None, {"features": centred[None]})[0][0]
        return vector

    def close(self) -> None:
        """Free the memory."""
        del self._segmentation, self._embedding


def _session(path: Path) -> Any:
    import onnxruntime  # slow to import

    options = onnxruntime.SessionOptions()
    # One thread a step: steps of several recordings run side by side, by leave of the scheduler.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Inputs differ in length: an arena would keep the largest of each.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
