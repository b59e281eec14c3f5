"""MDX-Net models: a network on spectra of 44.1 kHz stereo (Kim et al., 2021), named as UVR names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scriba.domain.errors import InvalidOptionError, ModelUnavailableError
from scriba.separation.catalogue import MdxFigures
from scriba.separation.chunks import ChunkStream
from scriba.separation.port import Samples
from scriba.separation.runtime import open_session, running

RATE = 44_100
_HOP = 1024
_SHARE = 4
"""An overlap of one in so many samples."""


class MdxSeparator:
    """Implements ``Separator`` for stereo at 44.1 kHz.

    Args:
        frames: length of a chunk, in steps of 1024 samples; None for what the model was made for.

    Raises:
        InvalidOptionError: the model takes chunks of another length only.
        ModelUnavailableError: the file is no MDX-Net model.
    """

    def __init__(
        self,
        model: Path,
        figures: MdxFigures,
        *,
        frames: int | None = None,
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        self._session = open_session(model, threads, device)
        self._figures = figures
        bins, frames = _shape(self._session, figures, frames)
        self._bins = bins
        self._input: str = self._session.get_inputs()[0].name
        self._window = np.hanning(figures.fft + 1)[: figures.fft].astype(np.float32)
        size, margin = _HOP * (frames - 1), figures.fft // 2
        inner = size - 2 * margin
        if inner < 2 * _HOP:
            raise InvalidOptionError(
                f"segment_size must be at least {figures.fft // _HOP + 4} for this model, not {frames}.",
                field="segment_size",
            )
        self._stream = ChunkStream(size, inner // _SHARE, margin, 2, self._voice_of)

    def push(self, block: Samples) -> Samples:
        return self._stream.push(block)

    def finish(self) -> Samples:
        return self._stream.finish()

    def _voice_of(self, chunk: Samples) -> Samples:
        spectra = self._spectra(chunk)
        real = np.stack([spectra.real, spectra.imag], axis=1)  # (2, 2, bins, frames)
        asked = real[:, :, : self._bins].reshape(1, 4, self._bins, -1).astype(np.float32)
        with running():
            out: NDArray[Any] = self._session.run(None, {self._input: asked})[0]
        pairs = out.reshape(2, 2, self._bins, -1)
        answer = np.zeros_like(spectra)
        answer[:, : self._bins] = pairs[:, 0] + 1j * pairs[:, 1]
        stem = self._sound(answer, chunk.shape[1]) * np.float32(self._figures.compensate)
        return stem if self._figures.gives_voice else chunk - stem

    def _spectra(self, chunk: Samples) -> NDArray[np.complex64]:
        """Shape (2, bins, frames); frames are centred, the sound mirrored at its ends."""
        half = self._figures.fft // 2
        padded = np.pad(chunk, ((0, 0), (half, half)), mode="reflect")
        frames = sliding_window_view(padded, self._figures.fft, axis=1)[:, ::_HOP]
        return np.fft.rfft(frames * self._window, axis=2).astype(np.complex64).transpose(0, 2, 1)

    def _sound(self, spectra: NDArray[np.complex64], length: int) -> Samples:
        fft = self._figures.fft
        frames = np.fft.irfft(spectra.transpose(0, 2, 1), fft, axis=2).astype(np.float32) * self._window
        total = fft + _HOP * (frames.shape[1] - 1)
        sound, weight = np.zeros((2, total), np.float32), np.zeros(total, np.float32)
        for index in range(frames.shape[1]):
            place = slice(index * _HOP, index * _HOP + fft)
            sound[:, place] += frames[:, index]
            weight[place] += self._window**2
        sound /= np.maximum(weight, 1e-8)
        return sound[:, fft // 2 : fft // 2 + length]


def _shape(session: Any, figures: MdxFigures, frames: int | None) -> tuple[int, int]:
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != 4 or not isinstance(shape[2], int):
        raise ModelUnavailableError("The file is no MDX-Net model: its input is not (n, 4, bins, frames).")
    if shape[2] > figures.fft // 2 + 1:
        raise ModelUnavailableError(
            f"The MDX-Net model has {shape[2]} bins, more than spectra of {figures.fft} samples."
        )
    fixed = shape[3] if isinstance(shape[3], int) else None
    if fixed is not None and frames is not None and frames != fixed:
        raise InvalidOptionError(
            f"segment_size must be {fixed} for this model, not {frames}.", field="segment_size"
        )
    return shape[2], fixed or frames or 256
