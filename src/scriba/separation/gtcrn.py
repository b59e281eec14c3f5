"""GTCRN: a small network that takes noise and music off speech (Rong et al., ICASSP 2024; MIT).

It works on frames of 32 ms at 16 kHz, one after another, and remembers. At a multiple of 16 kHz the lower
bins of longer frames are the same bins, so that sound of full bandwidth and several channels needs no
resampling: the network hears the mean of the channels up to 8 kHz, and what it does to that is done to each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.separation.frames import FrameStream, Spectra
from scriba.separation.port import Samples
from scriba.separation.runtime import open_session, running

RATE = 16_000
_SIZE = 512
_BINS = _SIZE // 2 + 1
_TOP = slice(160, _BINS)
"""Bins from 5 to 8 kHz: their gain goes for whatever is above them."""
_LOUDEST = 2.0
"""A mask may not make a bin louder than so many times."""
_CACHES = {"conv_cache": (2, 1, 16, 16, 33), "tra_cache": (2, 3, 1, 1, 16), "inter_cache": (2, 1, 33, 16)}


class GtcrnSeparator:
    """Implements ``Separator`` for sound at a multiple of 16 kHz.

    Args:
        at_once: frames of 16 ms worked on together; says nothing about the result.
    """

    def __init__(
        self, model: Path, rate: int, channels: int, *, at_once: int = 256, threads: int = 1
    ) -> None:
        if rate % RATE:
            raise ValueError("GTCRN works at multiples of 16 kHz.")
        self._factor = rate // RATE
        self._session = open_session(model, threads)
        self._caches: dict[str, NDArray[np.float32]] = {
            name: np.zeros(shape, np.float32) for name, shape in _CACHES.items()
        }
        self._stream = FrameStream(_SIZE * self._factor, channels, at_once, self._change)

    def push(self, block: Samples) -> Samples:
        return self._stream.push(block)

    def finish(self) -> Samples:
        return self._stream.finish()

    def _change(self, spectra: Spectra) -> Spectra:
        heard = spectra[:, :, :_BINS].mean(axis=0) / self._factor
        voice = self._infer(heard)
        if spectra.shape[0] == 1 and self._factor == 1:
            return voice[None]
        mask = voice * heard.conj() / (np.abs(heard) ** 2 + 1e-12)
        mask *= np.minimum(1.0, _LOUDEST / np.maximum(np.abs(mask), 1e-9))
        changed = np.empty_like(spectra)
        changed[:, :, :_BINS] = spectra[:, :, :_BINS] * mask
        above = np.minimum(np.abs(mask[:, _TOP]).mean(axis=1), 1.0).astype(np.float32)
        changed[:, :, _BINS:] = spectra[:, :, _BINS:] * above[:, None]
        return changed

    def _infer(self, frames: Spectra) -> Spectra:
        """Frames of shape (frames, bins), one after another."""
        voice = np.empty_like(frames)
        pairs = np.stack([frames.real, frames.imag], axis=-1).astype(np.float32)
        with running():
            for index, pair in enumerate(pairs):
                out: list[Any] = self._session.run(None, {"mix": pair[None, :, None], **self._caches})
                voice[index] = out[0][0, :, 0, 0] + 1j * out[0][0, :, 0, 1]
                self._caches = dict(zip(_CACHES, out[1:], strict=True))
        return voice
