"""HTDemucs as an ONNX graph: spectrum and waveform of 44.1 kHz stereo side by side (Rouard et al., 2023).

Its weights are for personal and research use only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scriba.domain.errors import ModelUnavailableError
from scriba.separation.chunks import ChunkStream
from scriba.separation.port import Samples
from scriba.separation.runtime import open_session, running

RATE = 44_100
_SIZE = 343_980
"""Samples of a chunk: 7.8 s, what the network was trained on and exported for."""
_FFT, _HOP, _BINS = 4096, 1024, 2048
_FRAMES = -(-_SIZE // _HOP)
_PAD = _HOP // 2 * 3
_SPARE = _FRAMES * _HOP - _SIZE
_VOICE = 3
"""The network's sources are drums, bass, other and voice."""


class DemucsSeparator:
    """Implements ``Separator`` for stereo at 44.1 kHz.

    Raises:
        ModelUnavailableError: the file is another model.
    """

    def __init__(self, model: Path, *, threads: int = 1, device: str = "cpu") -> None:
        self._session = open_session(model, threads, device)
        inputs = self._session.get_inputs()
        if [own.shape for own in inputs] != [[1, 2, _SIZE], [1, 4, _BINS, _FRAMES]]:
            raise ModelUnavailableError("The file is no HTDemucs model in the known form.")
        self._names: list[str] = [own.name for own in inputs]
        self._window = np.hanning(_FFT + 1)[:_FFT].astype(np.float32)
        self._stream = ChunkStream(_SIZE, _SIZE // 4, 0, 2, self._voice_of)

    def push(self, block: Samples) -> Samples:
        return self._stream.push(block)

    def finish(self) -> Samples:
        return self._stream.finish()

    def _voice_of(self, chunk: Samples) -> Samples:
        spectra = self._spectra(chunk)
        pairs = np.stack([spectra.real, spectra.imag], axis=1).reshape(1, 4, _BINS, _FRAMES)
        with running():
            by_spectrum, by_wave = self._session.run(
                None, {self._names[0]: chunk[None], self._names[1]: pairs.astype(np.float32)}
            )
        voice = by_spectrum[0, _VOICE].reshape(2, 2, _BINS, _FRAMES)
        summed: Samples = self._sound(voice[:, 0] + 1j * voice[:, 1]) + by_wave[0, _VOICE]
        return summed

    def _spectra(self, chunk: Samples) -> NDArray[np.complex64]:
        """Shape (2, bins, frames), scaled by the root of the frame's length, without the highest bin."""
        padded = np.pad(chunk, ((0, 0), (_PAD, _PAD + _SPARE)), mode="reflect")
        padded = np.pad(padded, ((0, 0), (_FFT // 2, _FFT // 2)), mode="reflect")
        frames = sliding_window_view(padded, _FFT, axis=1)[:, ::_HOP][:, 2 : 2 + _FRAMES]
        spectra = np.fft.rfft(frames * self._window, axis=2)[:, :, :_BINS] / np.sqrt(_FFT)
        ordered: NDArray[np.complex64] = spectra.astype(np.complex64).transpose(0, 2, 1)
        return ordered

    def _sound(self, spectra: NDArray[np.complex64]) -> Samples:
        full = np.pad(spectra.transpose(0, 2, 1), ((0, 0), (2, 2), (0, 1)))
        frames = np.fft.irfft(full, _FFT, axis=2).astype(np.float32) * (self._window * np.sqrt(_FFT))
        total = _FFT + _HOP * (frames.shape[1] - 1)
        sound, weight = np.zeros((2, total), np.float32), np.zeros(total, np.float32)
        for index in range(frames.shape[1]):
            place = slice(index * _HOP, index * _HOP + _FFT)
            sound[:, place] += frames[:, index]
            weight[place] += self._window**2
        sound /= np.maximum(weight, 1e-8)
        start = _FFT // 2 + _PAD
        return sound[:, start : start + _SIZE]
