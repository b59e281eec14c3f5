"""How probably each 32 ms of audio is speech: Silero VAD v6 (https://github.com/snakers4/silero-vad, MIT).

The network reads frames of 512 samples, each preceded by the last 64 of the frame before, and carries an LSTM
state (h, c). The ONNX form used here takes many frames of one recording in one call; ``scripts/vad_model.py``
makes it of the published one.
"""

from __future__ import annotations

import threading
from importlib.resources import files

import numpy as np
import onnxruntime
from numpy.typing import NDArray

FRAME = 512
"""Samples at 16 kHz that one probability stands for."""
CONTEXT = 64
STATE = 128
HALF_WINDOW = 128
"""Samples from one spectrum to the next."""
FRAMES_PER_CALL = 128
"""What is computed of so many stays in a core's own cache."""

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
            model = (files("scriba.audio") / "assets" / "silero_vad_dense.onnx").read_bytes()
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
        self._rest = np.zeros(CONTEXT, np.float32)  # the context of the next frame, then what there is of it

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """16 kHz mono audio of any length in; one probability for each frame of 512 samples now complete."""
        audio = np.concatenate((self._rest, block), dtype=np.float32)
        frames = (len(audio) - CONTEXT) // FRAME
        parts = [
            self._run(audio[start * FRAME : min(start + FRAMES_PER_CALL, frames) * FRAME + CONTEXT])
            for start in range(0, frames, FRAMES_PER_CALL)
        ]
        self._rest = audio[frames * FRAME :].copy() if frames else audio
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def flush(self) -> NDArray[np.float32]:
        """The probability of the last, partial frame (silence after it), if any. Nothing may follow."""
        pending = len(self._rest) - CONTEXT
        return self.push(np.zeros(FRAME - pending if pending else 0, np.float32))

    def _run(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Whole frames and the context before them."""
        frames = audio[CONTEXT:].reshape(-1, FRAME)
        rows = np.empty((len(frames), CONTEXT + FRAME + CONTEXT), np.float32)
        rows[:, :CONTEXT] = audio[:-CONTEXT].reshape(-1, FRAME)[:, :CONTEXT]
        rows[:, CONTEXT:-CONTEXT] = frames
        rows[:, -CONTEXT:] = frames[:, -2 : -2 - CONTEXT : -1]  # the transform mirrors a frame at its end
        output, self._h, self._c = self._session.run(
            None, {"audio": rows.reshape(len(rows), -1, HALF_WINDOW), "h": self._h, "c": self._c}
        )
        probabilities: NDArray[np.float32] = np.asarray(output, np.float32).reshape(-1)
        return probabilities
