"""How probably each 32 ms of audio is speech: Silero VAD v6 (https://github.com/snakers4/silero-vad, MIT).

The network reads frames of 512 samples, each preceded by the last 64 of the frame before, and carries an LSTM
state (h, c). The ONNX form used here takes many frames of one recording in one call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib.resources import files

import numpy as np
import onnxruntime
from numpy.typing import NDArray

FRAME = 512
"""Samples at 16 kHz that one probability stands for."""
CONTEXT = 64
STATE = 128
FRAMES_PER_CALL = 512

_session: onnxruntime.InferenceSession | None = None
_session_lock = threading.Lock()


def _shared_session() -> onnxruntime.InferenceSession:
    """One session for all: running it is thread-safe, and all state is passed in."""
    global _session
    with _session_lock:
        if _session is None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # tiny matrices: a second thread costs more than it brings
            options.inter_op_num_threads = 1
            options.enable_cpu_mem_arena = False
            options.log_severity_level = 4
            model = (files("scriba.audio") / "assets" / "silero_vad_v6.onnx").read_bytes()
            _session = onnxruntime.InferenceSession(
                model, sess_options=options, providers=["CPUExecutionProvider"]
            )
        return _session


class SpeechProbability:
    """Speech probabilities of one recording, as its audio comes in. Not for two threads at once."""

    def __init__(self) -> None:
        self._session = _shared_session()
        self._h = np.zeros((1, 1, STATE), np.float32)
        self._c = np.zeros((1, 1, STATE), np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """16 kHz mono audio of any length in; one probability for each frame of 512 samples now complete."""
        audio = np.concatenate((self._rest, block)) if len(self._rest) else block
        whole = len(audio) // FRAME * FRAME
        self._rest = np.array(audio[whole:], np.float32)
        parts = [self._run(part) for part in _frames(audio[:whole])]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def flush(self) -> NDArray[np.float32]:
        """The probability of the last, partial frame (silence after it), if any. Nothing may follow."""
        if not len(self._rest):
            return np.zeros(0, np.float32)
        return self.push(np.zeros(FRAME - len(self._rest), np.float32))

    def _run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        tails = frames[:, -CONTEXT:]
        before = np.vstack((self._context[None], tails[:-1]))
        self._context = tails[-1].copy()
        output, self._h, self._c = self._session.run(
            None, {"input": np.hstack((before, frames)), "h": self._h, "c": self._c}
        )
        probabilities: NDArray[np.float32] = np.asarray(output, np.float32).reshape(-1)
        return probabilities


def _frames(audio: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    step = FRAME * FRAMES_PER_CALL
    for start in range(0, len(audio), step):
        yield np.ascontiguousarray(audio[start : start + step], np.float32).reshape(-1, FRAME)
